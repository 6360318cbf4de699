// The segments of one log as they lie in its directory, damaged or not.
import KyroBytes
import KyroPlatform

struct LogSurvey {
    struct Segment {
        var path: String
        var ordinal: UInt64
        var byteCount: UInt64
        /// As written, or as its batches tell; nil when neither can be read.
        var header: SegmentHeader?
        /// Why the header had to be inferred or is missing.
        var problem: StoreError?
    }

    let fileSystem: any FileSystem
    let identity: LogIdentity
    /// Rising.
    private(set) var segments: [Segment] = []

    /// - Throws: what the file system refuses, and `.newerFormat`.
    init(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity
    ) throws(StoreError) {
        self.fileSystem = fileSystem
        self.identity = identity
        let ordinals = try storing { () throws(FileError) in
            try SegmentFiles.ordinals(in: directory, fileSystem)
        }
        for ordinal in ordinals {
            let path = SegmentFiles.path(directory, ordinal: ordinal)
            segments.append(try survey(path, ordinal))
        }
    }

    private func survey(_ path: String, _ ordinal: UInt64) throws(StoreError) -> Segment {
        let file = try storing { () throws(FileError) in try fileSystem.open(path, .read) }
        let size = try storing { () throws(FileError) in try file.size() }
        var segment = Segment(path: path, ordinal: ordinal, byteCount: size)
        do throws(StoreError) {
            let bytes = try storing { () throws(FileError) in
                try file.read(at: 0, count: SegmentHeader.byteCount)
            }
            let header = try SegmentHeader.decode(bytes, path: path)
            guard header.identity == identity, header.ordinal == ordinal else {
                throw .damaged(
                    StoreError.Damage(
                        path: path, offset: 16,
                        finding: """
                            a segment of directory \(header.identity.directory), shard \
                            \(header.identity.shard), number \(header.ordinal)
                            """, affected: "every record of this segment"))
            }
            segment.header = header
        } catch {
            if case .newerFormat = error { throw error }
            segment.problem = error
            // A segment of another log has nothing to say here.
            if case .damaged(let damage) = error, damage.offset == 16 { return segment }
            segment.header = SegmentHeader.inferred(
                from: try PatientReading(file).bytes, identity: identity, ordinal: ordinal)
        }
        return segment
    }

    /// Where the segment behind this one begins, when there is one and it says so.
    func end(of index: Int) -> LSN? {
        guard index + 1 < segments.count,
            segments[index + 1].ordinal == segments[index].ordinal + 1
        else { return nil }
        return segments[index + 1].header?.base
    }

    /// Whether a later segment proves that this one was full.
    func isLast(_ index: Int) -> Bool { index == segments.count - 1 }

    /// - Parameter known: below this everything was synced.
    /// - Returns: nil for a segment of which nothing is known.
    func scan(_ index: Int, known: LSN) throws(StoreError) -> (SegmentScan, PatientReading)? {
        guard let header = segments[index].header else { return nil }
        let file = try storing { () throws(FileError) in
            try fileSystem.open(segments[index].path, .read)
        }
        let reading = try PatientReading(file)
        // What a later segment was begun behind was synced, as far as this one goes.
        let scan = SegmentScan(reading.bytes, header, end: end(of: index), known: known)
        return (scan, reading)
    }

    /// Where the log ends for sure: the highest base.
    var lastBase: LSN { segments.compactMap { $0.header?.base }.max() ?? .zero }
}
