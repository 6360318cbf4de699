// Which collections there are. Every change is durable before anyone sees it.
import KyroModel
import KyroPlatform
import KyroStore

/// Read by every request, changed by the engine's control thread alone.
final class Catalog: Sendable {
    private struct Known: Sendable {
        var byScope: [Scope: Collection]
        /// In the order of their ids, so that whoever goes through them does so in the same order
        /// every time.
        var ordered: [Collection]

        init(_ collections: [Collection]) {
            byScope = Dictionary(uniqueKeysWithValues: collections.map { ($0.scope, $0) })
            ordered = collections.sorted { $0.id < $1.id }
        }

        // A new array each time: who still reads the old one must not see it change. A new id is
        // above all before it.
        mutating func append(_ collection: Collection) {
            byScope[collection.scope] = collection
            ordered = ordered + [collection]
        }

        mutating func remove(_ collection: Collection) {
            byScope[collection.scope] = nil
            ordered = ordered.filter { $0.id != collection.id }
        }
    }

    private let known: Locked<Known>
    private let directory: DataDirectory
    private let log: Locked<CatalogLog>
    private let shardCount: Int
    private let expiry: ExpiryClock
    private let hashSeed: UInt64
    /// The cut tail of a change that was not acknowledged, if the last start found one.
    let tear: RecoveryReport.Tear?

    private let clock: SequenceClock

    init(
        directory: DataDirectory, expiry: ExpiryClock, acceptsClock: Bool, clock: SequenceClock,
        hashSeed: UInt64
    ) throws(KyroError) {
        self.directory = directory
        self.expiry = expiry
        self.clock = clock
        shardCount = directory.shardCount
        self.hashSeed = hashSeed
        let log: CatalogLog
        do throws(StoreError) {
            log = try directory.openCatalog()
        } catch {
            throw error.kyroError
        }
        tear = log.tear
        if acceptsClock { log.forgetTime() }
        var collections: [Collection] = []
        for description in log.state.collections.values {
            let collection = Collection(
                id: description.id, scope: description.scope, schema: description.schema,
                version: description.schemaVersion, durability: description.durability,
                retentionMillis: description.retentionMillis)
            Self.install(collection, shardCount: shardCount, hashSeed: hashSeed)
            if let tunings = log.state.tunings[description.id] {
                collection.fields.replaceTunings(tunings)
            }
            collections.append(collection)
        }
        clock.restore(atLeast: log.state.seq)
        self.log = Locked(log)
        known = Locked(Known(collections))
    }

    /// The file's changes so far: all that were made at a sequence given out before the call.
    var history: (ordinal: UInt64, changes: [CatalogChange]) {
        // A buffer of the caller's own. The log grows a shared one in place as soon as it is the last
        // to have it, and the count that tells so is no order that the thread sanitizer can see.
        log.withLock { ($0.ordinal, $0.history.map { $0 }) }
    }

    /// Each shard's part of a new collection, empty.
    private static func install(_ collection: Collection, shardCount: Int, hashSeed: UInt64) {
        collection.install(
            (0..<shardCount).map {
                CollectionShard(fields: collection.fields, shard: $0, hashSeed: hashSeed)
            })
    }

    // MARK: Reading

    func find(_ scope: Scope) -> Collection? { known.withLock { $0.byScope[scope] } }

    /// The lowest id not given out yet.
    var nextID: CollectionID { log.withLock { $0.state.nextID } }

    /// Ascending by id.
    var all: [Collection] { known.withLock { $0.ordered } }

    var byID: [CollectionID: Collection] {
        Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
    }

    /// Ordered by namespace.
    func collections(ofTenant tenant: String) -> [Collection] {
        all.filter { $0.scope.tenant.utf8.elementsEqual(tenant.utf8) }.sorted {
            $0.scope.namespace.utf8.lexicographicallyPrecedes($1.scope.namespace.utf8)
        }
    }

    // MARK: Changing, on the control thread

    func create(
        _ scope: Scope, schema: Schema, durability: Durability? = nil, retentionMillis: Int64 = 0
    ) throws(KyroError) -> Collection {
        guard find(scope) == nil else {
            throw KyroError(
                .collectionExists,
                "tenant \"\(scope.tenant)\" has a collection \"\(scope.namespace)\" already",
                field: "scope.namespace")
        }
        let id = log.withLock { $0.state.nextID }
        let collection = Collection(
            id: id, scope: scope, schema: schema, version: 1, durability: durability,
            retentionMillis: retentionMillis)
        Self.install(collection, shardCount: shardCount, hashSeed: hashSeed)
        try append(.created(id, scope, schemaVersion: 1, schema, durability: durability))
        if retentionMillis > 0 { try append(.retention(id, millis: retentionMillis)) }
        known.withLock { $0.append(collection) }
        return collection
    }

    func findOrCreate(_ scope: Scope, schema: Schema) throws(KyroError) -> Collection {
        if let known = find(scope) { return known }
        return try create(scope, schema: schema)
    }

    /// Adds fields, or changes how some are indexed.
    ///
    /// - Precondition: `schema` has every field that the collection has.
    func change(_ collection: Collection, to schema: Schema) throws(KyroError) {
        let (current, version) = collection.fields.schemaAndVersion
        guard schema != current else { return }
        try refuseIfDropped(collection)
        try append(.schemaChanged(collection.id, schemaVersion: version + 1, schema))
        collection.fields.replaceSchema(schema, version: version + 1)
    }

    func setRetention(_ collection: Collection, _ millis: Int64) throws(KyroError) {
        guard millis != collection.fields.retentionMillis else { return }
        try append(.retention(collection.id, millis: millis))
        collection.fields.setRetention(millis)
    }

    /// - Parameter body: changes the history that there is then.
    /// - Returns: what it has become.
    func changeTunings(
        _ collection: Collection, _ body: (inout TuningHistory) throws(KyroError) -> Void
    ) throws(KyroError) -> TuningHistory {
        try refuseIfDropped(collection)
        var tunings = collection.fields.tunings
        try body(&tunings)
        try append(.tunings(collection.id, tunings))
        collection.fields.replaceTunings(tunings)
        return tunings
    }

    private func refuseIfDropped(_ collection: Collection) throws(KyroError) {
        guard collection.isDropped else { return }
        throw KyroError(
            .collectionNotFound,
            "collection \"\(collection.scope.namespace)\" was dropped meanwhile")
    }

    func drop(_ collection: Collection) throws(KyroError) {
        // What frees space must not fail for want of it.
        try append(.dropped(collection.id), isFreeing: true)
        collection.fields.markDropped()
        known.withLock { $0.remove(collection) }
    }

    private func append(
        _ record: CatalogRecord, isFreeing: Bool = false
    ) throws(KyroError) {
        let failure: StoreError? = log.withLock { log in
            do throws(StoreError) {
                // Under the lock, so that `history` lacks no change at a sequence given out.
                let (seq, wallMillis) = (clock.next(), expiry.nowMillis())
                if isFreeing {
                    try directory.finishing { () throws(StoreError) in
                        try log.append(record, seq: seq, wallMillis: wallMillis)
                    }
                } else {
                    try log.append(record, seq: seq, wallMillis: wallMillis)
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure.kyroError }
    }
}
