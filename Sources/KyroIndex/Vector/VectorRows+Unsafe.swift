// The columns of a vector index: what is known of each row, written once by the shard's writer.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

/// Rows are numbered densely in the order of their slots; a slot without the field has no row.
///
/// `@unchecked Sendable`: columns are written by one thread before `count` is release-stored.
@safe final class VectorRows: @unchecked Sendable {
    let dimension: Int
    let metric: Metric
    /// What is kept of the rows themselves.
    let store: RowStore
    let codes: CodeColumn
    /// 1 / |row|; cosine only.
    let inverseNorms: Column<Double>
    let slots: Column<UInt32>
    /// Row + 1 of a slot; zero for none.
    private let rowOfSlot: Column<UInt32>
    private var reservedSlots = 0
    /// Rows are their own codes, and are not in memory for another reason.
    let copiesRows: Bool
    /// The writer's.
    private let writing = RowScratch()
    private let published = Atomic<Int>(0)

    convenience init(field: VectorField) {
        self.init(field: field, model: CodeModel(untrained: field))
    }

    convenience init(field: VectorField, model: CodeModel) {
        self.init(
            field: field, codes: CodeColumn(model: model, values: Column(width: field.dimension)))
    }

    /// - Parameter inverseNorms: of rows whose codes are in `codes`.
    init(
        field: VectorField, codes: CodeColumn, inverseNorms: Column<Double> = Column()
    ) {
        precondition(field.dimension > 0 && field.dimension <= Limits.dimensionMax)
        dimension = field.dimension
        metric = field.metric
        store = RowStore(field: field, floats: codes.values)
        self.codes = codes
        copiesRows = codes.model.kind == .floats && !store.isFloats
        self.inverseNorms = inverseNorms
        slots = Column()
        rowOfSlot = Column()
    }

    var count: Int { published.load(ordering: .acquiring) }

    // MARK: writer

    func append(_ vector: [Float], slot: Int) {
        let row = published.load(ordering: .relaxed)
        precondition(vector.count == dimension, "\(vector.count) floats for \(dimension)")
        reserve(row: row, slot: slot)
        unsafe vector.withUnsafeBufferPointer { source in
            guard let from = source.baseAddress else { return }
            unsafe put(row: row, from)
        }
        publish(row: row, slot: slot)
    }

    /// Stores a reserved row, and its code.
    ///
    /// - Parameter isEncoded: its code is there already, and its length where the code stands for it.
    @unsafe func put(row: Int, _ from: UnsafePointer<Float>, isEncoded: Bool = false) {
        if isEncoded, store.isAbsent { return }
        unsafe encode(row: row, store.write(row, from), isEncoded: isEncoded)
        guard store.isAbsent else { return }
        // The code alone stays, so that terms are those of what it stands for.
        writing.reserve(rowCount: 1, dimension: dimension)
        unsafe decode(row: row, into: writing.floats, scratch: writing)
        unsafe encode(row: row, writing.floats)
    }

    /// Derives a row's code and terms from its floats.
    ///
    /// - Parameters:
    ///   - isEncoded: its code is there already.
    ///   - scratch: of a thread that is not the only one at this; nil for the writer's own.
    @unsafe func encode(
        row: Int, _ from: UnsafePointer<Float>, isEncoded: Bool = false,
        scratch: CodeScratch? = nil
    ) {
        if copiesRows {
            codes.values.reserve(row: row)
            unsafe kyro_copy_row(
                codes.values.pointer(row), from, dimension * MemoryLayout<Float>.stride)
        }
        let square = unsafe kyro_dot_f32(from, from, dimension)
        if metric == .cosine { inverseNorms[row] = square > 0 ? 1 / square.squareRoot() : 0 }
        if isEncoded { return }
        if let scratch {
            unsafe codes.encode(row: row, from: from, square: square, scratch: scratch)
        } else {
            unsafe codes.encode(row: row, from: from, square: square)
        }
    }

