// The centroids of inverted lists as int8 codes, and the nearest of them to rows.
//
// A row is taken as int8 codes times a factor, whatever the field's codes are: as given, or under the
// cosine divided by its norm. Its list is the one of the nearest centroid by Euclidean distance under
// every metric: with unit rows and unit centroids that is the greatest cosine, and lists by
// greatest inner product would gather around the few longest centroids.
import CKernels
import KyroBytes
import KyroModel

/// `@unchecked Sendable`: written by the thread that trains them, before anybody else knows them.
@safe final class Centroids: @unchecked Sendable {
    let count: Int
    let dimension: Int
    /// Bytes from one centroid's codes to the next one's.
    let stride: Int
    let codes: BulkArray<Int8>
    /// What a code is multiplied with.
    let factors: BulkArray<Float>
    /// −|centroid|².
    let biases: BulkArray<Float>

    init(count: Int, dimension: Int) {
        self.count = count
        self.dimension = dimension
        stride = (dimension + 63) & ~63
        codes = BulkArray(repeating: 0, count: count * stride)
        factors = BulkArray(repeating: 0, count: count)
        biases = BulkArray(repeating: 0, count: count)
    }

    @unsafe func pointer(_ centroid: Int) -> UnsafeMutablePointer<Int8> {
        precondition(centroid >= 0 && centroid < count, "centroid \(centroid) of \(count)")
        return unsafe codes.pointer + centroid * stride
    }

    /// Encodes a centroid of `dimension` floats; one that lies beyond Float becomes the origin.
    func set(_ centroid: Int, to vector: UnsafeMutablePointer<Float>, isUnit: Bool) {
        let code = unsafe pointer(centroid)
        let norm = unsafe kyro_dot_f32(vector, vector, dimension).squareRoot()
        guard norm.isFinite, norm > 0 else {
            unsafe code.update(repeating: 0, count: dimension)
            factors[centroid] = 0
            biases[centroid] = 0
            return
        }
        let scale = unsafe Double(kyro_encode_i8(vector, dimension, code))
        let factor = isUnit ? scale / norm : scale
        let square = unsafe Double(kyro_dot_i8(code, code, dimension)) * factor * factor
        factors[centroid] = Float(factor)
        biases[centroid] = -Float(min(square, Double(Float.greatestFiniteMagnitude)))
    }

    var residentBytes: Int { count * (stride + 8) }
}

/// One thread's search for the lists of rows, some at a time: all pairs of rows and centroids.
///
/// `@unchecked Sendable`: only the index's one maintenance thread calls it.
@safe final class ListChooser: @unchecked Sendable {
    static let rowsMax = 64
    /// Centroids of one tile, whose dots stay in a core's cache.
    private static let tileColumns = 512
    /// Multiplications that a step of maintenance may take: about 2 ms.
    private static let stepProducts = 1 << 28

    let centroids: Centroids
    private let rows: VectorRows
    private(set) var count = 0
    private let rowCodes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    private let rowFactors = BulkArray<Float>(repeating: 0, count: rowsMax)
    private let centroidCodes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    /// The best centroid of each row, as `kyro_best_i32` keeps it.
    private let nearest = BulkArray<UInt64>(repeating: 0, count: rowsMax)
    private let dots = BulkArray<Int32>(repeating: 0, count: rowsMax * tileColumns)

    /// Of rows whose codes are not of a byte a dimension.
    private let encoded: BulkArray<Int8>
    private let decoded: BulkArray<Float>
    private let scratch = CodeScratch()

    init(_ centroids: Centroids, rows: VectorRows) {
        self.centroids = centroids
        self.rows = rows
        let isOwn = rows.codes.model.kind != .sq8
        encoded = BulkArray(repeating: 0, count: isOwn ? Self.rowsMax * centroids.stride : 0)
        decoded = BulkArray(repeating: 0, count: isOwn ? rows.dimension : 0)
        unsafe rowCodes = .allocate(capacity: Self.rowsMax)
        unsafe rowCodes.initialize(repeating: nil, count: Self.rowsMax)
        unsafe centroidCodes = .allocate(capacity: centroids.count)
        for centroid in 0..<centroids.count {
            let codes = unsafe UnsafePointer(centroids.pointer(centroid))
            unsafe (centroidCodes + centroid).initialize(to: codes)
        }
    }

    deinit {
        unsafe rowCodes.deallocate()
        unsafe centroidCodes.deallocate()
    }

    /// Rows that a step of maintenance chooses the lists of.
    var rowsPerStep: Int {
        max(Self.rowsMax / 4, Self.stepProducts / (centroids.count * centroids.dimension))
    }

    func removeAll() { count = 0 }

    /// - Precondition: fewer than `rowsMax` rows were added since `removeAll`.
    func add(row: Int) {
        precondition(count < Self.rowsMax, "\(count) rows")
        let codes = rows.codes
        let factor = unsafe codes.terms.pointer(row)[0]
        if codes.model.kind == .sq8 {
            let code = unsafe UnsafePointer(codes.pointer(row))
            unsafe kyro_prefetch(code)
            unsafe rowCodes[count] = unsafe code
            rowFactors[count] = factor
        } else {
            let own = unsafe encoded.pointer + count * centroids.stride
            unsafe rowCodes[count] = UnsafePointer(own)
            if codes.model.kind == .floats {
                let scale = unsafe kyro_encode_i8(codes.values.pointer(row), rows.dimension, own)
                rowFactors[count] = rows.metric == .cosine ? scale * factor : scale
            } else {
                unsafe codes.decode(row, into: decoded.pointer, scratch: scratch)
                rowFactors[count] = unsafe kyro_encode_i8(decoded.pointer, rows.dimension, own)
            }
        }
        count += 1
    }

    /// Finds the lists of the rows that were added. Of equally near ones the first.
    func choose() {
        var first = 0
        while first < centroids.count {
            let width = min(Self.tileColumns, centroids.count - first)
            unsafe kyro_dot_i8_tile(
                rowCodes, count, centroidCodes + first, width, centroids.dimension, dots.pointer,
                Self.tileColumns)
            for i in 0..<count {
                _ = unsafe kyro_best_i32(
                    dots.pointer + i * Self.tileColumns, centroids.factors.pointer + first,
                    centroids.biases.pointer + first, width, 2 * rowFactors[i], UInt32(first),
                    .max, 1, nearest.pointer + i, first == 0 ? 0 : 1)
            }
            first += width
        }
    }

    /// After `choose`.
    func list(_ i: Int) -> Int {
        precondition(i < count, "row \(i) of \(count)")
        return Int(UInt32.max &+ ~UInt32(truncatingIfNeeded: nearest[i]))
    }

    /// Adds a row that was added to `sum`, `dimension` floats.
    func addRow(_ i: Int, to sum: UnsafeMutablePointer<Float>) {
        precondition(i < count, "row \(i) of \(count)")
        guard let codes = unsafe rowCodes[i] else { return }
        let factor = rowFactors[i]
        for d in 0..<centroids.dimension { unsafe sum[d] += factor * Float(codes[d]) }
    }
}
