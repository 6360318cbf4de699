// The log after a stop: every cut and every flipped bit ends in a prefix or in an error, never in
// wrong data; power cuts lose nothing that was synced.
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct RecoveryTests {
    private static let last = "/log/log-0000000000000001"

    /// Ten batches of one mark each, synced one by one, in one segment.
    private func tenBatches(sealed: Bool = false, syncing: Bool = true) throws -> MemoryFileSystem {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 1024).log
        for seq in 1...10 as ClosedRange<UInt64> {
            try log.append([mark(seq)])
            if syncing { try log.sync() }
        }
        if sealed { try log.seal() }
        return disk
    }

    @Test("a log cut at any byte gives a prefix and says where it ends")
    func truncation() throws {
        let disk = try tenBatches()
        for count in 0..<(64 + 10 * markBatchBytes) {
            let harmed = disk.copy()
            try harmed.open(Self.last, .readWrite).truncate(to: UInt64(count))
            guard count >= 64 else {
                #expect(damage { () throws(StoreError) in _ = try replayed(harmed) } != nil)
                continue
            }
            let again = try replayed(harmed)
            let whole = (count - 64) / markBatchBytes
            #expect(again.seqs == (0..<whole).map { UInt64($0 + 1) }, "cut at \(count)")
            #expect(again.report.endLSN == LSN(UInt64(whole * markBatchBytes)))
            // A cut within the terminator's zero bytes cannot be told from a clean end.
            let rest = (count - 64) % markBatchBytes
            #expect((again.report.tear != nil) == (rest > 0), "cut at \(count)")
            #expect(again.report.tear?.lsn ?? again.report.endLSN == again.report.endLSN)
            try again.log.append([mark(99)])
            try again.log.sync()
            let once = try replayed(harmed)
            #expect(once.seqs.last == 99 && once.records.count == whole + 1, "cut at \(count)")
            #expect(once.report.tear == nil)
        }
    }

    @Test("any flipped bit is damage below the last sync, and a cut tail in the last batch")
    func flips() throws {
        for isSealed in [false, true] {
            let disk = try tenBatches(sealed: isSealed)
            let known = 64 + 9 * markBatchBytes + (isSealed ? markBatchBytes : 0)
            let end = 64 + 10 * markBatchBytes + (isSealed ? 48 : 0)
            for byte in 0..<1024 {
                for bits in [1, 0x80, 0xFF] as [UInt8] {
                    let harmed = disk.copy()
                    try harmed.flip(Self.last, byte: byte, bits: bits)
                    if byte < known {
                        let found = damage("byte \(byte), bits \(bits)") { () throws(StoreError) in
                            _ = try replayed(harmed)
                        }
                        #expect(found?.path == Self.last)
                        let batch = byte < 64 ? 0 : (byte - 64) / markBatchBytes * markBatchBytes
                        if byte >= 64 { #expect(found?.offset == UInt64(64 + batch)) }
                        continue
                    }
                    let again = try replayed(harmed)
                    let isLost = byte < end && !isSealed
                    #expect(again.seqs == Array(1...(isLost ? 9 : 10)), "byte \(byte)")
                    #expect((again.report.tear != nil) == (byte < end + 8), "byte \(byte)")
                    #expect(again.report.wasSealed == (isSealed && byte >= end))
                }
            }
        }
    }

    @Test("what was never synced may be torn anywhere and is cut there")
    func unsynced() throws {
        let disk = try tenBatches(syncing: false)
        for batch in 0..<10 {
            let harmed = disk.copy()
            try harmed.flip(Self.last, byte: 64 + batch * markBatchBytes + 50, bits: 4)
            let again = try replayed(harmed)
            #expect(again.records.count == batch)
            #expect(again.report.tear?.lsn == LSN(UInt64(batch * markBatchBytes)))
            // Batches behind the tear are whole and of the same length; they must not come back
            // when the torn one is written anew.
            try again.log.append([mark(77)])
            try again.log.sync()
            let expected = (0..<batch).map { UInt64($0 + 1) } + [77]
            // As if the zeros behind the new batch, in the next sector, had not reached the disk.
            let behind = 64 + (batch + 1) * markBatchBytes
            let revived = harmed.copy()
            try revived.open(Self.last, .readWrite).write(
                try disk.open(Self.last, .read).read(at: UInt64(behind), count: 8),
                at: UInt64(behind))
            #expect(try replayed(revived).seqs == expected)
            let once = try replayed(harmed)
            #expect(once.seqs == expected)
            #expect(once.report.tear == nil)
        }
    }

    @Test("a zeroed sector below a sync is damage, not the end")
    func zeroed() throws {
        let disk = try tenBatches()
        let zeros = [UInt8](repeating: 0, count: markBatchBytes)
        try disk.open(Self.last, .readWrite).write(zeros, at: UInt64(64 + 3 * markBatchBytes))
        let found = damage { () throws(StoreError) in _ = try replayed(disk) }
        #expect(found?.offset == UInt64(64 + 3 * markBatchBytes))
        #expect(found?.affected.contains("LSN 216") == true)
    }

    @Test("a log that ends below its snapshot is damaged")
    func belowSnapshot() throws {
        let disk = try tenBatches()
        try disk.open(Self.last, .readWrite).truncate(to: UInt64(64 + 4 * markBatchBytes))
        let lsn = LSN(UInt64(7 * markBatchBytes))
        #expect(damage { () throws(StoreError) in _ = try replayed(disk, from: lsn) } != nil)
        let empty = try newDisk()
        #expect(damage { () throws(StoreError) in _ = try replayed(empty, from: lsn) } != nil)
    }

    @Test("in an earlier segment any flipped bit in what is replayed is damage")
    func earlierSegments() throws {
        let disk = try newDisk()
        let log = try replayed(disk, segmentBytes: 320).log
        for seq in 1...9 as ClosedRange<UInt64> { try log.append([mark(seq)]) }
        let first = Self.last
        for byte in 0..<(64 + 3 * markBatchBytes) {
            let harmed = disk.copy()
            try harmed.flip(first, byte: byte, bits: 2)
            let found = damage("byte \(byte)") { () throws(StoreError) in
                _ = try replayed(harmed, segmentBytes: 320)
            }
            #expect(found?.path == first)
        }
        for name in try disk.list("/log").dropLast() where name.hasPrefix("log-") {
            let harmed = disk.copy()
            try harmed.unlink("/log/\(name)")
            #expect(
                damage { () throws(StoreError) in _ = try replayed(harmed, segmentBytes: 320) }
                    != nil)
        }
    }

    @Test("a segment of another directory or shard is refused")
    func foreign() throws {
        let disk = try tenBatches()
        var other = testIdentity
        other.shard = 4
        #expect(
            damage { () throws(StoreError) in _ = try openLog(disk, identity: other) } != nil)
    }

    @Test("a newer format is refused by name")
    func newer() throws {
        let disk = try tenBatches()
        try disk.setVersion(Self.last, 3, headerBytes: 64)
        let error = #expect(throws: StoreError.self) { try openLog(disk) }
        #expect(error == .newerFormat(path: Self.last, found: 3, supported: 2))
    }

    @Test("a record that cannot be applied stops the replay with its place")
    func notReplayable() throws {
        let disk = try tenBatches()
        let log = try openLog(disk)
        let cause = KyroError(.collectionNotFound, "no such collection")
        let error = #expect(throws: StoreError.self) {
            try log.replay(from: .zero) { record throws(KyroError) in
                if record.seq == Sequence(4) { throw cause }
            }
        }
        let lsn = LSN(UInt64(3 * markBatchBytes))
        #expect(error == .notReplayable(path: Self.last, lsn: lsn, cause: cause))
    }

    @Test(
        "power cuts at any operation lose nothing synced and half-apply nothing",
        arguments: 0..<40)
    func powerCuts(seed: UInt64) throws {
        let random = SeededRandomSource(seed: seed)
        let documents = RandomDocuments(seed: seed &+ 1_000)
        var disk = try newDisk()
        /// Batches in the order they were appended; the first `acknowledged` were synced.
        var batches: [[LogRecord]] = []
        var acknowledged = 0
        var seq: UInt64 = 0
        var floor = LSN.zero
        var floorBatches = 0
        for life in 0..<12 {
            let stop = Int(random.next() % 60)
            let faulty = FaultyFileSystem(disk, stoppingAtMutation: stop)
            do throws(StoreError) {
                let again = try replayed(faulty, from: floor, segmentBytes: 512)
                let found = batches[floorBatches...].flatMap { $0 }
                let least = batches[floorBatches..<acknowledged].flatMap { $0 }
                #expect(again.records.count >= least.count, "seed \(seed), life \(life)")
                #expect(
                    again.records == Array(found.prefix(again.records.count)),
                    "seed \(seed), life \(life)")
                var count = 0
                var kept = floorBatches
                while count < again.records.count {
                    count += batches[kept].count
                    kept += 1
                }
                #expect(count == again.records.count, "half a batch: seed \(seed), life \(life)")
                batches.removeLast(batches.count - kept)
                acknowledged = kept
                while true {
                    let records = (0...documents.below(3)).map { _ in
                        seq += 1
                        return documents.record(seq: seq)
                    }
                    batches.append(records)
                    let end = try again.log.append(records)
                    if documents.below(2) == 0 {
                        try again.log.sync()
                        acknowledged = batches.count
                        if documents.below(4) == 0 {
                            (floor, floorBatches) = (end, batches.count)
                            try again.log.truncate(before: end)
                        }
                    }
                    if documents.below(6) == 0 { try again.log.prepareSpare() }
                }
            } catch {
                guard case .io = error else {
                    Issue.record("seed \(seed), life \(life): \(error)")
                    return
                }
            }
            disk = disk.afterPowerCut(random)
        }
    }
}
