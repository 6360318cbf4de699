// How much memory this process has, may have, and can give back.
import CLinux
import Glibc

/// What a look at the memory of the process tells.
public struct MemoryReading: Equatable, Sendable {
    /// Resident bytes that the kernel cannot take back by itself: no mapped files.
    public var residentBytes: UInt64
    /// Addresses that may still be mapped; nil without a limit (`ulimit -v`).
    public var addressBytesLeft: UInt64?

    public init(residentBytes: UInt64, addressBytesLeft: UInt64? = nil) {
        self.residentBytes = residentBytes
        self.addressBytesLeft = addressBytesLeft
    }
}

/// The memory of the process as a parameter: the system's, or what a test says.
public protocol MemoryGauge: AnyObject, Sendable {
    /// A few microseconds. Any thread.
    func read() -> MemoryReading
    /// Returns what was freed to the kernel. Any thread; may take milliseconds a gigabyte.
    func giveBack()
}

public final class ProcessMemoryGauge: MemoryGauge {
    private static let fieldBytesMax = 128
    /// Kept open: where descriptors run out, memory is still looked at.
    private let statm = try? PosixFileSystem().open("/proc/self/statm", .read)
    private let pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))

    public init() {}

    /// Zero where it cannot be read.
    public func read() -> MemoryReading {
        guard let bytes = try? statm?.read(at: 0, count: Self.fieldBytesMax) else {
            return MemoryReading(residentBytes: 0)
        }
        // Pages: size, resident, of those with a file behind them.
        let pages = bytes.split(separator: UInt8(ascii: " ")).prefix(3).map {
            UInt64(String(decoding: $0, as: UTF8.self)) ?? 0
        }
        guard pages.count == 3 else { return MemoryReading(residentBytes: 0) }
        let limit = kyro_address_limit()
        let size = pages[0] * pageBytes
        return MemoryReading(
            residentBytes: (pages[1] - min(pages[1], pages[2])) * pageBytes,
            addressBytesLeft: limit == .max ? nil : limit - min(limit, size))
    }

    public func giveBack() { _ = kyro_give_memory_back() }
}

public enum ProcessMemory {
    /// From /proc/self/statm, mapped files included; zero where that cannot be read.
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

    /// What the process may use before the kernel ends it: the machine's memory, or less where a
    /// control group of version 1 or 2 allows less.
    public static var limitBytes: UInt64 {
        var limit =
            UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES))))
            * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        for path in controlGroupLimitPaths() {
            guard let bytes = try? PosixFileSystem().open(path, .read).read(at: 0, count: 64),
                let line = bytes.split(separator: UInt8(ascii: "\n")).first,
                let value = UInt64(String(decoding: line, as: UTF8.self)), value > 0
            else { continue }
            limit = min(limit, value)
        }
        return limit
    }

    /// Of this process's group and all above it, whose limits hold as well.
    private static func controlGroupLimitPaths() -> [String] {
        guard
            let bytes = try? PosixFileSystem().open("/proc/self/cgroup", .read)
                .read(at: 0, count: 1 << 16)
        else { return [] }
        var paths: [String] = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            // number:controllers:path
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isSecond = fields[1].isEmpty
            guard isSecond || fields[1].split(separator: ",").contains("memory") else { continue }
            let root = isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            let name = isSecond ? "memory.max" : "memory.limit_in_bytes"
            var parts = fields[2].split(separator: "/")
            while true {
                paths.append(([root] + parts.map(String.init) + [name]).joined(separator: "/"))
                guard parts.popLast() != nil else { break }
            }
        }
        return paths
    }

    /// Raises the number of files that the process may have open as far as it may, and tells it.
    public static func raiseFileLimit() -> Int { Int(clamping: kyro_raise_file_limit()) }

    /// Cores that this process may run on.
    public static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
