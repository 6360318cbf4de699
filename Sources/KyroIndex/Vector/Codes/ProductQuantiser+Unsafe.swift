// Codebooks of product quantisation (Jégou, Douze & Schmid 2011): a row's dimensions are cut into
// groups, and the piece of a row in each group is named by the nearest of 256 centroids.
import CKernels
import KyroBytes
import KyroModel

/// `@unchecked Sendable`: nothing changes after `init`.
@safe final class ProductQuantiser: @unchecked Sendable {
    static let centroidCount = 256
    /// Dimensions of a group, at most: two bits a dimension.
    static let groupDimensions = 4

    let dimension: Int
    let groupCount: Int
    /// What rows are multiplied with before they are compared with centroids, where it is not their
    /// own length that they are divided by.
    let scale: Double
    /// Component d of centroid c of the group of d, at 256 d + c.
    let codebook: BulkArray<Float>
    /// |centroid|² / 2: 256 a group.
    let halves: BulkArray<Float>

    /// Beyond this a component cannot be near any centroid, and its square is a float.
    private static let componentMax = 1e9

    static func groupCount(dimension: Int) -> Int {
        (dimension + groupDimensions - 1) / groupDimensions
    }

    /// - Parameter codebook: 256 × dimension, finite.
    init(dimension: Int, scale: Double, codebook: BulkArray<Float>) {
        precondition(codebook.count == Self.centroidCount * dimension, "\(codebook.count)")
        self.dimension = dimension
        groupCount = Self.groupCount(dimension: dimension)
        self.scale = scale
        self.codebook = codebook
        halves = BulkArray(repeating: 0, count: Self.centroidCount * groupCount)
        for group in 0..<groupCount { setHalves(group) }
    }

    /// The dimensions of a group: as many in each, give or take one.
    @inline(__always) func dimensions(_ group: Int) -> Range<Int> {
        (group * dimension / groupCount)..<((group + 1) * dimension / groupCount)
    }

    func setHalves(_ group: Int) {
        for c in 0..<Self.centroidCount {
            var square: Float = 0
            for d in dimensions(group) {
                let value = codebook[Self.centroidCount * d + c]
                square += value * value
            }
            halves[Self.centroidCount * group + c] = square / 2
        }
    }

    var residentBytes: Int { 4 * (codebook.count + halves.count) }

    /// Writes a row as centroids see it.
    @inline(__always) func place(
        _ row: UnsafePointer<Float>, scale: Double, into y: UnsafeMutablePointer<Float>
    ) {
        let most = Self.componentMax
        for i in 0..<dimension {
            unsafe y[i] = unsafe Float(min(max(Double(row[i]) * scale, -most), most))
        }
    }

    func nearest(_ group: Int, _ y: UnsafePointer<Float>) -> UInt8 {
        let range = dimensions(group)
        return unsafe UInt8(
            truncatingIfNeeded: kyro_pq_nearest(
                y + range.lowerBound, codebook.pointer + Self.centroidCount * range.lowerBound,
                halves.pointer + Self.centroidCount * group, range.count))
    }

    /// Returns what the centroids are multiplied with to have the row's product with the row, so
    /// that estimates are unbiased; at most four times what gives them the row's length.
    func encode(
        _ row: UnsafePointer<Float>, scale: Double, codes: UnsafeMutablePointer<UInt8>,
        scratch: CodeScratch
    ) -> Double {
        let y = unsafe scratch.placed
        unsafe place(row, scale: scale, into: y)
        for group in 0..<groupCount { unsafe codes[group] = unsafe nearest(group, y) }
        let decoded = unsafe scratch.spare
        unsafe decode(codes, into: decoded)
        let square = unsafe kyro_dot_f32(y, y, dimension)
        let product = unsafe kyro_dot_f32(y, decoded, dimension)
        let length = unsafe kyro_dot_f32(decoded, decoded, dimension)
        guard product > 0 else { return 0 }
        return min(square / product, 4 * (square / length).squareRoot())
    }

    func decode(_ codes: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Float>) {
        for group in 0..<groupCount {
            let code = unsafe Int(codes[group])
            for d in dimensions(group) {
                unsafe out[d] = codebook[Self.centroidCount * d + code]
            }
        }
    }

    /// The products of a query with all centroids: 256 a group.
    func fill(_ tables: UnsafeMutablePointer<Float>, query: UnsafePointer<Float>) {
        for group in 0..<groupCount {
            let range = dimensions(group)
            unsafe kyro_pq_table(
                query + range.lowerBound, codebook.pointer + Self.centroidCount * range.lowerBound,
                range.count, tables + Self.centroidCount * group)
        }
    }
}
