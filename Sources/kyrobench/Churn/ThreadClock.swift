// The processor time of a thread: what it takes does not depend on who else runs.
import Glibc

enum ThreadClock {
    /// Of the calling thread.
    static var nanos: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
