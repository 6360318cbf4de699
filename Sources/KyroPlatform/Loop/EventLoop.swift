// One thread, its epoll set, its timers, and the jobs that other threads hand it.
//
// A turn: wait; the descriptors that are ready; jobs; timers; what was put off to the turn's end.
import CLinux
import Glibc
import Synchronization

/// Learns that a descriptor is ready. Called on the loop's thread.
public protocol LoopChannel: AnyObject {
    func ready(_ readiness: LoopReadiness)
}

public struct LoopReadiness: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let readable = LoopReadiness(rawValue: 1)
    public static let writable = LoopReadiness(rawValue: 2)
    /// Error or hang-up: reading tells which.
    public static let hungUp = LoopReadiness(rawValue: 4)
}

/// Where a channel stands in its loop.
public struct LoopRegistration {
    let fd: Int32
    let slot: Int
    let generation: UInt32
}

/// `execute`, `stop` and `join` may be called from any thread; everything else on the loop's own.
///
/// `@unchecked Sendable`: jobs and flags are behind `shared` and atomics; the rest is touched by the
/// loop's thread, which every other method checks.
@safe public final class EventLoop: @unchecked Sendable {
    public typealias Job = @Sendable () -> Void

    private struct Shared {
        var jobs: [Job] = []
        var isWakePending = false
        var isStopping = false
    }

    private struct Entry {
        var channel: LoopChannel?
        var generation: UInt32 = 0
    }

    public let name: String
    private let epoll: Int32
    private let wake: Int32
    private let shared = Locked(Shared())
    private let thread = Locked<LoopThread?>(nil)
    private let owner = Atomic<UInt>(0)

    private var entries: [Entry] = []
    private var freeSlots: [Int] = []
    private var timers = TimerHeap()
    private var runningJobs: [Job] = []
    private var turnEnds: [() -> Void] = []
    private var readyLeft = 0
    /// Work that a channel has read and not handled yet; counts for `hasOtherReadyWork`.
    public var backlog = 0
    /// CLOCK_MONOTONIC, read once a turn.
    public private(set) var nowNanos = EventLoop.monotonicNanos()
    /// Free for use between two calls on this loop: what a socket is read into.
    public var scratch = [UInt8](repeating: 0, count: 64 << 10)

    private static let eventsMax = 256
    private static let wakeSlot = UInt64.max
    private let ready: UnsafeMutablePointer<epoll_event>

