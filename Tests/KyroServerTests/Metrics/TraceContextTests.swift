// What is taken for a traceparent, and what goes on from it.
import KyroServer
import Testing

@Suite struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let parent = "b7ad6b7169203331"
    private static let good = "00-\(trace)-\(parent)-01"

    @Test func theSpecificationsExampleIsRead() throws {
        let context = try #require(TraceContext(Array(Self.good.utf8)))
        #expect(context.traceID == Self.trace)
        #expect(context.parentID == Self.parent)
        #expect(context.flags == "01")
        #expect(
            context.passedOn(spanID: "00000000000000ff")
                == "00-\(Self.trace)-00000000000000ff-01")
    }

    @Test func aLaterVersionMayHaveMoreBehindADash() {
        #expect(TraceContext(Array("01\(Self.good.dropFirst(2))-more".utf8)) != nil)
        #expect(TraceContext(Array("01\(Self.good.dropFirst(2))more".utf8)) == nil)
        #expect(TraceContext(Array("\(Self.good)-more".utf8)) == nil)
    }

    @Test func whatIsInvalidIsNone() {
        let zeros = String(repeating: "0", count: 32)
        for bad in [
            "", "00", "ff\(Self.good.dropFirst(2))", Self.good.uppercased(),
            "00-\(zeros)-\(Self.parent)-01", "00-\(Self.trace)-0000000000000000-01",
            "00_\(Self.trace)-\(Self.parent)-01", "00-\(Self.trace)-\(Self.parent)-0g",
        ] {
            #expect(TraceContext(Array(bad.utf8)) == nil, "\(bad)")
        }
    }

    @Test func everyPrefixAndEveryChangedByteIsHandled() {
        let bytes = Array(Self.good.utf8)
        for count in bytes.indices { #expect(TraceContext(Array(bytes[..<count])) == nil) }
        for i in bytes.indices {
            for byte in [UInt8(0), 0x20, 0x2D, 0x30, 0x66, 0x67, 0xFF] {
                var changed = bytes
                changed[i] = byte
                _ = TraceContext(changed)
            }
        }
    }
}
