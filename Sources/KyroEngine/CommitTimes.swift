// Which sequence was the last at a time: what a read as of a time stands on, and what a retention
// keeps.
//
// In a shard's snapshot, section `times`, little-endian:
//   u8       version, 1
//   i64      since when commits are known, Unix ms
//   varint   marks; of each: i64 time in the first and varint difference in the others, varint
//            sequence in the first and varint difference in the others
import KyroBytes
import KyroModel

/// Marks at times of the log's batches: before a mark's time nothing at its sequence or above was
/// committed. Where commits are more than there is room for, neighbouring marks are merged, so that a
/// time is known to a small share of all the time: what it then shows is of before, never of after.
package struct CommitTimes: Equatable, Sendable {
    package struct Mark: Equatable, Sendable {
        /// Unix milliseconds, of a batch.
        package var millis: Int64
        package var first: Sequence
    }

    package enum Answer: Equatable {
        /// The time lies before what is known.
        case unknown
        /// Nothing was committed since.
        case latest
        case at(Sequence)
    }

    /// A mebibyte in memory; some 200 KB in a snapshot.
    package static let marksMax = 65_536

    /// Every commit after this is known, Unix milliseconds.
    package private(set) var sinceMillis: Int64
    /// Ascending in both.
    package private(set) var marks: [Mark] = []

    /// - Parameter sinceMillis: of a history without a beginning the lowest.
    package init(sinceMillis: Int64 = .min) { self.sinceMillis = sinceMillis }

    /// Nothing is known before the next commit.
    static let unknown = CommitTimes(sinceMillis: .max)

    /// A batch was committed. Shards' batches come nearly in order; one that is late counts as of the
    /// latest time known.
    package mutating func note(_ millis: Int64, first: Sequence) {
        guard millis > 0 else {
            // Of a log that told no times.
            self = .unknown
            return
        }
        if sinceMillis == .max { sinceMillis = millis }
        let millis = max(millis, marks.last?.millis ?? .min)
        // What was not there before the later time was not there before the earlier.
        while let last = marks.last, last.first >= first { marks.removeLast() }
        if let last = marks.last, last.millis == millis { return }
        marks.append(Mark(millis: millis, first: first))
        if marks.count > Self.marksMax { thin() }
    }

    /// Merges neighbours within ever larger spans of time until a quarter is free: so a span is at
    /// most 1/16,384 of all the time that is known.
    private mutating func thin() {
        var span: Int64 = 1
        while marks.count > Self.marksMax / 4 * 3 {
            span *= 2
            var kept: [Mark] = []
            kept.reserveCapacity(marks.count)
            for mark in marks {
                // The later time stays, with the earlier sequence.
                if let last = kept.last, last.millis / span == mark.millis / span {
                    kept[kept.count - 1].millis = mark.millis
                } else {
                    kept.append(mark)
                }
            }
            marks = kept
        }
    }

    /// Adds what another has seen, of the same sequences.
    package mutating func merge(_ other: CommitTimes) {
        let since = max(sinceMillis, other.sinceMillis)
        let all = (marks + other.marks).sorted {
            ($0.millis, $0.first) < ($1.millis, $1.first)
        }
        marks = []
        for mark in all { note(mark.millis, first: mark.first) }
        sinceMillis = since
    }

    /// The last sequence up to which everything was committed at the time.
    package func last(at millis: Int64) -> Answer {
        if millis < sinceMillis { return .unknown }
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) >> 1
            if marks[middle].millis > millis { high = middle } else { low = middle + 1 }
        }
        if low == marks.count { return .latest }
        let first = marks[low].first
        return .at(first > .zero ? Sequence(first.raw - 1) : .zero)
    }

    /// Versions that died above it are kept by a retention; nil where none is.
    package func floor(retentionMillis: Int64, nowMillis: Int64) -> Sequence? {
        guard retentionMillis > 0 else { return nil }
        switch last(at: nowMillis - retentionMillis) {
        // What died before anything is known may have died lately.
        case .unknown: return .zero
        case .latest: return nil
        case .at(let seq): return seq
        }
    }

    // MARK: In a snapshot

    private static let version: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32 + 4 * marks.count)
        writer.writeByte(Self.version)
        writer.writeFixed64(UInt64(bitPattern: sinceMillis))
        writer.writeVarint(UInt64(marks.count))
        var before: Mark?
        for mark in marks {
            if let before {
                writer.writeVarint(UInt64(mark.millis - before.millis))
                writer.writeVarint(mark.first.raw - before.first.raw)
            } else {
                writer.writeFixed64(UInt64(bitPattern: mark.millis))
                writer.writeVarint(mark.first.raw)
            }
            before = mark
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(KyroError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            guard try reader.readByte() == Self.version else { throw ByteError.truncated }
            sinceMillis = Int64(bitPattern: try reader.readFixed64())
            let count = try reader.readCount(max: Self.marksMax)
            for _ in 0..<count {
                guard let before = marks.last else {
                    let millis = Int64(bitPattern: try reader.readFixed64())
                    marks.append(Mark(millis: millis, first: Sequence(try reader.readVarint())))
                    continue
                }
                let gap = Int64(clamping: try reader.readVarint())
                let (millis, isLate) = before.millis.addingReportingOverflow(gap)
                let (first, isFar) = before.first.raw.addingReportingOverflow(
                    try reader.readVarint())
                guard !isLate, !isFar else { throw ByteError.truncated }
                marks.append(Mark(millis: millis, first: Sequence(first)))
            }
        } catch {
            throw SnapshotContents.damaged("section times does not decode: \(error)")
        }
    }
}
