// What the system knows of this process, by the names that Prometheus' client libraries give it.
import Glibc
import KyroPlatform

enum ProcessFigures {
    /// User and system time of all threads, in seconds.
    static var cpuSeconds: Double {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    static var openFiles: UInt64 {
        // The folder itself is open while it is read; "." and ".." may be among the names.
        let names = (try? PosixFileSystem().list("/proc/self/fd")) ?? []
        let count = names.count { Int($0) != nil }
        return UInt64(max(0, count - 1))
    }

    static var openFilesMax: UInt64 {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(7), &limit) == 0 else { return 0 }
        return UInt64(limit.rlim_cur)
    }
}
