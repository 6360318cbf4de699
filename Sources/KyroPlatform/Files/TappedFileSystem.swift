// What recording and faulting have in common: every operation passes a tap before and after.

/// One operation, as a tap sees it.
public struct FileEvent: Equatable, Sendable, CustomStringConvertible {
    public let operation: FileOperation
    public let path: String
    public let offset: UInt64?
    public let byteCount: Int?

    public init(
        _ operation: FileOperation, _ path: String, offset: UInt64? = nil, byteCount: Int? = nil
    ) {
        self.operation = operation
        self.path = path
        self.offset = offset
        self.byteCount = byteCount
    }

    /// Whether it can change what is on the disk.
    public var isMutation: Bool {
        switch operation {
        case .create, .write, .sync, .truncate, .allocate, .rename, .unlink, .makeDirectory,
            .syncDirectory:
            true
        case .open, .read, .size, .lock, .list: false
        }
    }

    public var description: String {
        let place = offset.map { " @\($0)" } ?? ""
        let length = byteCount.map { " +\($0)" } ?? ""
        return "\(operation.rawValue) \(path)\(place)\(length)"
    }
}

/// A file system in front of another one.
public protocol TappedFileSystem: FileSystem {
    var inner: any FileSystem { get }
    /// Throws to fail the operation; the number of bytes after which a write shall fail, or nil.
    func before(_ event: FileEvent) throws(FileError) -> ShortWrite?
    /// The operation has succeeded and has not yet returned to its caller.
    func after(_ event: FileEvent)
}

/// Write the first `byteCount` bytes, then fail.
public struct ShortWrite: Sendable {
    public let byteCount: Int
    public let errno: Errno
}

extension TappedFileSystem {
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let operation: FileOperation =
            switch mode {
            case .read, .readWrite: .open
            case .readWriteOrCreate, .createEmpty: .create
            }
        let event = FileEvent(operation, path)
        _ = try before(event)
        let file = try inner.open(path, mode)
        after(event)
        return TappedFile(file, self)
    }

    public func freeBytes(_ path: String) -> UInt64? { inner.freeBytes(path) }

    public func rename(_ path: String, to target: String) throws(FileError) {
        let event = FileEvent(.rename, path)
        _ = try before(event)
        try inner.rename(path, to: target)
        after(event)
    }

    public func unlink(_ path: String) throws(FileError) {
        let event = FileEvent(.unlink, path)
        _ = try before(event)
        try inner.unlink(path)
        after(event)
    }

    public func list(_ path: String) throws(FileError) -> [String] {
        let event = FileEvent(.list, path)
        _ = try before(event)
        let names = try inner.list(path)
        after(event)
        return names
    }

    public func makeDirectory(_ path: String) throws(FileError) {
        let event = FileEvent(.makeDirectory, path)
        _ = try before(event)
        try inner.makeDirectory(path)
        after(event)
    }

    public func syncDirectory(_ path: String) throws(FileError) {
        let event = FileEvent(.syncDirectory, path)
        _ = try before(event)
        try inner.syncDirectory(path)
        after(event)
    }
}

final class TappedFile: File {
    private let inner: any File
    private let system: any TappedFileSystem

    init(_ inner: any File, _ system: any TappedFileSystem) {
        self.inner = inner
        self.system = system
    }

    var path: String { inner.path }

    func read(at offset: UInt64, count: Int) throws(FileError) -> [UInt8] {
        let event = FileEvent(.read, path, offset: offset, byteCount: count)
        _ = try system.before(event)
        let bytes = try inner.read(at: offset, count: count)
        system.after(event)
        return bytes
    }

    func write(_ bytes: [UInt8], range: Range<Int>, at offset: UInt64) throws(FileError) {
        let event = FileEvent(.write, path, offset: offset, byteCount: range.count)
        if let short = try system.before(event) {
            let end = range.lowerBound + min(short.byteCount, range.count)
            try inner.write(bytes, range: range.lowerBound..<end, at: offset)
            throw FileError(.write, path, offset: offset, short.errno)
        }
        try inner.write(bytes, range: range, at: offset)
        system.after(event)
    }

    func sync() throws(FileError) {
        let event = FileEvent(.sync, path)
        _ = try system.before(event)
        try inner.sync()
        system.after(event)
    }

    func truncate(to byteCount: UInt64) throws(FileError) {
        let event = FileEvent(.truncate, path, offset: byteCount)
        _ = try system.before(event)
        try inner.truncate(to: byteCount)
        system.after(event)
    }

    func allocate(_ byteCount: UInt64) throws(FileError) {
        let event = FileEvent(.allocate, path, offset: byteCount)
        _ = try system.before(event)
        try inner.allocate(byteCount)
        system.after(event)
    }

    func size() throws(FileError) -> UInt64 {
        let event = FileEvent(.size, path)
        _ = try system.before(event)
        let size = try inner.size()
        system.after(event)
        return size
    }

    func lockExclusively() throws(FileError) -> Bool {
        let event = FileEvent(.lock, path)
        _ = try system.before(event)
        let isLocked = try inner.lockExclusively()
        system.after(event)
        return isLocked
    }
}
