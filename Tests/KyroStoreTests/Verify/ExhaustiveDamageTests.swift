// Every byte cut and every bit flipped, of every file but snapshots: what comes back is what the rules
// of recovery allow, it is called what it is, and `verify` says the same before anything is opened.
//
// The one exception that the rules know: damage in the last batch of a log, when nothing that can
// be read was written after it, looks like a torn write even if the batch was synced. A seal is such
// a later batch, so that the exception ends at a clean stop.
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct ExhaustiveDamageTests {
    /// A small directory and what was put into it.
    struct Bed {
        var disk = MemoryFileSystem()
        var records: [LogRecord] = []
        /// Records below the highest LSN that some later batch, header or seal names as synced.
        var provenCount = 0
        var catalog: [CatalogRecord] = []
        var paths: [String] = []
        /// Where each batch of the log ends, and how many records it or a segment's header names as
        /// synced.
        var witnesses: [(path: String, end: Int, count: Int)] = []
        /// Where each batch of the catalog ends.
        var catalogEnds: [Int] = []
        /// Of the log's last file: where the first batch begins that nothing names as synced.
        var doubtful = (path: "", offset: 0)

        /// Records that must be there when `path` ends at `count`.
        func provenCount(_ path: String, cutAt count: Int) -> Int {
            witnesses.filter { $0.path != path || $0.end <= count }.map(\.count).max() ?? 0
        }
    }

    static let options = ShardLog.Options(segmentBytes: 640, sparesMax: 1)

    static func bed(sealed: Bool) throws -> Bed {
        var bed = Bed()
        let documents = RandomDocuments(seed: 7)
        let directory = try DataDirectory.open(
            "/data", fileSystem: bed.disk, shardCount: 1, random: SeededRandomSource(seed: 1))
        let catalog = try directory.openCatalog()
        bed.catalog = [.nextID(CollectionID(1))]
        bed.catalogEnds = [Int(catalog.diskBytes)]
        for id in 1...5 as ClosedRange<UInt32> {
            let record = CatalogRecord.created(
                CollectionID(id), Scope(namespace: "c\(id)"), schemaVersion: 1, Schema())
            try catalog.append(record, wallMillis: Int64(id))
            bed.catalog.append(record)
            bed.catalogEnds.append(Int(catalog.diskBytes))
        }
        let log = try directory.openLog(shard: 0, options: options)
        _ = try log.replay(from: .zero) { _ in }
        try log.prepareSpare()
        for seq in 1...9 as ClosedRange<UInt64> {
            let batch = [documents.record(seq: 2 * seq), documents.record(seq: 2 * seq + 1)]
            try log.append(batch, wallMillis: Int64(seq))
            bed.records += batch
            if seq != 8 { try log.sync() }
        }
        if sealed { try log.seal(wallMillis: 10) }
        directory.unlock()
        try bed.addWitnesses(directory)
        bed.paths = ["/data/MANIFEST", "/data/catalog.log"]
        for name in try bed.disk.list("/data/shard-0000") {
            bed.paths.append("/data/shard-0000/\(name)")
        }
        return bed
    }

    /// What opening gave, the engine's rule about unknown collections included.
    enum Outcome {
        case opened(records: [LogRecord], tear: Bool, catalog: [CatalogRecord], catalogTear: Bool)
        case refused(StoreError)
    }

    static func open(_ disk: MemoryFileSystem) -> Outcome {
        do throws(StoreError) {
            let directory = try DataDirectory.open("/data", fileSystem: disk)
            let catalog = try directory.openCatalog()
            let log = try directory.openLog(shard: 0, options: options)
            var records: [LogRecord] = []
            let report = try log.replay(from: .zero) { records.append($0) }
            if let lost = records.first(where: { $0.collection >= catalog.state.nextID }) {
                throw .malformed("collection \(lost.collection.raw)")
            }
            return .opened(
                records: records, tear: report.tear != nil, catalog: catalog.load(),
                catalogTear: catalog.tear != nil)
        } catch {
            return .refused(error)
        }
    }

    /// Verifies, opens and compares; counts what happened.
    static func judge(
        _ harmed: MemoryFileSystem, _ bed: Bed, _ counts: inout [String: Int], _ what: Comment,
        provenCount: Int? = nil, catalogCount: Int? = nil, mayLose: Bool = true
    ) throws {
        let before = try harmed.allBytes("/data")
        let verdict: Result<VerifyReport, StoreError>
        do throws(StoreError) {
            verdict = .success(try DirectoryVerification.run("/data", fileSystem: harmed))
        } catch {
            verdict = .failure(error)
        }
        #expect(try harmed.allBytes("/data") == before, "verify writes nothing: \(what)")
        switch (open(harmed), verdict) {
        case (.refused(let error), .failure(let told)):
            #expect(error == told, what)
            counts["refused by both", default: 0] += 1
        case (.refused(let error), .success(let report)):
            let worst = try #require(report.worst, "\(error), and verify finds nothing: \(what)")
            #expect(worst >= .stopsShard, "\(error), and verify says \(worst): \(what)")
            counts["refused as damage", default: 0] += 1
        case (.opened, .failure(let told)):
            Issue.record("opens, though verify says \(told): \(what)")
        case (.opened(let records, let tear, let catalog, let catalogTear), .success(let report)):
            #expect(report.isWhole, "opens, though verify says \(report.findings): \(what)")
            #expect(records == Array(bed.records.prefix(records.count)), what)
            #expect(
                records.count >= provenCount ?? bed.provenCount,
                "lost below the synced mark: \(what)")
            #expect(mayLose || records.count == bed.records.count, what)
            #expect(catalog == Array(bed.catalog.prefix(catalog.count)), what)
            #expect(catalog.count >= catalogCount ?? bed.catalog.count - 1, what)
            let tears = report.findings.filter { $0.severity == .tear }.count
            #expect(tears == (tear ? 1 : 0) + (catalogTear ? 1 : 0), what)
            let isAll =
                records.count == bed.records.count && catalog.count == bed.catalog.count
            let word = isAll ? "all there" : "last write cut"
            counts[word + (tears > 0 ? ", told as a tear" : ""), default: 0] += 1
        }
    }

    @Test(
        "every flipped bit is harmless, a tear of the last write, or refused",
        arguments: [false, true])
    func flips(sealed: Bool) throws {
        let bed = try Self.bed(sealed: sealed)
        var counts: [String: Int] = [:]
        for path in bed.paths {
            let size = try bed.disk.bytes(path).count
            for position in stride(from: 0, to: size * 8, by: scaledStride) {
                let (byte, bit) = position.quotientAndRemainder(dividingBy: 8)
                let harmed = bed.disk.copy()
                try harmed.flip(path, byte: byte, bits: 1 << UInt8(bit))
                // The exception: only there a flip can take what was written.
                let isDoubtful = path == bed.doubtful.path && byte >= bed.doubtful.offset
                try Self.judge(
                    harmed, bed, &counts, "\(path), byte \(byte), bit \(bit)",
                    mayLose: isDoubtful)
            }
        }
        print("flips, sealed \(sealed): \(counts.sorted { $0.key < $1.key })")
        #expect(counts["refused as damage"] ?? 0 > 0)
        #expect(counts["last write cut"] == nil, "a flip never cuts in silence")
    }

    @Test("every cut is harmless, a tear of the last write, or refused", arguments: [false, true])
    func cuts(sealed: Bool) throws {
        let bed = try Self.bed(sealed: sealed)
        var counts: [String: Int] = [:]
        for path in bed.paths {
            for count in 0..<(try bed.disk.bytes(path).count) {
                let harmed = bed.disk.copy()
                try harmed.open(path, .readWrite).truncate(to: UInt64(count))
                // What remains of a file names no more than what came before its own end.
                let isCatalog = path.hasSuffix("catalog.log")
                try Self.judge(
                    harmed, bed, &counts, "\(path) cut at \(count)",
                    provenCount: bed.provenCount(path, cutAt: count),
                    catalogCount: isCatalog
                        ? bed.catalogEnds.count { $0 <= count } : bed.catalog.count)
            }
        }
        print("cuts, sealed \(sealed): \(counts.sorted { $0.key < $1.key })")
        #expect(counts["refused as damage"] ?? 0 > 0)
    }

    @Test("a missing file is refused, or was none that mattered")
    func missing() throws {
        let bed = try Self.bed(sealed: true)
        var counts: [String: Int] = [:]
        for path in bed.paths {
            let harmed = bed.disk.copy()
            try harmed.unlink(path)
            if path.hasSuffix("catalog.log") {
                // An empty catalog is a valid one: the logs tell that it is not.
                let report = try DirectoryVerification.run("/data", fileSystem: harmed)
                #expect(report.worst == .stopsServer)
                continue
            }
            if path.hasSuffix("MANIFEST") {
                guard case .refused = Self.open(harmed.copy()) else {
                    Issue.record("opens without a manifest")
                    continue
                }
                let report = try DirectoryVerification.run("/data", fileSystem: harmed)
                #expect(report.worst == .stopsServer)
                continue
            }
            // What a missing file named as synced, nobody names any more.
            try Self.judge(
                harmed, bed, &counts, "\(path) is missing",
                provenCount: bed.provenCount(path, cutAt: 0))
        }
        #expect(counts["refused as damage"] ?? 0 > 0)
    }
}

