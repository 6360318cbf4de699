// Named threads that are joined, and the gate at which one thread waits for others.
import CLinux

/// A named thread. Start it once, join it once.
///
/// `@unchecked Sendable`: the handle is written by `init` and read by `join` alone.
@safe public final class KyroThread: @unchecked Sendable {
    /// Room for the deepest filter and the largest stack arrays, twice over.
    public static let stackBytesDefault = 4 << 20

    public let name: String
    private let handle: pthread_t
    private let joined = JoinState()

    private final class JoinState {
        var isJoined = false
    }

    /// What the new thread runs; carried over as an opaque pointer.
    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts at once. Running out of threads ends the process: they are few, and made at start.
    ///
    /// - Parameter name: the kernel shows the first 15 bytes.
    public init(
        name: String, stackBytes: Int = KyroThread.stackBytesDefault,
        _ body: @escaping @Sendable () -> Void
    ) {
        self.name = name
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        let sized = unsafe pthread_attr_setstacksize(&attributes, stackBytes)
        precondition(sized == 0, "a stack of \(stackBytes) bytes was refused: \(Errno(sized))")
        let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                _ = unsafe start.name.withCString { unsafe kyro_set_thread_name_cut($0) }
                start.body()
                return nil
            }, start.toOpaque())
        precondition(status == 0, "thread \(name) could not be started: \(Errno(status))")
        handle = thread
    }

    /// Waits until the body has returned. One caller, once.
    public func join() {
        precondition(!joined.isJoined, "thread \(name) was joined before")
        joined.isJoined = true
        let status = pthread_join(handle, nil)
        precondition(status == 0, "thread \(name) could not be joined: \(Errno(status))")
    }
}

/// A gate that one or more threads wait at. `open` lets one waiter through, now or when it comes,
/// and the gate closes behind it; opening an open gate does nothing more.
///
/// `@unchecked Sendable`: `isOpen` is guarded by the mutex; both live in memory of their own.
@safe public final class Gate: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isOpen = false

    public init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition = .allocate(capacity: 1)
        unsafe condition.initialize(to: pthread_cond_t())
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

    public func open() {
        unsafe pthread_mutex_lock(mutex)
        isOpen = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    public func wait() {
        unsafe pthread_mutex_lock(mutex)
        while !isOpen { unsafe pthread_cond_wait(condition, mutex) }
        isOpen = false
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Waits at most so long; false when the time ran out first.
    public func wait(timeoutNanos: UInt64) -> Bool {
        var until = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &until)
        let nanos = UInt64(until.tv_nsec) + timeoutNanos % 1_000_000_000
        until.tv_sec += Int(timeoutNanos / 1_000_000_000) + Int(nanos / 1_000_000_000)
        until.tv_nsec = Int(nanos % 1_000_000_000)
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while !isOpen {
            if unsafe pthread_cond_timedwait(condition, mutex, &until) == ETIMEDOUT { break }
        }
        let passed = isOpen
        isOpen = false
        return passed
    }
}
