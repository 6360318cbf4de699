// Whether one shard would start with all it acknowledged, and what it would lose if not.
import KyroModel
import KyroPlatform

/// Reads the log first and the snapshots after it; `findings` is complete then.
struct ShardExamination {
    let survey: DirectorySurvey
    let shard: Int
    let progress: (_ bytes: UInt64) -> Void
    private(set) var findings: [Finding] = []
    private(set) var byteCount: UInt64 = 0
    private(set) var fileCount = 0
    private(set) var recordCount = 0
    /// The highest that a record names; collections are made before anything is written to them.
    private(set) var lastCollection = CollectionID(0)

    private var directory: String { survey.shardPath(shard) }
    private var manifest: ShardManifest { survey.shards[shard] }
    private var log: LogSurvey
    /// Where the log cannot be read, as ranges of LSNs.
    private var lost: [(range: Range<UInt64>, finding: Int)] = []
    private var logStart: LSN?
    private var logEnd = LSN.zero
    /// Where each snapshot goes on; set when a batch begins or the log ends there.
    private var boundaries: Set<LSN> = []

    init(
        _ survey: DirectorySurvey, shard: Int, progress: @escaping (UInt64) -> Void
    ) throws(StoreError) {
        self.survey = survey
        self.shard = shard
        self.progress = progress
        log = try LogSurvey(
            directory: survey.shardPath(shard), fileSystem: survey.fileSystem,
            identity: survey.identity(ofShard: shard))
    }

    mutating func run() throws(StoreError) {
        try examineLog()
        let latest = try examine(manifest.snapshot, isLatest: true)
        let previous = try examine(manifest.previousSnapshot, isLatest: false)
        judge(latest, previous)
        try examineNames()
    }

    // MARK: Log

    private mutating func examineLog() throws(StoreError) {
        let known = manifest.replayLSN
        var end: LSN?
        var chain: UInt32?
        var ordinal: UInt64?
        for index in log.segments.indices {
            let segment = log.segments[index]
            count(segment.byteCount)
            if let problem = segment.problem { add(problem, segment) }
            guard
                let (scan, reading) = try log.scan(index, known: log.isLast(index) ? known : .zero)
            else {
                end = nil
                continue
            }
            if let refusal = reading.error { add(refusal, reading, segment) }
            if let ordinal, segment.ordinal != ordinal + 1 {
                // What a crash left of segments that a snapshot had replaced, or a missing segment.
                addGap(before: segment, from: end, to: scan.header.base)
                logStart = nil
            } else if let end, !continues(scan.header, segment, end: end, chain: chain) {
                addLoss(
                    segment, offset: 36, end..<max(end, scan.header.base),
                    "the segment does not continue the one before it")
            }
            if logStart == nil { logStart = scan.header.base }
            for hole in scan.holes {
                addLoss(segment, offset: UInt64(hole.offset), hole.lsn..<hole.end, hole.finding)
            }
            examineRecords(of: scan, segment)
            end = scan.end
            chain = segment.problem == nil ? scan.lastChain : nil
            ordinal = segment.ordinal
            logEnd = scan.end
            boundaries.insert(scan.end)
            if log.isLast(index), let offset = scan.tearOffset {
                addTear(segment, offset, scan.end)
            }
        }
        if log.segments.isEmpty, known > .zero {
            findings.append(
                Finding(
                    .stopsShard, shard: shard, path: directory, finding: "the log has no segment",
                    affected: "records from LSN \(known) on", advice: Finding.repairAdvice))
        }
    }

    private func continues(
        _ header: SegmentHeader, _ segment: LogSurvey.Segment, end: LSN, chain: UInt32?
    ) -> Bool {
        // An inferred header knows of no chain.
        guard let chain, segment.problem == nil else { return end == header.base }
        return end == header.base && chain == header.chain
    }

    private mutating func examineRecords(of scan: SegmentScan, _ segment: LogSurvey.Segment) {
        for batch in scan.batches {
            boundaries.insert(batch.header.lsn)
            do throws(StoreError) {
                for range in try scan.records(of: batch) {
                    let record = try LogRecord.decode(scan.bytes, range: range)
                    recordCount += 1
                    lastCollection = max(lastCollection, record.collection)
                    if let snapshot = manifest.snapshot, batch.header.lsn >= snapshot.lsn,
                        record.seq <= snapshot.seq
                    {
                        throw .malformed(
                            "sequence \(record.seq.raw) lies behind a snapshot of \(snapshot.seq.raw)"
                        )
                    }
                }
            } catch {
                addLoss(
                    segment, offset: UInt64(batch.offset), batch.header.lsn..<batch.endLSN,
                    "the checksum holds, but \(error)")
            }
        }
    }