extension ExhaustiveDamageTests.Bed {
    fileprivate mutating func addWitnesses(_ directory: DataDirectory) throws {
        var reader = try LogReader(
            directory: directory.shardPath(0), fileSystem: disk,
            identity: directory.identity(ofShard: 0), from: .zero)
        var batches: [LoggedBatch] = []
        while let batch = try reader.next() { batches.append(batch) }
        var counts: [LSN: Int] = [.zero: 0]
        var count = 0
        var synced = LSN.zero
        for batch in batches {
            synced = max(synced, batch.synced)
            if batch.offset == 64 {
                witnesses.append((batch.path, 64, count))
                synced = max(synced, batch.lsn)
            }
            witnesses.append((batch.path, batch.range.upperBound, counts[batch.synced] ?? 0))
            count += batch.records.count
            counts[batch.endLSN] = count
        }
        provenCount = counts[synced] ?? 0
        if let first = batches.first(where: { $0.lsn >= synced }) {
            doubtful = (first.path, Int(first.offset))
        }
    }
}

extension FileSystem {
    /// Of every file below a directory, by path.
    func allBytes(_ directory: String) throws -> [String: [UInt8]] {
        var all: [String: [UInt8]] = [:]
        for name in try list(directory) {
            let path = "\(directory)/\(name)"
            if let file = try? open(path, .read), let bytes = try? file.readAll() {
                all[path] = bytes
            } else {
                all.merge(try allBytes(path)) { first, _ in first }
            }
        }
        return all
    }
}
