// The log while it is being written: its bytes, its segments, and what it does when a call fails.
import KyroModel
import KyroPlatform
import KyroStore
import Synchronization
import Testing

@Suite struct ShardLogTests {
    @Test("the bytes of a segment are these")
    func golden() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 256).log
        try log.append([Self.goldenRecord], wallMillis: 1_700_000_000_123)
        try log.seal(wallMillis: 1_700_000_000_456)
        let text = try hex(disk.bytes("/log/log-0000000000000001"))
        let zeros = String(repeating: "00", count: 256 - 64 - 80 - 48)
        #expect(text == Self.goldenSegment + zeros)
    }

    @Test("the bytes of a segment of format 1 are these, and they are read")
    func goldenOld() throws {
        var old = OldSegment()
        old.add(Self.goldenRecord)
        old.add(payload: [], recordCount: 0, isSeal: true)
        let bytes = old.bytes(size: 64 + 72 + 40)
        #expect(hex(bytes) == Self.goldenOldSegment)
        let disk = try newDisk()
        try disk.open("/log/log-0000000000000001", .createEmpty).write(bytes, at: 0)
        let again = try replayed(disk)
        #expect(again.records == [Self.goldenRecord])
        #expect(again.report.wasSealed)
        #expect(again.report.lastWallMillis == 0)
    }

    private static let goldenRecord = LogRecord(
        collection: CollectionID(1), schemaVersion: 300, seq: Sequence(5),
        producer: ProducerMark(id: "p", clientSequence: 9), operation: .remove(.number(7)))

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Made, as the one below, by a second implementation of the byte tables, in Python.
    static let goldenSegment = """
        4b59524f4c4f470002000000c817445d7766554433221100ffeeddccbbaa9988\
        0300000000000000010000000000000000000000000000000000000000000000\
        4b594232beed49861d0000000100000000000000000000000000000000000000\
        00000000000000007b68e5cf8b01000019000000010201ac0205000000000000\
        000270090007000000000000000000004b59423295c4097c0000000000000000\
        50000000000000005000000000000000beed498601000000c869e5cf8b010000
        """

    static let goldenOldSegment = """
        4b59524f4c4f470001000000c77c1bb47766554433221100ffeeddccbbaa9988\
        0300000000000000010000000000000000000000000000000000000000000000\
        4b5942314299fdac1d0000000100000000000000000000000000000000000000\
        000000000000000019000000010201ac02050000000000000002700900070000\
        00000000000000004b594231e21b82a600000000000000004800000000000000\
        48000000000000004299fdac01000000
        """

    @Test("what is appended comes back in order, across many small segments")
    func roundTrip() throws {
        let disk = try newDisk()
        let random = RandomDocuments(seed: 11)
        var expected: [LogRecord] = []
        var seq: UInt64 = 0
        var log = try replayed(disk, segmentBytes: 1024).log
        for turn in 0..<400 {
            let records = (0...random.below(4)).map { _ in
                seq += 1
                return random.record(seq: seq)
            }
            expected += records
            let end = try log.append(records)
            #expect(log.currentLSN == end)
            if random.below(3) == 0 {
                #expect(try log.sync() == end)
                #expect(log.syncedLSN == end)
            }
            if turn % 50 == 49 {
                if turn % 100 == 99 { try log.seal() } else { try log.sync() }
                let again = try replayed(disk.copy(), segmentBytes: 1024)
                #expect(again.records == expected, "seed 11, turn \(turn)")
                #expect(again.report.wasSealed == (turn % 100 == 99))
                #expect(again.report.tear == nil)
                #expect(again.report.lastSeq == Sequence(seq))
                log = try replayed(disk, segmentBytes: 1024).log
            }
        }
        #expect(try disk.list("/log").count > 50)
    }

    @Test("a batch larger than a segment gets a file of its own size")
    func largeBatch() throws {
        let disk = try newDisk()
        var log = try replayed(disk, segmentBytes: 256).log
        var document = Document(id: .number(1))
        document.texts["t"] = String(repeating: "x", count: 5_000)
        let large = LogRecord(
            collection: CollectionID(1), schemaVersion: 1, seq: Sequence(2),
            operation: .upsert(document))
        try log.append([mark(1)])
        try log.append([large])
        try log.append([mark(3)])
        try log.sync()
        #expect(log.diskBytes > 5_000)
        let again = try replayed(disk, segmentBytes: 256)
        #expect(again.records == [mark(1), large, mark(3)])
        log = again.log
        try log.truncate(before: log.currentLSN)
        #expect(log.diskBytes < 5_000)
    }

    @Test("segments under a snapshot are used again, and replay begins behind them")
    func recycling() throws {
        let disk = try newDisk()
        var log = try replayed(disk, segmentBytes: 256).log
        var kept: [(lsn: LSN, seq: UInt64)] = []
        for seq in 1...300 as ClosedRange<UInt64> {
            kept.append((log.currentLSN, seq))
            try log.append([mark(seq)])
            try log.sync()
            guard seq % 10 == 0 else { continue }
            let lsn = kept[Int(seq) - 6].lsn
            try log.truncate(before: lsn)
            let names = try disk.list("/log")
            #expect(names.count <= 5, "\(names)")
            #expect(log.diskBytes == UInt64(names.count) * 256)
            let again = try replayed(disk.copy(), from: lsn, segmentBytes: 256)
            #expect(again.seqs == Array((seq - 5)...seq))
            if seq % 50 == 0 { log = try replayed(disk, from: lsn, segmentBytes: 256).log }
        }
        let missing = damage { () throws(StoreError) in
            _ = try replayed(disk.copy(), segmentBytes: 256)
        }
        #expect(missing?.finding == "the segment is missing")
    }

    @Test("a spare is made ahead, kept over a restart, and saves the log from allocating")
    func spares() throws {
        let disk = try newDisk()
        let recorder = RecordingFileSystem(disk)
        let log = try replayed(recorder, segmentBytes: 256).log
        #expect(log.needsSpare)
        try log.prepareSpare()
        try log.prepareSpare()
        #expect(!log.needsSpare)
        #expect(log.diskBytes == 3 * 256)
        recorder.forget()
        for seq in 1...6 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        try log.sync()
        let allocations = recorder.log.filter {
            if case .file(let event) = $0 { event.operation == .allocate } else { false }
        }
        #expect(allocations.isEmpty)
        let again = try replayed(disk.copy(), segmentBytes: 256)
        #expect(again.seqs == [1, 2, 3, 4, 5, 6])
        #expect(!again.log.needsSpare == (try disk.list("/log").count == 5))
    }

    @Test("after a failed sync the log refuses everything until it is opened again")
    func failedSync() throws {
        let disk = try newDisk()
        let isBroken = Locked(false)
        let faulty = FaultyFileSystem(disk) { event, _ in
            isBroken.withLock { $0 } && event.operation == .sync ? .fail(.inputOutput) : nil
        }
        let recorder = RecordingFileSystem(faulty)
        let log = try replayed(recorder).log
        try log.append([mark(1)])
        try log.sync()
        let synced = log.syncedLSN
        try log.append([mark(2)])
        isBroken.withLock { $0 = true }
        let first = #expect(throws: StoreError.self) { try log.sync() }
        guard case .io = first else {
            Issue.record("\(String(describing: first))")
            return
        }
        #expect(log.syncedLSN == synced)
        isBroken.withLock { $0 = false }
        recorder.forget()
        expectStopped { try log.sync() }
        expectStopped { try log.append([mark(3)]) }
        expectStopped { try log.seal() }
        expectStopped { try log.truncate(before: synced) }
        #expect(recorder.log.isEmpty)
        // The pages may be clean in the cache and absent from the disk: they are written again.
        let again = try replayed(recorder)
        #expect(again.seqs == [1, 2])
        let tail = recorder.log.compactMap { entry -> FileEvent? in
            guard case .file(let event) = entry, event.isMutation else { return nil }
            return event
        }
        // At last the names that the start found are made durable.
        #expect(tail.map(\.operation) == [.write, .sync, .syncDirectory])
        #expect(tail.first?.byteCount == markBatchBytes)
        #expect(again.log.syncedLSN == again.log.currentLSN)
    }

    private func expectStopped(_ body: () throws -> Void) {
        let error = #expect(throws: StoreError.self) { try body() }
        guard case .stopped = error else {
            Issue.record("not stopped: \(String(describing: error))")
            return
        }
        #expect(error?.kyroError.code == .unavailable)
    }

    @Test("a full disk stops nothing: the batch is refused, and taken when there is room")
    func outOfSpace() throws {
        let disk = try newDisk()
        let isFull = Locked(false)
        let faulty = FaultyFileSystem(disk) { event, _ in
            guard isFull.withLock({ $0 }) else { return nil }
            return event.operation == .allocate || event.operation == .write ? .fail(.noSpace) : nil
        }
        let log = try replayed(faulty, segmentBytes: 256).log
        for seq in 1...2 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        isFull.withLock { $0 = true }
        for _ in 0..<3 {
            let error = #expect(throws: StoreError.self) { try log.append([mark(9)]) }
            guard case .outOfSpace = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(error?.kyroError.retryAfterMillis != nil)
        }
        isFull.withLock { $0 = false }
        for seq in 3...9 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        try log.sync()
        let again = try replayed(disk, segmentBytes: 256)
        #expect(again.seqs == Array(1...9))
        #expect(try disk.list("/log").allSatisfy { $0.hasPrefix("log-") })
    }

    @Test("a short write leaves the log where it was")
    func shortWrite() throws {
        for cut in [0, 1, 8, 39, 40, 47, 48, 55] {
            let disk = try newDisk()
            let faulty = FaultyFileSystem(disk) { event, index in
                event.operation == .write && event.offset == 64 + UInt64(markBatchBytes)
                    ? .shortWrite(byteCount: cut, .inputOutput) : nil
            }
            let log = try replayed(faulty).log
            try log.append([mark(1)])
            try log.sync()
            #expect(throws: StoreError.self) { try log.append([mark(2)]) }
            #expect(throws: StoreError.self) { try log.append([mark(2)]) }
            let again = try replayed(disk)
            #expect(again.seqs == [1])
            #expect((again.report.tear == nil) == (cut == 0))
            try again.log.append([mark(3)])
            try again.log.sync()
            #expect(try replayed(disk).seqs == [1, 3])
        }
    }

    @Test("other threads read the positions and make spares while the writer appends")
    func sharing() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 1024).log
        let isDone = Atomic<Bool>(false)
        let maintenance = KyroThread(name: "maintenance") {
            while !isDone.load(ordering: .acquiring) {
                if log.needsSpare { #expect(throws: Never.self) { try log.prepareSpare() } }
                let synced = log.syncedLSN
                #expect(synced <= log.currentLSN)
                _ = log.diskBytes
            }
        }
        for seq in 1...3_000 as ClosedRange<UInt64> {
            try log.append([mark(seq)])
            if seq % 7 == 0 { try log.sync() }
            if seq % 100 == 0 { try log.truncate(before: log.syncedLSN) }
        }
        try log.seal()
        isDone.store(true, ordering: .releasing)
        maintenance.join()
        let names = try disk.list("/log")
        #expect(log.diskBytes == UInt64(names.count) * 1024, "\(names)")
    }

    @Test("the sync returns after the fdatasync of what was appended, in every segment")
    func order() throws {
        let recorder = RecordingFileSystem(try newDisk())
        let log = try replayed(recorder, segmentBytes: 256).log
        recorder.forget()
        for seq in 1...20 as ClosedRange<UInt64> {
            try log.append([mark(seq)])
            try log.sync()
            recorder.mark("acknowledged")
        }
        var unsynced: Set<String> = []
        for entry in recorder.log {
            switch entry {
            case .file(let event) where event.operation == .write: unsynced.insert(event.path)
            case .file(let event) where event.operation == .sync: unsynced.remove(event.path)
            case .file: break
            case .mark: #expect(unsynced.isEmpty)
            }
        }
        #expect(recorder.log.filter { $0 == .mark("acknowledged") }.count == 20)
    }

    @Test("old segments that cannot be removed stay, and nothing else suffers")
    func truncationFails() throws {
        for failing in [FileOperation.unlink, .rename, .syncDirectory] {
            let disk = try newDisk()
            let isBroken = Locked(false)
            let faulty = FaultyFileSystem(disk) { event, _ in
                isBroken.withLock { $0 } && event.operation == failing ? .fail(.inputOutput) : nil
            }
            let log = try replayed(faulty, segmentBytes: 256, sparesMax: 1).log
            for seq in 1...9 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
            try log.sync()
            isBroken.withLock { $0 = true }
            let error = #expect(throws: StoreError.self, "\(failing)") {
                try log.truncate(before: log.syncedLSN)
            }
            guard case .io = error else {
                Issue.record("\(failing): \(String(describing: error))")
                continue
            }
            isBroken.withLock { $0 = false }
            try log.append([mark(10)])
            try log.sync()
            let first = log.firstLSN
            #expect(try replayed(disk.copy(), from: first, segmentBytes: 256).seqs.last == 10)
            try log.truncate(before: log.syncedLSN)
            #expect(try replayed(disk, from: log.firstLSN, segmentBytes: 256).seqs.last == 10)
        }
    }
}
