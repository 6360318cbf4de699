// Snapshot files: sections come back, harm anywhere is noticed, and an unfinished one is nothing.
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct SnapshotTests {
    private func pattern(_ count: Int, _ salt: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ salt &+ $0 >> 8) }
    }

    private func writer(
        _ fileSystem: any FileSystem, seq: UInt64 = 7
    ) throws(StoreError) -> SnapshotWriter {
        try SnapshotWriter(
            directory: "/log", fileSystem: fileSystem, identity: testIdentity, seq: Sequence(seq),
            lsn: LSN(64))
    }

    private func reader(
        _ fileSystem: any FileSystem, _ reference: SnapshotReference
    ) throws(StoreError) -> SnapshotReader {
        try SnapshotReader(
            directory: "/log", fileSystem: fileSystem, identity: testIdentity,
            reference: reference)
    }

    @Test("sections of every size come back, in any order and any pieces")
    func roundTrip() throws {
        let disk = try newDisk()
        let writer = try writer(disk)
        let sizes = [0, 1, 1 << 20, (1 << 20) + 1, 3_500_000]
        for (number, size) in sizes.enumerated() {
            writer.begin(section: "s\(number)")
            let bytes = pattern(size, number)
            var position = 0
            while position < size {
                let step = min(size - position, 700_001)
                try writer.write(Array(bytes[position..<(position + step)]))
                position += step
            }
            try writer.finishSection()
        }
        let reference = try writer.finish()
        #expect(UInt64(try disk.bytes("/log/\(reference.fileName)").count) == writer.byteCount)
        let reader = try reader(disk, reference)
        #expect(reader.sectionNames == ["s0", "s1", "s2", "s3", "s4"])
        try reader.verify()
        for number in sizes.indices.reversed() {
            #expect(reader.byteCount(ofSection: "s\(number)") == UInt64(sizes[number]))
            let source = try reader.source(section: "s\(number)")
            var bytes: [UInt8] = []
            while source.remaining > 0 {
                bytes += try source.read(count: Int(min(source.remaining, 300_007)))
            }
            #expect(bytes == pattern(sizes[number], number))
            #expect(throws: KyroError.self) { try source.read(count: 1) }
        }
        #expect(throws: StoreError.self) { try reader.source(section: "s9") }
    }

    private func small(_ disk: MemoryFileSystem) throws -> SnapshotReference {
        let writer = try writer(disk)
        for name in ["ids", "rows"] {
            writer.begin(section: name)
            try writer.write(pattern(100, name.count))
            try writer.finishSection()
        }
        return try writer.finish()
    }

    private func readAll(
        _ disk: MemoryFileSystem, _ reference: SnapshotReference
    ) throws(StoreError) {
        try reader(disk, reference).verify()
    }

    @Test("a flipped bit at any byte and a cut at any byte are damage")
    func harm() throws {
        let disk = try newDisk()
        let reference = try small(disk)
        let path = "/log/\(reference.fileName)"
        let count = try disk.bytes(path).count
        for byte in 0..<count {
            let flipped = disk.copy()
            try flipped.flip(path, byte: byte, bits: 1 << UInt8(byte % 8))
            let found = damage("byte \(byte)") { () throws(StoreError) in
                try readAll(flipped, reference)
            }
            #expect(found?.path == path)
            let cut = disk.copy()
            try cut.open(path, .readWrite).truncate(to: UInt64(byte))
            #expect(damage { () throws(StoreError) in try readAll(cut, reference) } != nil)
        }
    }

    @Test("a newer format is refused by name")
    func newer() throws {
        let disk = try newDisk()
        let reference = try small(disk)
        let path = "/log/\(reference.fileName)"
        try disk.setVersion(path, 4, headerBytes: 64)
        let error = #expect(throws: StoreError.self) { try readAll(disk, reference) }
        #expect(error == .newerFormat(path: path, found: 4, supported: 3))
    }

    @Test("blocks that change places are noticed")
    func swapped() throws {
        let disk = try newDisk()
        let reference = try small(disk)
        let file = try disk.open("/log/\(reference.fileName)", .readWrite)
        let first = try file.read(at: 64, count: 108)
        let second = try file.read(at: 64 + 108, count: 108)
        try file.write(second + first, at: 64)
        let found = damage { () throws(StoreError) in try readAll(disk, reference) }
        #expect(found?.offset == 64)
        #expect(found?.finding.contains("section ids") == true)
    }

    @Test("a snapshot of another shard or sequence is refused")
    func foreign() throws {
        let disk = try newDisk()
        var reference = try small(disk)
        reference.seq = Sequence(8)
        #expect(damage { () throws(StoreError) in try readAll(disk, reference) } != nil)
    }

    @Test(
        "a stop at any operation leaves a whole file or an unfinished one, and both are cleared",
        arguments: 0..<12)
    func stopped(index: Int) throws {
        for seed in 0..<8 as Range<UInt64> {
            let disk = try newDisk()
            let reference = try small(disk)
            let faulty = FaultyFileSystem(disk, stoppingAtMutation: index)
            let next: SnapshotReference?
            do {
                let writer = try writer(faulty, seq: 8)
                writer.begin(section: "ids")
                try writer.write(pattern(2_500_000, 1))
                try writer.finishSection()
                next = try writer.finish()
            } catch {
                next = nil
            }
            let left = disk.afterPowerCut(SeededRandomSource(seed: seed))
            try readAll(left, reference)
            if let next { try readAll(left, next) }
            try SnapshotFiles.deleteUnnamed(
                directory: "/log", fileSystem: left, shard: ShardManifest(snapshot: reference))
            #expect(
                try SnapshotFiles.list(directory: "/log", fileSystem: left)
                    == [reference.fileName])
        }
    }

    @Test("of three snapshots the two that the manifest names are kept")
    func generations() throws {
        let disk = try newDisk()
        var references: [SnapshotReference] = []
        for seq in [3, 20, 100] as [UInt64] {
            let writer = try writer(disk, seq: seq)
            references.append(try writer.finish())
        }
        let deleted = try SnapshotFiles.deleteUnnamed(
            directory: "/log", fileSystem: disk,
            shard: ShardManifest(snapshot: references[2], previousSnapshot: references[1]))
        #expect(deleted == [references[0].fileName])
        #expect(
            try SnapshotFiles.list(directory: "/log", fileSystem: disk)
                == [references[1].fileName, references[2].fileName])
    }
}
