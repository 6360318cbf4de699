// A collection while the server runs.
import KyroModel
import KyroPlatform

/// What the catalog knows of one collection, and where its rows are.
final class Collection: Sendable {
    let id: CollectionID
    let scope: Scope
    private let state: Locked<State>
    /// One a shard, made when the collection is.
    private let shardTable: Locked<[CollectionShard]>

    private struct State {
        var schema: Schema
        var version: UInt32
        var isDropped = false
    }

    init(id: CollectionID, scope: Scope, schema: Schema, version: UInt32) {
        self.id = id
        self.scope = scope
        state = Locked(State(schema: schema, version: version))
        shardTable = Locked([])
    }

    var schema: Schema { state.withLock { $0.schema } }
    var schemaVersion: UInt32 { state.withLock { $0.version } }
    var isDropped: Bool { state.withLock { $0.isDropped } }
    var schemaAndVersion: (Schema, UInt32) { state.withLock { ($0.schema, $0.version) } }

    /// Catalog only, after the change is durable.
    func replaceSchema(_ schema: Schema, version: UInt32) {
        state.withLock {
            $0.schema = schema
            $0.version = version
        }
    }

    func markDropped() { state.withLock { $0.isDropped = true } }

    var shards: [CollectionShard] { shardTable.withLock { $0 } }

    func shard(_ index: Int) -> CollectionShard { shardTable.withLock { $0[index] } }

    /// At creation, and when a shard has read its snapshot.
    func install(_ shards: [CollectionShard]) { shardTable.withLock { $0 = shards } }

    func install(_ shard: CollectionShard, at index: Int) {
        shardTable.withLock { $0[index] = shard }
    }

    var documentCount: UInt64 {
        shards.reduce(0) { $0 + UInt64($1.liveCount) }
    }

    var description: CollectionDescription {
        let (schema, version) = schemaAndVersion
        return CollectionDescription(
            scope: scope, id: id, schemaVersion: version, schema: schema,
            documentCount: documentCount)
    }
}
