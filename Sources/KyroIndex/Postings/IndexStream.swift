// Little-endian values in and out of a snapshot, a megabyte at a time.
import KyroBytes
import KyroModel

/// Collects values and hands them to the sink in large pieces. Call `flush` at the end.
struct IndexStreamWriter {
    private static let pieceBytes = 1 << 20
    private let sink: any SnapshotSink
    private var buffer = ByteWriter(capacity: IndexStreamWriter.pieceBytes + 4096)

    init(_ sink: any SnapshotSink) { self.sink = sink }

    /// Pieces carry their length, so that a reader never asks for more than there is.
    mutating func flush() throws(KyroError) {
        guard buffer.count > 0 else { return }
        var header = ByteWriter(capacity: 4)
        header.writeFixed32(UInt32(buffer.count))
        try sink.write(header.bytes)
        try sink.write(buffer.bytes)
        buffer = ByteWriter(capacity: Self.pieceBytes + 4096)
    }

    mutating func write(_ value: UInt64) throws(KyroError) {
        buffer.writeVarint(value)
        if buffer.count >= Self.pieceBytes { try flush() }
    }

    mutating func write(_ value: Int) throws(KyroError) { try write(UInt64(value)) }

    mutating func writeFixed32(_ value: UInt32) throws(KyroError) {
        buffer.writeFixed32(value)
        if buffer.count >= Self.pieceBytes { try flush() }
    }

    /// Signed, small magnitudes short.
    mutating func write(signed value: Int64) throws(KyroError) {
        try write(UInt64(bitPattern: value << 1 ^ (value >> 63)))
    }

    mutating func write(bytes: [UInt8]) throws(KyroError) {
        try write(bytes.count)
        buffer.writeBytes(bytes)
        if buffer.count >= Self.pieceBytes { try flush() }
    }
}

/// Reads what `IndexStreamWriter` wrote. No value crosses a piece: the writer cuts between values,
/// but a byte string and its length may lie in two.
struct IndexStreamReader {
    private static let pieceBytesMax = 1 << 26
    private let source: any SnapshotSource
    private let what: String
    private var reader = ByteReader([])

    init(_ source: any SnapshotSource, what: String) {
        self.source = source
        self.what = what
    }

    func damaged(_ problem: String) -> KyroError {
        KyroError(.internal, "snapshot of \(what): \(problem)")
    }

    private mutating func refill() throws(KyroError) {
        while reader.isAtEnd {
            var header = ByteReader(try source.read(count: 4))
            guard let count = try? header.readFixed32(), count > 0,
                count <= Self.pieceBytesMax
            else { throw damaged("a piece of impossible length") }
            reader = ByteReader(try source.read(count: Int(count)))
        }
    }

    mutating func read() throws(KyroError) -> UInt64 {
        if reader.isAtEnd { try refill() }
        do throws(ByteError) { return try reader.readVarint() } catch {
            throw damaged("\(error)")
        }
    }

    mutating func readSigned() throws(KyroError) -> Int64 {
        let value = try read()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A count or number in [0, max].
    mutating func read(max: Int, _ name: String) throws(KyroError) -> Int {
        let value = try read()
        guard value <= UInt64(max) else { throw damaged("\(name) \(value) is above \(max)") }
        return Int(value)
    }

    mutating func readFixed32() throws(KyroError) -> UInt32 {
        if reader.isAtEnd { try refill() }
        do throws(ByteError) { return try reader.readFixed32() } catch {
            throw damaged("\(error)")
        }
    }

    mutating func readBytes(max: Int) throws(KyroError) -> [UInt8] {
        let count = try read(max: max, "length")
        if count > 0, reader.isAtEnd { try refill() }
        do throws(ByteError) { return try reader.readBytes(count: count) } catch {
            throw damaged("\(error)")
        }
    }

    /// Whether everything read so far ends a piece, as it must at the end of an index.
    var isAtEndOfPiece: Bool { reader.isAtEnd }
}

extension IndexStreamReader {
    /// A slot as the distance from the one before it in its list; ascending and below `limit`.
    /// - Parameter previous: minus one before the first.
    mutating func readSlot(after previous: inout Int, below limit: Int) throws(KyroError) -> Int {
        let gap = try read(max: limit, "slot gap")
        let slot = max(previous, 0) + gap
        guard slot > previous, slot < limit else {
            throw damaged("slot \(slot) after \(previous) of \(limit)")
        }
        previous = slot
        return slot
    }
}
