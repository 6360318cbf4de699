// How fast the disk gives up the files of a snapshot, and how to make the kernel forget them.
import Glibc
import KyroCommands
import KyroPlatform

enum DiskReading {
    static let blockBytes = 4 << 20
    /// O_DIRECT of x86-64 and of others (asm-generic, arm64); Glibc's module lacks it.
    #if arch(arm64)
        private static let direct: Int32 = 0x10000
    #else
        private static let direct: Int32 = 0x4000
    #endif

    /// Snapshot files under a data directory.
    static func snapshotFiles(under folder: String) throws -> [String] {
        try files(under: folder).filter { $0.contains("/snapshot-") }
    }

    static func files(under folder: String) throws -> [String] {
        var found: [String] = []
        for name in try PosixFileSystem().list(folder) {
            let path = folder + "/" + name
            var information = stat()
            guard stat(path, &information) == 0 else { continue }
            if information.st_mode & S_IFMT == S_IFDIR {
                found += try files(under: path)
            } else {
                found.append(path)
            }
        }
        return found
    }

    /// Reads the files one after the other past the page cache.
    static func measure(_ paths: [String]) throws -> (bytes: Int, seconds: Double) {
        var memory: UnsafeMutableRawPointer?
        guard posix_memalign(&memory, 4_096, blockBytes) == 0, let memory else {
            throw BenchError("no memory to read with")
        }
        defer { free(memory) }
        var bytes = 0
        let start = clock.monotonicNanos()
        for path in paths {
            var descriptor = open(path, O_RDONLY | direct)
            if descriptor < 0 {
                descriptor = open(path, O_RDONLY)
                _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
            }
            guard descriptor >= 0 else { throw BenchError("\(path): \(errnoText())") }
            defer { close(descriptor) }
            while true {
                let count = read(descriptor, memory, blockBytes)
                guard count >= 0 else { throw BenchError("\(path): \(errnoText())") }
                bytes += count
                if count < blockBytes { break }
            }
        }
        return (bytes, secondsSince(start))
    }

    /// Empties the page cache as far as this process may; says how.
    static func emptyPageCache(_ paths: [String]) -> String {
        sync()
        for path in paths {
            let descriptor = open(path, O_RDONLY)
            guard descriptor >= 0 else { continue }
            _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
            close(descriptor)
        }
        let descriptor = open("/proc/sys/vm/drop_caches", O_WRONLY)
        guard descriptor >= 0 else { return "its own files alone" }
        defer { close(descriptor) }
        return write(descriptor, "3", 1) == 1 ? "whole" : "its own files alone"
    }
}
