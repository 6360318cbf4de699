// Every record of a shard's log that can be read, behind damaged places too, and the places that
// cannot.
import KyroModel
import KyroPlatform

/// Where the log says nothing that can be read.
public struct LostLogRange: Equatable, Sendable {
    public var path: String
    public var offset: UInt64
    public var from: LSN
    public var to: LSN
    public var finding: String
    /// The last sequence before and the first one behind; nil where there is none.
    public var seqBefore: Sequence?
    public var seqBehind: Sequence?

    /// More records than this have no room in the range.
    public var recordsMax: UInt64 { (to.raw - from.raw) / 17 + 1 }
}

public struct LogSalvage {
    /// One record's place.
    public struct Place: Equatable, Sendable {
        var segment: UInt32
        var start: UInt32
        var end: UInt32
    }

    public private(set) var lost: [LostLogRange] = []
    /// Cut tails: nothing that was acknowledged as durable.
    public private(set) var tear: RecoveryReport.Tear?
    /// Where the first segment begins; nil when there is none that can be read.
    public private(set) var start: LSN?
    /// Where the log ends as far as anything is known.
    public private(set) var end = LSN.zero
    public private(set) var lastWallMillis: Int64 = 0
    private let survey: LogSurvey
    private let directory: String
    private var held: (index: Int, bytes: [UInt8])?
    private var lastSeq: Sequence?

    public init(_ survey: DirectorySurvey, shard: Int) throws(StoreError) {
        directory = survey.shardPath(shard)
        self.survey = try LogSurvey(
            directory: directory, fileSystem: survey.fileSystem,
            identity: survey.identity(ofShard: shard))
    }

    /// Gives every readable record to `body`, in the order of the log. Fills `lost`.
    ///
    /// - Parameter known: below this everything was synced.
    public mutating func readAll(
        known: LSN, _ body: (LogRecord, LSN, Place) -> Void
    ) throws(StoreError) {
        var next: LSN?
        for index in survey.segments.indices {
            let segment = survey.segments[index]
            let isLast = survey.isLast(index)
            guard let (scan, _) = try survey.scan(index, known: isLast ? known : .zero) else {
                // What it held is missing between its neighbours.
                continue
            }
            if let next, scan.header.base > next {
                add(
                    SegmentFiles.path(directory, ordinal: segment.ordinal - 1), 0, next,
                    scan.header.base, "the segment is missing or cannot be read")
            }
            if start == nil { start = scan.header.base }
            read(scan, index, segment, body)
            next = scan.end
            end = max(end, scan.end)
            if isLast, let offset = scan.tearOffset {
                tear = RecoveryReport.Tear(
                    path: segment.path, offset: UInt64(offset), lsn: scan.end)
            }
        }
        if let next, next < known {
            add(directory, 0, next, known, "the log ends before the snapshot does")
        }
        if next == nil, known > .zero || !survey.segments.isEmpty {
            add(directory, 0, .zero, max(known, LSN(1)), "no segment of the log can be read")
        }
        end = max(end, known)
    }

    private mutating func read(
        _ scan: SegmentScan, _ index: Int, _ segment: LogSurvey.Segment,
        _ body: (LogRecord, LSN, Place) -> Void
    ) {
        var holes = scan.holes[...]
        for batch in scan.batches {
            while let hole = holes.first, hole.lsn < batch.header.lsn {
                add(segment.path, UInt64(hole.offset), hole.lsn, hole.end, hole.finding)
                holes.removeFirst()
            }
            lastWallMillis = max(lastWallMillis, batch.header.wallMillis)
            do throws(StoreError) {
                for range in try scan.records(of: batch) {
                    let record = try LogRecord.decode(scan.bytes, range: range)
                    note(record.seq)
                    body(
                        record, batch.header.lsn,
                        Place(
                            segment: UInt32(index), start: UInt32(range.lowerBound),
                            end: UInt32(range.upperBound)))
                }
            } catch {
                add(
                    segment.path, UInt64(batch.offset), batch.header.lsn, batch.endLSN,
                    "the checksum holds, but \(error)")
            }
        }
        for hole in holes {
            add(segment.path, UInt64(hole.offset), hole.lsn, hole.end, hole.finding)
        }
    }

    private mutating func add(
        _ path: String, _ offset: UInt64, _ from: LSN, _ to: LSN, _ finding: String
    ) {
        guard from < to else { return }
        lost.append(
            LostLogRange(
                path: path, offset: offset, from: from, to: to, finding: finding,
                seqBefore: lastSeq))
    }

    private mutating func note(_ seq: Sequence) {
        lastSeq = seq
        for index in lost.indices.reversed() {
            guard lost[index].seqBehind == nil else { break }
            lost[index].seqBehind = seq
        }
    }

    /// A record once more.
    public mutating func record(at place: Place) throws(StoreError) -> LogRecord {
        let index = Int(place.segment)
        if held?.index != index {
            let file = try storing { () throws(FileError) in
                try survey.fileSystem.open(survey.segments[index].path, .read)
            }
            held = (index, try PatientReading(file).bytes)
        }
        return try LogRecord.decode(
            held?.bytes ?? [], range: Int(place.start)..<Int(place.end))
    }
}
