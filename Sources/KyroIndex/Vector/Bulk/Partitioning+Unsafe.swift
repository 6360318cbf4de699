// Rows into overlapping partitions: each row joins those of its nearest pivots.
//
// Pivots are rows, drawn evenly. Where they are many they lie in groups around pivots of their own,
// and a row looks for its pivots in the nearest groups alone: with P pivots some 9 × √P comparisons
// a row in the place of P.
import CKernels
import KyroBytes
import KyroModel

@safe struct Partitioning: Sendable {
    /// Partitions of each row.
    let overlap: Int
    /// First place of each partition, and the end of the last.
    let starts: [Int]
    /// Member by place; a partition's members ascend.
    let members: BulkArray<UInt32>
    /// Place of member m in its t-th partition, nearest first, at m × overlap + t.
    let places: BulkArray<UInt32>

    var count: Int { starts.count - 1 }

    /// All rows in one partition.
    init(whole rows: BulkRows) {
        overlap = 1
        starts = [0, rows.count]
        members = BulkArray(repeating: 0, count: rows.count)
        places = BulkArray(repeating: 0, count: rows.count)
        for i in 0..<rows.count {
            members[i] = UInt32(i)
            places[i] = UInt32(i)
        }
    }

    /// Nil when cancelled.
    init?(
        _ rows: BulkRows, parameters: BulkParameters, workers: any BulkWorkers,
        cancellation: Cancellation
    ) {
        let wanted = (rows.count * parameters.overlap - 1) / parameters.leafRows + 1
        let pivots = PivotTable(rows, count: min(wanted, rows.count), parameters: parameters)
        let overlap = min(parameters.overlap, pivots.count)
        let places = BulkArray<UInt32>(repeating: 0, count: rows.count * overlap)
        let cursor = BulkCursor(count: rows.count, block: 512)
        workers.run { _ in
            let chooser = PivotChooser(pivots, rows: rows, overlap: overlap)
            while let block = cursor.take(), !cancellation.isCancelled {
                for member in block { chooser.choose(for: member, into: places) }
            }
        }
        guard !cancellation.isCancelled else { return nil }
        var ends = [Int](repeating: 0, count: pivots.count + 1)
        for i in 0..<places.count { ends[Int(places[i]) + 1] += 1 }
        for i in 0..<pivots.count { ends[i + 1] += ends[i] }
        starts = ends
        members = BulkArray(repeating: 0, count: places.count)
        for member in 0..<rows.count {
            for i in (member * overlap)..<((member + 1) * overlap) {
                let partition = Int(places[i])
                let place = ends[partition]
                ends[partition] += 1
                members[place] = UInt32(member)
                places[i] = UInt32(place)
            }
        }
        self.places = places
        self.overlap = overlap
    }
}

/// Pivots, group after group, their codes side by side.
@safe final class PivotTable: Sendable {
    let count: Int
    /// Bytes from one pivot's codes to the next one's.
    let stride: Int
    let codes: BulkArray<Int8>
    let factors: BulkArray<Float>
    let biases: BulkArray<Float>
    /// First pivot of each group, and the end of the last; empty without groups.
    let groupStarts: [Int]
    let groupsProbed: Int
    /// The groups' own pivots.
    let groups: PivotTable?

    /// So many are looked through without groups.
    private static let ungroupedMax = 256

    convenience init(_ rows: BulkRows, count: Int, parameters: BulkParameters) {
        let drawn = (0..<count).map { i in
            let first = i * rows.count / count
            let width = (i + 1) * rows.count / count - first
            return first + Int(mix64(parameters.seed &+ UInt64(i)) % UInt64(width))
        }
        guard count > Self.ungroupedMax else {
            self.init(rows, drawn, groups: nil, starts: [], probed: 0)
            return
        }
        let groupCount = Int(Double(count).squareRoot())
        let heads = (0..<groupCount).map { drawn[$0 * count / groupCount] }
        let groups = PivotTable(rows, heads, groups: nil, starts: [], probed: 0)
        let chooser = PivotChooser(groups, rows: rows, overlap: 1)
        var grouped = [[Int]](repeating: [], count: groupCount)
        for member in drawn { grouped[chooser.nearest(to: member)].append(member) }
        var starts = [0]
        for group in grouped { starts.append(starts[starts.count - 1] + group.count) }
        self.init(
            rows, grouped.flatMap { $0 }, groups: groups, starts: starts,
            probed: min(parameters.groupsProbed, groupCount))
    }

