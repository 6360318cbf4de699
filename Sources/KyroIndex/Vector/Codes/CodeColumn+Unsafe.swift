// The codes of a field's rows, in the form that its model gives them: one kind, and no other beside
// it.
import CKernels
import KyroBytes
import KyroModel

/// Written by the shard's writer, a row before it is published; read by any thread below the count
/// that it has loaded.
///
/// `@unchecked Sendable`: see above; `writing` is the writer's alone.
@safe final class CodeColumn: @unchecked Sendable {
    let model: CodeModel
    let dimension: Int
    /// Where rows have no codes, they stand for themselves.
    let values: Column<Float>
    /// Factor and bias, see `CodeModel`.
    let terms: Column<Float>
    private let codes: Column<Int8>
    private let hasCodes: Bool
    private let writing = CodeScratch()

    init(model: CodeModel, values: Column<Float>) {
        self.model = model
        self.values = values
        dimension = model.dimension
        hasCodes = model.byteCount > 0
        codes = Column(width: max(1, model.byteCount))
        terms = Column(width: 2)
        if !hasCodes { codes.reserve(row: 0) }
    }

    /// Bytes of a row's code, and from one to the next within a chunk.
    var byteCount: Int { model.byteCount }
    var rowBytes: Int { codes.rowBytes }

    @unsafe @inline(__always) func pointer(_ row: Int) -> UnsafeMutablePointer<Int8> {
        unsafe codes.pointer(row)
    }

    /// How many codes from `row` on lie side by side, `rowBytes` apart.
    @inline(__always) func contiguousRows(from row: Int) -> Int { codes.contiguousRows(from: row) }

    func residentBytes(rowCount: Int) -> Int {
        terms.residentBytes(rowCount: rowCount) + model.residentBytes
            + (hasCodes ? codes.residentBytes(rowCount: rowCount) : 0)
    }

    // MARK: writer

    func reserve(row: Int) {
        if hasCodes { codes.reserve(row: row) }
        terms.reserve(row: row)
    }

    func tryReserve(rows: Range<Int>) -> Bool {
        (!hasCodes || codes.tryReserve(rows: rows)) && terms.tryReserve(rows: rows)
    }

    /// - Parameters:
    ///   - vector: the row, as given.
    ///   - square: |vector|².
    func encode(row: Int, from vector: UnsafePointer<Float>, square: Double) {
        unsafe encode(row: row, from: vector, square: square, scratch: writing)
    }

    /// The same by several threads at once, each with scratch and rows of its own, in a column that
    /// nobody reads yet.
    func encode(
        row: Int, from vector: UnsafePointer<Float>, square: Double, scratch: CodeScratch
    ) {
        unsafe model.encode(
            vector, square: square, codes: codes.pointer(hasCodes ? row : 0),
            terms: terms.pointer(row), scratch: scratch)
    }

    /// Whether codes of the other column mean the same here.
    func canCopy(_ other: CodeColumn) -> Bool {
        model === other.model || model.kind == other.model.kind && !model.kind.isTrained
    }

    /// Takes over a row's code. - Precondition: `canCopy`.
    func copy(row: Int, from other: CodeColumn, row otherRow: Int) {
        if hasCodes {
            unsafe pointer(row).update(from: other.pointer(otherRow), count: byteCount)
        }
        unsafe terms.pointer(row).update(from: other.terms.pointer(otherRow), count: 2)
    }

    /// What a row's code stands for, see `CodeModel`.
    func decode(
        _ row: Int, into out: UnsafeMutablePointer<Float>, scratch: CodeScratch
    ) {
        unsafe model.decode(pointer(row), terms: terms.pointer(row), into: out, scratch: scratch)
    }

    /// A row's code and terms in a snapshot, side by side.
    func write(rowCount: Int, to sink: any SnapshotSink) throws(KyroError) {
        if hasCodes { try codes.write(rowCount: rowCount, to: sink) }
        try terms.write(rowCount: rowCount, to: sink)
    }

    func read(rowCount: Int, from source: any SnapshotSource) throws(KyroError) {
        if hasCodes { try codes.read(rows: 0..<rowCount, from: source) }
        try terms.read(rows: 0..<rowCount, from: source)
    }
}
