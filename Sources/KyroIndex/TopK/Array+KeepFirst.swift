// The first few of many in some order.

extension Array {
    /// Leaves the first `count` elements in the given order, sorted: O(n log count), where few of many
    /// are kept, and a plain sort else.
    /// - Parameter precedes: a strict order without equal elements, or else which of these are kept
    ///   depends on where they stood.
    @inlinable
    public mutating func keepFirst(
        _ kept: Int, inOrder precedes: (Element, Element) throws -> Bool
    ) rethrows {
        precondition(kept >= 0, "\(kept) elements")
        if kept > count / 4 {
            try sort(by: precedes)
            if count > kept { removeLast(count - kept) }
            return
        }
        if kept == 0 { return removeAll() }
        // A heap with the last of those kept on top.
        var heap = Array(self[..<kept])
        for root in stride(from: kept / 2 - 1, through: 0, by: -1) {
            try heap.siftDown(root, precedes)
        }
        for element in self[kept...] where try precedes(element, heap[0]) {
            heap[0] = element
            try heap.siftDown(0, precedes)
        }
        try heap.sort(by: precedes)
        self = heap
    }

    @inlinable
    mutating func siftDown(
        _ start: Int, _ precedes: (Element, Element) throws -> Bool
    ) rethrows {
        var parent = start
        while true {
            var last = parent
            let left = 2 * parent + 1
            if left < count, try precedes(self[last], self[left]) { last = left }
            if left + 1 < count, try precedes(self[last], self[left + 1]) { last = left + 1 }
            if last == parent { return }
            swapAt(parent, last)
            parent = last
        }
    }
}
