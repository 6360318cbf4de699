// Reads protobuf's binary format: tags, scalars, nested messages, and the skipping of what is not
// known (https://protobuf.dev/programming-guides/encoding/).
import KyroBytes
import KyroModel

enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// A tag. Messages switch over both parts: a known number under a wire type that it cannot have is
/// an unknown field.
struct WireField {
    /// [1, 2^29 − 1]; 0 passes inside what is skipped, as it does in protobuf's own parsers.
    let number: UInt32
    let type: WireType
}

/// A message while its fields arrive. Protobuf lets every field come again, the later scalar
/// replacing the earlier and the later message merging into it; what must hold of the whole, such
/// as that an id has a kind, is known at the end only.
protocol WireDraft: Sendable {
    associatedtype Value: Sendable

    init()

    /// Takes one field's value from the reader, or hands the field to `reader.skip`.
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError)

    func finish() throws(WireError) -> Value
}

extension WireDraft {
    /// `finish`, as the message around sees it.
    func finish(_ name: StaticString) throws(WireError) -> Value {
        do { return try finish() } catch { throw error.inside(name) }
    }

    func finish(_ name: StaticString, index: Int) throws(WireError) -> Value {
        do { return try finish() } catch { throw error.inside(name, index: index) }
    }
}

/// A position in a message, narrowed to the nested message being read.
struct WireReader {
    /// The outermost message.
    let bytes: [UInt8]
    private var input: ByteReader
    /// Messages and groups that may still be entered.
    private var depthLeft = WireReader.depthMax
    /// Filters inside all_of and any_of so far, in the whole message.
    var filterCount = 0
    /// Nodes of structured text queries below boolean ones so far, in the whole message.
    var textNodeCount = 0

