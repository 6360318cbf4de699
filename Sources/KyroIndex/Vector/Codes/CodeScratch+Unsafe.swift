// The memory in which vectors are encoded and compared.
import CKernels
import KyroModel

/// Buffers that grow and are reused. Used by one thread at a time.
///
/// `@unchecked Sendable`: it moves between threads with what owns it.
@safe final class CodeScratch: @unchecked Sendable {
    /// A vector placed, decoded or rotated, and room to rotate it in.
    private(set) var placed: UnsafeMutablePointer<Float>
    private(set) var spare: UnsafeMutablePointer<Float>
    private(set) var zeros: UnsafeMutablePointer<Float>
    /// One row's 4-bit codes, expanded.
    private(set) var expanded: UnsafeMutablePointer<Int8>
    private var dimensionCapacity = 0
    /// The codes of a query, or of a row that asks, in the form that they are scored with.
    private(set) var form: UnsafeMutableRawPointer
    private var formCapacity = 0
    /// Rows that are compared with each other, `formStride` apart.
    private(set) var forms: UnsafeMutableRawPointer
    private(set) var formStride = 0
    private var formsCapacity = 0
    /// Where those forms are: in `forms`, or in the column of codes.
    let formPointers: UnsafeMutablePointer<UnsafeRawPointer?>
    /// One batch of rows: where they are, what the kernels make of them, and their scores.
    let bytes: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    let floats: UnsafeMutablePointer<UnsafePointer<Float>?>
    let distances: UnsafeMutablePointer<UInt32>
    let scores: UnsafeMutablePointer<Float>

    static let batch = ScratchMemory.batch

    init() {
        unsafe placed = .allocate(capacity: 1)
        unsafe spare = .allocate(capacity: 1)
        unsafe zeros = .allocate(capacity: 1)
        unsafe expanded = .allocate(capacity: 1)
        unsafe form = .allocate(byteCount: 64, alignment: 64)
        unsafe forms = .allocate(byteCount: 64, alignment: 64)
        unsafe formPointers = .allocate(capacity: Self.batch)
        unsafe bytes = .allocate(capacity: Self.batch)
        unsafe floats = .allocate(capacity: Self.batch)
        unsafe distances = .allocate(capacity: Self.batch)
        unsafe scores = .allocate(capacity: Self.batch)
        unsafe formPointers.initialize(repeating: nil, count: Self.batch)
        unsafe bytes.initialize(repeating: nil, count: Self.batch)
        unsafe floats.initialize(repeating: nil, count: Self.batch)
        unsafe distances.initialize(repeating: 0, count: Self.batch)
        unsafe scores.initialize(repeating: 0, count: Self.batch)
    }

    deinit {
        unsafe placed.deallocate()
        unsafe spare.deallocate()
        unsafe zeros.deallocate()
        unsafe expanded.deallocate()
        unsafe form.deallocate()
        unsafe forms.deallocate()
        unsafe formPointers.deallocate()
        unsafe bytes.deallocate()
        unsafe floats.deallocate()
        unsafe distances.deallocate()
        unsafe scores.deallocate()
    }

    /// Room to encode a row, and for the form of one that asks.
    func reserve(_ model: CodeModel) {
        let tables = ProductQuantiser.centroidCount * (model.quantiser?.groupCount ?? 0)
        let formBytes = 4 * max(model.dimension, tables)
        if formBytes > formCapacity {
            unsafe form.deallocate()
            unsafe form = .allocate(byteCount: formBytes, alignment: 64)
            formCapacity = formBytes
        }
        guard model.dimension > dimensionCapacity else { return }
        let count = model.dimension
        unsafe placed.deallocate()
        unsafe spare.deallocate()
        unsafe zeros.deallocate()
        unsafe expanded.deallocate()
        unsafe placed = .allocate(capacity: count)
        unsafe spare = .allocate(capacity: count)
        unsafe zeros = .allocate(capacity: count)
        unsafe expanded = .allocate(capacity: count)
        unsafe placed.initialize(repeating: 0, count: count)
        unsafe spare.initialize(repeating: 0, count: count)
        unsafe zeros.initialize(repeating: 0, count: count)
        unsafe expanded.initialize(repeating: 0, count: count)
        dimensionCapacity = count
    }

    /// Room for a batch of rows that are compared with each other.
    func reserveForms(_ model: CodeModel) {
        reserve(model)
        let stride =
            switch model.kind {
            case .floats, .sq8, .bq: 0
            case .sq4: (model.dimension + 63) & ~63
            case .pq: (4 * model.dimension + 63) & ~63
            }
        formStride = stride
        guard stride * Self.batch > formsCapacity else { return }
        unsafe forms.deallocate()
        formsCapacity = stride * Self.batch
        unsafe forms = .allocate(byteCount: formsCapacity, alignment: 64)
    }
}
