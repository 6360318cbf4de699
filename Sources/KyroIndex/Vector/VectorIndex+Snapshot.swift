// A vector index in a snapshot: its rows, which are document data, and its graph, which follows from
// them. Where codes are kept: CodeSnapshot+Unsafe.swift.
//
// Rows, little-endian, one after the other:
//
//   4                             "KVRW"
//   4                             version, 3
//   4                             dimension
//   1, 1, 2                       metric, format of the rows: 0 f32, 1 bf16, zero
//   8                             rows R
//   R × 4                         slot of each row, ascending
//   R × dimension × 4 or 2        rows
//
// Version 2 has no format, and rows of f32. A field that keeps codes alone writes what they stand
// for as f32.
//
// Graph:
//
//   4                             "KVGR"
//   4                             version, 2
//   4, 4                          neighboursMax, baseCells
//   8                             rows in the graph G (G ≤ R)
//   G × baseCells × 4             cells of layer 0: row + 1 below G + 1, or 0
//   H × neighboursMax × 4         cells of the H lists above, of each row in order and, for each,
//                                 of its layers in order; how many follows from the row numbers
import KyroBytes
import KyroModel

enum VectorSnapshot {
    static let rowsMagic: UInt32 = 0x5752_564B
    static let graphMagic: UInt32 = 0x5247_564B
    static let rowsVersion: UInt32 = 3
    static let graphVersion: UInt32 = 2
    static let headerBytes = 24
    /// Bytes handed over at once.
    static let blockBytes = 1 << 20

    static func damaged(_ problem: String) -> KyroError {
        KyroError(.internal, "the snapshot of a vector index is damaged: \(problem)")
    }

    /// Magic, version, two numbers and a count.
    static func header(
        _ magic: UInt32, _ version: UInt32, _ a: UInt32, _ b: UInt32, count: Int
    ) -> [UInt8] {
        var header = ByteWriter(capacity: headerBytes)
        header.writeFixed32s([magic, version, a, b])
        header.writeFixed64(UInt64(count))
        return header.bytes
    }

    static func readHeader(
        _ magic: UInt32, _ versions: ClosedRange<UInt32>, from source: any SnapshotSource
    ) throws(KyroError) -> (a: UInt32, b: UInt32, count: Int) {
        var reader = ByteReader(try source.read(count: headerBytes))
        do throws(ByteError) {
            guard try reader.readFixed32() == magic, versions.contains(try reader.readFixed32())
            else { throw .truncated }
            let (a, b) = (try reader.readFixed32(), try reader.readFixed32())
            let count = try reader.readFixed64()
            guard count < UInt64(VectorRows.rowsMax) else { throw .truncated }
            return (a, b, Int(count))
        } catch {
            throw damaged("its header does not hold")
        }
    }
}

extension VectorIndex {
    /// Writes the rows of slots below `slotCount`. One thread at a time; the writer and maintenance
    /// go on meanwhile.
    public func writeRows(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        let rowCount = rows.rows(belowSlot: slotCount, rowCount: rows.count)
        try sink.write(
            VectorSnapshot.header(
                VectorSnapshot.rowsMagic, VectorSnapshot.rowsVersion, UInt32(field.dimension),
                UInt32(field.metric.rawValue) | UInt32(rows.store.format.rawValue) << 8,
                count: rowCount))
        try rows.slots.write(rowCount: rowCount, to: sink)
        try rows.write(rowCount: rowCount, to: sink)
    }

    /// Writes the graph over the rows of slots below `slotCount`, as far as it has got; cells that
    /// lead to rows which came later are left out. Of inverted lists those, in their own format.
    public func writeGraph(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        if let inverted { return try writeLists(inverted, to: sink, slotCount: slotCount) }
        let folded = graph.count
        let graphCount = min(folded, rows.rows(belowSlot: slotCount, rowCount: rows.count))
        try sink.write(
            VectorSnapshot.header(
                VectorSnapshot.graphMagic, VectorSnapshot.graphVersion,
                UInt32(parameters.neighboursMax), UInt32(parameters.baseCells), count: graphCount))
        try graph.base.write(lists: 0..<graphCount, bound: graphCount, to: sink)
        var upperCount = 0
        for row in 0..<graphCount { upperCount += graph.height(UInt32(row)) }
        try graph.upper.write(lists: 0..<upperCount, bound: graphCount, to: sink)
    }

    /// An index of these rows, none of them in a graph: searches scan, and folding builds one.
    public convenience init(
        _ restored: RestoredVectors, parameters: GraphParameters? = nil
    ) {
        let parameters = parameters ?? GraphParameters(restored.field.indexing)
        self.init(
            field: restored.field, parameters: parameters, rows: restored.rows,
            graph: VectorGraph(rows: restored.rows, parameters: parameters))
    }

