// Where the rows of a vector index lie in its section of a snapshot, for whoever saves what is left
// of one. The formats are drawn in VectorIndex+Snapshot.swift.
import KyroBytes
import KyroModel

public struct VectorSnapshotLayout: Sendable {
    public static let headerBytes = 40

    public let dimension: Int
    public let metric: Metric
    public let rowCount: Int
    private let slotsOffset: UInt64
    private let valuesOffset: UInt64

    /// - Parameter header: the first bytes of the section, `headerBytes` or all there are.
    /// - Returns: nil when they are not those of a vector index.
    public init?(_ header: [UInt8]) {
        var reader = ByteReader(header)
        guard let magic = try? reader.readFixed32(), let version = try? reader.readFixed32(),
            let dimension = try? reader.readFixed32(), let raw = try? reader.readFixed32(),
            let metric = Metric(rawValue: UInt8(truncatingIfNeeded: raw)), dimension > 0,
            dimension <= UInt32(Limits.dimensionMax)
        else { return nil }
        self.dimension = Int(dimension)
        self.metric = metric
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
        case (0x5752_564B, 2):  // "KVRW": rows alone
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

    /// Bytes of one row, `dimension` × f32.
    public func values(_ row: Int) -> Range<UInt64> {
        let start = valuesOffset + UInt64(row) * UInt64(dimension) * 4
        return start..<(start + UInt64(dimension) * 4)
    }
}