    private mutating func add(_ problem: StoreError, _ segment: LogSurvey.Segment) {
        var offset: UInt64 = 0
        var text = "\(problem)"
        if case .damaged(let damage) = problem { (offset, text) = (damage.offset, damage.finding) }
        // All headers are read before anything else.
        findings.append(
            Finding(
                .stopsShard, shard: shard, path: segment.path, offset: offset, finding: text,
                affected: segment.header.map { "records from LSN \($0.base) on" }
                    ?? "every record of this segment",
                advice: Finding.repairAdvice))
    }

    private mutating func add(
        _ refusal: FileError, _ reading: PatientReading, _ segment: LogSurvey.Segment
    ) {
        // What a refused piece hides is a hole of its own; here the disk's own words.
        findings.append(
            Finding(
                .stopsShard, shard: shard, path: segment.path,
                offset: UInt64(reading.refused.first?.lowerBound ?? 0), finding: "\(refusal)",
                affected: "\(reading.refused.count) pieces of this segment",
                advice: Finding.repairAdvice))
    }

    private mutating func addLoss(
        _ segment: LogSurvey.Segment, offset: UInt64, _ range: Range<LSN>, _ finding: String
    ) {
        lost.append((range.lowerBound.raw..<range.upperBound.raw, findings.count))
        let affected =
            range.isEmpty
            ? "records from LSN \(range.lowerBound) on"
            : "records of LSN \(range.lowerBound) to \(range.upperBound)"
        findings.append(
            Finding(
                .stopsShard, shard: shard, path: segment.path, offset: offset, finding: finding,
                affected: affected, advice: Finding.repairAdvice))
    }

    private mutating func addGap(before segment: LogSurvey.Segment, from end: LSN?, to base: LSN) {
        guard let end, base > end else { return }
        let path = SegmentFiles.path(directory, ordinal: segment.ordinal - 1)
        guard base > manifest.truncationLSN else {
            findings.append(
                Finding(
                    .leftover, shard: shard, path: path,
                    finding: "segments before this one are left over from an interrupted clean-up",
                    affected: "nothing", advice: "nothing: the next start removes them"))
            return
        }
        lost.append((end.raw..<base.raw, findings.count))
        findings.append(
            Finding(
                .stopsShard, shard: shard, path: path, finding: "the segment is missing",
                affected: "records of LSN \(end) to \(base)", advice: Finding.repairAdvice))
    }

    private mutating func addTear(_ segment: LogSurvey.Segment, _ offset: Int, _ lsn: LSN) {
        findings.append(
            Finding(
                .tear, shard: shard, path: segment.path, offset: UInt64(offset),
                finding: "the last write is not whole (damage in the last synced batch of a server "
                    + "that was not stopped cleanly looks the same)",
                affected: "records from LSN \(lsn) on", advice: "nothing: the next start cuts it"))
    }

    // MARK: Snapshots

    /// What a snapshot is good for.
    private struct Usability {
        var reference: SnapshotReference
        /// Documents and contents; nil when the file is not there.
        var isReadable = true
        /// Indices of the findings that take the documents.
        var findings: [Int] = []
    }

    private mutating func examine(
        _ reference: SnapshotReference?, isLatest: Bool
    ) throws(StoreError) -> Usability? {
        guard let reference else { return nil }
        var usability = Usability(reference: reference)
        let path = "\(directory)/\(reference.fileName)"
        let reader: SnapshotReader
        do throws(StoreError) {
            reader = try SnapshotReader(
                directory: directory, fileSystem: survey.fileSystem,
                identity: survey.identity(ofShard: shard), reference: reference)
        } catch {
            if case .newerFormat = error { throw error }
            var (offset, text): (UInt64, String) = (0, "\(error)")
            if case .damaged(let damage) = error {
                (offset, text) = (damage.offset, damage.finding)
            }
            addSnapshot(path, offset, text, "every document of the snapshot", &usability)
            return usability
        }
        fileCount += 1
        for name in reader.sectionNames {
            let damaged = try reader.readBlocks(of: name) { _, data in
                count(UInt64(data?.count ?? 0), files: 0)
            }
            for block in damaged {
                let affected =
                    "bytes \(block.range.lowerBound) to \(block.range.upperBound) of section \(name)"
                if SectionKind(section: name) == .derived {
                    findings.append(
                        Finding(
                            .survivable, shard: shard, path: path, offset: block.offset,
                            finding: block.finding, affected: affected,
                            advice:
                                "nothing now: it is built anew from the documents; check the disk"))
                } else {
                    addSnapshot(path, block.offset, block.finding, affected, &usability)
                }
            }
        }
        if !boundaries.contains(reference.lsn), !isLost(reference.lsn) {
            addSnapshot(
                path, 48, "the log has no batch at LSN \(reference.lsn), where it should go on",
                "records from LSN \(reference.lsn) on", &usability)
        }
        return usability
    }

