// One snapshot of a shard, as far as it can be read.
import KyroBytes
import KyroModel
import KyroStore

struct SalvagedSnapshot {
    struct Part {
        var rows: SalvagedRows
        /// Nil for a field of which nothing can be used.
        var vectors: [(name: String, vectors: SalvagedVectors?)]

        /// Whether the whole document can be read.
        func isReadable(_ row: SalvagedRow) -> Bool { vectorRows(row) != nil }

        /// Which row of each field is the document's; nil when one cannot be read.
        func vectorRows(_ row: SalvagedRow) -> [(field: Int, row: Int)]? {
            var found: [(field: Int, row: Int)] = []
            for (field, entry) in vectors.enumerated() {
                guard let slot = row.slot, let vectors = entry.vectors else { return nil }
                switch vectors.find(slot: slot) {
                case .absent: continue
                case .row(let number): found.append((field, number))
                case .unreadable: return nil
                }
            }
            return found
        }

        /// - Returns: nil when what the checksums vouch for is no document.
        func document(_ row: SalvagedRow) -> Document? {
            guard let blob = rows.blob(row), let vectorRows = vectorRows(row),
                var document = try? DocumentCodec.decode(blob), document.id == row.id
            else { return nil }
            for (field, number) in vectorRows {
                guard let vector = vectors[field].vectors?.vector(number) else { return nil }
                document.vectors[vectors[field].name] = vector
            }
            return document
        }
    }

    let path: String
    let reference: SnapshotReference
    private(set) var parts: [CollectionID: Part] = [:]
    private(set) var producers: [ProducerKey: UInt64] = [:]
    /// Every living document can be read.
    private(set) var isWhole = true
    private(set) var losses: [RepairReport.Loss] = []

    /// - Throws: what only a newer KyroDB can read, and what the file system refuses.
    init(
        _ survey: DirectorySurvey, shard: Int, reference: SnapshotReference
    ) throws(StoreError) {
        self.reference = reference
        path = "\(survey.shardPath(shard))/\(reference.fileName)"
        do throws(StoreError) {
            let reader = try SnapshotReader(
                directory: survey.shardPath(shard), fileSystem: survey.fileSystem,
                identity: survey.identity(ofShard: shard), reference: reference)
            try read(reader, shard)
        } catch {
            switch error {
            case .damaged(let damage): lose(shard, damage.offset, damage.finding)
            case .io(let problem):
                lose(shard, problem.offset ?? 0, "\(problem)")
            case .outOfSpace, .outOfFiles, .newerFormat, .locked, .shardCountMismatch,
                .notADataDirectory, .stopped, .malformed, .notReplayable:
                throw error
            }
        }
    }

    private mutating func lose(
        _ shard: Int, _ offset: UInt64, _ lost: String,
        _ consequence: String = "nothing is taken from this snapshot"
    ) {
        isWhole = false
        losses.append(
            RepairReport.Loss(
                shard: shard, path: path, offset: offset, lost: lost, consequence: consequence))
    }

    private mutating func read(_ reader: SnapshotReader, _ shard: Int) throws(StoreError) {
        guard let section = try SectionAccess(reader, section: SnapshotContents.section),
            let bytes = section.read(0..<section.byteCount),
            let contents = try? SnapshotContents(decoding: bytes)
        else { return lose(shard, 0, "the section \(SnapshotContents.section) cannot be read") }
        producers = contents.producers
        for collection in contents.collections { try read(collection, reader, shard) }
    }

    private mutating func read(
        _ collection: SnapshotContents.CollectionPart, _ reader: SnapshotReader, _ shard: Int
    ) throws(StoreError) {
        let name = SnapshotContents.rows(collection.id)
        guard let section = try SectionAccess(reader, section: name) else {
            return lose(shard, 0, "there is no section \(name)")
        }
        let rows = SalvagedRows(
            section, slotCount: collection.slotCount, version: reader.version)
        var vectors: [(name: String, vectors: SalvagedVectors?)] = []
        for field in collection.vectors {
            let name =
                reader.version == 1
                ? SnapshotContents.vector(collection.id, field)
                : SnapshotContents.vectors(collection.id, field)
            let access = try SectionAccess(reader, section: name)
            vectors.append((field, access.flatMap { SalvagedVectors($0, name: field) }))
            if let block = access?.damaged.first { note(block, shard) }
        }
        let part = Part(rows: rows, vectors: vectors)
        parts[collection.id] = part
        if rows.missingCount > 0 {
            lose(
                shard, section.damaged.first?.offset ?? 0,
                "\(rows.missingCount) of \(collection.slotCount) rows of section \(name)",
                "their documents come from an older snapshot or the log, or are lost")
        }
        let unreadable = rows.rows.count { $0.died == 0 && !part.isReadable($0) }
        if unreadable > 0 {
            lose(
                shard, 0, "vectors of \(unreadable) documents of collection \(collection.id.raw)",
                "these documents come from an older snapshot or the log, or are lost")
        }
    }

    private mutating func note(_ block: DamagedBlock, _ shard: Int) {
        losses.append(
            RepairReport.Loss(
                shard: shard, path: path, offset: block.offset, lost: block.finding,
                consequence: "vectors in it cannot be read"))
    }
}
