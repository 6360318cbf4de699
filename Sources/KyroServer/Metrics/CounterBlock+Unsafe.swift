// Counters of one loop: it alone adds to them, whoever exports metrics reads them meanwhile.
import Synchronization

/// `@unchecked Sendable`: every cell is atomic. Adding is a load and a store, no locked instruction:
/// one thread at a time adds.
@safe final class CounterBlock: @unchecked Sendable {
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    let count: Int

    init(count: Int) {
        self.count = count
        unsafe cells = .allocate(capacity: count)
        for i in 0..<count { unsafe (cells + i).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe cells.deinitialize(count: count)
        unsafe cells.deallocate()
    }

    func add(_ amount: UInt64, at index: Int) {
        precondition(index >= 0 && index < count, "cell \(index) of \(count)")
        let value = unsafe cells[index].load(ordering: .relaxed)
        unsafe cells[index].store(value &+ amount, ordering: .relaxed)
    }

    /// Any thread.
    func value(at index: Int) -> UInt64 {
        precondition(index >= 0 && index < count, "cell \(index) of \(count)")
        return unsafe cells[index].load(ordering: .relaxed)
    }
}
