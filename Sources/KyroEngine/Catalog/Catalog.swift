// Which collections there are. Every change is durable before anyone sees it.
import KyroModel
import KyroPlatform
import KyroStore

/// Read by every request, changed by the engine's control thread alone.
final class Catalog: Sendable {
    private let collections: Locked<[Scope: Collection]>
    private let directory: DataDirectory
    private let log: Locked<CatalogLog>
    private let shardCount: Int
    private let time: any Clock
    private let hashSeed: UInt64

    init(
        directory: DataDirectory, time: any Clock, hashSeed: UInt64
    ) throws(KyroError) {
        self.directory = directory
        self.time = time
        shardCount = directory.shardCount
        self.hashSeed = hashSeed
        let log: CatalogLog
        do throws(StoreError) {
            log = try directory.openCatalog()
        } catch {
            throw error.kyroError
        }
        var byScope: [Scope: Collection] = [:]
        for description in log.state.collections.values {
            let collection = Collection(
                id: description.id, scope: description.scope, schema: description.schema,
                version: description.schemaVersion)
            Self.install(collection, shardCount: shardCount, hashSeed: hashSeed)
            byScope[description.scope] = collection
        }
        self.log = Locked(log)
        collections = Locked(byScope)
    }

    /// Each shard's part of a new collection, empty.
    private static func install(_ collection: Collection, shardCount: Int, hashSeed: UInt64) {
        collection.install(
            (0..<shardCount).map {
                CollectionShard(fields: collection.fields, shard: $0, hashSeed: hashSeed)
            })
    }

    // MARK: Reading

    func find(_ scope: Scope) -> Collection? { collections.withLock { $0[scope] } }

    var all: [Collection] { collections.withLock { Array($0.values) } }

    /// Ordered by namespace.
    func collections(ofTenant tenant: String) -> [Collection] {
        all.filter { $0.scope.tenant.utf8.elementsEqual(tenant.utf8) }.sorted {
            $0.scope.namespace.utf8.lexicographicallyPrecedes($1.scope.namespace.utf8)
        }
    }

    // MARK: Changing, on the control thread

    func create(_ scope: Scope, schema: Schema) throws(KyroError) -> Collection {
        guard find(scope) == nil else {
            throw KyroError(
                .collectionExists,
                "tenant \"\(scope.tenant)\" has a collection \"\(scope.namespace)\" already",
                field: "scope.namespace")
        }
        let id = log.withLock { $0.state.nextID }
        let collection = Collection(id: id, scope: scope, schema: schema, version: 1)
        Self.install(collection, shardCount: shardCount, hashSeed: hashSeed)
        try append(.created(id, scope, schemaVersion: 1, schema))
        collections.withLock { $0[scope] = collection }
        return collection
    }

    func findOrCreate(_ scope: Scope, schema: Schema) throws(KyroError) -> Collection {
        if let known = find(scope) { return known }
        return try create(scope, schema: schema)
    }

    /// Adds fields. - Precondition: `schema` has every field that the collection has.
    func extend(_ collection: Collection, to schema: Schema) throws(KyroError) {
        let (current, version) = collection.fields.schemaAndVersion
        guard schema != current else { return }
        guard !collection.isDropped else {
            throw KyroError(
                .collectionNotFound,
                "collection \"\(collection.scope.namespace)\" was dropped meanwhile")
        }
        try append(.schemaChanged(collection.id, schemaVersion: version + 1, schema))
        collection.fields.replaceSchema(schema, version: version + 1)
    }

    func drop(_ collection: Collection) throws(KyroError) {
        // What frees space must not fail for want of it.
        try append(.dropped(collection.id), isFreeing: true)
        collection.fields.markDropped()
        collections.withLock { $0[collection.scope] = nil }
    }

    private func append(
        _ record: CatalogRecord, isFreeing: Bool = false
    ) throws(KyroError) {
        let failure: StoreError? = log.withLock { log in
            do throws(StoreError) {
                if isFreeing {
                    try directory.finishing { () throws(StoreError) in
                        try log.append(record, wallMillis: time.wallMillis())
                    }
                } else {
                    try log.append(record, wallMillis: time.wallMillis())
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure.kyroError }
    }
}
