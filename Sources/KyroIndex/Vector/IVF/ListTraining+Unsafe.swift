// Lists made anew beside those that serve: k-means over a sample (Lloyd 1982; spherical under the
// cosine: Dhillon & Modha 2001), then a list for every row, in steps of some milliseconds.
//
// A list that no sampled row is in takes a row of a long one for its centroid. Everything follows
// from the rows and their number: two trainings of the same rows give the same lists.
import CKernels
import KyroBytes
import KyroModel

/// `@unchecked Sendable`: only the index's one maintenance thread calls it.
@safe final class ListTraining: @unchecked Sendable {
    private enum Phase {
        case clustering
        case assigning
        case ended
    }

    /// What came of it, once `step` has said so.
    let lists: InvertedLists
    private let rows: VectorRows
    /// Rows when it began, which the sample is drawn from.
    private let rowCount: Int
    private let sampleCount: Int
    private let chooser: ListChooser
    private let isUnit: Bool
    private var phase = Phase.clustering
    private var round = 0
    /// In the sample or among the rows.
    private var position = 0
    private var movedCount = 0
    /// Of each sampled row, in the round before.
    private var listOfSample: BulkArray<UInt32>
    /// Of the sampled rows of each list.
    private var sums: BulkArray<Float>
    private var sizes: BulkArray<UInt32>

    /// - Precondition: rows [0, rowCount) are published, and at least one.
    init(rows: VectorRows, rowCount: Int, parameters: ListParameters) {
        precondition(rowCount > 0 && rowCount <= rows.count, "\(rowCount) rows of \(rows.count)")
        self.rows = rows
        self.rowCount = rowCount
        let listCount = parameters.listCount(rowCount: rowCount)
        sampleCount = min(rowCount, listCount * ListParameters.sampledPerList)
        isUnit = rows.metric == .cosine
        let centroids = Centroids(count: listCount, dimension: rows.dimension)
        lists = InvertedLists(centroids)
        chooser = ListChooser(centroids, rows: rows)
        listOfSample = BulkArray(repeating: 0, count: sampleCount)
        sums = BulkArray(repeating: 0, count: listCount * rows.dimension)
        sizes = BulkArray(repeating: 0, count: listCount)
        for list in 0..<listCount {
            let seed = Self.drawn(list, of: listCount, from: sampleCount)
            setCentroid(list, toSampled: seed)
        }
        for i in 0..<sums.count { sums[i] = 0 }
    }

    /// One of the i-th of `parts` equal parts of [0, count): evenly spread, each at most once.
    private static func drawn(_ i: Int, of parts: Int, from count: Int) -> Int {
        let low = i * count / parts
        let width = (i + 1) * count / parts - low
        return low + Int(mix64(UInt64(i)) % UInt64(width))
    }

    private func row(ofSampled i: Int) -> Int { Self.drawn(i, of: sampleCount, from: rowCount) }

    /// About 2 ms further; true when all rows below `end` are in their lists. Nil without memory
    /// for them.
    func step(end: Int, cancellation: Cancellation) -> Bool? {
        var rest = chooser.rowsPerStep
        while rest > 0, !cancellation.isCancelled {
            let batch = min(ListChooser.rowsMax, rest)
            rest -= batch
            switch phase {
            case .clustering: cluster(batch)
            case .assigning:
                guard lists.append(batch, below: end, rows: rows, chooser) else { return nil }
                guard lists.count == end else { continue }
                lists.endTraining()
                phase = .ended
            case .ended: return true
            }
        }
        return phase == .ended
    }

    /// The next sampled rows to their nearest centroids.
    private func cluster(_ batch: Int) {
        let first = position
        let end = min(sampleCount, first + batch)
        chooser.removeAll()
        for i in first..<end { chooser.add(row: row(ofSampled: i)) }
        chooser.choose()
        for i in first..<end {
            let list = chooser.list(i - first)
            if listOfSample[i] != UInt32(list) { movedCount += 1 }
            listOfSample[i] = UInt32(list)
            sizes[list] += 1
            unsafe chooser.addRow(i - first, to: sums.pointer + list * rows.dimension)
        }
        position = end
        if end == sampleCount { endRound() }
    }

    /// Centroids go to the means of their rows.
    private func endRound() {
        let dimension = rows.dimension
        for list in 0..<lists.listCount {
            guard sizes[list] > 0 else { continue }
            let share = 1 / Float(sizes[list])
            let sum = unsafe sums.pointer + list * dimension
            for d in 0..<dimension { unsafe sum[d] *= share }
            unsafe lists.centroids.set(list, to: sum, isUnit: isUnit)
        }
        for list in 0..<lists.listCount where sizes[list] == 0 {
            setCentroid(list, toSampled: rowOfLongList(for: list))
        }
        round += 1
        position = 0
        let isSettled = movedCount * ListParameters.settledShare < sampleCount
        if isSettled || round == ListParameters.roundsMax {
            phase = .assigning
            listOfSample = BulkArray(repeating: 0, count: 0)
            sums = BulkArray(repeating: 0, count: 0)
            sizes = BulkArray(repeating: 0, count: 0)
            return
        }
        movedCount = 0
        unsafe sums.pointer.update(repeating: 0, count: sums.count)
        unsafe sizes.pointer.update(repeating: 0, count: sizes.count)
    }

    /// Of some sampled rows the one with the longest list.
    private func rowOfLongList(for list: Int) -> Int {
        var best = 0
        for attempt in 0..<8 {
            let draw = mix64(UInt64(list) << 16 | UInt64(round) << 8 | UInt64(attempt))
            let sampled = Int(draw % UInt64(sampleCount))
            let isLonger = sizes[Int(listOfSample[sampled])] > sizes[Int(listOfSample[best])]
            if attempt == 0 || isLonger { best = sampled }
        }
        return best
    }

    private func setCentroid(_ list: Int, toSampled sampled: Int) {
        chooser.removeAll()
        chooser.add(row: row(ofSampled: sampled))
        let vector = unsafe sums.pointer + list * rows.dimension
        unsafe vector.update(repeating: 0, count: rows.dimension)
        unsafe chooser.addRow(0, to: vector)
        unsafe lists.centroids.set(list, to: vector, isUnit: isUnit)
    }
}

extension InvertedLists {
    /// Puts up to `rowsMax` of the next rows below `end` into their lists and shows them; false when
    /// there is no memory for them. Maintenance only.
    func append(
        _ rowsMax: Int, below end: Int, rows: VectorRows, _ chooser: ListChooser
    ) -> Bool {
        let first = count
        let batch = min(rowsMax, ListChooser.rowsMax, end - first)
        guard batch > 0 else { return true }
        guard tryReserve(rows: batch) else { return false }
        chooser.removeAll()
        for i in 0..<batch { chooser.add(row: first + i) }
        chooser.choose()
        for i in 0..<batch { append(first + i, to: chooser.list(i)) }
        publish(count: first + batch)
        return true
    }
}
