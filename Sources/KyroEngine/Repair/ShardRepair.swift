// What is left of one shard: of every document the newest version that can be read.
//
// A whole snapshot and the log behind it say all there is. When the latest snapshot is not whole, the
// one before and the log between them say the same. Only when that log has holes too is everything
// that can be read put together: then a document may come back in an older state, or after it was
// removed, and the report says so.
import KyroModel
import KyroStore

struct ShardRepair {
    private enum Place {
        /// The row's end is known and what came after it is not.
        case ended
        case removed
        case row(generation: Int, index: Int)
        case record(LogSalvage.Place)
        case nothing

        /// Of two states at one sequence the more telling counts.
        var rank: Int {
            switch self {
            case .nothing: 0
            case .ended: 1
            case .removed: 2
            case .row, .record: 3
            }
        }
    }

    private struct Evidence {
        var seq: UInt64 = 0
        var place = Place.nothing
        /// Of anything that speaks of the document, readable or not.
        var newest: UInt64 = 0
    }

    private struct Key: Hashable {
        var collection: CollectionID
        var id: DocumentID
    }

    let survey: DirectorySurvey
    let shard: Int
    private var log: LogSalvage
    private var snapshots: [SalvagedSnapshot] = []
    private var evidence: [Key: Evidence] = [:]
    private(set) var producers: [ProducerKey: UInt64] = [:]
    private(set) var losses: [RepairReport.Loss] = []
    private(set) var notes: [String] = []
    /// No sequence above this was given out.
    private(set) var seqBound: UInt64 = 0
    private(set) var lastWallMillis: Int64 = 0
    /// Whether parts of history are missing, so that no document is beyond doubt.
    private var isPatchwork = false

    init(_ survey: DirectorySurvey, shard: Int) throws(StoreError) {
        self.survey = survey
        self.shard = shard
        log = try LogSalvage(survey, shard: shard)
    }

    // MARK: Gathering

    mutating func gather() throws(StoreError) {
        let manifest = survey.shards[shard]
        var records: [(key: Key, seq: UInt64, place: Place)] = []
        var marks: [ProducerKey: UInt64] = [:]
        var last: UInt64 = 0
        try log.readAll(known: manifest.replayLSN) { record, _, place in
            last = max(last, record.seq.raw)
            if let producer = record.producer {
                let key = ProducerKey(collection: record.collection, producer: producer.id)
                marks[key] = max(marks[key] ?? 0, producer.clientSequence)
            }
            switch record.operation {
            case .upsert(let document):
                let key = Key(collection: record.collection, id: document.id)
                records.append((key, record.seq.raw, .record(place)))
            case .remove(let id):
                records.append(
                    (Key(collection: record.collection, id: id), record.seq.raw, .removed))
            case .mark: break
            }
        }
        producers = marks
        seqBound = last
        lastWallMillis = log.lastWallMillis
        let base = try chooseBase(manifest)
        for record in records where record.seq > base.seq.raw {
            offer(record.key, record.seq, record.place)
        }
        let lost = log.lost.filter { $0.to > base.lsn }
        for range in lost {
            seqBound += range.recordsMax
            losses.append(loss(range))
        }
        for range in log.lost where range.to <= base.lsn {
            notes.append(
                "\(range.path), offset \(range.offset): \(range.finding); a whole snapshot covers it"
            )
        }
        if let tear = log.tear {
            notes.append("\(tear.path), offset \(tear.offset): a torn last write was left out")
        }
    }

    /// Reads the snapshots that are needed and offers their rows.
    ///
    /// - Returns: where the log has to go on from them.
    private mutating func chooseBase(
        _ manifest: ShardManifest
    ) throws(StoreError) -> (seq: Sequence, lsn: LSN) {
        guard let latest = manifest.snapshot else { return (.zero, .zero) }
        let newest = try SalvagedSnapshot(survey, shard: shard, reference: latest)
        seqBound = max(seqBound, latest.seq.raw)
        if newest.isWhole {
            take([newest])
            return (latest.seq, latest.lsn)
        }
        guard let previous = manifest.previousSnapshot else {
            if isLogWhole(from: .zero) {
                notes += newest.losses.map { "\($0.path), offset \($0.offset): \($0.lost)" }
                return (.zero, .zero)
            }
            takeAll([newest])
            return (.zero, .zero)
        }
        let older = try SalvagedSnapshot(survey, shard: shard, reference: previous)
        if older.isWhole, isLogWhole(from: previous.lsn) {
            take([older])
            producers.merge(newest.producers) { max($0, $1) }
            notes += newest.losses.map { "\($0.path), offset \($0.offset): \($0.lost)" }
            return (previous.seq, previous.lsn)
        }
        takeAll([newest, older])
        return older.isWhole ? (previous.seq, previous.lsn) : (.zero, .zero)
    }

