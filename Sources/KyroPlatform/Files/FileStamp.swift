// Whether a file is still the one that was read.
import CLinux
import Glibc

/// Which file a path leads to, and when it was changed last.
public struct FileStamp: Equatable, Sendable {
    private let device: UInt64
    private let node: UInt64
    private let byteCount: Int64
    private let modifiedNanos: Int64
    private let changedNanos: Int64

    /// nil where there is no file, or none that one may look at.
    public init?(of path: String) {
        var found = stat()
        guard unsafe path.withCString({ unsafe stat($0, &found) }) == 0 else { return nil }
        device = UInt64(found.st_dev)
        node = UInt64(found.st_ino)
        byteCount = Int64(found.st_size)
        modifiedNanos = Int64(found.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(found.st_mtim.tv_nsec)
        changedNanos = Int64(found.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(found.st_ctim.tv_nsec)
    }
}
