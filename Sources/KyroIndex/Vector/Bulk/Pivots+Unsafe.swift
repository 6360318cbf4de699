// The pivots that partitions lie around, and the search for those nearest to each row.
import CKernels
import KyroBytes
import KyroModel

/// Pivots, group after group, their codes side by side.
@safe final class PivotTable: Sendable {
    let count: Int
    /// Bytes from one pivot's codes to the next one's.
    let stride: Int
    let codes: BulkArray<Int8>
    let factors: BulkArray<Float>
    let biases: BulkArray<Float>
    /// First pivot of each group, and the end of the last: one group where there are few.
    let groupStarts: [Int]
    let groupsProbed: Int
    /// The groups' own pivots.
    let groups: PivotTable?

    /// So many are looked through without groups.
    private static let ungroupedMax = 256

    /// Nil when cancelled.
    static func drawn(
        from rows: BulkRows, count: Int, parameters: BulkParameters, cancellation: Cancellation
    ) -> PivotTable? {
        let drawn = (0..<count).map { i in
            let first = i * rows.count / count
            let width = (i + 1) * rows.count / count - first
            return first + Int(mix64(parameters.seed &+ UInt64(i)) % UInt64(width))
        }
        guard count > ungroupedMax else {
            return PivotTable(rows, drawn, groups: nil, starts: [0, count], probed: 1)
        }
        let groupCount = Int(Double(count).squareRoot())
        let heads = (0..<groupCount).map { drawn[$0 * count / groupCount] }
        let groups = PivotTable(
            rows, heads, groups: nil, starts: [0, groupCount], probed: 1)
        let chooser = PivotChooser(groups, rows: rows, overlap: 1)
        let block = PivotChooser.blockRows(of: rows.count)
        var grouped = [[Int]](repeating: [], count: groupCount)
        for first in Swift.stride(from: 0, to: count, by: block) {
            let width = min(block, count - first)
            chooser.choose(for: width, cancellation) { drawn[first + $0] }
            guard !cancellation.isCancelled else { return nil }
            for i in 0..<width { grouped[chooser.pivot(0, of: i)].append(drawn[first + i]) }
        }
        var starts = [0]
        for group in grouped { starts.append(starts[starts.count - 1] + group.count) }
        return PivotTable(
            rows, grouped.flatMap { $0 }, groups: groups, starts: starts,
            probed: min(parameters.groupsProbed, groupCount))
    }