    private mutating func addSnapshot(
        _ path: String, _ offset: UInt64, _ finding: String, _ affected: String,
        _ usability: inout Usability
    ) {
        usability.isReadable = false
        usability.findings.append(findings.count)
        findings.append(
            Finding(
                .stopsShard, shard: shard, path: path, offset: offset, finding: finding,
                affected: affected, advice: Finding.repairAdvice))
    }

    // MARK: Verdict

    private func isLost(_ lsn: LSN) -> Bool { lost.contains { $0.range.contains(lsn.raw) } }

    /// Whether replay from `lsn` meets nothing that cannot be read: it begins at the start of the
    /// segment that holds `lsn`.
    private func isReplayable(from lsn: LSN) -> Bool {
        guard let start = replayStart(lsn) else { return lsn == .zero && log.segments.isEmpty }
        return lsn <= logEnd
            && !lost.contains { $0.range.upperBound > start.raw || $0.range.isEmpty }
            && !log.segments.contains { $0.problem != nil }
    }

    private func replayStart(_ lsn: LSN) -> LSN? {
        guard let logStart, logStart <= lsn else { return nil }
        return log.segments.compactMap { $0.header?.base }.filter { $0 <= lsn }.max()
    }

    private mutating func judge(_ latest: Usability?, _ previous: Usability?) {
        let start = latest?.reference.lsn ?? .zero
        let older = previous?.reference.lsn ?? .zero
        let canUseLatest = (latest?.isReadable ?? true) && isReplayable(from: start)
        let canUseOlder = (previous?.isReadable ?? true) && isReplayable(from: older)
        if start > logEnd || (logStart.map { $0 > start } ?? false), !log.segments.isEmpty {
            findings.append(
                Finding(
                    .stopsShard, shard: shard, path: directory,
                    finding: "the log holds LSN \(logStart ?? .zero) to \(logEnd)",
                    affected: "records from LSN \(start) on, where the snapshot ends",
                    advice: Finding.repairAdvice))
        }
        let needed = replayStart(min(start, older)) ?? .zero
        for loss in lost where loss.range.upperBound <= needed.raw && !loss.range.isEmpty {
            findings[loss.finding].severity = .survivable
            findings[loss.finding].advice = "nothing now: no snapshot needs it; check the disk"
        }
        guard canUseLatest || (latest != nil && canUseOlder) else { return }
        // The server starts with all it acknowledged; what does not hold is needed by nobody else.
        for index in findings.indices where findings[index].severity == .stopsShard {
            findings[index].severity = .survivable
            findings[index].advice =
                canUseLatest
                ? "nothing now: the latest snapshot and the log behind it are whole; check the disk"
                : "nothing now: the snapshot before it and the log are whole; check the disk"
        }
    }

    // MARK: Names

    private mutating func examineNames() throws(StoreError) {
        let names = try storing { () throws(FileError) in
            try survey.fileSystem.list(directory)
        }
        let kept = [manifest.snapshot?.fileName, manifest.previousSnapshot?.fileName]
        for name in names {
            if name.hasPrefix("log-") || kept.contains(name) { continue }
            if name.hasPrefix("spare-"), !name.hasSuffix(".new") { continue }
            let isOurs = name.hasPrefix("spare-") || name.hasPrefix(SnapshotFiles.prefix)
            findings.append(
                Finding(
                    .leftover, shard: shard, path: "\(directory)/\(name)",
                    finding: isOurs
                        ? "left over from something interrupted" : "not a file of KyroDB",
                    affected: "nothing",
                    advice: isOurs ? "nothing: the next start removes it" : "nothing"))
        }
    }

    private mutating func count(_ bytes: UInt64, files: Int = 1) {
        byteCount += bytes
        fileCount += files
        progress(bytes)
    }
}
