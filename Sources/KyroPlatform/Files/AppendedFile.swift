// A text file that grows, and that somebody may move away while it does.
import CLinux
import Glibc

/// Opened for each append, so that a file that was moved away is followed by a new one. Not for what
/// must survive power loss: nothing is synced.
public struct AppendedFile: Sendable {
    public let path: String

    /// Makes the file, for its owner alone, where there is none.
    public init(_ path: String) throws(FileError) {
        self.path = path
        close(try open())
    }

    private func open() throws(FileError) -> Int32 {
        let descriptor = unsafe path.withCString {
            unsafe kyro_open($0, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        }
        guard descriptor >= 0 else { throw FileError(.create, path, .current) }
        return descriptor
    }

    public func append(_ bytes: [UInt8]) throws(FileError) {
        let descriptor = try open()
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { source -> Int in
                guard let base = source.baseAddress else { return 0 }
                return unsafe Glibc.write(descriptor, base + done, bytes.count - done)
            }
            if step > 0 {
                done += step
            } else if step == 0 || Errno.current != .interrupted {
                throw FileError(.write, path, .current)
            }
        }
    }
}
