// JSON: what is read, what is refused, and that writing it gives it back.
import KyroJSON
import Testing

@Suite struct JSONTests {
    @Test("Values are read as what they are")
    func values() throws {
        #expect(try JSON(parsing: " null ") == .null)
        #expect(try JSON(parsing: "true") == .bool(true))
        #expect(try JSON(parsing: "0") == .int(0))
        #expect(try JSON(parsing: "-9223372036854775808") == .int(.min))
        #expect(try JSON(parsing: "9223372036854775808") == .double(0x1p63))
        #expect(try JSON(parsing: "1.0") == .double(1))
        #expect(try JSON(parsing: "1e2") == .double(100))
        #expect(try JSON(parsing: "[]") == .array([]))
        #expect(
            try JSON(parsing: "[1, [2.5], {}]")
                == .array([.int(1), .array([.double(2.5)]), .object([])]))
        #expect(
            try JSON(parsing: "{\"a\": 1, \"b\": null}")
                == .object([.init("a", .int(1)), .init("b", .null)]))
        #expect(
            try JSON(parsing: #""a\"\\\/\b\f\n\r\t\u0041""#) == .string("a\"\\/\u{8}\u{c}\n\r\tA"))
        #expect(try JSON(parsing: #""\ud83d\ude00""#) == .string("😀"))
        #expect(try JSON(parsing: "\"日本\"") == .string("日本"))
    }

    static let refused: [String] = [
        "", " ", "nul", "tru", "01", "-", "1.", "1e", "+1", ".5", "1 2", "[1,]", "[1 2]", "[",
        "{", "{\"a\"}", "{\"a\":}", "{a: 1}", "{\"a\": 1,}", "\"a", "\"\\x\"", "\"\\u12\"",
        "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "1e999", "'a'", "NaN",
        "\"\\u+123\"",
    ]

    @Test("What is no JSON is refused", arguments: refused)
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test("Bytes that are no UTF-8 are refused")
    func utf8() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0x5C, 0x6E, 0xC0, 0x80, 0x22]) }
    }

    @Test("Depth is bounded")
    func depth() throws {
        #expect(throws: JSONError.self) {
            try JSON(parsing: String(repeating: "[", count: 1_000_000))
        }
        let text = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try JSON(parsing: text).text == text)
    }

    @Test("Every cut of a text is refused, and never a trap")
    func truncation() throws {
        let whole = Array(#"{"a": [1, -2.5e3, "x\u00e9y", true, null], "ü": {"b": []}}"#.utf8)
        _ = try JSON(parsing: whole)
        for count in 0..<whole.count {
            #expect(throws: JSONError.self) { try JSON(parsing: Array(whole[..<count])) }
        }
    }

    @Test("Writing gives back what was read")
    func roundTrip() throws {
        let text = #"{"a":[1,-2500.5,"x\n\"\\\u0001é😀",true,null],"b":{"c":1e+300}}"#
        let json = try JSON(parsing: text)
        #expect(try JSON(parsing: json.text) == json)
        #expect(json["a"] != nil && json["z"] == nil)
        #expect(JSON.double(.nan).text == "null")
    }
}
