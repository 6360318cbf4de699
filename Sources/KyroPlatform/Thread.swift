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
/// `@unchecked Sendable`: `isOpen` is touched under the monitor's lock alone.
public final class Gate: @unchecked Sendable {
    private let monitor = Monitor()
    private var isOpen = false

    public init() {}

    public func open() {
        monitor.lock()
        isOpen = true
        monitor.wakeOne()
        monitor.unlock()
    }

    public func wait() {
        monitor.lock()
        monitor.wait { !isOpen }
        isOpen = false
        monitor.unlock()
    }

    /// Waits at most so long; false when the time ran out first.
    public func wait(timeoutNanos: UInt64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        monitor.wait(timeoutNanos: timeoutNanos) { !isOpen }
        let passed = isOpen
        isOpen = false
        return passed
    }
}
