// One caller's work, cut into parts that threads with nothing else to do take a share of.
import Synchronization

/// Parts are taken in order, by whoever comes; each is done once.
final class SharedWork: Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> Void
    private let next = Atomic<Int>(0)
    private let open: Atomic<Int>
    private let isDone = Gate()

    /// - Parameter count: of parts, at least one.
    init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        precondition(count > 0, "\(count) parts")
        self.count = count
        self.body = body
        open = Atomic(count)
    }

    /// Does parts until none is left to begin.
    func takePart() {
        while true {
            let part = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard part < count else { return }
            body(part)
            if open.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                isDone.open()
            }
        }
    }

    /// Until all parts are done. For one caller, once.
    func wait() { isDone.wait() }
}
