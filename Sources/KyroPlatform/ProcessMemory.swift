// How much memory this process has resident.
import Glibc

public enum ProcessMemory {
    /// From /proc/self/statm; zero where that cannot be read.
    public static var residentBytes: UInt64 {
        let file = PosixFileSystem()
        guard let statm = try? file.open("/proc/self/statm", .read),
            let bytes = try? statm.read(at: 0, count: 128)
        else { return 0 }
        let fields = bytes.split(separator: UInt8(ascii: " "))
        guard fields.count > 1, let pages = UInt64(String(decoding: fields[1], as: UTF8.self))
        else { return 0 }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Cores that this process may run on.
    public static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
