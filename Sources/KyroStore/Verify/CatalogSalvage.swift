// The catalog's records as far as they can be read, damaged or not.
import KyroPlatform

public struct CatalogSalvage {
    private(set) var records: [CatalogRecord] = []
    public private(set) var state = CatalogState()
    private(set) var problems: [SegmentScan.Hole] = []
    private(set) var tearOffset: Int?
    private(set) var byteCount = 0

    /// - Throws: `.damaged` when nothing of it can be read, `.newerFormat`.
    public init(_ survey: DirectorySurvey) throws(StoreError) {
        let path = survey.catalogPath
        let found = try storing { () throws(FileError) in
            try survey.fileSystem.openIfPresent(path, .read)
        }
        guard let found else {
            // A server that was stopped before it made one has no collection and no record.
            if try Self.isFresh(survey) { return }
            throw Self.damage(path, 0, "it is missing")
        }
        let bytes = try PatientReading(found).bytes
        byteCount = bytes.count
        var header: SegmentHeader
        do throws(StoreError) {
            header = try SegmentHeader.decode(
                Array(bytes.prefix(SegmentHeader.byteCount)), path: path)
            guard header.identity == identity(survey) else {
                throw Self.damage(path, 16, "the catalog of directory \(header.identity.directory)")
            }
        } catch {
            guard case .damaged(let damage) = error, damage.offset != 16,
                let inferred = SegmentHeader.inferred(
                    from: bytes, identity: identity(survey), ordinal: 1)
            else { throw error }
            header = inferred
            problems.append(Self.hole(Int(damage.offset), damage.finding))
        }
        read(SegmentScan(bytes, header, end: nil, known: .zero))
    }

    /// Whether it says all that was ever said.
    public var isWhole: Bool { problems.isEmpty }
    /// What was found, each with its offset in the file.
    public var findings: [(offset: Int, finding: String)] {
        problems.map { ($0.offset, $0.finding) }
    }

    private func identity(_ survey: DirectorySurvey) -> LogIdentity {
        LogIdentity(directory: survey.id, shard: LogIdentity.catalogShard)
    }

    private mutating func read(_ scan: SegmentScan) {
        problems += scan.holes
        for batch in scan.batches {
            do throws(StoreError) {
                for range in try scan.records(of: batch) {
                    let record = try CatalogRecord.decode(scan.bytes, range: range)
                    records.append(record)
                    // Behind a hole a record may speak of what was lost; the rest still counts.
                    try state.apply(record)
                }
            } catch {
                problems.append(Self.hole(batch.offset, "the checksum holds, but \(error)"))
            }
        }
        tearOffset = scan.tearOffset
        if records.isEmpty, problems.isEmpty {
            problems.append(Self.hole(SegmentHeader.byteCount, "no readable batch"))
        }
    }

    /// Whether no log has ever been begun.
    private static func isFresh(_ survey: DirectorySurvey) throws(StoreError) -> Bool {
        for shard in survey.shards.indices {
            let names = try storing { () throws(FileError) in
                try survey.fileSystem.list(survey.shardPath(shard))
            }
            if names.contains(where: { $0.hasPrefix("log-") }) { return false }
        }
        return true
    }

    private static func hole(_ offset: Int, _ finding: String) -> SegmentScan.Hole {
        SegmentScan.Hole(offset: offset, lsn: .zero, end: .zero, finding: finding)
    }

    private static func damage(_ path: String, _ offset: UInt64, _ finding: String) -> StoreError {
        .damaged(
            StoreError.Damage(
                path: path, offset: offset, finding: finding, affected: "every collection"))
    }
}
