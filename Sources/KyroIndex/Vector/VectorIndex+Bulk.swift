// The way many rows come into an empty graph: built beside the readers, then shown at once.
import KyroBytes
import KyroModel

extension VectorIndex {
    /// An index of the same rows, none of them in its graph: a graph of all rows is installed there
    /// while searches go on in `other`. What `append` gives to either is in both.
    public convenience init(successorOf other: VectorIndex) {
        self.init(
            field: other.field, parameters: other.parameters, rows: other.rows,
            graph: VectorGraph(rows: other.rows, parameters: other.parameters))
    }

    /// Whether a graph that is built at once of this index's rows is to be preferred to carrying
    /// over that of another, whose rows they were. A graph loses recall with each row that is linked
    /// singly and each that is taken out: from a quarter of those that are left on, not before. One
    /// out of a snapshot counts as if all its rows had been linked singly.
    ///
    /// - Parameter slotCount: slots of the other below were mapped. Its maintenance thread only.
    public func isBetterBuilt(
        thanCarriedFrom old: VectorIndex, below slotCount: Int, map: SlotMap
    ) -> Bool {
        guard buildsGraph, rows.count > flatRowsMax else { return false }
        let count = min(
            old.graph.count, old.rows.rows(belowSlot: slotCount, rowCount: old.rows.count))
        var (left, builtAndLeft) = (0, 0)
        for row in 0..<count where map[Int(old.rows.slots[row])] != nil {
            left += 1
            if row < old.graph.builtAtOnceCount { builtAndLeft += 1 }
        }
        return count - builtAndLeft > left / 4
    }

    /// Rows of slots below the visibility's `slotCount` that are not in the graph.
    public func unfoldedCount(_ visibility: Visibility) -> Int {
        guard buildsGraph else { return 0 }
        let folded = graph.count
        return rows.rows(belowSlot: visibility.slotCount, rowCount: rows.count) - folded
    }

    /// Bytes that a build of all rows takes until it is installed: what it works in or the graph
    /// itself, whichever is more, beside the lists, of which all rows have one in the base layer
    /// and one in `rowsPerUpperList` has another above.
    public func bulkBytes(_ parameters: BulkParameters = .default) -> Int {
        let rowCount = rows.count
        let above = rowCount / self.parameters.rowsPerUpperList + 1
        let lists =
            4 * (rowCount * self.parameters.baseCells + above * self.parameters.neighboursMax)
        return lists + rows.int8CodeBytes(rowCount)
            + max(parameters.scratchBytes(rowCount: rowCount), lists + 4 * rowCount)
    }

    /// The graph of all rows with slots below the visibility's `slotCount`, without showing it to
    /// anybody; nil when there is no row or when cancelled. Any thread, beside the writer and
    /// readers, for it reads only published rows.
    public func bulkGraph(
        _ parameters: BulkParameters = .default, visibility: Visibility,
        workers: any BulkWorkers, cancellation: Cancellation,
        observe: @escaping BulkObserver = { _ in }
    ) -> BulkGraph? {
        let end = rows.rows(belowSlot: visibility.slotCount, rowCount: rows.count)
        guard end > 0,
            let codes = rows.int8Codes(end, workers: workers, cancellation: cancellation)
        else { return nil }
        let build = BulkBuild(
            codes: codes, graphParameters: self.parameters, parameters: parameters,
            workers: workers, cancellation: cancellation, observe: observe)
        return build.run(0..<end) { graph.height($0) }
    }

    /// Takes the lists over and shows them to searches all at once; false when there is no memory
    /// for them or when cancelled. The index's one maintenance thread only; its next `foldStep` goes
    /// on behind them.
    ///
    /// Searches meanwhile scan the rows, as before: lists are complete before the count of the
    /// graph's rows covers them. One that finds the count but not yet the entry scans, too.
    ///
    /// - Precondition: built of this index, whose graph is still empty.
    public func install(
        _ bulk: BulkGraph, workers: any BulkWorkers = SingleWorker(),
        cancellation: Cancellation = Cancellation()
    ) -> Bool {
        precondition(graph.count == 0, "\(graph.count) rows are in the graph already")
        return graph.install(bulk, workers: workers, cancellation)
    }
}

extension VectorGraph {
    /// Maintenance only. False when there is no memory or when cancelled; then the graph shows nothing
    /// and is of no more use.
    func install(
        _ bulk: BulkGraph, workers: any BulkWorkers, _ cancellation: Cancellation
    ) -> Bool {
        let count = bulk.layers[0].members.count
        precondition(count <= rows.count && upperCount == 0, "\(count) rows of \(rows.count)")
        var aboveCount = 0
        for layer in bulk.layers.dropFirst() { aboveCount += layer.members.count }
        guard base.tryReserve(rows: 0..<count), upperList.tryReserve(rows: 0..<count),
            upper.tryReserve(rows: 0..<aboveCount), goneWords.tryReserve(rows: 0..<(count / 32 + 1))
        else { return false }
        for row in 0..<count { reserve(row: UInt32(row)) }
        for (level, layer) in bulk.layers.enumerated() {
            precondition(layer.width == width(layer: level))
            let cursor = BulkCursor(count: layer.members.count, block: 4_096)
            workers.run { _ in
                while let block = cursor.take(), !cancellation.isCancelled {
                    for i in block { self.install(layer, i, level: level) }
                }
            }
            if cancellation.isCancelled { return false }
        }
        builtAtOnceCount = count
        publish(count: count, entry: UInt32(bulk.entry))
        return true
    }

    private func install(_ layer: BulkGraph.Layer, _ i: Int, level: Int) {
        let row = layer.members[i]
        let list = level == 0 ? Int(row) : Int(upperList[Int(row)]) + level - 1
        let column = level == 0 ? base : upper
        for j in 0..<layer.width {
            // What is behind is zero, too, and no reader has seen a list.
            let cell = layer.cells[i * layer.width + j]
            if cell == 0 { break }
            column.store(cell, list, j)
        }
    }
}