    private init(
        _ rows: BulkRows, _ members: [Int], groups: PivotTable?, starts: [Int], probed: Int
    ) {
        count = members.count
        stride = (rows.dimension + 63) & ~63
        codes = BulkArray(repeating: 0, count: count * stride)
        factors = BulkArray(toBeFilled: count)
        biases = BulkArray(toBeFilled: count)
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

/// One thread's search for the nearest pivots of rows: of a block of rows at once, so that those
/// which look into the same group meet its pivots in tiles.
@safe final class PivotChooser {
    /// Nearest pivots of each row of the block, as keys, nearest first.
    private struct Nearest {
        let wanted: Int
        let keys: BulkArray<UInt64>
        let counts: BulkArray<Int>

        init(_ wanted: Int, rowCount: Int) {
            self.wanted = wanted
            keys = BulkArray(toBeFilled: wanted * rowCount)
            counts = BulkArray(repeating: 0, count: rowCount)
        }
    }

    private let pivots: PivotTable
    private let rows: BulkRows
    private let nearest: Nearest
    private let nearestGroups: Nearest
    private let codes: CodeList
    private let factors: BulkArray<Float>
    /// Rows of the block, group after group, each in as many groups as it looks into.
    private let rowsOfGroups: BulkArray<UInt32>
    private var groupEnds: [Int]

    private let tileCodes: CodeList
    private let pivotCodes: CodeList
    private let dots: BulkArray<Int32>

    private static let blockRowsMax = 2_048
    /// Rows and pivots of a tile: 256 × 512 products are 0.5 MB.
    private static let tileRows = 256
    private static let tilePivots = 512
    /// Of 64-byte lines an odd number, so that rows do not share cache sets.
    private static let tileStride = tilePivots + 16

    /// Rows that are looked at together: enough of them look into the same group, and there are
    /// blocks for all threads.
    static func blockRows(of rowCount: Int) -> Int {
        min(blockRowsMax, max(tileRows, rowCount / 64))
    }

    init(_ pivots: PivotTable, rows: BulkRows, overlap: Int) {
        let rowCount = Self.blockRows(of: rows.count)
        self.pivots = pivots
        self.rows = rows
        nearest = Nearest(overlap, rowCount: rowCount)
        nearestGroups = Nearest(pivots.groupsProbed, rowCount: rowCount)
        codes = CodeList(capacity: rowCount)
        factors = BulkArray(toBeFilled: rowCount)
        rowsOfGroups = BulkArray(toBeFilled: pivots.groupsProbed * rowCount)
        groupEnds = []
        tileCodes = CodeList(capacity: Self.tileRows)
        pivotCodes = CodeList(capacity: Self.tilePivots)
        dots = BulkArray(toBeFilled: Self.tileRows * Self.tileStride)
    }

    /// The t-th nearest pivot of the block's i-th row.
    func pivot(_ t: Int, of i: Int) -> Int {
        Int(BulkKey.member(nearest.keys[i * nearest.wanted + t], asks: .max))
    }

    /// Finds the nearest pivots of `count` rows, at most a block. When cancelled what is found says
    /// nothing.
    func choose(for count: Int, _ cancellation: Cancellation, member: (Int) -> Int) {
        precondition(count <= nearest.counts.count, "\(count) of \(nearest.counts.count)")
        for i in 0..<count {
            let row = member(i)
            unsafe codes.pointer[i] = unsafe rows.codes(row)
            factors[i] = rows.choiceFactor(row)
            nearest.counts[i] = 0
        }
        sortIntoGroups(count)
        for group in 0..<groupEnds.count {
            if cancellation.isCancelled { return }
            let first = group == 0 ? 0 : groupEnds[group - 1]
            let range = pivots.groupStarts[group]..<pivots.groupStarts[group + 1]
            look(first..<groupEnds[group], among: pivots, range: range, nearest)
        }
        for i in 0..<count where nearest.counts[i] < nearest.wanted {
            if cancellation.isCancelled { return }
            // Its groups have too few.
            nearest.counts[i] = 0
            rowsOfGroups[0] = UInt32(i)
            look(0..<1, among: pivots, range: 0..<pivots.count, nearest)
        }
    }

    private func sortIntoGroups(_ count: Int) {
        for i in 0..<count { rowsOfGroups[i] = UInt32(i) }
        guard let groups = pivots.groups else {
            groupEnds = [count]
            return
        }
        for i in 0..<count { nearestGroups.counts[i] = 0 }
        look(0..<count, among: groups, range: 0..<groups.count, nearestGroups)
        let probed = nearestGroups.wanted
        // First the start of each group's rows, which moves on to their end.
        groupEnds = [Int](repeating: 0, count: groups.count + 1)
        for i in 0..<(count * probed) {
            groupEnds[Int(BulkKey.member(nearestGroups.keys[i], asks: .max)) + 1] += 1
        }
        for group in 0..<groups.count { groupEnds[group + 1] += groupEnds[group] }
        groupEnds.removeLast()
        for i in 0..<(count * probed) {
            let group = Int(BulkKey.member(nearestGroups.keys[i], asks: .max))
            rowsOfGroups[groupEnds[group]] = UInt32(i / probed)
            groupEnds[group] += 1
        }
    }

    /// Adds the nearest pivots of a range to those of the rows in `places` of `rowsOfGroups`.
    private func look(
        _ places: Range<Int>, among table: PivotTable, range: Range<Int>, _ nearest: Nearest
    ) {
        let wanted = nearest.wanted
        for column in stride(from: range.lowerBound, to: range.upperBound, by: Self.tilePivots) {
            let width = min(Self.tilePivots, range.upperBound - column)
            for i in 0..<width {
                let pivot = unsafe table.codes.pointer + (column + i) * table.stride
                unsafe pivotCodes.pointer[i] = unsafe UnsafePointer(pivot)
            }
            for first in stride(from: places.lowerBound, to: places.upperBound, by: Self.tileRows) {
                let height = min(Self.tileRows, places.upperBound - first)
                for i in 0..<height {
                    let row = Int(rowsOfGroups[first + i])
                    unsafe tileCodes.pointer[i] = unsafe codes.pointer[row]
                }
                unsafe kyro_dot_i8_tile(
                    tileCodes.pointer, height, pivotCodes.pointer, width, rows.dimension,
                    dots.pointer, Self.tileStride)
                for i in 0..<height {
                    let row = Int(rowsOfGroups[first + i])
                    nearest.counts[row] = unsafe kyro_best_i32(
                        dots.pointer + i * Self.tileStride, table.factors.pointer + column,
                        table.biases.pointer + column, width, factors[row], UInt32(column), .max,
                        wanted, nearest.keys.pointer + row * wanted, nearest.counts[row])
                }
            }
        }
    }
}
