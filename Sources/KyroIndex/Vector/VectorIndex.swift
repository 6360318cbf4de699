// The dense vectors of one field of one collection in one shard: exact rows, codes, and a graph over
// the codes or inverted lists, which a maintenance thread grows behind a scanned tail.
import KyroBytes
import KyroModel
import Synchronization

/// Who may call what: `append` the shard's writer; `foldStep` one maintenance thread; everything
/// else any thread at any time. Nothing blocks anything.
public final class VectorIndex: Sendable {
    public let field: VectorField
    public let parameters: GraphParameters
    let rows: VectorRows
    let graph: VectorGraph
    let builder: GraphBuilder
    /// In the place of a graph, where the field's kind says so.
    let inverted: InvertedFile?
    let repair: GraphRepair
    let deadShare = DeadShare()
    let codeFit = CodeFit()

    /// - Parameter parameters: nil for what the field's options say.
    public init(field: VectorField, parameters: GraphParameters? = nil) {
        let parameters = parameters ?? GraphParameters(field.indexing)
        self.field = field
        self.parameters = parameters
        rows = VectorRows(field: field)
        graph = VectorGraph(rows: rows, parameters: parameters)
        builder = GraphBuilder(graph: graph)
        inverted = Self.invertedFile(field, rows: rows)
        repair = GraphRepair(builder)
    }

    /// Takes a graph, or lists, over these rows.
    init(
        field: VectorField, parameters: GraphParameters, rows: VectorRows, graph: VectorGraph,
        inverted: InvertedFile? = nil
    ) {
        self.field = field
        self.parameters = parameters
        self.rows = rows
        self.graph = graph
        builder = GraphBuilder(graph: graph)
        repair = GraphRepair(builder)
        self.inverted = inverted ?? Self.invertedFile(field, rows: rows)
    }

    private static func invertedFile(_ field: VectorField, rows: VectorRows) -> InvertedFile? {
        guard field.indexing.kind == .ivf else { return nil }
        return InvertedFile(rows: rows, parameters: ListParameters(field.indexing))
    }

    /// The same rows in the same graph or lists, under options that differ in what searches do by default.
    /// Takes the other's place for whoever writes to it and maintains it.
    public init(of other: VectorIndex, indexing: VectorIndexing) {
        precondition(other.field.indexing.isBuilt(like: indexing), "\(indexing)")
        var field = other.field
        field.indexing = indexing
        self.field = field
        var parameters = other.parameters
        parameters.efSearch = GraphParameters(indexing).efSearch
        self.parameters = parameters
        rows = other.rows
        graph = other.graph
        builder = other.builder
        repair = other.repair
        inverted = other.inverted
    }

    /// Stores the vector of a slot; from then on searches find it, by scanning until it is folded.
    /// Shard's writer only.
    ///
    /// - Precondition: as many finite floats as the field has dimensions, a slot above all before.
    public func append(_ vector: [Float], slot: Slot) {
        rows.append(vector, slot: slot.index)
    }

    /// Makes room for so many more vectors, of slots below `slotCount`; false when there is no memory
    /// for them. Shard's writer only.
    public func tryReserve(vectors: Int, slotCount: Int) -> Bool {
        rows.tryReserve(rowCount: vectors, slotCount: slotCount)
    }

    /// Inserts up to `rowsMax` rows of the tail into the graph, or into lists, and returns how many;
    /// zero when none is left, when the index is still small enough to be scanned, or when lists
    /// are being trained (see `isTraining`). The index's one maintenance thread only. About 100 µs
    /// a row of a graph, so that a few dozen rows make a step.
    ///
    /// Dead rows go in too: a read at an older sequence may still see them. Those that died at or
    /// below `deadUpTo` get no links: see `repairStep`.
    ///
    /// - Parameter visibility: rows at or above its `slotCount` stay in the tail.
    public func foldStep(
        rowsMax: Int, visibility: Visibility, deadUpTo: UInt64 = 0, cancellation: Cancellation
    ) -> Int {
        rows.store.releaseReplaced()
        let rowCount = rows.count
        if let inverted {
            return inverted.foldStep(
                rowsMax: rowsMax,
                end: rows.rows(belowSlot: visibility.slotCount, rowCount: rowCount),
                flatRowsMax: flatRowsMax, cancellation: cancellation)
        }
        guard buildsGraph, graph.count > 0 || rowCount > flatRowsMax else { return 0 }
        let end = rows.rows(belowSlot: visibility.slotCount, rowCount: rowCount)
        var inserted = 0
        while inserted < rowsMax, graph.count < end, !cancellation.isCancelled {
            // Without memory for links the row stays in the tail, where searches find it too.
            guard graph.tryReserve(row: UInt32(graph.count)) else { break }
            if repair.takes(UInt32(graph.count), visibility, deadUpTo: deadUpTo) {
                builder.insertNext()
            } else {
                builder.skipNext()
            }
            inserted += 1
        }
        return inserted
    }

    public var rowCount: Int { rows.count }
    public var graphCount: Int { graph.count }
    /// Rows in the graph or in lists; the others are scanned.
    public var indexedCount: Int { inverted?.count ?? graph.count }
    public var tailCount: Int {
        let folded = indexedCount
        return rows.count - folded
    }
    /// Whether `foldStep` gets on, though it inserts nothing. The maintenance thread only.
    public var isTraining: Bool { inverted?.isTraining ?? false }
    public var residentBytes: Int {
        rows.residentBytes + graph.residentBytes + (inverted?.residentBytes ?? 0)
    }

    /// Whether its options ask for a graph, at some number of rows.
    public var buildsGraph: Bool {
        switch field.indexing.kind {
        case .automatic, .graph: true
        case .ivf, .flat: false
        }
    }

    /// The floats given at `append`, bit for bit; or what the field keeps of them.
    ///
    /// - Throws: where they are in a file that cannot be read.
    public func vector(of slot: Slot) throws(KyroError) -> [Float]? {
        guard let row = rows.row(ofSlot: slot.index, rowCount: rows.count) else { return nil }
        return try rows.floats(of: row)
    }

    /// Up to so many rows are scanned in full precision.
    var flatRowsMax: Int { parameters.flatRowsMax(dimension: field.dimension) }

    /// Up to so many rows are scored exactly without asking their codes.
    var exactRowsMax: Int {
        switch rows.store.place {
        case .floats, .halves: flatRowsMax
        // As many as one read takes.
        case .disk(let rows): min(flatRowsMax, (256 << 10) / rows.rowBytes)
        case .absent: 0
        }
    }
}

/// How many of the rows that walks meet are dead: a running mean over some 32 of them, so that one
/// deleted corner does not speak for all. Races between readers lose a sample, nothing more.
final class DeadShare: Sendable {
    private static let one = 1 << 16
    private let mean = Atomic<Int>(0)

    var value: Double { Double(mean.load(ordering: .relaxed)) / Double(Self.one) }

    func note(visible: Int, of met: Int) {
        guard met > 0 else { return }
        let sample = Self.one * (met - visible) / met
        let old = mean.load(ordering: .relaxed)
        if sample != old { mean.store(old + (sample - old) / 32, ordering: .relaxed) }
    }

    /// A scan was chosen and met nobody: forget slowly, so that a walk is tried again.
    func fade() {
        let old = mean.load(ordering: .relaxed)
        if old > 0 { mean.store(old - (old + 255) / 256, ordering: .relaxed) }
    }
}
