// A log line is one line, in either format, whatever stands in it.
import KyroPlatform
import Testing

@Suite struct LogTests {
    private static let time = "2026-01-02T03:04:05.678Z"

    private func line(_ format: LogFormat, _ fields: KeyValuePairs<String, Any>) -> String {
        Log.line(format, Self.time, .warning, "it \"happened\"", fields)
    }

    @Test func textHasKeysAndQuotedValues() {
        #expect(
            line(.text, ["path": "/a b", "count": 3, "plain": "x"])
                == "\(Self.time) warning \"it \\\"happened\\\"\" path=\"/a b\" count=3 plain=x")
    }

    @Test func jsonKeepsNumbersAndBooleansAsSuch() {
        #expect(
            line(
                .json,
                ["count": 3, "share": 0.5, "big": UInt64.max, "flag": true, "nan": Double.nan])
                == "{\"time\":\"\(Self.time)\",\"level\":\"warning\",\"event\":\"it \\\"happened\\\"\","
                + "\"count\":3,\"share\":0.5,\"big\":18446744073709551615,\"flag\":true,\"nan\":null}"
        )
    }

    @Test func whatIsInAValueEndsNoLine() {
        let evil = "a\nb\"c\\d\u{1}e\r\t"
        #expect(line(.json, ["v": evil]).hasSuffix("\"v\":\"a\\nb\\\"c\\\\d\\u0001e\\r\\t\"}"))
        for format in [LogFormat.text, .json] {
            #expect(!line(format, ["v": evil]).utf8.contains(UInt8(ascii: "\n")))
        }
    }
}
