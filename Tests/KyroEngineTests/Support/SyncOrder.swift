// Whether acknowledgements came after the syncs that cover them, judged from a recording.
import KyroPlatform

/// Reads what a `RecordingFileSystem` saw.
enum SyncOrder {
    static let acknowledgement = "acknowledged"

    /// Every acknowledgement before which something was written to a log and not yet synced. Valid
    /// for one shard, or where nothing else is being written while an acknowledgement comes.
    static func violations(_ log: [RecordingFileSystem.Entry]) -> [String] {
        var unsynced: [String: FileEvent] = [:]
        var found: [String] = []
        for entry in log {
            switch entry {
            case .file(let event) where isLog(event.path):
                switch event.operation {
                case .write: unsynced[event.path] = event
                case .sync: unsynced[event.path] = nil
                default: continue
                }
            case .file: continue
            case .mark(let text) where text.hasPrefix(acknowledgement):
                for event in unsynced.values { found.append("\(text) before a sync of \(event)") }
            case .mark: continue
            }
        }
        return found
    }

    /// Segments of shards' logs and the catalog; spare files are nobody's promise.
    static func isLog(_ path: String) -> Bool {
        path.contains("/log-") || path.hasSuffix("/catalog.log")
    }

    static func isSegment(_ path: String) -> Bool { path.contains("/log-") }
}

/// Forgets to sync files, as a store would whose call was removed.
final class UnsyncedFileSystem: FileSystem {
    private let inner: any FileSystem

    init(_ inner: any FileSystem) { self.inner = inner }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        UnsyncedFile(try inner.open(path, mode))
    }

    func rename(_ path: String, to target: String) throws(FileError) {
        try inner.rename(path, to: target)
    }

    func unlink(_ path: String) throws(FileError) { try inner.unlink(path) }
    func list(_ path: String) throws(FileError) -> [String] { try inner.list(path) }
    func makeDirectory(_ path: String) throws(FileError) { try inner.makeDirectory(path) }
    func syncDirectory(_ path: String) throws(FileError) { try inner.syncDirectory(path) }
}

private final class UnsyncedFile: File {
    private let inner: any File

    init(_ inner: any File) { self.inner = inner }

    var path: String { inner.path }

    func read(at offset: UInt64, count: Int) throws(FileError) -> [UInt8] {
        try inner.read(at: offset, count: count)
    }

    func write(_ bytes: [UInt8], range: Range<Int>, at offset: UInt64) throws(FileError) {
        try inner.write(bytes, range: range, at: offset)
    }

    /// All of the point: only segments lose theirs, so that the rest works as ever.
    func sync() throws(FileError) {
        if !SyncOrder.isSegment(inner.path) { try inner.sync() }
    }

    func truncate(to byteCount: UInt64) throws(FileError) { try inner.truncate(to: byteCount) }
    func allocate(_ byteCount: UInt64) throws(FileError) { try inner.allocate(byteCount) }
    func size() throws(FileError) -> UInt64 { try inner.size() }
    func lockExclusively() throws(FileError) -> Bool { try inner.lockExclusively() }
}
