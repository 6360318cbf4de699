// A collection while the server runs.
import KyroModel
import KyroPlatform
import Synchronization

/// What the catalog knows of one collection. Read by everybody, changed by the catalog after the
/// change is durable.
final class CollectionFields: Sendable {
    let id: CollectionID
    let scope: Scope
    /// Nil for the server's own.
    let durability: Durability?
    private let state: Locked<State>
    /// Spares searches of all other collections a look.
    private let hasTuning = Atomic<Bool>(false)

    private struct State {
        var schema: Schema
        var version: UInt32
        var retentionMillis: Int64
        var isDropped = false
        var tunings = TuningHistory()
    }

    init(
        id: CollectionID, scope: Scope, schema: Schema, version: UInt32,
        durability: Durability? = nil, retentionMillis: Int64 = 0
    ) {
        self.id = id
        self.scope = scope
        self.durability = durability
        state = Locked(
            State(schema: schema, version: version, retentionMillis: retentionMillis))
    }

    var schema: Schema { state.withLock { $0.schema } }
    var schemaVersion: UInt32 { state.withLock { $0.version } }
    var isDropped: Bool { state.withLock { $0.isDropped } }
    /// How long dead versions stay readable; zero for no longer than rebuilds leave them.
    var retentionMillis: Int64 { state.withLock { $0.retentionMillis } }
    var schemaAndVersion: (Schema, UInt32) { state.withLock { ($0.schema, $0.version) } }

    func replaceSchema(_ schema: Schema, version: UInt32) {
        state.withLock {
            $0.schema = schema
            $0.version = version
        }
    }

    func setRetention(_ millis: Int64) { state.withLock { $0.retentionMillis = millis } }

    var tunings: TuningHistory { state.withLock { $0.tunings } }

    func replaceTunings(_ tunings: TuningHistory) {
        state.withLock { $0.tunings = tunings }
        hasTuning.store(tunings.activeVersion > 0, ordering: .relaxed)
    }

    /// What searches with these legs go by; nil for the defaults.
    func learned(
        _ legs: @autoclosure () -> LegCombination
    ) -> (version: UInt32, fusion: LearnedFusion)? {
        guard hasTuning.load(ordering: .relaxed), let active = tunings.active,
            let fusion = active.fusion(of: legs())
        else { return nil }
        return (active.version, fusion)
    }

    func markDropped() { state.withLock { $0.isDropped = true } }
}

/// A collection's fields, and its rows in every shard.
final class Collection: Sendable {
    let fields: CollectionFields
    /// Which old sequences scans may still ask for.
    let leases = SequenceLeases()
    let recall = CollectionRecall()
    private let parts: Locked<[CollectionShard]>

    init(
        id: CollectionID, scope: Scope, schema: Schema, version: UInt32,
        durability: Durability? = nil, retentionMillis: Int64 = 0
    ) {
        fields = CollectionFields(
            id: id, scope: scope, schema: schema, version: version, durability: durability,
            retentionMillis: retentionMillis)
        parts = Locked([])
    }

    var id: CollectionID { fields.id }
    var scope: Scope { fields.scope }
    var durability: Durability? { fields.durability }
    var schema: Schema { fields.schema }
    var schemaVersion: UInt32 { fields.schemaVersion }
    var isDropped: Bool { fields.isDropped }

    var shards: [CollectionShard] { parts.withLock { $0 } }

    func shard(_ index: Int) -> CollectionShard { parts.withLock { $0[index] } }

    /// At creation, one for every shard.
    func install(_ shards: [CollectionShard]) { parts.withLock { $0 = shards } }

    /// When a shard has read its snapshot, and when its part was rebuilt. Readers have either the
    /// one or the other.
    func install(_ shard: CollectionShard, at index: Int) {
        leases.restoreHorizon(shard.horizon)
        // A new array, though Swift would copy a shared one by itself: that the last reader of the
        // old one has let go is known to the runtime alone, and not to the thread sanitizer.
        parts.withLock { parts in
            parts = parts.indices.map { $0 == index ? shard : parts[$0] }
        }
    }

    var documentCount: UInt64 {
        shards.reduce(0) { $0 + UInt64($1.liveCount) }
    }

    var description: CollectionDescription {
        let (schema, version) = fields.schemaAndVersion
        let tunings = fields.tunings
        var description = CollectionDescription(
            scope: scope, id: id, schemaVersion: version, schema: schema,
            documentCount: documentCount, durability: durability,
            retentionMillis: fields.retentionMillis)
        description.tuning = tunings.active
        description.tuningHistory = tunings.versions
        return description
    }
}

extension Collection {
    /// Versions that died above it are to be kept; nil without a retention, or when nothing has
    /// changed for so long.
    func retained(_ times: Locked<CommitTimes>, nowMillis: Int64) -> Sequence? {
        let retentionMillis = fields.retentionMillis
        guard retentionMillis > 0 else { return nil }
        return times.withLock {
            $0.floor(retentionMillis: retentionMillis, nowMillis: nowMillis)
        }
    }
}
