// Writes protobuf's binary format in two walks over the same value: the first adds up sizes and
// keeps the length of every nested message, the second writes into one buffer of exactly that size.
import KyroBytes

/// Takes a message's parts in the order of their field numbers.
protocol WireSink {
    mutating func put(varint value: UInt64)
    mutating func put(fixed32 value: UInt32)
    mutating func put(fixed64 value: UInt64)
    mutating func put(utf8 value: String)
    mutating func put(bytes value: [UInt8])
    mutating func put(floats values: [Float])
    /// A nested message with its tag and length; written even when it is empty.
    mutating func message<Message: WireEncodable>(_ number: UInt32, _ message: Message)
}

protocol WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink)
}

/// Fields. The plain names leave out what equals proto3's default; `present…` write it all the
/// same, as members of a oneof and of a map entry are.
extension WireSink {
    @inline(__always)
    mutating func tag(_ number: UInt32, _ type: WireType) {
        put(varint: UInt64(number << 3 | UInt32(type.rawValue)))
    }

    mutating func uint(_ number: UInt32, _ value: UInt64) {
        if value != 0 { presentUInt(number, value) }
    }

    mutating func uint(_ number: UInt32, _ value: UInt32) { uint(number, UInt64(value)) }

    mutating func presentUInt(_ number: UInt32, _ value: UInt64) {
        tag(number, .varint)
        put(varint: value)
    }

    mutating func int(_ number: UInt32, _ value: Int64) {
        uint(number, UInt64(bitPattern: value))
    }

    mutating func presentInt(_ number: UInt32, _ value: Int64) {
        presentUInt(number, UInt64(bitPattern: value))
    }

    mutating func bool(_ number: UInt32, _ value: Bool) { uint(number, value ? 1 as UInt64 : 0) }

    /// Negative zero is not the default.
    mutating func float(_ number: UInt32, _ value: Float) {
        guard value.bitPattern != 0 else { return }
        tag(number, .fixed32)
        put(fixed32: value.bitPattern)
    }

    mutating func double(_ number: UInt32, _ value: Double) {
        if value.bitPattern != 0 { presentDouble(number, value) }
    }

    mutating func presentDouble(_ number: UInt32, _ value: Double) {
        tag(number, .fixed64)
        put(fixed64: value.bitPattern)
    }

    mutating func string(_ number: UInt32, _ value: String) {
        if !value.isEmpty { presentString(number, value) }
    }

    mutating func presentString(_ number: UInt32, _ value: String) {
        tag(number, .bytes)
        put(varint: UInt64(value.utf8.count))
        put(utf8: value)
    }

    mutating func strings(_ number: UInt32, _ values: [String]) {
        for value in values { presentString(number, value) }
    }

    mutating func bytes(_ number: UInt32, _ value: [UInt8]) {
        guard !value.isEmpty else { return }
        tag(number, .bytes)
        put(varint: UInt64(value.count))
        put(bytes: value)
    }

    /// As packed scalars and as bytes of little-endian f32 a vector looks the same.
    mutating func floats(_ number: UInt32, _ values: [Float]) {
        guard !values.isEmpty else { return }
        tag(number, .bytes)
        put(varint: UInt64(values.count * 4))
        put(floats: values)
    }

    mutating func packedDoubles(_ number: UInt32, _ values: [Double]) {
        guard !values.isEmpty else { return }
        tag(number, .bytes)
        put(varint: UInt64(values.count * 8))
        for value in values { put(fixed64: value.bitPattern) }
    }

    @inline(__always)
    mutating func packedVarints<Scalar>(
        _ number: UInt32, _ values: [Scalar], _ convert: (Scalar) -> UInt64
    ) {
        guard !values.isEmpty else { return }
        var byteCount = 0
        for value in values { byteCount += varintByteCount(convert(value)) }
        tag(number, .bytes)
        put(varint: UInt64(byteCount))
        for value in values { put(varint: convert(value)) }
    }

    mutating func message<Message: WireEncodable>(_ number: UInt32, _ value: Message?) {
        if let value { message(number, value) }
    }

    mutating func messages<Message: WireEncodable>(_ number: UInt32, _ values: [Message]) {
        for value in values { message(number, value) }
    }
}

/// The first walk.
struct SizeSink: WireSink {
    /// Of the message being walked, up to here.
    private(set) var byteCount = 0
    /// Lengths of the nested messages, each before those inside it.
    private(set) var lengths: [Int] = []
    private static let lengthsReserved = 24

    @inline(__always)
    mutating func put(varint value: UInt64) { byteCount += varintByteCount(value) }
    mutating func put(fixed32 value: UInt32) { byteCount += 4 }
    mutating func put(fixed64 value: UInt64) { byteCount += 8 }
    mutating func put(utf8 value: String) { byteCount += value.utf8.count }
    mutating func put(bytes value: [UInt8]) { byteCount += value.count }
    mutating func put(floats values: [Float]) { byteCount += values.count * 4 }

    mutating func message<Message: WireEncodable>(_ number: UInt32, _ message: Message) {
        let index = lengths.count
        // An answer has some: room for them at once, not for one, two, four and eight.
        if index == 0 { lengths.reserveCapacity(Self.lengthsReserved) }
        lengths.append(0)
        tag(number, .bytes)
        let before = byteCount
        message.encode(into: &self)
        let length = byteCount - before
        lengths[index] = length
        put(varint: UInt64(length))
    }
}

/// The second walk.
struct BufferSink: WireSink {
    private var writer: ByteWriter
    private let lengths: [Int]
    private var next = 0

    init(_ sizes: SizeSink) {
        writer = ByteWriter(capacity: sizes.byteCount)
        lengths = sizes.lengths
    }

    var bytes: [UInt8] { writer.bytes }

    @inline(__always)
    mutating func put(varint value: UInt64) { writer.writeVarint(value) }
    mutating func put(fixed32 value: UInt32) { writer.writeFixed32(value) }
    mutating func put(fixed64 value: UInt64) { writer.writeFixed64(value) }
    mutating func put(utf8 value: String) { writer.writeUTF8(value) }
    mutating func put(bytes value: [UInt8]) { writer.writeBytes(value) }
    mutating func put(floats values: [Float]) { writer.writeFloats(values) }

    mutating func message<Message: WireEncodable>(_ number: UInt32, _ message: Message) {
        let length = lengths[next]
        next += 1
        tag(number, .bytes)
        put(varint: UInt64(length))
        message.encode(into: &self)
    }
}

func encodeMessage<Message: WireEncodable>(_ message: Message) -> [UInt8] {
    var sizes = SizeSink()
    message.encode(into: &sizes)
    var buffer = BufferSink(sizes)
    message.encode(into: &buffer)
    let bytes = buffer.bytes
    precondition(
        bytes.count == sizes.byteCount,
        "the walks disagree: \(sizes.byteCount) bytes sized, \(bytes.count) written")
    return bytes
}
