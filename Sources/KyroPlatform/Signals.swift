// Signals as a value that one thread waits for, instead of handlers.
import CLinux
import Glibc

public enum Signals {
    public enum Request: Int32, Sendable {
        case interrupt = 2
        case terminate = 15
    }

    /// Blocks SIGINT and SIGTERM for this thread and those it starts, and ignores SIGPIPE. Call
    /// before any thread starts.
    public static func prepare() {
        var set = stopping()
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Waits until the process is asked to end.
    public static func waitForStop() -> Request {
        var set = stopping()
        while true {
            var number: Int32 = 0
            guard unsafe sigwait(&set, &number) == 0 else { continue }
            if let request = Request(rawValue: number) { return request }
        }
    }

    private static func stopping() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        return set
    }
}
