// Error numbers of the kernel, by name and in words.
import CLinux
import Glibc

/// An error number of the kernel.
public struct Errno: Hashable, Sendable, CustomStringConvertible {
    public let raw: Int32

    public init(_ raw: Int32) { self.raw = raw }

    /// What the last failed call of this thread left behind.
    @inlinable public static var current: Errno { Errno(errno) }

    public static let interrupted = Errno(EINTR)
    public static let inputOutput = Errno(EIO)
    public static let noSpace = Errno(ENOSPC)
    public static let overQuota = Errno(EDQUOT)
    public static let notFound = Errno(ENOENT)
    public static let exists = Errno(EEXIST)
    public static let notSupported = Errno(EOPNOTSUPP)
    public static let wouldBlock = Errno(EWOULDBLOCK)
    public static let invalid = Errno(EINVAL)
    public static let badDescriptor = Errno(EBADF)
    public static let badAddress = Errno(EFAULT)
    public static let processFilesFull = Errno(EMFILE)
    public static let systemFilesFull = Errno(ENFILE)
    public static let outOfMemory = Errno(ENOMEM)
    public static let isDirectory = Errno(EISDIR)

    /// Whether the volume or the user's share of it is full: the one failure of a write that can
    /// pass by itself.
    public var isOutOfSpace: Bool { self == .noSpace || self == .overQuota }

    /// Whether there is no descriptor, or no kernel memory, for one more open file: nothing was
    /// done, and the same may succeed later.
    public var isOutOfFiles: Bool {
        self == .processFilesFull || self == .systemFilesFull || self == .outOfMemory
    }

    /// Whether what failed may succeed later without anybody repairing anything.
    public var isShortage: Bool { isOutOfSpace || isOutOfFiles }

    public var description: String {
        var buffer = [CChar](repeating: 0, count: 256)
        let text = unsafe buffer.withUnsafeMutableBufferPointer { target -> String in
            guard let base = target.baseAddress else { return "" }
            unsafe kyro_strerror(raw, base, target.count)
            return unsafe String(cString: base)
        }
        return "\(text) (errno \(raw))"
    }
}
