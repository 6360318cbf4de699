// The file seam: the real one on a temporary directory, the taps, and the disk in memory.
import Foundation
import KyroPlatform
import Testing

/// A directory that goes away with the test.
private final class TemporaryDirectory {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory
            .appendingPathComponent("kyro-files-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct FileSystemTests {
    @Test("files of the operating system read what was written, grow and shrink")
    func posix() throws {
        let directory = try TemporaryDirectory()
        try exercise(PosixFileSystem(), in: directory.path)
    }

    @Test("files in memory behave alike")
    func memory() throws {
        let system = MemoryFileSystem()
        try system.makeDirectory("/d")
        try exercise(system, in: "/d")
    }

    private func exercise(_ system: any FileSystem, in directory: String) throws {
        let path = directory + "/a"
        #expect(try system.openIfPresent(path, .readWrite) == nil)
        let file = try system.open(path, .createEmpty)
        try file.write([1, 2, 3, 4], range: 1..<3, at: 2)
        #expect(try file.readAll() == [0, 0, 2, 3])
        #expect(try file.read(at: 3, count: 10) == [3])
        #expect(try file.read(at: 9, count: 10) == [])
        try file.allocate(8)
        #expect(try file.size() == 8)
        #expect(try file.read(at: 4, count: 4) == [0, 0, 0, 0])
        try file.truncate(to: 3)
        try file.sync()
        #expect(try file.readAll() == [0, 0, 2])
        try system.rename(path, to: directory + "/b")
        try system.makeDirectory(directory + "/sub")
        try system.makeDirectory(directory + "/sub")
        try system.syncDirectory(directory)
        #expect(try system.list(directory) == ["b", "sub"])
        #expect(try system.open(directory + "/b", .readWriteOrCreate).readAll() == [0, 0, 2])
        try system.unlink(directory + "/b")
        #expect(try system.list(directory) == ["sub"])
        #expect(throws: FileError.self) { try system.unlink(directory + "/b") }
    }

    @Test("an error names the call, the path and the cause")
    func errors() throws {
        let error = #expect(throws: FileError.self) {
            try PosixFileSystem().open("/nowhere/at/all", .readWrite)
        }
        #expect(error == FileError(.open, "/nowhere/at/all", .notFound))
        #expect(
            error?.description
                == "open of /nowhere/at/all failed: No such file or directory (errno 2)")
    }

    @Test("a lock keeps a second open file out until the first is gone")
    func locks() throws {
        let directory = try TemporaryDirectory()
        for system in [PosixFileSystem() as any FileSystem, MemoryFileSystem()] {
            let path = system is PosixFileSystem ? directory.path + "/LOCK" : "/LOCK"
            var first: (any File)? = try system.open(path, .readWriteOrCreate)
            let second = try system.open(path, .readWriteOrCreate)
            #expect(try first?.lockExclusively() == true)
            #expect(try second.lockExclusively() == false)
            first = nil
            #expect(try second.lockExclusively())
        }
    }

    @Test("a recorder keeps operations and marks in order, and tells the hook")
    func recording() throws {
        let count = Locked(0)
        let system = RecordingFileSystem(MemoryFileSystem()) { _ in count.withLock { $0 += 1 } }
        let file = try system.open("/a", .createEmpty)
        try file.write([7, 8], at: 5)
        system.mark("before")
        try file.sync()
        #expect(
            system.log == [
                .file(FileEvent(.create, "/a")),
                .file(FileEvent(.write, "/a", offset: 5, byteCount: 2)),
                .mark("before"),
                .file(FileEvent(.sync, "/a")),
            ])
        #expect(count.withLock { $0 } == 3)
    }

    @Test("faults fail one call, cut a write short, or end everything")
    func faults() throws {
        let memory = MemoryFileSystem()
        let faulty = FaultyFileSystem(memory) { event, index in
            switch index {
            case 1: .fail(.noSpace)
            case 2: .shortWrite(byteCount: 1, .inputOutput)
            case 4: .stop
            default: nil
            }
        }
        let file = try faulty.open("/a", .createEmpty)
        let full = #expect(throws: FileError.self) { try file.write([1, 2], at: 0) }
        #expect(full?.errno.isOutOfSpace == true)
        #expect(throws: FileError.self) { try file.write([3, 4], at: 0) }
        #expect(try file.readAll() == [3])
        try file.sync()
        #expect(throws: FileError.self) { try file.sync() }
        #expect(throws: FileError.self) { try file.readAll() }
        #expect(faulty.mutationCount == 5)
    }

    @Test("a power cut keeps what was synced and any part of the rest", arguments: 0..<50)
    func powerCut(seed: UInt64) throws {
        let random = SeededRandomSource(seed: seed)
        let system = MemoryFileSystem()
        let file = try system.open("/a", .createEmpty)
        try file.write([UInt8](repeating: 1, count: 1024), at: 0)
        try file.sync()
        try system.syncDirectory("/")
        try file.write([UInt8](repeating: 2, count: 1024), at: 512)
        _ = try system.open("/b", .createEmpty)
        try system.rename("/a", to: "/c")
        let left = system.afterPowerCut(random)
        let names = try left.list("/")
        #expect([["a"], ["a", "b"], ["b", "c"]].contains(names), "seed \(seed)")
        let bytes = try left.open(names.contains("a") ? "/a" : "/c", .read).readAll()
        #expect(bytes[..<512].allSatisfy { $0 == 1 }, "seed \(seed)")
        let middle = Set(bytes[512..<1024])
        #expect(middle == [1] || middle == [2], "seed \(seed)")
        #expect(bytes.count == 1024 || bytes.count == 1536, "seed \(seed)")
    }
}
