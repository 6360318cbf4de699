// The memory that rows are read into, where they cannot be looked at in their place.

/// Buffers that grow and are reused. Used by one thread at a time.
@safe final class RowScratch {
    /// Rows handed over at once, at most.
    static let rowsMax = 64
    /// Bytes of rows at once; a row may be larger.
    private static let bytesMax = 256 << 10

    /// Rows as floats, one behind the other.
    private(set) var floats: UnsafeMutablePointer<Float>
    private var capacity = 1
    /// What was read from a file.
    var bytes: [UInt8] = []
    /// Rows in the order of their places in a file.
    let order: UnsafeMutablePointer<UInt64>
    let scores: UnsafeMutablePointer<Float>
    /// For rows that are decoded.
    private(set) lazy var coding = CodeScratch()

    init() {
        unsafe floats = .allocate(capacity: 1)
        unsafe order = .allocate(capacity: Self.rowsMax)
        unsafe scores = .allocate(capacity: Self.rowsMax)
        unsafe order.initialize(repeating: 0, count: Self.rowsMax)
        unsafe scores.initialize(repeating: 0, count: Self.rowsMax)
    }

    deinit {
        unsafe floats.deallocate()
        unsafe order.deallocate()
        unsafe scores.deallocate()
    }

    /// How many rows of such a dimension are worked on at once.
    static func batch(dimension: Int) -> Int {
        max(1, min(rowsMax, bytesMax / (4 * dimension)))
    }

    /// Makes room for `rowCount` rows.
    func reserve(rowCount: Int, dimension: Int) {
        let count = rowCount * dimension
        guard count > capacity else { return }
        unsafe floats.deallocate()
        unsafe floats = .allocate(capacity: count)
        unsafe floats.initialize(repeating: 0, count: count)
        capacity = count
    }
}
