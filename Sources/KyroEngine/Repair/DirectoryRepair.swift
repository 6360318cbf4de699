// `kyrodb repair`: what is provably whole in a damaged data directory, in a new one.
//
// The new directory has the same shards, collections and sequences, and one log a shard with a
// record for every document that lives; indexes grow again at its first start.
import KyroModel
import KyroPlatform
import KyroStore

public struct DirectoryRepair {
    private let survey: DirectorySurvey
    private let target: RepairTarget
    private var report = RepairReport()
    private var state: CatalogState
    private let isCatalogWhole: Bool
    private var validations: [CollectionID: DocumentValidation] = [:]

    private static let batchBytes = 1 << 20

    /// Saves `path` into `newPath`; the old directory is only read.
    ///
    /// - Parameters:
    ///   - newPath: missing or empty.
    ///   - progress: told the documents written so far.
    /// - Throws: when nothing could be done, or the new directory could not be written.
    public static func run(
        _ path: String, to newPath: String, fileSystem: any FileSystem,
        random: any RandomSource = SystemRandomSource(),
        progress: @escaping (_ documents: Int) -> Void = { _ in }
    ) throws(KyroError) -> RepairReport {
        var repair = try storing { () throws(StoreError) in
            try DirectoryRepair(path, to: newPath, fileSystem, random)
        }
        try repair.run(progress)
        try storing { () throws(StoreError) in try repair.target.finish() }
        let check = try storing { () throws(StoreError) in
            try DirectoryVerification.run(newPath, fileSystem: fileSystem)
        }
        guard check.isWhole else {
            throw KyroError(
                .internal, "the new directory \(newPath) is not whole: \(check.findings)")
        }
        return repair.report
    }

    private init(
        _ path: String, to newPath: String, _ fileSystem: any FileSystem,
        _ random: any RandomSource
    ) throws(StoreError) {
        survey = try DirectorySurvey(path, fileSystem: fileSystem)
        do throws(StoreError) {
            let catalog = try CatalogSalvage(survey)
            state = catalog.state
            isCatalogWhole = catalog.isWhole
            for (offset, finding) in catalog.findings {
                report.losses.append(
                    RepairReport.Loss(
                        path: survey.catalogPath, offset: UInt64(offset), lost: finding,
                        consequence: "names, schemas and drops of collections may be lost"))
            }
        } catch {
            guard case .damaged(let damage) = error else { throw error }
            state = CatalogState()
            isCatalogWhole = false
            report.losses.append(
                RepairReport.Loss(
                    path: damage.path, offset: damage.offset, lost: damage.finding,
                    consequence: "names and schemas of all collections are lost"))
        }
        if case .damaged(let damage) = survey.manifestProblem {
            report.notes.append(
                "\(damage.path): \(damage.finding); the files themselves told what there is")
        }
        target = try RepairTarget(
            newPath, fileSystem: fileSystem, shardCount: survey.shards.count, random: random)
        report.shardCount = survey.shards.count
    }

    private mutating func run(_ progress: (Int) -> Void) throws(KyroError) {
        for shard in survey.shards.indices {
            var repair = try storing { () throws(StoreError) in
                try ShardRepair(survey, shard: shard)
            }
            try storing { () throws(StoreError) in try repair.gather() }
            try adoptUnknown(repair.collections, shard)
            try write(&repair, progress)
            let state = state
            report.doubts += repair.doubts {
                state.collections[$0]?.scope ?? Scope(namespace: "collection-\($0.raw)")
            }.filter { !isDropped($0.scope) }
            report.losses += repair.losses
            report.notes += repair.notes
        }
        try writeCatalog()
    }

    /// Collections that a whole catalog does not know were dropped.
    private func isDropped(_ scope: Scope) -> Bool {
        isCatalogWhole && !state.collections.values.contains { $0.scope == scope }
    }