    /// Appends a row of other rows of the same dimension and metric. Then `store.endTaking`.
    func take(_ row: Int, of other: VectorRows, slot: Int) throws(KyroError) {
        let new = published.load(ordering: .relaxed)
        reserve(row: new, slot: slot)
        guard try store.take(new, row, of: other.store) else {
            let floats = try other.floats(of: row)
            unsafe floats.withUnsafeBufferPointer { source in
                guard let from = source.baseAddress else { return }
                unsafe put(row: new, from)
            }
            return publish(row: new, slot: slot)
        }
        if !copiesRows, codes.canCopy(other.codes) {
            codes.copy(row: new, from: other.codes, row: row)
            if metric == .cosine { inverseNorms[new] = other.inverseNorms[row] }
        } else {
            let floats = try other.floats(of: row)
            unsafe floats.withUnsafeBufferPointer { source in
                guard let from = source.baseAddress else { return }
                unsafe encode(row: new, from)
            }
        }
        publish(row: new, slot: slot)
    }

    /// - Parameter isStored: false for a row that stays in a snapshot's file.
    func reserve(row: Int, slot: Int, isStored: Bool = true) {
        precondition(unsafe row < CandidatePool.rowsMax, "row \(row) is beyond the last one")
        if row > 0 {
            let previous = Int(slots[row - 1])
            precondition(slot > previous, "slot \(slot) after slot \(previous)")
        }
        if isStored { store.reserve(row: row) }
        codes.reserve(row: row)
        slots.reserve(row: row)
        if metric == .cosine { inverseNorms.reserve(row: row) }
        while reservedSlots <= slot {
            rowOfSlot.reserve(row: reservedSlots)
            reservedSlots += rowOfSlot.contiguousRows(from: reservedSlots)
        }
    }

    /// Makes room for so many more rows, of slots below `slotCount`; false when there is no memory
    /// for them.
    func tryReserve(rowCount more: Int, slotCount: Int) -> Bool {
        let count = published.load(ordering: .relaxed)
        let rows = count..<(count + more)
        return store.tryReserve(rows: rows) && codes.tryReserve(rows: rows)
            && (!copiesRows || codes.values.tryReserve(rows: rows)) && slots.tryReserve(rows: rows)
            && (metric != .cosine || inverseNorms.tryReserve(rows: rows))
            && rowOfSlot.tryReserve(rows: min(reservedSlots, slotCount)..<slotCount)
    }

    func publish(row: Int, slot: Int) {
        slots[row] = UInt32(slot)
        rowOfSlot[slot] = UInt32(row + 1)
        published.store(row + 1, ordering: .releasing)
    }

    // MARK: any thread

    /// The row of a slot, among the first `rowCount`.
    @inline(__always) func row(ofSlot slot: Int, rowCount: Int) -> Int? {
        guard rowCount > 0, slot <= Int(slots[rowCount - 1]) else { return nil }
        let row = Int(rowOfSlot[slot]) - 1
        return row >= 0 && row < rowCount ? row : nil
    }

    /// Rows whose slot is below `slotCount`, among the first `rowCount`.
    func rows(belowSlot slotCount: Int, rowCount: Int) -> Int {
        var low = 0
        var high = rowCount
        while low < high {
            let middle = (low + high) / 2
            if Int(slots[middle]) < slotCount { low = middle + 1 } else { high = middle }
        }
        return low
    }

    var residentBytes: Int {
        let rowCount = count
        let slotCount = rowCount == 0 ? 0 : Int(slots[rowCount - 1]) + 1
        return store.residentBytes(rowCount: rowCount) + codes.residentBytes(rowCount: rowCount)
            + (copiesRows ? codes.values.residentBytes(rowCount: rowCount) : 0)
            + slots.residentBytes(rowCount: rowCount)
            + inverseNorms.residentBytes(rowCount: rowCount)
            + rowOfSlot.residentBytes(rowCount: slotCount)
    }
}

/// A query in both precisions, for the time of one search.
@unsafe struct EncodedQuery {
    let values: UnsafePointer<Float>
    let inverseNorm: Double
    let code: CodeQuery

    /// Copies and encodes into `memory`, which must outlive this.
    init(_ vector: [Float], rows: VectorRows, memory: ScratchMemory) {
        precondition(vector.count == rows.dimension, "\(vector.count) for \(rows.dimension)")
        memory.reserve(dimension: rows.dimension)
        let values = unsafe memory.values
        unsafe vector.withUnsafeBufferPointer { source in
            guard let from = source.baseAddress else { return }
            unsafe values.update(from: from, count: vector.count)
        }
        let square = unsafe kyro_dot_f32(values, values, rows.dimension)
        let norm = square.squareRoot()
        unsafe self.values = unsafe UnsafePointer(values)
        unsafe inverseNorm = norm > 0 ? 1 / norm : 0
        unsafe code = rows.codes.query(values, square: square, scratch: memory.coding)
    }
}
