// The files of a repository: what becomes of them when they are cut or a bit of them flips.
import Foundation
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct BackupFilesTests {
    static let path = "/repo"
    /// Every bit, or a share of them under the sanitizers.
    static let bitStride =
        ProcessInfo.processInfo.environment["KYRODB_TEST_SCALE"] == nil ? 1 : 11

    /// A full backup and an increment of a directory with one shard.
    static func make() throws -> MemoryFileSystem {
        let disk = MemoryFileSystem()
        let data = try DataDirectory.open(
            "/db", fileSystem: disk, random: SeededRandomSource(seed: 1))
        let log = try data.openLog(shard: 0, options: ShardLog.Options(segmentBytes: 4_096))
        _ = try log.replay(from: .zero) { _ in }
        let repository = try BackupRepository.open(
            path, fileSystem: disk, directory: data.manifest.directory, shardCount: 1)
        let snapshot = try SnapshotWriter(
            directory: data.shardPath(0), fileSystem: disk, identity: data.identity(ofShard: 0),
            seq: .zero, lsn: .zero)
        snapshot.begin(section: "shard")
        try snapshot.write((0..<200).map { UInt8($0) })
        try snapshot.finishSection()
        let reference = try snapshot.finish()
        let copy = try SnapshotCopy(
            repository, shard: 0, reference: reference, directory: data.shardPath(0))
        while try copy.step() {}
        let catalog = try data.openCatalog()
        try catalog.append(
            .created(
                CollectionID(1), Scope(tenant: "t", namespace: "n"), schemaVersion: 1, Schema()),
            seq: Sequence(1), wallMillis: 10)
        _ = try repository.write(catalog: (catalog.ordinal, catalog.history))
        var position = LSN.zero
        for id in 1...2 as ClosedRange<UInt64> {
            let record = LogRecord(
                collection: CollectionID(1), schemaVersion: 1, seq: Sequence(1 + id),
                operation: .upsert(Document(id: .number(id))))
            try log.append([record], wallMillis: Int64(10 * id))
            try log.sync()
            let copying = try LogCopy(
                repository, shard: 0, reader: try log.reader(from: position), from: position)
            while try copying.step() {}
            var manifest = BackupManifest(
                kind: id == 1 ? .full : .incremental, id: id,
                directory: data.manifest.directory, seq: Sequence(1 + id),
                wallMillis: Int64(10 * id))
            manifest.parent = id - 1
            manifest.catalogOrdinal = catalog.ordinal
            manifest.catalogCount = UInt64(catalog.history.count)
            manifest.shards = [
                .init(
                    from: position, to: copying.position,
                    snapshot: id > 1
                        ? nil
                        : .init(
                            seq: reference.seq, lsn: reference.lsn, storedBytes: copy.storedBytes))
            ]
            try repository.write(manifest)
            position = copying.position
        }
        return disk
    }

    /// What verify says, or why the repository does not open.
    static func problem(_ disk: MemoryFileSystem) -> String? {
        do {
            let repository = try BackupRepository.open(path, fileSystem: disk)
            let findings = try repository.verify().findings
            return findings.isEmpty ? nil : "\(findings)"
        } catch {
            return "\(error)"
        }
    }

    @Test("A repository is whole as it was written, and says what it holds")
    func whole() throws {
        let disk = try Self.make()
        #expect(Self.problem(disk) == nil)
        let repository = try BackupRepository.open(Self.path, fileSystem: disk)
        #expect(repository.backups.map(\.kind) == [.full, .incremental])
        #expect(repository.backups.map(\.seq.raw) == [2, 3])
        #expect(repository.leftovers.isEmpty)
    }

    @Test("Cut at any byte, every file is missed")
    func cuts() throws {
        let disk = try Self.make()
        for name in try disk.list(Self.path) where name != "LOCK" {
            let file = try disk.open("\(Self.path)/\(name)", .readWrite)
            let whole = try file.readAll()
            for count in 0..<whole.count {
                try file.truncate(to: UInt64(count))
                #expect(Self.problem(disk) != nil, "\(name) cut at \(count)")
                try file.write(whole, at: 0)
            }
        }
        #expect(Self.problem(disk) == nil)
    }

    @Test("A flip of any bit of any file is noticed")
    func flips() throws {
        let disk = try Self.make()
        for name in try disk.list(Self.path) where name != "LOCK" {
            let file = try disk.open("\(Self.path)/\(name)", .readWrite)
            let whole = try file.readAll()
            for bit in stride(from: 0, to: whole.count * 8, by: Self.bitStride) {
                try file.write([whole[bit / 8] ^ 1 << UInt8(bit % 8)], at: UInt64(bit / 8))
                if Self.problem(disk) == nil { Issue.record("bit \(bit) of \(name)") }
                try file.write([whole[bit / 8]], at: UInt64(bit / 8))
            }
        }
        #expect(Self.problem(disk) == nil)
    }

    @Test("The catalog at a sequence is what its changes up to there add up to")
    func catalogChanges() throws {
        let disk = MemoryFileSystem()
        let id = DirectoryID(high: 1, low: 2)
        try disk.makeDirectory("/db")
        func open() throws -> CatalogLog {
            try CatalogLog.open(
                path: "/db/catalog.log", directory: "/db", fileSystem: disk, id: id)
        }
        let log = try open()
        let scope = Scope(tenant: "t", namespace: "n")
        try log.append(
            .created(CollectionID(1), scope, schemaVersion: 1, Schema()), seq: Sequence(3),
            wallMillis: 10)
        try log.append(.dropped(CollectionID(1)), seq: Sequence(8), wallMillis: 20)
        #expect(log.history.map(\.seq.raw) == [0, 3, 8])
        #expect(log.history.map(\.wallMillis) == [0, 10, 20])
        let again = try open()
        #expect(again.history == log.history)
        #expect(again.state.seq == Sequence(8))
        try again.compact()
        #expect(again.history.allSatisfy { $0.seq == Sequence(8) })
    }
}