    /// What a damaged catalog does not know may be a collection whose name was lost.
    private mutating func adoptUnknown(
        _ ids: Set<CollectionID>, _ shard: Int
    ) throws(KyroError) {
        guard !isCatalogWhole else { return }
        for id in ids.sorted() where state.collections[id] == nil {
            let scope = Scope(namespace: "recovered-\(id.raw)")
            try storing { () throws(StoreError) in
                try state.apply(.created(id, scope, schemaVersion: 1, Schema()))
            }
            report.losses.append(
                RepairReport.Loss(
                    shard: shard, path: survey.catalogPath, offset: 0,
                    lost: "name and schema of collection \(id.raw), or that it was dropped",
                    consequence: "its documents are in \"\(scope.namespace)\", with a schema made "
                        + "from them: metrics and analysers are the defaults"))
        }
    }

    // MARK: Writing

    private mutating func write(
        _ repair: inout ShardRepair, _ progress: (Int) -> Void
    ) throws(KyroError) {
        let target = target
        let shard = repair.shard
        let log = try storing { () throws(StoreError) in try target.openLog(shard: shard) }
        let wallMillis = repair.lastWallMillis
        var batch = LogBatch()
        try repair.forEachDocument { (id, document, seq) throws(KyroError) in
            guard let record = check(id, document, seq, shard) else { return }
            batch.add(record)
            report.documentCount += 1
            if batch.byteCount >= Self.batchBytes {
                try Self.append(&batch, to: log, wallMillis)
                progress(report.documentCount)
            }
        }
        var seq = repair.seqBound
        for (key, sequence) in repair.producers where state.collections[key.collection] != nil {
            seq += 1
            batch.add(
                LogRecord(
                    collection: key.collection, schemaVersion: 0, seq: Sequence(seq),
                    producer: ProducerMark(id: key.producer, clientSequence: sequence),
                    operation: .mark))
        }
        // Sequences that were given out must not be given out again.
        if seq > 0 {
            batch.add(
                LogRecord(
                    collection: CollectionID(0), schemaVersion: 0, seq: Sequence(seq + 1),
                    operation: .mark))
            seq += 1
        }
        if !batch.isEmpty { try Self.append(&batch, to: log, wallMillis) }
        try storing { () throws(StoreError) in try log.seal(wallMillis: wallMillis) }
        report.seq = max(report.seq, Sequence(seq))
    }

    private static func append(
        _ batch: inout LogBatch, to log: ShardLog, _ wallMillis: Int64
    ) throws(KyroError) {
        do throws(StoreError) {
            _ = try log.append(&batch, wallMillis: wallMillis)
        } catch {
            throw error.kyroError
        }
        batch = LogBatch()
    }

    /// Nothing may go into the log that could not be replayed.
    private mutating func check(
        _ id: CollectionID, _ document: Document, _ seq: Sequence, _ shard: Int
    ) -> LogRecord? {
        guard let collection = state.collections[id] else { return nil }
        var validation =
            validations[id] ?? DocumentValidation(schema: collection.schema)
        var checked = document
        do throws(KyroError) {
            try validation.check(&checked, path: "document")
        } catch {
            report.losses.append(
                RepairReport.Loss(
                    shard: shard, path: survey.shardPath(shard), offset: 0,
                    lost: "document \(document.id) of \(collection.scope.namespace)",
                    consequence: "it does not fit the collection: \(error.message)"))
            return nil
        }
        validations[id] = validation
        return LogRecord(
            collection: id, schemaVersion: collection.schemaVersion, seq: seq,
            operation: .upsert(checked))
    }

    private mutating func writeCatalog() throws(KyroError) {
        for (id, validation) in validations where validation.addsFields {
            guard let version = state.collections[id]?.schemaVersion else { continue }
            try storing { () throws(StoreError) in
                try state.apply(
                    .schemaChanged(id, schemaVersion: version + 1, validation.schema))
            }
        }
        report.collectionCount = state.collections.count
        let records = state.records
        let target = target
        try storing { () throws(StoreError) in
            let catalog = try target.openCatalog()
            for record in records { try catalog.append(record, wallMillis: 0) }
        }
    }
}