    /// Nested messages below the outermost one, as in protobuf's own parsers.
    static let depthMax = 100
    /// A tag and a length take at most five bytes: protobuf's own parsers refuse longer ones.
    private static let shortVarintBytesMax = 5

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        input = ByteReader(bytes)
    }

    var isAtEnd: Bool { input.isAtEnd }
    var remaining: Int { input.remaining }
    /// Index in `bytes` of what is read next.
    var position: Int { input.position }

    func malformed(_ problem: String, _ name: StaticString = "") -> WireError {
        .malformed(path: name.description, offset: input.position, problem: problem)
    }

    private func malformed(_ error: ByteError, _ name: StaticString) -> WireError {
        switch error {
        case .truncated: malformed("the bytes end before the value does", name)
        case .varintOverflow: malformed("a varint has more than ten bytes", name)
        case .invalidUTF8: malformed("the bytes are not UTF-8", name)
        }
    }

    // MARK: Fields

    /// The next tag of the message being read, nil at its end.
    @inline(__always)
    mutating func nextField() throws(WireError) -> WireField? {
        if input.isAtEnd { return nil }
        let field = try readTag()
        guard field.number > 0 else { throw malformed("the field number is 0") }
        guard field.type != .endGroup else {
            throw malformed("group \(field.number) ends without a beginning")
        }
        return field
    }

    @inline(__always)
    private mutating func readTag() throws(WireError) -> WireField {
        let tag = try readShortVarint("a tag", "")
        guard tag <= UInt64(UInt32.max) else {
            throw malformed("the field number is above 2^29 - 1")
        }
        guard let type = WireType(rawValue: UInt8(truncatingIfNeeded: tag & 7)) else {
            throw malformed("wire type \(tag & 7) does not exist")
        }
        return WireField(number: UInt32(truncatingIfNeeded: tag >> 3), type: type)
    }

    @inline(__always)
    private mutating func readShortVarint(
        _ what: StaticString, _ name: StaticString
    ) throws(WireError) -> UInt64 {
        let start = input.position
        let value = try varint(name)
        guard input.position - start <= WireReader.shortVarintBytesMax else {
            throw malformed("\(what) has more than five bytes", name)
        }
        return value
    }

    /// Steps over the value of a field that is not known.
    mutating func skip(_ field: WireField) throws(WireError) {
        switch field.type {
        case .varint: _ = try varint("")
        case .fixed64: _ = try fixed64("")
        case .fixed32: _ = try fixed32("")
        case .bytes: try skip(count: length(""))
        case .startGroup: try skipGroup(field.number)
        case .endGroup: throw malformed("group \(field.number) ends without a beginning")
        }
    }

    /// Steps over the rest of a message of which no field is known.
    mutating func skipFields() throws(WireError) {
        while !input.isAtEnd { try skip(try readTag()) }
    }

    private mutating func skip(count: Int) throws(WireError) {
        do { try input.skip(count: count) } catch { throw malformed(error, "") }
    }

    private mutating func skipGroup(_ number: UInt32) throws(WireError) {
        try descend()
        while true {
            let field = try readTag()
            if field.type == .endGroup {
                guard field.number == number else {
                    throw malformed("group \(number) ends as group \(field.number)")
                }
                depthLeft += 1
                return
            }
            try skip(field)
        }
    }

    private mutating func descend() throws(WireError) {
        guard depthLeft > 0 else {
            throw malformed("messages are nested deeper than \(WireReader.depthMax)")
        }
        depthLeft -= 1
    }

    // MARK: Scalars

    @inline(__always)
    mutating func varint(_ name: StaticString) throws(WireError) -> UInt64 {
        do { return try input.readVarint() } catch { throw malformed(error, name) }
    }

    mutating func uint32(_ name: StaticString) throws(WireError) -> UInt32 {
        UInt32(truncatingIfNeeded: try varint(name))
    }

    /// int32 and enums: what is above 32 bits is cut off.
    mutating func int32(_ name: StaticString) throws(WireError) -> Int32 {
        Int32(truncatingIfNeeded: try varint(name))
    }

    mutating func int64(_ name: StaticString) throws(WireError) -> Int64 {
        Int64(bitPattern: try varint(name))
    }

    mutating func bool(_ name: StaticString) throws(WireError) -> Bool { try varint(name) != 0 }

    mutating func fixed32(_ name: StaticString) throws(WireError) -> UInt32 {
        do { return try input.readFixed32() } catch { throw malformed(error, name) }
    }

    mutating func fixed64(_ name: StaticString) throws(WireError) -> UInt64 {
        do { return try input.readFixed64() } catch { throw malformed(error, name) }
    }

    mutating func float(_ name: StaticString) throws(WireError) -> Float {
        Float(bitPattern: try fixed32(name))
    }

    mutating func double(_ name: StaticString) throws(WireError) -> Double {
        Double(bitPattern: try fixed64(name))
    }

    /// The length before a string, a message or packed scalars: at most what is left to read.
    @inline(__always)
    mutating func length(_ name: StaticString) throws(WireError) -> Int {
        let count = try readShortVarint("a length", name)
        guard count <= UInt64(input.remaining) else {
            throw malformed(
                "\(count) bytes are announced, \(input.remaining) are there", name)
        }
        return Int(count)
    }

    mutating func string(_ name: StaticString) throws(WireError) -> String {
        let count = try length(name)
        let start = input.position
        do { return try input.readString(count: count) } catch {
            throw .malformed(
                path: name.description, offset: start, problem: "a string is not UTF-8")
        }
    }

    mutating func byteString(_ name: StaticString) throws(WireError) -> [UInt8] {
        Array(bytes[try byteRange(name)])
    }

    /// Where a bytes field lies in `bytes`.
    mutating func byteRange(_ name: StaticString) throws(WireError) -> Range<Int> {
        let count = try length(name)
        do { return try input.readRange(count: count) } catch { throw malformed(error, name) }
    }

    // MARK: Repeated scalars

    /// Packed floats: one copy.
    mutating func packedFloats(
        _ name: StaticString, into values: inout [Float]
    ) throws(WireError) {
        let count = try length(name)
        guard count % 4 == 0 else { throw malformed("\(count) bytes are not whole floats", name) }
        do { try input.readFloats(count: count / 4, into: &values) } catch {
            throw malformed(error, name)
        }
    }

    mutating func packedDoubles(
        _ name: StaticString, into values: inout [Double]
    ) throws(WireError) {
        let count = try length(name)
        guard count % 8 == 0 else { throw malformed("\(count) bytes are not whole doubles", name) }
        // Only once: reserving is exact, so that many small pieces would each move all before them.
        if values.isEmpty { values.reserveCapacity(count / 8) }
        for _ in 0..<(count / 8) { values.append(try double(name)) }
    }

    /// Packed varints, each made a `Scalar` by `convert`.
    @inline(__always)
    mutating func packedVarints<Scalar>(
        _ name: StaticString, into values: inout [Scalar], _ convert: (UInt64) -> Scalar
    ) throws(WireError) {
        let outer = try enter(name)
        while !input.isAtEnd { values.append(convert(try varint(name))) }
        input.leave(outer)
    }

    @inline(__always)
    private mutating func enter(_ name: StaticString) throws(WireError) -> Int {
        let count = try length(name)
        do { return try input.enter(count: count) } catch { throw malformed(error, name) }
    }

    // MARK: Messages

    /// Reads fields up to the end of the message being read.
    mutating func readFields<Draft: WireDraft>(into draft: inout Draft) throws(WireError) {
        while let field = try nextField() { try draft.read(field, from: &self) }
    }

    /// Merges a nested message into what came of it before.
    mutating func message<Draft: WireDraft>(
        _ name: StaticString, into draft: inout Draft
    ) throws(WireError) {
        do throws(WireError) { try merge(into: &draft) } catch { throw error.inside(name) }
    }

    /// The same for a message whose presence counts.
    mutating func message<Draft: WireDraft>(
        _ name: StaticString, into draft: inout Draft?
    ) throws(WireError) {
        var merged = draft ?? Draft()
        draft = nil
        try message(name, into: &merged)
        draft = merged
    }

    /// Appends a nested message; repeated messages never merge.
    mutating func message<Draft: WireDraft>(
        _ name: StaticString, appendingTo drafts: inout [Draft]
    ) throws(WireError) {
        var draft = Draft()
        do throws(WireError) { try merge(into: &draft) } catch {
            throw error.inside(name, index: drafts.count)
        }
        drafts.append(draft)
    }

    mutating func merge<Draft: WireDraft>(into draft: inout Draft) throws(WireError) {
        let outer = try enter("")
        try descend()
        try readFields(into: &draft)
        depthLeft += 1
        input.leave(outer)
    }
}

/// Checks a message that has no fields: whatever comes is unknown, but must be protobuf.
func decodeEmptyMessage(_ bytes: [UInt8]) throws(KyroError) {
    do throws(WireError) {
        var reader = WireReader(bytes)
        try reader.skipFields()
    } catch {
        throw KyroError(error)
    }
}

/// Decodes one whole message.
func decodeMessage<Draft: WireDraft>(
    _ type: Draft.Type, _ bytes: [UInt8]
) throws(KyroError) -> Draft.Value {
    do throws(WireError) {
        var reader = WireReader(bytes)
        var draft = Draft()
        try reader.readFields(into: &draft)
        return try draft.finish()
    } catch {
        throw KyroError(error)
    }
}
