// Vector indexes of snapshots of version 1: one piece, codes included.
//
//   4                             "KVIX"
//   4                             version, 1
//   4, 4                          dimension, metric
//   4, 4                          neighboursMax, baseCells
//   8, 8                          rows R, rows in the graph G (G ≤ R)
//   R × 4                         slot of each row, ascending
//   R × 8                         factor and bias of each code
//   R × 8                         1 / norm, under cosine only
//   R × dimension                 codes
//   R × dimension × 4             rows
//   G × baseCells × 4, H × neighboursMax × 4   as in version 2
import KyroBytes
import KyroModel

extension VectorIndex {
    /// Restores an index of version 1. Codes are encoded anew.
    public convenience init(
        version1From source: any SnapshotSource, field: VectorField, slotCount: Int
    ) throws(KyroError) {
        let header = try VectorSnapshot1Header(from: source, field: field, slotCount: slotCount)
        let rows = VectorRows(field: field)
        let count = header.rowCount
        let slots = try RestoredVectors.readSlots(count, below: slotCount, from: source)
        let derivedBytes = (field.metric == .cosine ? 16 : 8) + field.dimension
        var unread = count * derivedBytes
        while unread > 0 {
            let step = min(unread, VectorSnapshot.blockBytes)
            _ = try source.read(count: step)
            unread -= step
        }
        try rows.restore(slots: slots, format: .f32, from: source)
        // What follows is a graph of version 2 but for its header.
        try self.init(
            RestoredVectors(field: field, rows: rows),
            graphFrom: PrefixedSource(header.graphHeader, then: source))
    }
}

private struct VectorSnapshot1Header {
    let rowCount: Int
    let graphHeader: [UInt8]

    init(
        from source: any SnapshotSource, field: VectorField, slotCount: Int
    ) throws(KyroError) {
        var reader = ByteReader(try source.read(count: 40))
        do throws(ByteError) {
            let magic = try reader.readFixed32()
            let version = try reader.readFixed32()
            let dimension = try reader.readFixed32()
            let metric = try reader.readFixed32()
            let (neighboursMax, baseCells) = (try reader.readFixed32(), try reader.readFixed32())
            let (rows, graph) = (try reader.readFixed64(), try reader.readFixed64())
            guard magic == 0x5849_564B, version == 1, Int(dimension) == field.dimension,
                metric == UInt32(field.metric.rawValue), rows <= UInt64(slotCount),
                rows < UInt64(VectorRows.rowsMax), graph <= rows
            else { throw .truncated }
            rowCount = Int(rows)
            graphHeader = VectorSnapshot.header(
                VectorSnapshot.graphMagic, VectorSnapshot.graphVersion, neighboursMax, baseCells,
                count: Int(graph))
        } catch {
            throw VectorSnapshot.damaged("its header does not hold")
        }
    }
}

/// Gives some bytes first and then those of another source.
private final class PrefixedSource: SnapshotSource {
    private var prefix: [UInt8]
    private let rest: any SnapshotSource

    init(_ prefix: [UInt8], then rest: any SnapshotSource) {
        self.prefix = prefix
        self.rest = rest
    }

    func read(count: Int) throws(KyroError) -> [UInt8] {
        if prefix.isEmpty { return try rest.read(count: count) }
        let taken = min(count, prefix.count)
        let bytes = Array(prefix[..<taken])
        prefix.removeFirst(taken)
        return taken == count ? bytes : bytes + (try rest.read(count: count - taken))
    }

    func read(into target: inout MutableRawSpan) throws(KyroError) {
        if prefix.isEmpty { return try rest.read(into: &target) }
        let bytes = try read(count: target.byteCount)
        target.copy(bytes, range: 0..<bytes.count, to: 0)
    }
}
