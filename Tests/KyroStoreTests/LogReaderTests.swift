// The reader beside the writer: what it gives is what was synced, from any point on, in both formats.
import KyroBytes
import KyroModel
import KyroPlatform
import KyroStore
import Synchronization
import Testing

@Suite struct LogReaderTests {
    private static let first = "/log/log-0000000000000001"

    private func read(
        _ disk: any FileSystem, from lsn: LSN = .zero, upTo end: LSN? = nil
    ) throws(StoreError) -> (batches: [LoggedBatch], reader: LogReader) {
        var reader = try LogReader(
            directory: "/log", fileSystem: disk, identity: testIdentity, from: lsn, upTo: end)
        var batches: [LoggedBatch] = []
        while let batch = try reader.next() { batches.append(batch) }
        return (batches, reader)
    }

    @Test("batches come with their place, their time and their records")
    func batches() throws {
        let disk = try newDisk()
        let random = RandomDocuments(seed: 5)
        let log = try replayed(disk, segmentBytes: 1024).log
        var expected: [(lsn: LSN, end: LSN, wall: Int64, records: [LogRecord])] = []
        for turn in 1...60 as ClosedRange<Int64> {
            let records = (0...random.below(3)).map {
                random.record(seq: UInt64(turn) * 10 + UInt64($0))
            }
            let start = log.currentLSN
            // Every fifth time the clock seems to have gone back.
            let end = try log.append(records, wallMillis: turn % 5 == 0 ? 7 : 1_000 + turn)
            expected.append((start, end, turn % 5 == 0 ? 999 + turn : 1_000 + turn, records))
        }
        try log.sync()
        #expect(log.lastWallMillis == 1_059)
        for from in expected.indices {
            let (found, reader) = try read(disk, from: expected[from].lsn)
            #expect(found.map(\.lsn) == expected[from...].map(\.lsn))
            #expect(found.map(\.endLSN) == expected[from...].map(\.end))
            #expect(found.map(\.wallMillis) == expected[from...].map(\.wall))
            #expect(reader.endLSN == log.currentLSN && reader.tear == nil)
            #expect(
                try found.map { try $0.decodedRecords() } == expected[from...].map(\.records))
        }
        #expect(try read(disk, from: log.currentLSN).batches.isEmpty)
        #expect(try replayed(disk, segmentBytes: 1024).report.lastWallMillis == 1_059)
    }

    @Test("of an open log the reader gives what was synced when it was made, and changes nothing")
    func open() throws {
        let disk = try newDisk()
        let recorder = RecordingFileSystem(disk)
        let log = try replayed(recorder, segmentBytes: 256).log
        for seq in 1...5 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        try log.sync()
        try log.append([mark(6)])
        recorder.forget()
        var reader = try log.reader(from: .zero)
        for seq in 7...12 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        try log.sync()
        var seqs: [UInt64] = []
        while let batch = try reader.next() {
            seqs += try batch.decodedRecords().map(\.seq.raw)
        }
        #expect(seqs == [1, 2, 3, 4, 5])
        var rest = try log.reader(from: reader.endLSN)
        seqs = []
        while let batch = try rest.next() {
            seqs += try batch.decodedRecords().map(\.seq.raw)
        }
        #expect(seqs == Array(6...12))
        #expect(rest.endLSN == log.syncedLSN)
    }

    @Test("a hold keeps the log while it is truncated, and ends with its last reference")
    func holds() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 256).log
        for seq in 1...9 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        try log.sync()
        var hold = log.hold(from: LSN(UInt64(4 * markBatchBytes)))
        #expect(hold != nil)
        try log.truncate(before: log.syncedLSN)
        #expect(log.firstLSN == LSN(UInt64(4 * markBatchBytes)))
        #expect(log.hold(from: .zero) == nil)
        #expect(try read(disk, from: LSN(UInt64(4 * markBatchBytes))).batches.count == 5)
        hold?.move(to: LSN(UInt64(6 * markBatchBytes)))
        try log.truncate(before: log.syncedLSN)
        #expect(log.firstLSN == LSN(UInt64(6 * markBatchBytes)))
        hold = nil
        try log.truncate(before: log.syncedLSN)
        #expect(log.firstLSN == LSN(UInt64(8 * markBatchBytes)))
        let missing = damage { () throws(StoreError) in _ = try read(disk) }
        #expect(missing?.finding == "the log begins at LSN \(8 * markBatchBytes)")
    }

    @Test("a reader beside a busy writer sees an unbroken log")
    func sharing() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 1024).log
        let isDone = Atomic<Bool>(false)
        let hold = try #require(log.hold(from: .zero))
        let count = Atomic<UInt64>(0)
        let copying = KyroThread(name: "copying") {
            var next = LSN.zero
            var isLast = false
            while !isLast {
                isLast = isDone.load(ordering: .acquiring)
                #expect(throws: Never.self) {
                    var reader = try log.reader(from: next)
                    while let batch = try reader.next() {
                        for record in try batch.decodedRecords() {
                            let expected = count.add(1, ordering: .relaxed).newValue
                            #expect(record.seq == Sequence(expected))
                        }
                    }
                    next = reader.endLSN
                }
                hold.move(to: next)
            }
        }
        for seq in 1...3_000 as ClosedRange<UInt64> {
            try log.append([mark(seq)])
            if seq % 7 == 0 { try log.sync() }
            if seq % 50 == 0 { try log.truncate(before: log.syncedLSN) }
        }
        try log.sync()
        isDone.store(true, ordering: .releasing)
        copying.join()
        #expect(count.load(ordering: .relaxed) == 3_000)
    }

    @Test("a segment that becomes a later one while its header is read is none of the log's")
    func reuse() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 256).log
        for seq in 1...9 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        try log.sync()
        let start = LSN(UInt64(4 * markBatchBytes))
        let end = log.syncedLSN
        let hold = try #require(log.hold(from: start))
        let beside = InterruptedFileSystem(disk, path: Self.first) {
            #expect(throws: Never.self) {
                try log.truncate(before: log.syncedLSN)
                for seq in 10...15 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
                try log.sync()
            }
        }
        let seqs = try read(beside, from: start, upTo: end).batches.flatMap {
            try $0.decodedRecords().map(\.seq.raw)
        }
        #expect(seqs == Array(5...9))
        #expect(log.firstLSN == start)
        hold.release()
    }

    @Test("a flipped bit is damage or a tear, as recovery sees it")
    func flips() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 512).log
        for seq in 1...4 as ClosedRange<UInt64> {
            try log.append([mark(seq)])
            try log.sync()
        }
        let size = 64 + 4 * markBatchBytes
        for byte in 0..<(size + 8) {
            let harmed = disk.copy()
            try harmed.flip(Self.first, byte: byte, bits: 0x10)
            if byte < size - markBatchBytes {
                #expect(damage("\(byte)") { () throws(StoreError) in _ = try read(harmed) } != nil)
            } else {
                let (batches, reader) = try read(harmed)
                #expect(batches.count == (byte < size ? 3 : 4))
                #expect(reader.tear?.lsn == reader.endLSN)
            }
            // With the synced end known, a bad last batch is damage as well.
            if byte < size {
                #expect(
                    damage("\(byte)") { () throws(StoreError) in
                        _ = try read(harmed, upTo: log.syncedLSN)
                    } != nil)
            }
        }
    }

    // MARK: Format 1

    private func oldDisk(_ count: UInt64, size: Int = 1024) throws -> MemoryFileSystem {
        var old = OldSegment()
        for seq in 1...count { old.add(mark(seq)) }
        let disk = try newDisk()
        try disk.open(Self.first, .createEmpty).write(old.bytes(size: size), at: 0)
        try disk.open(Self.first, .readWrite).sync()
        try disk.syncDirectory("/log")
        return disk
    }

    @Test("behind a tail of format 1 the first append begins a segment of format 2")
    func upgrade() throws {
        let disk = try oldDisk(5)
        var again = try replayed(disk)
        #expect(again.seqs == [1, 2, 3, 4, 5])
        #expect(again.report.lastWallMillis == 0)
        #expect(try disk.list("/log") == ["log-0000000000000001"])
        try again.log.append([mark(6)], wallMillis: 5_000)
        try again.log.append([mark(7)], wallMillis: 6_000)
        try again.log.sync()
        #expect(try disk.list("/log") == ["log-0000000000000001", "log-0000000000000002"])
        #expect(try disk.bytes("/log/log-0000000000000002")[8] == 2)
        let (batches, _) = try read(disk)
        #expect(batches.map(\.wallMillis) == [0, 0, 0, 0, 0, 5_000, 6_000])
        again = try replayed(disk)
        #expect(again.seqs == [1, 2, 3, 4, 5, 6, 7])
        #expect(again.report.lastWallMillis == 6_000)
        try again.log.truncate(before: again.log.currentLSN)
        again = try replayed(disk, from: LSN(UInt64(5 * OldSegment.markBatchBytes)))
        #expect(again.seqs == [6, 7])
    }

    @Test("a log of format 1 that is only closed is sealed in a segment of format 2")
    func upgradeAtStop() throws {
        let disk = try oldDisk(3)
        try replayed(disk).log.seal(wallMillis: 77)
        let again = try replayed(disk)
        #expect(again.seqs == [1, 2, 3])
        #expect(again.report.wasSealed && again.report.lastWallMillis == 77)
    }

    @Test("a log of format 1, cut at any byte, gives a prefix and goes on in format 2")
    func oldTruncation() throws {
        let batchBytes = OldSegment.markBatchBytes
        let disk = try oldDisk(4, size: 64 + 4 * batchBytes)
        for count in 64...(64 + 4 * batchBytes) {
            let harmed = disk.copy()
            try harmed.open(Self.first, .readWrite).truncate(to: UInt64(count))
            let rest = (count - 64) % batchBytes
            let whole = UInt64((count - 64) / batchBytes)
            // Each batch names all before it as synced, and only the last can be torn.
            let again = try replayed(harmed)
            #expect(again.seqs == Array(1..<(whole + 1)), "cut at \(count)")
            #expect((again.report.tear != nil) == (rest > 0), "cut at \(count)")
            try again.log.append([mark(99)])
            try again.log.sync()
            let once = try replayed(harmed)
            #expect(once.seqs == Array(1..<(whole + 1)) + [99], "cut at \(count)")
            #expect(once.report.tear == nil)
        }
    }

    @Test("any flipped bit in a log of format 1 is damage, in its last batch a cut tail")
    func oldFlips() throws {
        let batchBytes = OldSegment.markBatchBytes
        let disk = try oldDisk(4)
        for byte in 0..<(64 + 4 * batchBytes) {
            for bits in [1, 0x80] as [UInt8] {
                let harmed = disk.copy()
                try harmed.flip(Self.first, byte: byte, bits: bits)
                if byte < 64 + 3 * batchBytes {
                    let found = damage("byte \(byte), bits \(bits)") { () throws(StoreError) in
                        _ = try replayed(harmed)
                    }
                    #expect(found?.path == Self.first)
                } else {
                    #expect(try replayed(harmed).seqs == [1, 2, 3], "byte \(byte)")
                }
            }
        }
    }

    @Test("a catalog of format 1 is read, and written anew in format 2 by the first change")
    func oldCatalog() throws {
        var old = OldSegment(LogIdentity(directory: testIdentity.directory, shard: .max))
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 3, metric: .l2)
        // nextID 1; created 1, "t", "c", version 1: one vector "v" of 3 in L2, nothing else.
        let metric = Metric.l2.rawValue
        old.add(payload: [3, 0, 0, 0, 1, 4, 1], recordCount: 1)
        let record: [UInt8] = [
            1, 1, 1, 1, 0x74, 1, 0x63, 1, 1, 1, 0x76, 3, metric, 0, 0, 0,
        ]
        old.add(payload: [UInt8(record.count), 0, 0, 0] + record, recordCount: 1)
        let disk = try newDisk()
        let path = "/log/catalog.log"
        try disk.open(path, .createEmpty).write(old.bytes(size: 64 + 48 + 64), at: 0)
        func open() throws(StoreError) -> CatalogLog {
            try CatalogLog.open(
                path: path, directory: "/log", fileSystem: disk, id: testIdentity.directory)
        }
        let catalog = try open()
        let id = CollectionID(1)
        #expect(catalog.state.collections[id]?.scope == Scope(tenant: "t", namespace: "c"))
        #expect(catalog.state.collections[id]?.schema == schema)
        #expect(try disk.bytes(path)[8] == 1)
        let added = CatalogRecord.created(
            CollectionID(2), Scope(namespace: "d"), schemaVersion: 1, schema)
        try catalog.append(added, wallMillis: 9_000)
        #expect(try disk.bytes(path)[8] == 2)
        #expect(try open().state == catalog.state)
        #expect(catalog.state.collections.count == 2)
        #expect(try open().lastWallMillis == 9_000)
        try catalog.compact()
        #expect(try open().lastWallMillis == 9_000)
    }
}

/// Does something once, between the opening of a file and what its opener does with it.
private final class InterruptedFileSystem: TappedFileSystem {
    let inner: any FileSystem
    private let path: String
    private let interruption: Locked<(@Sendable () -> Void)?>

    init(_ inner: any FileSystem, path: String, _ interruption: @escaping @Sendable () -> Void) {
        self.inner = inner
        self.path = path
        self.interruption = Locked(interruption)
    }

    func before(_ event: FileEvent) -> ShortWrite? { nil }

    func after(_ event: FileEvent) {
        guard event.path == path, event.operation == .open || event.operation == .create else {
            return
        }
        let interruption = interruption.withLock { interruption in
            defer { interruption = nil }
            return interruption
        }
        interruption?()
    }
}
