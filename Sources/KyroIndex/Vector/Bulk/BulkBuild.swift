// A navigable graph of many rows at once: partitions, products of all pairs inside them, pruning.
//
// Instead of searching a growing graph for the neighbours of each row, rows are put into
// overlapping partitions of a few hundred, whose codes stay in a core's cache, and the nearest of
// each partition are found by comparing all pairs; what a row's partitions found together is
// pruned to its list. The layers above the base have the same rows as in a graph that grew row by
// row, for a row's height follows from its number, and are built in the same way out of their own
// rows: so that searches, snapshots and later insertions find the structure that they know, at
// a fifteenth of the base's cost.
//
// Lists do not depend on the number of threads: each partition and each row is one thread's work,
// written to places of its own, and depends on nothing that another thread does meanwhile.
import KyroModel

/// The lists of a graph over rows [first, last) of a vector index, not yet seen by any reader.
public struct BulkGraph: Sendable {
    public struct Layer: Sendable {
        let members: BulkArray<UInt32>
        /// `width` cells of row + 1 a member, filled from the front, 0 behind.
        let cells: BulkArray<UInt32>
        public let width: Int
        /// Rows that nobody led to until they were given an edge.
        public let repaired: Int

        /// Rows of the layer, ascending.
        public var rows: [Int] { (0..<members.count).map { Int(members[$0]) } }

        /// Of the i-th row of the layer.
        public func neighbours(_ i: Int) -> [Int] {
            precondition(i >= 0 && i < members.count, "member \(i) of \(members.count)")
            return (0..<width).map { cells[i * width + $0] }.prefix { $0 != 0 }.map { Int($0) - 1 }
        }
    }

    /// From the base on.
    public let layers: [Layer]
    public let entry: Int
}

/// Told which step begins, for progress and measurements.
public typealias BulkObserver = @Sendable (BulkStep) -> Void

public enum BulkStep: Sendable, Equatable {
    case partitioning, pairing, choosing, answering, connecting
    /// The layers above the base.
    case above, done
}

struct BulkBuild: Sendable {
    /// Places before its turn that a row's candidates are asked for; a row in eight is chosen for.
    private static let placesAhead = 64

    /// int8, of all rows.
    let codes: CodeColumn
    let graphParameters: GraphParameters
    let parameters: BulkParameters
    let workers: any BulkWorkers
    let cancellation: Cancellation
    var observe: BulkObserver = { _ in }

    /// Of rows [first, last), which must be published; nil when cancelled.
    ///
    /// - Parameter height: the highest layer of a row.
    func run(_ range: Range<Int>, height: (UInt32) -> Int) -> BulkGraph? {
        precondition(range.lowerBound >= 0 && !range.isEmpty)
        var entry = UInt32(range.lowerBound)
        for row in range where height(UInt32(row)) > height(entry) { entry = UInt32(row) }
        let members = BulkArray<UInt32>(repeating: 0, count: range.count)
        for (i, row) in range.enumerated() { members[i] = UInt32(row) }
        guard
            let base = layer(
                members, width: graphParameters.baseCells, entry: entry, observe: observe)
        else { return nil }
        observe(.above)
        var layers = [base]
        for level in 1..<(height(entry) + 1) {
            let high = range.filter { height(UInt32($0)) >= level }
            let members = BulkArray<UInt32>(repeating: 0, count: high.count)
            for (i, row) in high.enumerated() { members[i] = UInt32(row) }
            guard
                let layer = layer(
                    members, width: graphParameters.neighboursMax, entry: entry,
                    observe: { _ in })
            else { return nil }
            layers.append(layer)
        }
        observe(.done)
        return BulkGraph(layers: layers, entry: Int(entry))
    }