    /// An index of these rows with the graph or the inverted lists that `writeGraph` wrote. The
    /// lists of a graph keep the widths they were written with, whatever `parameters` say.
    ///
    /// - Throws: `internal` when the bytes are not what the field's kind needs, and what `source`
    ///   throws; the rows can still be used.
    public convenience init(
        _ restored: RestoredVectors, graphFrom source: any SnapshotSource,
        parameters: GraphParameters? = nil
    ) throws(KyroError) {
        if restored.field.indexing.kind == .ivf {
            let lists = try InvertedLists.read(from: source, rows: restored.rows)
            self.init(restored, parameters: parameters)
            if let lists { inverted?.install(lists) }
            return
        }
        let header = try VectorSnapshot.readHeader(
            VectorSnapshot.graphMagic, 2...VectorSnapshot.graphVersion, from: source)
        let (neighboursMax, baseCells) = (Int(header.a), Int(header.b))
        guard neighboursMax >= 2, neighboursMax <= GraphParameters.listCellsMax,
            baseCells >= neighboursMax, baseCells <= GraphParameters.listCellsMax,
            header.count <= restored.rows.count,
            header.count == 0 || restored.field.indexing.kind != .flat
        else { throw VectorSnapshot.damaged("its graph is none of these rows") }
        var kept = parameters ?? GraphParameters(restored.field.indexing)
        kept.neighboursMax = neighboursMax
        kept.baseCells = baseCells
        let graph = VectorGraph(rows: restored.rows, parameters: kept)
        for row in 0..<header.count { graph.reserve(row: UInt32(row)) }
        try graph.base.read(listCount: header.count, bound: header.count, from: source)
        try graph.upper.read(listCount: graph.upperCount, bound: header.count, from: source)
        try graph.checkHeights(rowCount: header.count)
        for row in 0..<header.count { graph.publish(row: UInt32(row)) }
        self.init(field: restored.field, parameters: kept, rows: restored.rows, graph: graph)
    }
}

/// The rows of a vector index, read back.
public struct RestoredVectors: Sendable {
    let field: VectorField
    let rows: VectorRows

    public var rowCount: Int { rows.count }

    /// Restores what `writeRows` wrote and encodes it.
    ///
    /// - Parameters:
    ///   - slotCount: rows of the shard's collection; no slot may lie above.
    ///   - codes: what the codes are made with, where they were trained; without it they are as in
    ///     an index that has seen no rows.
    ///   - region: the bytes that `source` gives; a field that keeps its rows on disk goes on
    ///     reading them there, if they are in its format.
    /// - Throws: `internal` when the bytes are not such rows, and what `source` throws.
    public init(
        from source: any SnapshotSource, field: VectorField, slotCount: Int,
        codes: RestoredCodes? = nil, region: (any SnapshotRegion)? = nil
    ) throws(KyroError) {
        let header = try VectorSnapshot.readHeader(
            VectorSnapshot.rowsMagic, 2...VectorSnapshot.rowsVersion, from: source)
        guard Int(header.a) == field.dimension, header.b & 0xFF == UInt32(field.metric.rawValue),
            let format = RowFormat(rawValue: UInt8(truncatingIfNeeded: header.b >> 8)),
            header.b >> 16 == 0, header.count <= slotCount
        else {
            throw VectorSnapshot.damaged(
                "\(header.count) rows of \(header.a) dimensions, not the \(field.dimension) of the "
                    + "field")
        }
        self.field = field
        // Codes of other rows than these are not of this snapshot.
        let isOther = codes.map { $0.rowCount > 0 && $0.rowCount != header.count } ?? true
        let known = isOther ? nil : codes
        rows =
            known.map {
                VectorRows(field: field, codes: $0.column, inverseNorms: $0.inverseNorms)
            } ?? VectorRows(field: field)
        let slots = try Self.readSlots(header.count, below: slotCount, from: source)
        var file: RowFile?
        if let region, case .disk(let disk) = rows.store.place {
            file = try RowFile(
                region, dimension: field.dimension, format: disk.format,
                numbering: disk.numbering)
        }
        try rows.restore(
            slots: slots, format: format, from: source, encodedCount: known?.rowCount ?? 0,
            file: file)
    }

    init(field: VectorField, rows: VectorRows) {
        self.field = field
        self.rows = rows
    }

    static func readSlots(
        _ count: Int, below slotCount: Int, from source: any SnapshotSource
    ) throws(KyroError) -> [UInt32] {
        var slots: [UInt32] = []
        var previous = -1
        while slots.count < count {
            let step = min(VectorSnapshot.blockBytes / 4, count - slots.count)
            var reader = ByteReader(try source.read(count: step * 4))
            for _ in 0..<step {
                guard let slot = try? reader.readFixed32(), Int(slot) > previous,
                    Int(slot) < slotCount
                else { throw VectorSnapshot.damaged("its slots do not ascend") }
                slots.append(slot)
                previous = Int(slot)
            }
        }
        return slots
    }
}
