// A data directory is made whole or not at all, served by one, and never mistaken for another.
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct DataDirectoryTests {
    private func open(
        _ fileSystem: any FileSystem, shardCount: Int? = nil
    ) throws(StoreError) -> DataDirectory {
        try DataDirectory.open(
            "/data", fileSystem: fileSystem, shardCount: shardCount, shardCountIfNew: 2,
            random: SeededRandomSource(seed: 1))
    }

    private func reference(_ seq: UInt64) -> SnapshotReference {
        SnapshotReference(fileName: "snapshot-\(seq)", seq: Sequence(seq), lsn: LSN(seq * 10))
    }

    @Test("a new directory opens again as it was")
    func reopens() throws {
        let disk = MemoryFileSystem()
        var directory: DataDirectory? = try open(disk)
        #expect(directory?.isNew == true)
        let made = directory?.manifest
        try directory?.adopt(reference(5), over: nil, shard: 1)
        try directory?.adopt(reference(9), over: reference(5), shard: 1)
        directory = nil
        let again = try open(disk, shardCount: 2)
        #expect(!again.isNew)
        #expect(again.manifest.directory == made?.directory)
        #expect(again.manifest.generation == 3)
        #expect(
            again.manifest.shards == [
                ShardManifest(),
                ShardManifest(snapshot: reference(9), previousSnapshot: reference(5)),
            ])
        #expect(again.manifest.shards[1].replayLSN == LSN(90))
        #expect(again.manifest.shards[1].truncationLSN == LSN(50))
    }

    @Test("a second server is refused, and told which directory and what to do")
    func locked() throws {
        let disk = MemoryFileSystem()
        let first = try open(disk)
        let error = #expect(throws: StoreError.self) { try open(disk) }
        #expect(error == .locked(path: first.path))
        #expect(error?.description.contains("/data is in use by another KyroDB server") == true)
    }

    @Test("another number of shards is refused with both numbers")
    func shardCount() throws {
        let disk = MemoryFileSystem()
        _ = try open(disk)
        let error = #expect(throws: StoreError.self) { try open(disk, shardCount: 3) }
        #expect(error == .shardCountMismatch(path: "/data", found: 2, asked: 3))
        #expect(error?.description.contains("start with 2") == true)
    }

    @Test("a newer format is refused, a flipped bit anywhere in the manifest is damage")
    func manifestBytes() throws {
        let disk = MemoryFileSystem()
        try open(disk).adopt(reference(5), over: nil, shard: 0)
        let path = "/data/MANIFEST"
        for byte in try disk.bytes(path).indices {
            let harmed = disk.copy()
            try harmed.flip(path, byte: byte, bits: 0x10)
            #expect(damage { () throws(StoreError) in _ = try open(harmed) }?.path == path)
        }
        let count = try disk.bytes(path).count
        for length in 0..<count {
            let harmed = disk.copy()
            try harmed.open(path, .readWrite).truncate(to: UInt64(length))
            #expect(damage { () throws(StoreError) in _ = try open(harmed) } != nil)
        }
        try disk.setVersion(path, 7)
        let error = #expect(throws: StoreError.self) { try open(disk) }
        #expect(error == .newerFormat(path: path, found: 7, supported: 1))
        #expect(error?.description.contains("start the version that wrote it") == true)
    }

    @Test("a directory with other files, or without its manifest, is refused")
    func foreign() throws {
        let disk = MemoryFileSystem()
        try disk.makeDirectory("/data")
        _ = try disk.open("/data/letter.txt", .createEmpty)
        let error = #expect(throws: StoreError.self) { try open(disk) }
        guard case .notADataDirectory = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let lost = MemoryFileSystem()
        _ = try open(lost).openCatalog()
        try lost.unlink("/data/MANIFEST")
        #expect(throws: StoreError.self) { try open(lost) }
    }

    @Test("a stop at any operation of the making leaves nothing or all", arguments: 0..<16)
    func stoppedMaking(index: Int) throws {
        for seed in 0..<UInt64(scaled(8)) {
            let disk = MemoryFileSystem()
            let faulty = FaultyFileSystem(disk, stoppingAtMutation: index)
            let first = try? open(faulty)
            #expect((first == nil) == (faulty.mutationCount > index))
            for left in [disk.copy(), disk.afterPowerCut(SeededRandomSource(seed: seed))] {
                let again = try open(left)
                #expect(again.shardCount == 2)
                if first != nil { #expect(!again.isNew, "seed \(seed)") }
                _ = try again.openLog(shard: 1).replay(from: .zero) { _ in }
            }
        }
    }

    @Test(
        "a stop at any operation of a replacement leaves the old manifest or the new",
        arguments: 0..<6)
    func stoppedReplacing(index: Int) throws {
        for seed in 0..<16 as Range<UInt64> {
            let disk = MemoryFileSystem()
            let limit = Locked(Int.max)
            let faulty = FaultyFileSystem(disk) { event, mutations in
                event.isMutation && mutations >= limit.withLock { $0 } ? .stop : nil
            }
            let directory = try open(faulty)
            try directory.adopt(reference(5), over: nil, shard: 0)
            let before = directory.manifest
            limit.withLock { $0 = faulty.mutationCount + index }
            let isDone = (try? directory.adopt(reference(9), over: reference(5), shard: 0)) != nil
            #expect(isDone == (index == 5))
            var after = before
            after.generation += 1
            after.shards[0] = ShardManifest(
                snapshot: reference(9), previousSnapshot: reference(5))
            for left in [disk.copy(), disk.afterPowerCut(SeededRandomSource(seed: seed))] {
                let found = try open(left).manifest
                #expect(found == after || (found == before && !isDone), "seed \(seed)")
            }
        }
    }
}