    private init(
        _ rows: BulkRows, _ members: [Int], groups: PivotTable?, starts: [Int], probed: Int
    ) {
        count = members.count
        stride = (rows.dimension + 63) & ~63
        codes = BulkArray(repeating: 0, count: count * stride)
        factors = BulkArray(repeating: 0, count: count)
        biases = BulkArray(repeating: 0, count: count)
        for (i, member) in members.enumerated() {
            let target = unsafe codes.pointer + i * stride
            unsafe target.update(from: rows.codes(member), count: rows.dimension)
            (factors[i], biases[i]) = rows.pivotTerms(member)
        }
        self.groups = groups
        groupStarts = starts
        groupsProbed = probed
    }
}

/// One thread's search for the nearest pivots of rows.
@safe final class PivotChooser {
    private let pivots: PivotTable
    private let rows: BulkRows
    private let overlap: Int
    private let dots: BulkArray<Int32>
    private let columns: BulkArray<UInt32>
    private let scores: BulkArray<Float>
    private let best: BulkArray<UInt64>
    private let bestGroups: BulkArray<UInt64>

    init(_ pivots: PivotTable, rows: BulkRows, overlap: Int) {
        self.pivots = pivots
        self.rows = rows
        self.overlap = overlap
        let widest = max(pivots.count, pivots.groups?.count ?? 0)
        dots = BulkArray(repeating: 0, count: widest)
        columns = BulkArray(repeating: 0, count: widest)
        scores = BulkArray(repeating: 0, count: widest)
        best = BulkArray(repeating: 0, count: overlap)
        bestGroups = BulkArray(repeating: 0, count: max(1, pivots.groupsProbed))
    }

    func nearest(to member: Int) -> Int {
        var found = unsafe BulkBest(keys: best.pointer, capacity: 1)
        unsafe look(for: member, among: pivots, range: 0..<pivots.count, best: &found)
        return Int(BulkKey.member(best[0], asks: 0))
    }

    /// Writes the member's pivots, nearest first, to where its places will be.
    func choose(for member: Int, into places: BulkArray<UInt32>) {
        var found = unsafe BulkBest(keys: best.pointer, capacity: overlap)
        if let groups = pivots.groups {
            var near = unsafe BulkBest(
                keys: bestGroups.pointer, capacity: pivots.groupsProbed)
            unsafe look(for: member, among: groups, range: 0..<groups.count, best: &near)
            for i in unsafe 0..<near.count {
                let group = Int(BulkKey.member(bestGroups[i], asks: 0))
                let range = pivots.groupStarts[group]..<pivots.groupStarts[group + 1]
                unsafe look(for: member, among: pivots, range: range, best: &found)
            }
        }
        if unsafe found.count < overlap {
            unsafe found = BulkBest(keys: best.pointer, capacity: overlap)
            unsafe look(for: member, among: pivots, range: 0..<pivots.count, best: &found)
        }
        for i in 0..<overlap { places[member * overlap + i] = BulkKey.member(best[i], asks: 0) }
    }

    private func look(
        for member: Int, among table: PivotTable, range: Range<Int>, best: inout BulkBest
    ) {
        let dots = unsafe dots.pointer
        let codes = unsafe table.codes.pointer + range.lowerBound * table.stride
        unsafe kyro_dot_i8_rows(
            rows.codes(member), codes, table.stride, range.count, rows.dimension, dots)
        var least = -Float.infinity
        if unsafe best.count == best.capacity {
            least = unsafe BulkKey.score(best.keys[best.capacity - 1])
        }
        let passed = unsafe kyro_keep_i32(
            dots, table.factors.pointer + range.lowerBound,
            table.biases.pointer + range.lowerBound, range.count, rows.choiceFactor(member),
            least, columns.pointer, scores.pointer)
        for i in 0..<passed where scores[i] >= least {
            let pivot = UInt32(range.lowerBound) + columns[i]
            unsafe best.insert(BulkKey.key(scores[i], pivot, asks: 0))
            if unsafe best.count == best.capacity {
                least = unsafe BulkKey.score(best.keys[best.capacity - 1])
            }
        }
    }
}
