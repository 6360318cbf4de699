// The structure over the rows of an index, taken over by one that has only some of them.
import KyroModel

/// Carries a graph or inverted lists over, some rows at a time. The new index's maintenance process
/// alone calls it.
public final class IndexCarry {
    private let graph: GraphCarry?
    private let lists: ListCarry?

    /// Nil when there is nothing to carry over or folding the rows anew is better.
    /// - Parameters:
    ///   - slotCount: old slots below were mapped, and their vectors taken by `new` in order.
    ///   - map: from the old index's slots to the new one's.
    public init?(from old: VectorIndex, to new: VectorIndex, below slotCount: Int, map: SlotMap) {
        if new.buildsGraph {
            lists = nil
            graph = GraphCarry(from: old, to: new, below: slotCount, map: map)
        } else {
            graph = nil
            lists = ListCarry(from: old, to: new, below: slotCount, map: map)
        }
        if graph == nil, lists == nil { return nil }
    }

    /// Rows of the new index that have their place in its structure, about.
    public var rowsDone: Int { graph?.rowsDone ?? lists?.rowsDone ?? 0 }

    /// About `rowsMax` rows further; true at the end, when the new index has its structure.
    public func step(rowsMax: Int) -> Bool {
        graph?.step(rowsMax: rowsMax) ?? lists?.step(rowsMax: rowsMax) ?? true
    }
}

/// Rows stay in their lists, under new numbers: a look at each costs as good as nothing.
final class ListCarry {
    private let old: InvertedLists
    private let oldRows: VectorRows
    private let new: VectorIndex
    private let inverted: InvertedFile
    private let carried: InvertedLists
    private let oldCount: Int
    private let newCount: Int
    private let map: SlotMap
    private var list = 0

    init?(from old: VectorIndex, to new: VectorIndex, below slotCount: Int, map: SlotMap) {
        guard let inverted = new.inverted, inverted.current == nil,
            inverted.parameters == old.inverted?.parameters, let lists = old.inverted?.current
        else { return nil }
        let count = min(
            lists.count, old.rows.rows(belowSlot: slotCount, rowCount: old.rows.count))
        var left = 0
        for row in 0..<count where map[Int(old.rows.slots[row])] != nil { left += 1 }
        let (trained, squares) = lists.trained
        guard left > new.flatRowsMax, left >= trained / ListParameters.growthMax else { return nil }
        precondition(left <= new.rows.count, "\(left) rows of \(new.rows.count)")
        self.old = lists
        oldRows = old.rows
        self.new = new
        self.inverted = inverted
        carried = InvertedLists(lists.centroids)
        carried.setTrained(rows: trained, squares: squares)
        oldCount = count
        newCount = left
        self.map = map
    }

    var rowsDone: Int { newCount * list / max(1, old.listCount) }

    func step(rowsMax: Int) -> Bool {
        var rest = rowsMax
        while rest > 0, list < old.listCount {
            let length = old.entries.count(list)
            // Without memory for them the rows are scanned, and folding tries again.
            guard carried.tryReserve(rows: length) else { return true }
            carry(list)
            list += 1
            rest -= length + 1
        }
        guard list == old.listCount else { return false }
        carried.publish(count: newCount)
        inverted.install(carried)
        return true
    }

    private func carry(_ list: Int) {
        let rowCount = new.rows.count
        do throws(KyroError) {
            try old.entries.forEachEntry(list) { row throws(KyroError) in
                guard Int(row) < oldCount else { return false }
                if let slot = map[Int(oldRows.slots[Int(row)])],
                    let left = new.rows.row(ofSlot: slot, rowCount: rowCount)
                {
                    carried.append(left, to: list)
                }
                return true
            }
        } catch {
            preconditionFailure("a list could not be gone through: \(error)")
        }
    }
}
