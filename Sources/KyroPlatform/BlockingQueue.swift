// How work reaches a thread that waits for it: bounded, many producers, one consumer.
import Glibc

/// A first-in first-out queue bounded by the weight of what it holds. Producers never wait: a full
/// queue refuses. The consumer takes everything that is there at once, which is what makes a group
/// commit a group.
///
/// `@unchecked Sendable`: all state is touched under `mutex` only.
@safe public final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let weightMax: Int
    private var elements: [Element] = []
    private var weights: [Int] = []
    private var weight = 0
    private var isClosed = false
    private var isWaiting = false

    /// - Parameter weightMax: in the unit of `push`'s weight, bytes as a rule.
    public init(weightMax: Int) {
        self.weightMax = weightMax
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    public enum PushResult: Sendable {
        case accepted
        case full
        case closed
    }

    /// An element heavier than the whole bound is taken when the queue is empty.
    /// - Parameter ignoresBound: for producers whose total is bounded elsewhere.
    public func push(
        _ element: Element, weight added: Int = 1, ignoresBound: Bool = false
    ) -> PushResult {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        if isClosed { return .closed }
        if weight + added > weightMax, !elements.isEmpty, !ignoresBound { return .full }
        elements.append(element)
        weights.append(added)
        weight += added
        if isWaiting { unsafe pthread_cond_signal(condition) }
        return .accepted
    }

    /// Takes what is there, oldest first, up to `weightLimit` but at least one element; waits for
    /// one up to `timeoutMillis`, for ever when that is nil. Empty after the time-out, and when the
    /// queue is closed and empty. One consumer.
    public func popAll(weightLimit: Int = .max, timeoutMillis: Int? = nil) -> [Element] {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        if elements.isEmpty, !isClosed { wait(timeoutMillis: timeoutMillis) }
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

    /// Refuses what comes from now on and wakes the consumer; what is there can still be taken.
    public func close() {
        unsafe pthread_mutex_lock(mutex)
        isClosed = true
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Elements waiting.
    public var depth: Int {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return elements.count
    }

    public var isDrained: Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return isClosed && elements.isEmpty
    }

    private func wait(timeoutMillis: Int?) {
        isWaiting = true
        defer { isWaiting = false }
        guard let timeoutMillis else {
            while elements.isEmpty, !isClosed { unsafe pthread_cond_wait(condition, mutex) }
            return
        }
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanos = deadline.tv_nsec + (timeoutMillis % 1_000) * 1_000_000
        deadline.tv_sec += timeoutMillis / 1_000 + nanos / 1_000_000_000
        deadline.tv_nsec = nanos % 1_000_000_000
        while elements.isEmpty, !isClosed {
            if unsafe pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return }
        }
    }
}
