// Files as Linux has them.
import CLinux
import Glibc

public final class PosixFileSystem: FileSystem {
    public init() {}

    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .readWriteOrCreate: O_RDWR | O_CREAT
            case .createEmpty: O_RDWR | O_CREAT | O_TRUNC
            }
        let operation: FileOperation =
            switch mode {
            case .read, .readWrite: .open
            case .readWriteOrCreate, .createEmpty: .create
            }
        let descriptor = try call(operation, path) {
            unsafe path.withCString { unsafe kyro_open($0, flags | O_CLOEXEC, 0o640) }
        }
        return PosixFile(path: path, descriptor: descriptor)
    }

    public func rename(_ path: String, to target: String) throws(FileError) {
        try call(.rename, path) { unsafe Glibc.rename(path, target) }
    }

    public func unlink(_ path: String) throws(FileError) {
        try call(.unlink, path) { unsafe Glibc.unlink(path) }
    }

    public func list(_ path: String) throws(FileError) -> [String] {
        guard let directory = unsafe opendir(path) else {
            throw FileError(.list, path, .current)
        }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        errno = 0
        while let entry = unsafe readdir(directory) {
            let name = unsafe String(cString: kyro_entry_name(entry))
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw FileError(.list, path, .current) }
        return names.sorted()
    }

    public func makeDirectory(_ path: String) throws(FileError) {
        do {
            try call(.makeDirectory, path) { unsafe mkdir(path, 0o750) }
        } catch {
            if error.errno != .exists { throw error }
        }
    }

    public func freeBytes(_ path: String) -> UInt64? { freeBytesOfVolume(path) }

    public func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = try call(.syncDirectory, path) {
            unsafe kyro_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        }
        defer { close(descriptor) }
        try call(.syncDirectory, path) { fsync(descriptor) }
    }
}

/// One open descriptor.
final class PosixFile: File {
    let path: String
    private let descriptor: Int32

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    func read(at offset: UInt64, count: Int) throws(FileError) -> [UInt8] {
        var bytes: [UInt8] = []
        try read(at: offset, count: count, into: &bytes)
        return bytes
    }

    func read(at offset: UInt64, count: Int, into bytes: inout [UInt8]) throws(FileError) {
        if bytes.count > count { bytes.removeLast(bytes.count - count) }
        if bytes.count < count {
            bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
        }
        var done = 0
        while done < count {
            let position = offset + UInt64(done)
            let step = unsafe bytes.withUnsafeMutableBytes { target -> Int in
                guard let base = target.baseAddress else { return 0 }
                return unsafe pread(descriptor, base + done, count - done, off_t(position))
            }
            if step == 0 { break }
            if step > 0 {
                done += step
            } else if Errno.current != .interrupted {
                throw failure(.read, path, offset: position, .current)
            }
        }
        if done < count { bytes.removeLast(count - done) }
    }

    func willRead(at offset: UInt64, count: Int) {
        _ = posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
    }

    func forgetCached(at offset: UInt64, count: Int) {
        _ = posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
    }

    func write(_ bytes: [UInt8], range: Range<Int>, at offset: UInt64) throws(FileError) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count,
            "range \(range) of \(bytes.count) bytes")
        var done = 0
        while done < range.count {
            let position = offset + UInt64(done)
            let step = unsafe bytes.withUnsafeBytes { source -> Int in
                guard let base = source.baseAddress else { return 0 }
                return unsafe pwrite(
                    descriptor, base + range.lowerBound + done, range.count - done,
                    off_t(position))
            }
            if step > 0 {
                done += step
            } else if step == 0 {
                throw FileError(.write, path, offset: position, .inputOutput)
            } else if Errno.current != .interrupted {
                throw failure(.write, path, offset: position, .current)
            }
        }
    }

    func sync() throws(FileError) {
        try call(.sync, path) { fdatasync(descriptor) }
    }

    func writeBack(at offset: UInt64, count: Int) throws(FileError) {
        do {
            try call(.sync, path) { kyro_write_back(descriptor, off_t(offset), off_t(count)) }
        } catch {
            // A file system that cannot write a range alone leaves it all to `sync`.
            if error.errno != .notSupported { throw error }
        }
    }

    func truncate(to byteCount: UInt64) throws(FileError) {
        try call(.truncate, path) { ftruncate(descriptor, off_t(byteCount)) }
    }

    func allocate(_ byteCount: UInt64) throws(FileError) {
        do {
            try call(.allocate, path) { kyro_fallocate(descriptor, 0, 0, off_t(byteCount)) }
        } catch {
            // A file system without preallocation: the length at least is set once.
            if error.errno != .notSupported { throw error }
            if try size() < byteCount { try truncate(to: byteCount) }
        }
    }

    func size() throws(FileError) -> UInt64 {
        var information = stat()
        try call(.size, path) { unsafe fstat(descriptor, &information) }
        return UInt64(information.st_size)
    }

    func lockExclusively() throws(FileError) -> Bool {
        do {
            try call(.lock, path) { flock(descriptor, LOCK_EX | LOCK_NB) }
            return true
        } catch {
            if error.errno == .wouldBlock { return false }
            throw error
        }
    }
}

/// Retries what a signal interrupted.
@discardableResult
private func call(
    _ operation: FileOperation, _ path: String, _ body: () -> Int32
) throws(FileError) -> Int32 {
    while true {
        let result = body()
        if result >= 0 { return result }
        let cause = Errno.current
        if cause != .interrupted { throw failure(operation, path, cause) }
    }
}

/// A bad descriptor or address is our own mistake, and going on could write into another's file.
private func failure(
    _ operation: FileOperation, _ path: String, offset: UInt64? = nil, _ errno: Errno
) -> FileError {
    precondition(errno != .badDescriptor && errno != .badAddress, "\(errno)")
    return FileError(
        operation, path, offset: offset, errno,
        freeBytes: errno.isOutOfSpace ? freeBytesOfVolume(path) : nil)
}

/// What is left for a user who is not root; a file that does not exist lies where its folder lies.
private func freeBytesOfVolume(_ path: String) -> UInt64? {
    var information = statvfs()
    if unsafe statvfs(path, &information) != 0 {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex,
            unsafe statvfs(String(path[..<slash]), &information) == 0
        else { return nil }
    }
    return UInt64(information.f_bavail) * UInt64(information.f_frsize)
}
