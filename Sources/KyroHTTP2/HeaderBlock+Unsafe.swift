// Header blocks as nghttp2 takes them: constant ones from static tables that nghttp2 does not copy,
// others gathered in one buffer.
import CNGHTTP2

/// Fields whose bytes live only until they are submitted.
@safe struct HeaderBlock {
    private struct Field {
        var name: Range<Int>
        var value: Range<Int>
        var flags: UInt8
    }
    private var bytes: [UInt8] = []
    private var fields: [Field] = []

    init() {
        bytes.reserveCapacity(512)
        fields.reserveCapacity(16)
    }

    mutating func add(_ name: StaticString, _ value: StaticString) {
        let nameRange = append(name)
        fields.append(Field(name: nameRange, value: append(value), flags: 0))
    }

    /// - Parameter indexed: false for values that differ on every call: they would only push others
    ///   out of the compression table.
    mutating func add(_ name: StaticString, _ value: [UInt8], indexed: Bool = true) {
        let nameRange = append(name)
        fields.append(Field(name: nameRange, value: append(value), flags: Self.flags(indexed)))
    }

    mutating func add(_ name: StaticString, _ value: String, indexed: Bool = true) {
        let nameRange = append(name)
        let start = bytes.count
        bytes.append(contentsOf: value.utf8)
        fields.append(
            Field(name: nameRange, value: start..<bytes.count, flags: Self.flags(indexed)))
    }

    /// Names are lowered, `-bin` values encoded; names that the protocol owns are left out.
    mutating func add(_ metadata: GRPCMetadata) {
        for (name, value) in metadata {
            guard !name.isEmpty, !name.hasPrefix(":"), !name.hasPrefix("grpc-") else { continue }
            let nameStart = bytes.count
            for byte in name.utf8 {
                bytes.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
            }
            let nameRange = nameStart..<bytes.count
            let encoded = name.hasSuffix("-bin") ? Base64.encode(value) : value
            fields.append(
                Field(name: nameRange, value: append(encoded), flags: Self.flags(false)))
        }
    }

    mutating func add(_ status: GRPCStatus) {
        add("grpc-status", "\(status.code)")
        if !status.message.isEmpty {
            add("grpc-message", PercentEncoding.encode(status.message), indexed: false)
        }
        if !status.details.isEmpty {
            add("grpc-status-details-bin", Base64.encode(status.details), indexed: false)
        }
    }

    private static func flags(_ indexed: Bool) -> UInt8 {
        indexed ? 0 : UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue)
    }

    private mutating func append(_ text: StaticString) -> Range<Int> {
        let start = bytes.count
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        return start..<bytes.count
    }

    private mutating func append(_ value: [UInt8]) -> Range<Int> {
        let start = bytes.count
        bytes.append(contentsOf: value)
        return start..<bytes.count
    }

    /// nghttp2 copies what it is given here.
    @unsafe func withFields<Result>(
        _ body: (UnsafeMutablePointer<nghttp2_nv>?, Int) -> Result
    ) -> Result {
        unsafe bytes.withUnsafeBufferPointer { source in
            let base = unsafe UnsafeMutablePointer(mutating: source.baseAddress)
            var pairs: [nghttp2_nv] = unsafe []
            unsafe pairs.reserveCapacity(fields.count)
            for field in fields {
                unsafe pairs.append(
                    nghttp2_nv(
                        name: base.map { unsafe $0 + field.name.lowerBound },
                        value: base.map { unsafe $0 + field.value.lowerBound },
                        namelen: field.name.count, valuelen: field.value.count,
                        flags: field.flags))
            }
            return unsafe pairs.withUnsafeMutableBufferPointer {
                unsafe body($0.baseAddress, $0.count)
            }
        }
    }
}

/// Constant blocks; names and values are literals, which live as long as the process.
@safe struct StaticHeaders: @unchecked Sendable {
    @unsafe let fields: UnsafeMutablePointer<nghttp2_nv>
    let count: Int

    private init(_ pairs: [(StaticString, StaticString)]) {
        unsafe fields = .allocate(capacity: pairs.count)
        count = pairs.count
        let flags = NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue
        for (i, pair) in pairs.enumerated() {
            unsafe (fields + i).initialize(
                to: nghttp2_nv(
                    name: UnsafeMutablePointer(mutating: pair.0.utf8Start),
                    value: UnsafeMutablePointer(mutating: pair.1.utf8Start),
                    namelen: pair.0.utf8CodeUnitCount, valuelen: pair.1.utf8CodeUnitCount,
                    flags: UInt8(flags)))
        }
    }

    /// The response header of a call that has messages.
    static let response = StaticHeaders([
        (":status", "200"), ("content-type", "application/grpc"),
        ("grpc-accept-encoding", MessageEncoding.accepted),
    ])
    /// The trailer of a call that went well.
    static let success = StaticHeaders([("grpc-status", "0")])
}
