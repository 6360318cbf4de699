// Signals as a value that one thread waits for, instead of handlers.
import CLinux
import Glibc

public enum Signals {
    public enum Request: Int32, Sendable {
        case hangUp = 1
        case interrupt = 2
        case terminate = 15
    }

    /// Blocks SIGHUP, SIGINT and SIGTERM for this thread and those it starts, and ignores SIGPIPE. Call
    /// before any thread starts.
    public static func prepare() {
        var set = stopping()
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Waits until the process is asked to end.
    /// - Parameter hungUp: what SIGHUP asks for, on this thread.
    public static func waitForStop(hungUp: () -> Void = {}) -> Request {
        var set = stopping()
        while true {
            var number: Int32 = 0
            guard unsafe sigwait(&set, &number) == 0 else { continue }
            switch Request(rawValue: number) {
            case .hangUp?: hungUp()
            case let request?: return request
            case nil: break
            }
        }
    }

    private static func stopping() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGHUP)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        return set
    }
}