    private func isLogWhole(from lsn: LSN) -> Bool {
        guard let start = log.start, start <= lsn else { return false }
        return !log.lost.contains { $0.to > lsn }
    }

    private mutating func takeAll(_ salvaged: [SalvagedSnapshot]) {
        isPatchwork = true
        losses += salvaged.flatMap(\.losses)
        take(salvaged)
    }

    private mutating func take(_ salvaged: [SalvagedSnapshot]) {
        for snapshot in salvaged {
            let generation = snapshots.count
            snapshots.append(snapshot)
            producers.merge(snapshot.producers) { max($0, $1) }
            for (collection, part) in snapshot.parts {
                for (index, row) in part.rows.rows.enumerated() {
                    let key = Key(collection: collection, id: row.id)
                    if row.died != 0 {
                        offer(key, row.died, .ended)
                    } else if part.isReadable(row) {
                        offer(key, row.born, .row(generation: generation, index: index))
                    } else {
                        offer(key, row.born, .nothing)
                    }
                }
            }
        }
    }

    private mutating func offer(_ key: Key, _ seq: UInt64, _ place: Place) {
        var known = evidence[key] ?? Evidence()
        known.newest = max(known.newest, seq)
        let isBetter =
            seq > known.seq || (seq == known.seq && place.rank > known.place.rank)
        if place.rank > 0, isBetter {
            known.seq = seq
            known.place = place
        }
        evidence[key] = known
    }

    private func loss(_ range: LostLogRange) -> RepairReport.Loss {
        let before = range.seqBefore.map { "above \($0.raw)" } ?? "from the first"
        let behind = range.seqBehind.map { "below \($0.raw)" } ?? "to the last"
        return RepairReport.Loss(
            shard: shard, path: range.path, offset: range.offset,
            lost: "log records of LSN \(range.from) to \(range.to), sequences \(before) and "
                + "\(behind): \(range.finding)",
            consequence: "documents written or removed there are in an earlier state, if they are "
                + "there at all")
    }

    // MARK: Giving out

    /// Documents that live, oldest sequence first.
    ///
    /// - Parameter body: false for a document that cannot be taken.
    mutating func forEachDocument(
        _ body: (CollectionID, Document, Sequence) throws(KyroError) -> Void
    ) throws(KyroError) {
        let living = evidence.filter { $0.value.place.rank == 3 }.sorted {
            $0.value.seq < $1.value.seq
        }
        for (key, found) in living {
            guard let document = document(key, found.place) else {
                losses.append(
                    RepairReport.Loss(
                        shard: shard, path: survey.shardPath(shard), offset: 0,
                        lost: "document \(key.id) of collection \(key.collection.raw)",
                        consequence: "its checksums hold, and it is no document"))
                continue
            }
            try body(key.collection, document, Sequence(found.seq))
        }
    }

    private mutating func document(_ key: Key, _ place: Place) -> Document? {
        switch place {
        case .nothing, .ended, .removed: return nil
        case .row(let generation, let index):
            guard let part = snapshots[generation].parts[key.collection] else { return nil }
            return part.document(part.rows.rows[index])
        case .record(let place):
            guard let record = try? log.record(at: place),
                case .upsert(let document) = record.operation
            else { return nil }
            return document
        }
    }

    /// Documents whose newest version is known to be missing.
    func doubts(scope: (CollectionID) -> Scope) -> [RepairReport.Doubt] {
        var doubts: [RepairReport.Doubt] = []
        for (key, found) in evidence {
            let isKept = found.place.rank == 3
            let reason: String
            if found.newest > found.seq {
                reason = "its newest version cannot be read"
            } else if case .ended = found.place, isPatchwork {
                reason = "it was changed or removed, and what came after cannot be read"
            } else {
                continue
            }
            doubts.append(
                RepairReport.Doubt(
                    scope: scope(key.collection), id: key.id,
                    kept: isKept ? Sequence(found.seq) : nil, newest: Sequence(found.newest),
                    reason: reason))
        }
        return doubts.sorted { $0.newest < $1.newest }
    }

    /// Whether anything speaks of the collection.
    var collections: Set<CollectionID> { Set(evidence.keys.map(\.collection)) }
}
