// The nearest rows of each row inside one partition, from the products of all pairs.
import CKernels
import KyroBytes
import KyroModel

/// One thread's memory and verbs. What is found goes to `found`, `kept` places a place of the
/// partitioning: members, nearest first, `none` behind.
@safe final class AllPairs {
    static let none = UInt32.max

    private let rows: BulkRows
    private let leafRows: Int
    private let leafRowsMax: Int
    private let kept: Int
    private let seed: UInt64
    private let found: BulkArray<UInt32>
    private let cancellation: Cancellation
    private let best: BulkArray<UInt64>

    /// Rows that there is room for.
    private var capacity = 0
    private var codes = CodeList()
    private var factors = BulkArray<Float>(toBeFilled: 0)
    private var biases = BulkArray<Float>(toBeFilled: 0)
    /// count × stride(count) products of a partition: for 320 rows 0.4 MB, what a second-level
    /// cache holds beside the codes.
    private var dots = BulkArray<Int32>(toBeFilled: 0)

    /// - Parameter leafRowsMax: a partition of more rows is split.
    init(
        _ rows: BulkRows, parameters: BulkParameters, kept: Int, leafRowsMax: Int,
        found: BulkArray<UInt32>, cancellation: Cancellation
    ) {
        self.rows = rows
        self.kept = kept
        self.found = found
        self.leafRowsMax = leafRowsMax
        self.cancellation = cancellation
        leafRows = parameters.leafRows
        seed = parameters.seed
        best = BulkArray(toBeFilled: kept)
    }

    private func reserve(_ count: Int) {
        guard count > capacity else { return }
        capacity = max(count, min(leafRowsMax, capacity + capacity / 2))
        codes.reserve(capacity)
        factors = BulkArray(toBeFilled: capacity)
        biases = BulkArray(toBeFilled: capacity)
        dots = BulkArray(toBeFilled: capacity * Self.stride(capacity))
    }

    /// Of 64-byte lines an odd number, so that the rows of a column do not share cache sets.
    private static func stride(_ count: Int) -> Int { ((count + 15) / 16 | 1) * 16 }

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
        let partCount = min((leaf.count - 1) / leafRows + 1, leafRowsMax)
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
        reserve(partCount)
        for (i, pivot) in pivots.enumerated() {
            unsafe codes.pointer[i] = unsafe rows.codes(pivot)
            (factors[i], biases[i]) = rows.pivotTerms(pivot)
        }
        var parts = [[(place: Int, member: UInt32)]](repeating: [], count: partCount)
        for entry in leaf {
            if cancellation.isCancelled { return }
            unsafe kyro_dot_i8_list(
                rows.codes(Int(entry.member)), codes.pointer, partCount, rows.dimension,
                dots.pointer)
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
        if cancellation.isCancelled { return }
        reserve(count)
        for i in 0..<count {
            let member = unsafe Int(members[i])
            unsafe codes.pointer[i] = unsafe rows.codes(member)
            (factors[i], biases[i]) = rows.terms(member)
        }
        let stride = Self.stride(count)
        unsafe kyro_dot_i8_pairs(codes.pointer, count, rows.dimension, dots.pointer, stride)
        for i in 0..<count {
            // A row's own bias is left out, for it is the same in all its scores.
            let bestCount = unsafe kyro_best_i32(
                dots.pointer + i * stride, factors.pointer, biases.pointer, count,
                rows.pairFactor * factors[i], 0, UInt32(i), kept, best.pointer, 0)
            let target = unsafe found.pointer + place(i) * kept
            for j in 0..<bestCount {
                let other = BulkKey.member(best[j], asks: UInt32(i))
                unsafe target[j] = unsafe members[Int(other)]
            }
            for j in bestCount..<kept { unsafe target[j] = Self.none }
        }
    }
}
