// A vector index as bytes, and back without encoding or linking anything anew.
//
// Little-endian, one after the other:
//
//   bytes                         content
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
//   G × baseCells × 4             cells of layer 0: row + 1 below G + 1, or 0
//   H × neighboursMax × 4         cells of the H lists above, of each row in order and, for each,
//                                 of its layers in order; how many follows from the row numbers
import KyroBytes
import KyroModel

enum VectorSnapshot {
    static let magic: UInt32 = 0x5849_564B
    static let version: UInt32 = 1
    static let headerBytes = 40
    /// Bytes handed over at once.
    static let blockBytes = 1 << 20

    static func damaged(_ problem: String) -> KyroError {
        KyroError(.internal, "the snapshot of a vector index is damaged: \(problem)")
    }
}

extension VectorIndex {
    /// Writes the rows of slots below `slotCount` and the graph over them. One thread at a time;
    /// the writer and maintenance go on meanwhile: cells that lead to rows which came later are
    /// left out.
    public func write(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        let folded = graph.count
        let rowCount = rows.rows(belowSlot: slotCount, rowCount: rows.count)
        let graphCount = min(folded, rowCount)
        var header = ByteWriter(capacity: VectorSnapshot.headerBytes)
        header.writeFixed32(VectorSnapshot.magic)
        header.writeFixed32(VectorSnapshot.version)
        header.writeFixed32(UInt32(field.dimension))
        header.writeFixed32(UInt32(field.metric.rawValue))
        header.writeFixed32(UInt32(parameters.neighboursMax))
        header.writeFixed32(UInt32(parameters.baseCells))
        header.writeFixed64(UInt64(rowCount))
        header.writeFixed64(UInt64(graphCount))
        try sink.write(header.bytes)

        try rows.slots.write(rowCount: rowCount, to: sink)
        try rows.terms.write(rowCount: rowCount, to: sink)
        if field.metric == .cosine { try rows.inverseNorms.write(rowCount: rowCount, to: sink) }
        try rows.codes.write(rowCount: rowCount, to: sink)
        try rows.values.write(rowCount: rowCount, to: sink)
        try graph.base.write(lists: 0..<graphCount, bound: graphCount, to: sink)
        var upperCount = 0
        for row in 0..<graphCount { upperCount += graph.height(UInt32(row)) }
        try graph.upper.write(lists: 0..<upperCount, bound: graphCount, to: sink)
    }

    /// Restores what `write` wrote. The lists keep the widths they were written with, whatever
    /// `parameters` say.
    ///
    /// - Throws: `internal` when the bytes are not such a snapshot, and what `source` throws.
    public convenience init(
        from source: any SnapshotSource, field: VectorField,
        parameters: GraphParameters = .default
    ) throws(KyroError) {
        let header = try VectorSnapshotHeader(from: source)
        guard header.dimension == field.dimension, header.metric == field.metric else {
            throw VectorSnapshot.damaged(
                "\(header.dimension) dimensions, not the \(field.dimension) of the field")
        }
        var restored = parameters
        restored.neighboursMax = header.neighboursMax
        restored.baseCells = header.baseCells
        let rows = VectorRows(field: field)
        try rows.read(count: header.rowCount, from: source)
        let graph = VectorGraph(rows: rows, parameters: restored)
        for row in 0..<header.graphCount { graph.reserve(row: UInt32(row)) }
        let bound = header.graphCount
        try graph.base.read(listCount: bound, bound: bound, from: source)
        try graph.upper.read(listCount: graph.upperCount, bound: bound, from: source)
        try graph.checkHeights(rowCount: bound)
        for row in 0..<bound { graph.publish(row: UInt32(row)) }
        self.init(field: field, parameters: restored, rows: rows, graph: graph)
    }
}

struct VectorSnapshotHeader {
    let dimension: Int
    let metric: Metric
    let neighboursMax: Int
    let baseCells: Int
    let rowCount: Int
    let graphCount: Int

    init(from source: any SnapshotSource) throws(KyroError) {
        var reader = ByteReader(try source.read(count: VectorSnapshot.headerBytes))
        do throws(ByteError) {
            let magic = try reader.readFixed32()
            let version = try reader.readFixed32()
            dimension = Int(try reader.readFixed32())
            let metricRaw = try reader.readFixed32()
            neighboursMax = Int(try reader.readFixed32())
            baseCells = Int(try reader.readFixed32())
            let rowCount = try reader.readFixed64()
            let graphCount = try reader.readFixed64()
            guard magic == VectorSnapshot.magic, version == VectorSnapshot.version,
                let metric = Metric(rawValue: UInt8(truncatingIfNeeded: metricRaw)),
                neighboursMax >= 2, neighboursMax & (neighboursMax - 1) == 0,
                baseCells >= neighboursMax, baseCells <= GraphParameters.listCellsMax,
                rowCount < UInt64(VectorRows.rowsMax), graphCount <= rowCount
            else { throw .truncated }
            self.metric = metric
            self.rowCount = Int(rowCount)
            self.graphCount = Int(graphCount)
        } catch {
            throw VectorSnapshot.damaged("its header does not hold")
        }
    }
}
