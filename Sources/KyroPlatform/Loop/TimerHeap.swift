// Deadlines of a loop: most are cancelled long before they come.

/// One deadline. Touched on its loop only.
public final class LoopTimer {
    public let deadlineNanos: UInt64
    var action: (() -> Void)?
    fileprivate let order: UInt64

    fileprivate init(deadlineNanos: UInt64, order: UInt64, action: @escaping () -> Void) {
        self.deadlineNanos = deadlineNanos
        self.order = order
        self.action = action
    }

    public var isArmed: Bool { action != nil }
}

/// A binary heap by deadline, equal ones in the order they were armed. Cancelled timers stay until
/// they come up or are half of the heap.
struct TimerHeap {
    private var heap: [LoopTimer] = []
    private var armed: UInt64 = 0
    private var cancelledCount = 0

    var count: Int { heap.count - cancelledCount }

    mutating func arm(deadlineNanos: UInt64, _ action: @escaping () -> Void) -> LoopTimer {
        armed += 1
        let timer = LoopTimer(deadlineNanos: deadlineNanos, order: armed, action: action)
        heap.append(timer)
        siftUp(heap.count - 1)
        return timer
    }

    mutating func cancel(_ timer: LoopTimer) {
        guard timer.isArmed else { return }
        timer.action = nil
        cancelledCount += 1
        guard cancelledCount > 64, cancelledCount * 2 > heap.count else { return }
        heap.removeAll { !$0.isArmed }
        cancelledCount = 0
        for i in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(i) }
    }

    /// The next deadline that is still wanted.
    mutating func nextDeadline() -> UInt64? {
        while let first = heap.first, !first.isArmed {
            removeFirst()
            cancelledCount -= 1
        }
        return heap.first?.deadlineNanos
    }

    /// The action of the next timer that is due; its timer is then spent.
    mutating func popDue(nowNanos: UInt64) -> (() -> Void)? {
        guard let deadline = nextDeadline(), deadline <= nowNanos else { return nil }
        let action = heap[0].action
        heap[0].action = nil
        removeFirst()
        return action
    }

    private mutating func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        siftDown(0)
    }

    private func precedes(_ a: LoopTimer, _ b: LoopTimer) -> Bool {
        (a.deadlineNanos, a.order) < (b.deadlineNanos, b.order)
    }

    private mutating func siftUp(_ start: Int) {
        var i = start
        while i > 0, precedes(heap[i], heap[(i - 1) / 2]) {
            heap.swapAt(i, (i - 1) / 2)
            i = (i - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var i = start
        while true {
            var least = i
            for child in [2 * i + 1, 2 * i + 2]
            where child < heap.count && precedes(heap[child], heap[least]) {
                least = child
            }
            if least == i { return }
            heap.swapAt(i, least)
            i = least
        }
    }
}
