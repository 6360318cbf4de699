// The nearest rows of each row inside one partition, from the products of all pairs.
import CKernels
import KyroBytes

/// One thread's memory and verbs. What is found goes to `found`, `kept` places a place of the
/// partitioning: members, nearest first, `none` behind.
@safe final class AllPairs {
    static let none = UInt32.max
    /// Rows whose products are taken at once: 32 × 1,152 products are 147 KB.
    private static let block = 32
    private static let lanes = 16

    private let rows: BulkRows
    private let leafRows: Int
    private let leafRowsMax: Int
    private let kept: Int
    private let seed: UInt64
    private let found: BulkArray<UInt32>

    private let stride: Int
    private let codes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    private let dots: BulkArray<Int32>
    private let scores: BulkArray<Float>
    private let factors: BulkArray<Float>
    private let biases: BulkArray<Float>
    private let best: BulkArray<UInt64>

    /// - Parameter leafRowsMax: a partition of more rows is split.
    init(
        _ rows: BulkRows, parameters: BulkParameters, kept: Int, leafRowsMax: Int,
        found: BulkArray<UInt32>
    ) {
        self.rows = rows
        self.kept = kept
        self.found = found
        self.leafRowsMax = leafRowsMax
        leafRows = parameters.leafRows
        seed = parameters.seed
        stride = (leafRowsMax + Self.lanes - 1) / Self.lanes * Self.lanes
        unsafe codes = .allocate(capacity: stride)
        unsafe codes.initialize(repeating: nil, count: stride)
        dots = BulkArray(repeating: 0, count: Self.block * stride)
        scores = BulkArray(repeating: 0, count: stride)
        factors = BulkArray(repeating: 0, count: stride)
        biases = BulkArray(repeating: 0, count: stride)
        best = BulkArray(repeating: 0, count: kept)
    }

    deinit { unsafe codes.deallocate() }

    /// - Parameter places: of one partition.
    func run(_ places: Range<Int>, members: BulkArray<UInt32>) {
        if places.count <= leafRowsMax {
            let first = unsafe members.pointer + places.lowerBound
            unsafe pairs(first, count: places.count) { places.lowerBound + $0 }
        } else {
            split(places.map { ($0, members[$0]) }, depth: 0)
        }
    }

    /// Around pivots of its own, each row to the nearest; what will not part, because its rows
    /// are alike, is cut into pieces.
    private func split(_ leaf: [(place: Int, member: UInt32)], depth: Int) {
        if leaf.count <= leafRowsMax {
            let members = leaf.map(\.member)
            unsafe members.withUnsafeBufferPointer { buffer in
                guard let first = buffer.baseAddress else { return }
                unsafe pairs(first, count: leaf.count) { leaf[$0].place }
            }
            return
        }
        let partCount = min((leaf.count - 1) / leafRows + 1, stride)
        if depth == 4 {
            for i in 0..<partCount {
                let piece = (i * leaf.count / partCount)..<((i + 1) * leaf.count / partCount)
                split(Array(leaf[piece]), depth: depth)
            }
            return
        }
        let pivots = (0..<partCount).map { i in
            let random = mix64(seed &+ UInt64(leaf[i].place &+ depth << 40))
            return Int(leaf[Int(random % UInt64(leaf.count))].member)
        }
        for (i, pivot) in pivots.enumerated() {
            unsafe codes[i] = unsafe rows.codes(pivot)
            (factors[i], biases[i]) = rows.pivotTerms(pivot)
        }
        var parts = [[(place: Int, member: UInt32)]](repeating: [], count: partCount)
        for entry in leaf {
            unsafe kyro_dot_i8_list(
                rows.codes(Int(entry.member)), codes, partCount, rows.dimension, dots.pointer)
            let factor = rows.choiceFactor(Int(entry.member))
            var nearest = 0
            var nearestScore = -Float.infinity
            for i in 0..<partCount {
                let score = Float(dots[i]) * (factor * factors[i]) + biases[i]
                if score > nearestScore { (nearest, nearestScore) = (i, score) }
            }
            parts[nearest].append(entry)
        }
        for i in parts.indices {
            split(parts[i], depth: depth + 1)
            parts[i] = []
        }
    }

    private func pairs(
        _ members: UnsafePointer<UInt32>, count: Int, place: (Int) -> Int
    ) {
        for i in 0..<count {
            let member = unsafe Int(members[i])
            unsafe codes[i] = unsafe rows.codes(member)
            (factors[i], biases[i]) = rows.terms(member)
        }
        var first = 0
        while first < count {
            let width = min(Self.block, count - first)
            unsafe kyro_dot_i8_tile(
                codes + first, width, codes, count, rows.dimension, dots.pointer, stride)
            for i in 0..<width {
                let products = unsafe UnsafePointer(dots.pointer + i * stride)
                let bestCount = unsafe select(products, row: first + i, count: count)
                let target = unsafe found.pointer + place(first + i) * kept
                for j in 0..<kept {
                    let other = BulkKey.member(best[j], asks: UInt32(first + i))
                    unsafe target[j] = unsafe j < bestCount ? members[Int(other)] : Self.none
                }
            }
            first += width
        }
    }

    /// Leaves the nearest in `best` and returns their number.
    ///
    /// The greatest scores of 16 lanes tell a score that at least `kept` reach, so that only about
    /// a dozen of some hundred are put in order.
    private func select(_ products: UnsafePointer<Int32>, row: Int, count: Int) -> Int {
        let scores = unsafe scores.pointer
        let factors = unsafe factors.pointer
        let biases = unsafe biases.pointer
        let factor = unsafe rows.pairFactor * factors[row]
        let bias = unsafe biases[row]
        for j in 0..<count {
            unsafe scores[j] =
                unsafe Float(products[j]) * (factor * factors[j])
                + (bias + biases[j])
        }
        unsafe scores[row] = -.infinity
        let end = (count + Self.lanes - 1) / Self.lanes * Self.lanes
        for j in count..<end { unsafe scores[j] = -.infinity }
        var found = unsafe BulkBest(keys: best.pointer, capacity: kept)
        var least = kept <= Self.lanes ? leastWorthKeeping(end) : -.infinity
        for j in 0..<count where unsafe scores[j] >= least {
            if j == row { continue }
            unsafe found.insert(BulkKey.key(scores[j], UInt32(j), asks: UInt32(row)))
            if unsafe found.count == kept {
                least = unsafe max(least, BulkKey.score(best.pointer[kept - 1]))
            }
        }
        return unsafe found.count
    }

    private func leastWorthKeeping(_ end: Int) -> Float {
        let scores = unsafe scores.pointer
        var greatest = SIMD16<Float>(repeating: -.infinity)
        var j = 0
        while j < end {
            let block = unsafe UnsafeRawPointer(scores + j).loadUnaligned(as: SIMD16<Float>.self)
            greatest.replace(with: block, where: block .> greatest)
            j += Self.lanes
        }
        var sorted = greatest
        for i in 1..<Self.lanes {
            let value = sorted[i]
            var position = i
            while position > 0, sorted[position - 1] < value {
                sorted[position] = sorted[position - 1]
                position -= 1
            }
            sorted[position] = value
        }
        return sorted[kept - 1]
    }
}
