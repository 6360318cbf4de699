// The best k of many candidates.

/// Says which of two slots comes first when their scores are equal: the one with the smaller
/// document id. Asked on ties alone.
public protocol SlotOrder: AnyObject, Sendable {
    func precedes(_ a: Int, _ b: Int) -> Bool
}

/// A bounded heap with the worst kept candidate on top. The kept set and its order depend only on
/// the candidates, not on the order in which they come.
public struct TopK {
    public let k: Int
    @usableFromInline let order: any SlotOrder
    @usableFromInline var heap: [ScoredSlot] = []

    public init(k: Int, order: any SlotOrder) {
        self.k = k
        self.order = order
        heap.reserveCapacity(min(k, 1_024) + 1)
    }

    @inlinable public var count: Int { heap.count }
    @inlinable public var isFull: Bool { heap.count >= k }

    /// Only a candidate that scores at least this can still be kept.
    @inlinable public var threshold: Float {
        isFull ? (heap.first?.score ?? .infinity) : -.infinity
    }

    @inlinable public mutating func insert(_ candidate: ScoredSlot) {
        if heap.count < k {
            heap.append(candidate)
            siftUp(heap.count - 1)
        } else if let worst = heap.first, isBetter(candidate, worst) {
            heap[0] = candidate
            siftDown(0)
        }
    }

    /// The kept candidates, best first. Leaves the heap empty.
    public mutating func drainSorted() -> [ScoredSlot] {
        let sorted = heap.sorted { isBetter($0, $1) }
        heap.removeAll(keepingCapacity: true)
        return sorted
    }

    @inlinable func isBetter(_ a: ScoredSlot, _ b: ScoredSlot) -> Bool {
        if a.score != b.score { return a.score > b.score }
        return a.slot != b.slot && order.precedes(a.slot, b.slot)
    }

    @inlinable mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBetter(heap[parent], heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    @inlinable mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var worst = parent
            let left = 2 * parent + 1
            if left < heap.count, isBetter(heap[worst], heap[left]) { worst = left }
            if left + 1 < heap.count, isBetter(heap[worst], heap[left + 1]) { worst = left + 1 }
            if worst == parent { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}
