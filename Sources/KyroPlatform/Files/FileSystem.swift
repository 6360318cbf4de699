// The seam between the store and the disk. Everything durable goes through these two protocols, so
// that tests can record the order of operations, inject failures and cut the power.

/// What was asked of the file system.
public enum FileOperation: String, Sendable, CaseIterable {
    case open, create, read, write, sync, truncate, allocate, size, lock
    case rename, unlink, list, makeDirectory, syncDirectory
}

/// The world refused: which call, on what, where, and why.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    public let operation: FileOperation
    public let path: String
    public let offset: UInt64?
    public let errno: Errno
    /// Of the volume, when it was full.
    public let freeBytes: UInt64?

    public init(
        _ operation: FileOperation, _ path: String, offset: UInt64? = nil, _ errno: Errno,
        freeBytes: UInt64? = nil
    ) {
        self.operation = operation
        self.path = path
        self.offset = offset
        self.errno = errno
        self.freeBytes = freeBytes
    }

    public var description: String {
        let place = offset.map { " at offset \($0)" } ?? ""
        let free = freeBytes.map { ", \($0) bytes are free on its volume" } ?? ""
        return "\(operation.rawValue) of \(path)\(place) failed: \(errno)\(free)"
    }
}

public enum OpenMode: Sendable {
    /// Must exist.
    case read
    /// Must exist.
    case readWrite
    /// Made when missing, kept when there.
    case readWriteOrCreate
    /// Made; what was there is emptied.
    case createEmpty
}

/// An open file. Closed when the last reference goes. Calls are positional, so that threads may
/// share one; each retries EINTR and completes short transfers by itself.
public protocol File: AnyObject, Sendable {
    var path: String { get }
    /// Up to `count` bytes; fewer only at the end of the file.
    func read(at offset: UInt64, count: Int) throws(FileError) -> [UInt8]
    /// The same into memory that is used again: `bytes` becomes what was read.
    func read(at offset: UInt64, count: Int, into bytes: inout [UInt8]) throws(FileError)
    /// A hint that these bytes will be read soon. Returns at once.
    func willRead(at offset: UInt64, count: Int)
    /// A hint that the cache need not keep these bytes: the next read asks the disk.
    func forgetCached(at offset: UInt64, count: Int)
    /// All of `bytes[range]`, or an error after which any part of it may have been written.
    func write(_ bytes: [UInt8], range: Range<Int>, at offset: UInt64) throws(FileError)
    /// fdatasync(2). After an error nothing is known about what was written since the last
    /// success, and asking again proves nothing (Rebello et al., USENIX ATC 2020).
    func sync() throws(FileError)
    /// Lets the disk have these bytes now, and waits, so that a later `sync` has little left to do.
    /// Promises nothing by itself. An error is one of writing: what was written is unknown.
    func writeBack(at offset: UInt64, count: Int) throws(FileError)
    func truncate(to byteCount: UInt64) throws(FileError)
    /// Reserves the first `byteCount` bytes, which read as zero where they were not written.
    func allocate(_ byteCount: UInt64) throws(FileError)
    func size() throws(FileError) -> UInt64
    /// flock(2), exclusive, without waiting. False when another open file holds it.
    func lockExclusively() throws(FileError) -> Bool
}

extension File {
    public func read(
        at offset: UInt64, count: Int, into bytes: inout [UInt8]
    ) throws(FileError) {
        bytes = try read(at: offset, count: count)
    }

    public func willRead(at offset: UInt64, count: Int) {}
    public func forgetCached(at offset: UInt64, count: Int) {}
    public func writeBack(at offset: UInt64, count: Int) throws(FileError) {}

    public func write(_ bytes: [UInt8], at offset: UInt64) throws(FileError) {
        try write(bytes, range: 0..<bytes.count, at: offset)
    }

    /// The whole file. For files known to be small.
    public func readAll() throws(FileError) -> [UInt8] {
        try read(at: 0, count: Int(clamping: try size()))
    }
}

public protocol FileSystem: AnyObject, Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File
    /// Replaces what was at `target`, atomically for readers; durable after `syncDirectory`.
    func rename(_ path: String, to target: String) throws(FileError)
    func unlink(_ path: String) throws(FileError)
    /// Names in a directory, sorted, without "." and "..".
    func list(_ path: String) throws(FileError) -> [String]
    /// Makes one directory; one that is there is fine.
    func makeDirectory(_ path: String) throws(FileError)
    /// fsync(2) of a directory: its entries survive power loss.
    func syncDirectory(_ path: String) throws(FileError)
    /// Bytes that files on the volume of `path` may still take; nil when nobody knows.
    func freeBytes(_ path: String) -> UInt64?
}

extension FileSystem {
    public func freeBytes(_ path: String) -> UInt64? { nil }

    /// Opens what may be missing.
    public func openIfPresent(_ path: String, _ mode: OpenMode) throws(FileError) -> (any File)? {
        do {
            return try open(path, mode)
        } catch {
            if error.errno == .notFound { return nil }
            throw error
        }
    }
}