    private func layer(
        _ members: BulkArray<UInt32>, width: Int, entry: UInt32, observe: BulkObserver
    ) -> BulkGraph.Layer? {
        let rows = BulkRows(codes: codes, members: members, alpha: parameters.alpha)
        let lists = BulkArray<UInt32>(toBeFilled: rows.count * width)
        guard choose(rows, lists: lists, width: width, observe: observe) else { return nil }
        observe(.answering)
        let choosers = Choosers(
            lists: lists, width: width, workers: workers, cancellation: cancellation)
        guard let choosers else { return nil }
        let cursor = BulkCursor(count: rows.count, block: 256)
        workers.run { _ in
            let pruning = Pruning(rows, lists: lists, width: width)
            while let block = cursor.take(), !cancellation.isCancelled {
                for row in block {
                    pruning.addChoosers(row, choosers.of(row), of: choosers.edges)
                }
            }
        }
        guard !cancellation.isCancelled else { return nil }
        observe(.connecting)
        var entryMember = 0
        for i in 0..<members.count where members[i] == entry { entryMember = i }
        var reachability = Reachability(
            rows, lists: lists, width: width, entry: entryMember, cancellation: cancellation)
        guard reachability.repair() else { return nil }
        nameRows(members, lists: lists, width: width)
        guard !cancellation.isCancelled else { return nil }
        return BulkGraph.Layer(
            members: members, cells: lists, width: width, repaired: reachability.repaired)
    }

    /// Puts rows in the place of members, which are the same where no row is left out.
    private func nameRows(
        _ members: BulkArray<UInt32>, lists: BulkArray<UInt32>, width: Int
    ) {
        guard members.count > 0, Int(members[members.count - 1]) != members.count - 1 else {
            return
        }
        let cursor = BulkCursor(count: members.count, block: 4_096)
        workers.run { _ in
            while let block = cursor.take(), !cancellation.isCancelled {
                for member in block {
                    for i in (member * width)..<((member + 1) * width) {
                        if lists[i] == 0 { break }
                        lists[i] = members[Int(lists[i]) - 1] + 1
                    }
                }
            }
        }
    }

    /// Each row's own list. False when cancelled.
    private func choose(
        _ rows: BulkRows, lists: BulkArray<UInt32>, width: Int, observe: BulkObserver
    ) -> Bool {
        observe(.partitioning)
        let isWhole = rows.count <= parameters.leafRowsMax
        let partitions =
            isWhole
            ? Partitioning(whole: rows)
            : Partitioning(
                rows, parameters: parameters, workers: workers, cancellation: cancellation)
        guard let partitions else { return false }
        observe(.pairing)
        // One partition has to give what several would.
        let kept = isWhole ? 4 * parameters.kept : parameters.kept
        let found = BulkArray<UInt32>(toBeFilled: partitions.members.count * kept)
        let leaves = BulkCursor(count: partitions.count, block: 1)
        workers.run { _ in
            let pairs = AllPairs(
                rows, parameters: parameters, kept: kept, leafRowsMax: parameters.leafRowsMax,
                found: found, cancellation: cancellation)
            while let leaf = leaves.take(), !cancellation.isCancelled {
                let first = partitions.starts[leaf.lowerBound]
                let end = partitions.starts[leaf.upperBound]
                pairs.run(first..<end, members: partitions.members)
            }
        }
        guard !cancellation.isCancelled else { return false }
        observe(.choosing)
        let cursor = BulkCursor(count: partitions.members.count, block: 1_024)
        workers.run { _ in
            let pruning = Pruning(rows, lists: lists, width: width)
            while let places = cursor.take(), !cancellation.isCancelled {
                // In the order of partitions, so that neighbours are at hand.
                for place in places {
                    let row = Int(partitions.members[place])
                    pruning.prefetch(
                        place + Self.placesAhead, partitions: partitions, found: found, kept: kept)
                    guard Int(partitions.places[row * partitions.overlap]) == place else {
                        continue
                    }
                    pruning.chooseOwn(
                        row, partitions: partitions, found: found, kept: kept, limit: width)
                }
            }
        }
        return !cancellation.isCancelled
    }
}
