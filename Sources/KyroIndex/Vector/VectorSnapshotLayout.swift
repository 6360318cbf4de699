// Where the rows of a vector index lie in its section of a snapshot, for whoever saves what is left
// of one. The formats are drawn in VectorIndex+Snapshot.swift.
import KyroBytes
import KyroModel

public struct VectorSnapshotLayout: Sendable {
    public static let headerBytes = 40

    public let dimension: Int
    public let metric: Metric
    public let rowCount: Int
    let format: RowFormat
    private let slotsOffset: UInt64
    private let valuesOffset: UInt64

    /// - Parameter header: the first bytes of the section, `headerBytes` or all there are.
    /// - Returns: nil when they are not those of a vector index.
    public init?(_ header: [UInt8]) {
        var reader = ByteReader(header)
        guard let magic = try? reader.readFixed32(), let version = try? reader.readFixed32(),
            let dimension = try? reader.readFixed32(), let raw = try? reader.readFixed32(),
            let metric = Metric(rawValue: UInt8(truncatingIfNeeded: raw)),
            let format = RowFormat(rawValue: UInt8(truncatingIfNeeded: raw >> 8)), dimension > 0,
            dimension <= UInt32(Limits.dimensionMax)
        else { return nil }
        self.dimension = Int(dimension)
        self.metric = metric
        self.format = format
        switch (magic, version) {
        case (0x5849_564B, 1):  // "KVIX": rows behind their codes, graph in the same section
            _ = try? reader.readFixed64()
            guard let count = try? reader.readFixed64(), count <= UInt64(UInt32.max) else {
                return nil
            }
            rowCount = Int(count)
            slotsOffset = 40
            let termBytes: UInt64 = metric == .cosine ? 16 : 8
            valuesOffset = 40 + count * (4 + termBytes + UInt64(dimension))
        case (0x5752_564B, 2), (0x5752_564B, 3):  // "KVRW": rows alone
            guard let count = try? reader.readFixed64(), count <= UInt64(UInt32.max) else {
                return nil
            }
            rowCount = Int(count)
            slotsOffset = 24
            valuesOffset = 24 + count * 4
        default: return nil
        }
    }

    /// Bytes of the slots of these rows, u32 each, ascending.
    public func slots(_ rows: Range<Int>) -> Range<UInt64> {
        let start = slotsOffset + UInt64(rows.lowerBound) * 4
        return start..<(start + UInt64(rows.count) * 4)
    }

    /// Bytes of one row.
    public func values(_ row: Int) -> Range<UInt64> {
        let rowBytes = UInt64(dimension * format.elementBytes)
        let start = valuesOffset + UInt64(row) * rowBytes
        return start..<(start + rowBytes)
    }

    /// The floats of one row's bytes; nil when these are too few.
    public func row(_ bytes: [UInt8]) -> [Float]? {
        guard bytes.count >= dimension * format.elementBytes else { return nil }
        switch format {
        case .f32:
            var reader = ByteReader(bytes)
            var values: [Float] = []
            values.reserveCapacity(dimension)
            guard (try? reader.readFloats(count: dimension, into: &values)) != nil else {
                return nil
            }
            return values
        case .bf16:
            return (0..<dimension).map {
                Float(bitPattern: UInt32(bytes[2 * $0]) << 16 | UInt32(bytes[2 * $0 + 1]) << 24)
            }
        }
    }
}
