// How work reaches a thread that waits for it: bounded, many producers, one consumer.

/// A first-in first-out queue bounded by the weight of what it holds. Producers never wait: a full
/// queue refuses. The consumer takes everything that is there at once, which is what makes a group
/// commit a group.
///
/// Inlinable, since a generic call across modules looks its types up at run time.
///
/// `@unchecked Sendable`: all state is touched under the monitor's lock only.
public final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
    @usableFromInline let monitor = Monitor()
    @usableFromInline let weightMax: Int
    @usableFromInline var elements: [Element] = []
    @usableFromInline var weights: [Int] = []
    @usableFromInline var weight = 0
    @usableFromInline var isClosed = false
    /// The depth that the consumer waits for; zero while it does not.
    @usableFromInline var awaitedDepth = 0

    /// - Parameter weightMax: in the unit of `push`'s weight, bytes as a rule.
    public init(weightMax: Int) {
        self.weightMax = weightMax
    }

    public enum PushResult: Sendable {
        case accepted
        case full
        case closed
    }

    /// An element heavier than the whole bound is taken when the queue is empty.
    /// - Parameter ignoresBound: for producers whose total is bounded elsewhere.
    @inlinable public func push(
        _ element: Element, weight added: Int = 1, ignoresBound: Bool = false
    ) -> PushResult {
        monitor.lock()
        defer { monitor.unlock() }
        if isClosed { return .closed }
        if weight + added > weightMax, !elements.isEmpty, !ignoresBound { return .full }
        elements.append(element)
        weights.append(added)
        weight += added
        if awaitedDepth > 0, elements.count >= awaitedDepth { monitor.wakeOne() }
        return .accepted
    }

    /// Takes what is there, oldest first, up to `weightLimit` but at least one element; waits for
    /// one up to `timeoutMillis`, for ever when that is nil. Empty after the time-out, and when the
    /// queue is closed and empty. One consumer.
    @inlinable public func popAll(weightLimit: Int = .max, timeoutMillis: Int? = nil) -> [Element] {
        monitor.lock()
        defer { monitor.unlock() }
        if elements.isEmpty, !isClosed {
            wait(forDepth: 1, timeoutNanos: timeoutMillis.map { UInt64(max(0, $0)) * 1_000_000 })
        }
        var count = 0
        var taken = 0
        while count < elements.count, count == 0 || taken + weights[count] <= weightLimit {
            taken += weights[count]
            count += 1
        }
        weight -= taken
        if count == elements.count {
            defer {
                elements = []
                weights = []
            }
            return elements
        }
        let head = Array(elements[..<count])
        elements.removeFirst(count)
        weights.removeFirst(count)
        return head
    }

    /// Waits until so many elements are there, at most so long, and no longer than until the queue
    /// is closed. The consumer's alone.
    public func wait(forDepth depth: Int, timeoutNanos: UInt64) {
        monitor.lock()
        defer { monitor.unlock() }
        wait(forDepth: depth, timeoutNanos: .some(timeoutNanos))
    }

    /// Refuses what comes from now on and wakes the consumer; what is there can still be taken.
    public func close() {
        monitor.lock()
        isClosed = true
        monitor.wakeAll()
        monitor.unlock()
    }

    /// Elements waiting.
    public var depth: Int {
        monitor.lock()
        defer { monitor.unlock() }
        return elements.count
    }

    /// Weight of the elements waiting.
    public var queuedWeight: Int {
        monitor.lock()
        defer { monitor.unlock() }
        return weight
    }

    public var isDrained: Bool {
        monitor.lock()
        defer { monitor.unlock() }
        return isClosed && elements.isEmpty
    }

    @inlinable func wait(forDepth depth: Int, timeoutNanos: UInt64?) {
        awaitedDepth = depth
        defer { awaitedDepth = 0 }
        guard let timeoutNanos else {
            return monitor.wait { elements.count < depth && !isClosed }
        }
        monitor.wait(timeoutNanos: timeoutNanos) { elements.count < depth && !isClosed }
    }
}