    public init(name: String) throws(SocketError) {
        self.name = name
        unsafe ready = .allocate(capacity: Self.eventsMax)
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw .last("epoll_create1") }
        wake = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard wake >= 0 else { throw .last("eventfd") }
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue
        unsafe event.data.u64 = Self.wakeSlot
        guard unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0 else {
            throw .last("epoll_ctl")
        }
    }

    deinit {
        _ = Glibc.close(epoll)
        _ = Glibc.close(wake)
        unsafe ready.deallocate()
    }

    public static func monotonicNanos() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    // MARK: from any thread

    /// Starts the loop's thread. Once.
    public func start() {
        thread.withLock { thread in
            precondition(thread == nil, "loop \(name) runs already")
            thread = LoopThread(name: name) { self.run() }
        }
    }

    /// Runs `job` on the loop, soon, in order. False, and it never runs, when the loop has stopped.
    @discardableResult
    public func execute(_ job: @escaping Job) -> Bool {
        let (accepted, mustWake) = shared.withLock { shared -> (Bool, Bool) in
            guard !shared.isStopping else { return (false, false) }
            shared.jobs.append(job)
            defer { shared.isWakePending = true }
            return (true, !shared.isWakePending)
        }
        if mustWake, !isInLoop { signal() }
        return accepted
    }

    /// Ends the loop after the jobs handed in before.
    public func stop() {
        shared.withLock { $0.isStopping = true }
        signal()
    }

    /// Waits for the loop's thread to end.
    public func join() {
        let running = thread.withLock { thread in thread.take() }
        running?.join()
    }

    public var isInLoop: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

    private func signal() {
        var one: UInt64 = 1
        _ = unsafe Glibc.write(wake, &one, 8)
    }

    // MARK: on the loop

    /// True when something else waits to be served by this loop: long work belongs elsewhere then.
    public var hasOtherReadyWork: Bool { readyLeft > 0 || backlog > 0 }

    /// Watches a descriptor for input (level-triggered), and for room when `writable` is asked for.
    public func register(
        fd: Int32, channel: LoopChannel, writable: Bool = false
    ) throws(SocketError) -> LoopRegistration {
        let slot = freeSlots.popLast() ?? entries.count
        if slot == entries.count { entries.append(Entry()) }
        entries[slot].generation &+= 1
        entries[slot].channel = channel
        let registration = LoopRegistration(
            fd: fd, slot: slot, generation: entries[slot].generation)
        guard
            control(EPOLL_CTL_ADD, registration, readable: true, writable: writable)
        else {
            let error = SocketError.last("epoll_ctl")
            entries[slot].channel = nil
            freeSlots.append(slot)
            throw error
        }
        return registration
    }

    public func update(_ registration: LoopRegistration, readable: Bool, writable: Bool) {
        let changed = control(EPOLL_CTL_MOD, registration, readable: readable, writable: writable)
        precondition(changed, "descriptor \(registration.fd) is not watched: errno \(errno)")
    }

    /// Before the descriptor is closed.
    public func unregister(_ registration: LoopRegistration) {
        guard entries[registration.slot].generation == registration.generation,
            entries[registration.slot].channel != nil
        else { return }
        entries[registration.slot].channel = nil
        freeSlots.append(registration.slot)
        var none = unsafe epoll_event()
        unsafe epoll_ctl(epoll, EPOLL_CTL_DEL, registration.fd, &none)
    }

    /// Runs `action` at a moment of `nowNanos`' clock, or soon after.
    @discardableResult
    public func schedule(
        atNanos deadline: UInt64, _ action: @escaping () -> Void
    ) -> LoopTimer {
        timers.arm(deadlineNanos: deadline, action)
    }

    @discardableResult
    public func schedule(
        afterNanos delay: UInt64, _ action: @escaping () -> Void
    ) -> LoopTimer {
        let (deadline, overflow) = Self.monotonicNanos().addingReportingOverflow(delay)
        return timers.arm(deadlineNanos: overflow ? .max : deadline, action)
    }

    public func cancel(_ timer: LoopTimer) { timers.cancel(timer) }

    /// Runs `action` once at the end of this turn: output of many jobs goes out in one write.
    public func atTurnEnd(_ action: @escaping () -> Void) { turnEnds.append(action) }

    private func control(
        _ operation: Int32, _ registration: LoopRegistration, readable: Bool, writable: Bool
    ) -> Bool {
        var event = unsafe epoll_event()
        unsafe event.events =
            (readable ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0)
            | (writable ? EPOLLOUT.rawValue : 0)
        unsafe event.data.u64 = UInt64(registration.generation) << 32 | UInt64(registration.slot)
        return unsafe epoll_ctl(epoll, operation, registration.fd, &event) == 0
    }

    private func run() {
        owner.store(UInt(pthread_self()), ordering: .relaxed)
        while turn() {}
        owner.store(0, ordering: .relaxed)
        // Whoever is still here is told nothing: owners close their descriptors before `stop`.
        entries = []
        timers = TimerHeap()
    }

    /// False when the loop is to end.
    private func turn() -> Bool {
        let count = unsafe epoll_wait(epoll, ready, Int32(Self.eventsMax), waitMillis())
        nowNanos = Self.monotonicNanos()
        if count > 0 {
            readyLeft = Int(count)
            for i in 0..<Int(count) where unsafe ready[i].data.u64 == Self.wakeSlot {
                readyLeft -= 1
                clearWake()
            }
            for i in 0..<Int(count) where unsafe ready[i].data.u64 != Self.wakeSlot {
                readyLeft -= 1
                unsafe dispatch(ready[i])
            }
        }
        let isStopping = runJobs()
        while let action = timers.popDue(nowNanos: nowNanos) { action() }
        while !turnEnds.isEmpty {
            let actions = turnEnds
            turnEnds.removeAll(keepingCapacity: true)
            for action in actions { action() }
        }
        return !isStopping
    }

    private func clearWake() {
        var value: UInt64 = 0
        _ = unsafe Glibc.read(wake, &value, 8)
    }

    private func dispatch(_ event: epoll_event) {
        let slot = unsafe Int(event.data.u64 & 0xFFFF_FFFF)
        let generation = unsafe UInt32(event.data.u64 >> 32)
        guard entries[slot].generation == generation, let channel = entries[slot].channel else {
            return
        }
        var readiness: LoopReadiness = []
        if unsafe event.events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 {
            readiness.insert(.readable)
        }
        if unsafe event.events & EPOLLOUT.rawValue != 0 { readiness.insert(.writable) }
        if unsafe event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
            readiness.insert(.hungUp)
        }
        channel.ready(readiness)
    }

    /// Jobs that are handed in meanwhile wait for the next turn, so that sockets get theirs.
    private func runJobs() -> Bool {
        let isStopping = shared.withLock { shared in
            swap(&runningJobs, &shared.jobs)
            shared.isWakePending = false
            return shared.isStopping
        }
        for job in runningJobs { job() }
        runningJobs.removeAll(keepingCapacity: true)
        return isStopping
    }

    /// Milliseconds to sleep, rounded up; -1 is for ever.
    private func waitMillis() -> Int32 {
        if shared.withLock({ !$0.jobs.isEmpty }) { return 0 }
        guard let deadline = timers.nextDeadline() else { return -1 }
        let now = Self.monotonicNanos()
        guard deadline > now else { return 0 }
        return Int32(clamping: (deadline - now + 999_999) / 1_000_000)
    }
}
