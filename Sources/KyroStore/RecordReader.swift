// Reads our own encodings and distrusts them: every count is checked against the bytes left.
import KyroBytes

struct RecordReader {
    private var bytes: ByteReader
    /// What is being read, for the error.
    private let subject: String

    init(_ bytes: [UInt8], range: Range<Int>, subject: String) {
        self.bytes = ByteReader(bytes, range: range)
        self.subject = subject
    }

    var isAtEnd: Bool { bytes.isAtEnd }
    var position: Int { bytes.position }

    func malformed(_ problem: String) -> StoreError { .malformed("\(subject): \(problem)") }

    private func failure(_ error: ByteError) -> StoreError {
        malformed("\(error) at byte \(bytes.position)")
    }

    mutating func byte() throws(StoreError) -> UInt8 {
        do { return try bytes.readByte() } catch { throw failure(error) }
    }

    mutating func varint() throws(StoreError) -> UInt64 {
        do { return try bytes.readVarint() } catch { throw failure(error) }
    }

    mutating func fixed32() throws(StoreError) -> UInt32 {
        do { return try bytes.readFixed32() } catch { throw failure(error) }
    }

    mutating func fixed64() throws(StoreError) -> UInt64 {
        do { return try bytes.readFixed64() } catch { throw failure(error) }
    }

    mutating func varint32() throws(StoreError) -> UInt32 {
        let value = try varint()
        guard let narrow = UInt32(exactly: value) else { throw malformed("\(value) in 32 bits") }
        return narrow
    }

    /// A number of things that take at least `bytesEach` bytes each.
    mutating func count(bytesEach: Int) throws(StoreError) -> Int {
        let value = try varint()
        guard value <= UInt64(bytes.remaining / bytesEach) else {
            throw malformed("a count of \(value) in \(bytes.remaining) bytes")
        }
        return Int(value)
    }

    mutating func string() throws(StoreError) -> String {
        let count = try self.count(bytesEach: 1)
        return try string(count: count)
    }

    mutating func string(count: Int) throws(StoreError) -> String {
        do { return try bytes.readString(count: count) } catch { throw failure(error) }
    }

    mutating func floats(count: Int) throws(StoreError) -> [Float] {
        var values: [Float] = []
        values.reserveCapacity(count)
        do { try bytes.readFloats(count: count, into: &values) } catch { throw failure(error) }
        return values
    }

    mutating func range(count: Int) throws(StoreError) -> Range<Int> {
        do { return try bytes.readRange(count: count) } catch { throw failure(error) }
    }

    func end() throws(StoreError) {
        guard bytes.isAtEnd else { throw malformed("\(bytes.remaining) bytes too many") }
    }
}

extension ByteWriter {
    mutating func writeString(_ value: String) {
        writeVarint(UInt64(value.utf8.count))
        writeUTF8(value)
    }

    mutating func patchFixed64(_ value: UInt64, at offset: Int) {
        patchFixed32(UInt32(truncatingIfNeeded: value), at: offset)
        patchFixed32(UInt32(truncatingIfNeeded: value >> 32), at: offset + 4)
    }
}
