// The nearest rows of each row inside one partition, from the products of all pairs.
import CKernels
import KyroBytes

/// One thread's memory and verbs. What is found goes to `found`, `kept` places a place of the
/// partitioning: members, nearest first, `none` behind.
@safe final class AllPairs {
    static let none = UInt32.max
    /// Rows whose products are taken at once: 32 × 1,152 products are 147 KB.
    private static let block = 32
    /// Columns that are looked at with one least score.
    private static let columnBlock = 64

    private let rows: BulkRows
    private let leafRows: Int
    private let leafRowsMax: Int
    private let kept: Int
    private let seed: UInt64
    private let found: BulkArray<UInt32>

    private let stride: Int
    private let codes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    private let dots: BulkArray<Int32>
    private let columns: BulkArray<UInt32>
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
        stride = leafRowsMax
        unsafe codes = .allocate(capacity: stride)
        unsafe codes.initialize(repeating: nil, count: stride)
        dots = BulkArray(repeating: 0, count: Self.block * stride)
        columns = BulkArray(repeating: 0, count: Self.columnBlock)
        scores = BulkArray(repeating: 0, count: Self.columnBlock)
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

    /// Leaves the nearest in `best` and returns their number. The kernel passes on what reaches the
    /// worst kept so far: of some hundred columns about eighty, most of them of the first block.
    /// The row's own bias is left out, for it is the same in all scores.
    private func select(_ products: UnsafePointer<Int32>, row: Int, count: Int) -> Int {
        let factor = rows.pairFactor * factors[row]
        var nearest = unsafe BulkBest(keys: best.pointer, capacity: kept)
        var least = -Float.infinity
        var first = 0
        while first < count {
            let width = min(Self.columnBlock, count - first)
            let passed = unsafe kyro_keep_i32(
                products + first, factors.pointer + first, biases.pointer + first, width, factor,
                least, columns.pointer, scores.pointer)
            for i in 0..<passed {
                let column = first + Int(columns[i])
                if column == row || scores[i] < least { continue }
                let key = BulkKey.key(scores[i], UInt32(column), asks: UInt32(row))
                unsafe nearest.insert(key)
                if unsafe nearest.count == kept { least = BulkKey.score(best[kept - 1]) }
            }
            first += width
        }
        return unsafe nearest.count
    }
}
