// Requests about collections and about the server itself, and their answers.

public struct CreateCollectionRequest: Equatable, Sendable {
    public var scope: Scope
    public var schema: Schema
    /// Nil for the server's own.
    public var durability: Durability?
    /// How long dead versions stay readable; zero for no longer than rebuilds happen to leave them.
    public var retentionMillis: Int64

    public init(
        scope: Scope, schema: Schema = Schema(), durability: Durability? = nil,
        retentionMillis: Int64 = 0
    ) {
        self.scope = scope
        self.schema = schema
        self.durability = durability
        self.retentionMillis = retentionMillis
    }
}

public struct DescribeCollectionRequest: Equatable, Sendable {
    public var scope: Scope

    public init(scope: Scope) { self.scope = scope }
}

public struct DescribeCollectionResponse: Equatable, Sendable {
    public var collection: CollectionDescription
    /// Ordered by field.
    public var vectors: [VectorIndexStatus]
    /// Ordered by field.
    public var metadata: [MetadataStatistics]
    /// Ordered by field.
    public var texts: [TextIndexStatus]

    public init(
        collection: CollectionDescription, vectors: [VectorIndexStatus] = [],
        metadata: [MetadataStatistics] = [], texts: [TextIndexStatus] = []
    ) {
        self.collection = collection
        self.vectors = vectors
        self.metadata = metadata
        self.texts = texts
    }
}

/// Changes how vector fields are indexed and text fields analysed.
public struct RebuildRequest: Equatable, Sendable {
    public var scope: Scope
    /// All options of each field named.
    public var vectors: FieldMap<VectorIndexing>
    public var texts: FieldMap<TextField>

    public init(
        scope: Scope, vectors: FieldMap<VectorIndexing> = [:], texts: FieldMap<TextField> = [:]
    ) {
        self.scope = scope
        self.vectors = vectors
        self.texts = texts
    }
}

public struct ListCollectionsRequest: Equatable, Sendable {
    public var tenant: String
    /// The request named no tenant, as in `Scope`.
    public let isTenantImplied: Bool
    /// Zero for the default.
    public var pageSize: UInt32
    public var pageToken: String

    public init(tenant: String = Scope.defaultTenant, pageSize: UInt32 = 0, pageToken: String = "")
    {
        self.tenant = tenant.isEmpty ? Scope.defaultTenant : tenant
        isTenantImplied = tenant.isEmpty
        self.pageSize = pageSize
        self.pageToken = pageToken
    }
}

extension ListCollectionsRequest {
    public static func == (a: ListCollectionsRequest, b: ListCollectionsRequest) -> Bool {
        a.tenant == b.tenant && a.pageSize == b.pageSize && a.pageToken == b.pageToken
    }
}

public struct ListCollectionsResponse: Equatable, Sendable {
    /// Ordered by namespace.
    public var collections: [CollectionDescription]
    /// Empty at the end.
    public var nextPageToken: String

    public init(collections: [CollectionDescription], nextPageToken: String) {
        self.collections = collections
        self.nextPageToken = nextPageToken
    }
}

public struct DropCollectionRequest: Equatable, Sendable {
    public var scope: Scope

    public init(scope: Scope) { self.scope = scope }
}

public struct DropCollectionResponse: Equatable, Sendable {
    public var documentsDropped: UInt64

    public init(documentsDropped: UInt64) { self.documentsDropped = documentsDropped }
}

/// The raw values are those of `kyrodb.v2.ServerState`.
public enum ServerState: UInt8, Sendable {
    case starting = 0
    case serving = 1
    case draining = 2
}

/// The raw values are those of `kyrodb.v2.ShardState`.
public enum ShardState: UInt8, Sendable {
    case recovering = 0
    case serving = 1
    case readOnly = 2
    case stopped = 3
}

/// What a shard does before it serves. The raw values are those of `kyrodb.v2.RecoveryPhase`.
public enum RecoveryPhase: UInt8, Sendable {
    /// Not begun.
    case waiting = 0
    case loadingSnapshot = 1
    case replayingLog = 2
    /// The shard serves, or is stopped.
    case done = 3
}

/// Damage that the scrub has found in a shard's files.
public struct FoundDamage: Equatable, Sendable {
    public var path: String
    public var offset: UInt64
    public var finding: String
    /// Nothing rests on the place any more.
    public var isHealed: Bool

    public init(path: String, offset: UInt64, finding: String, isHealed: Bool) {
        self.path = path
        self.offset = offset
        self.finding = finding
        self.isHealed = isHealed
    }
}

/// What memory allows. The raw values are those of `kyrodb.v2.Admission`.
public enum Admission: UInt8, Sendable {
    case open = 0
    /// Unary writes are refused and streams get no new credit; deletes and reads go on.
    case throttled = 1
    /// The limit is reached: streams are refused too.
    case closed = 2
}

/// Room kept for what must be finished on a full volume. The raw values are those of
/// `kyrodb.v2.ReserveState`.
public enum ReserveState: UInt8, Sendable {
    case none = 0
    case held = 1
    /// Given up, or not made yet for want of room.
    case givenUp = 2
}

public struct ShardStatus: Equatable, Sendable {
    public var shard: UInt32
    public var state: ShardState = .serving
    public var problem = ""
    public var documents: UInt64 = 0
    public var seq: Sequence = .zero
    public var logLSN: UInt64 = 0
    public var syncedLSN: UInt64 = 0
    public var snapshotSeq: Sequence = .zero
    public var residentBytes: UInt64 = 0
    public var diskBytes: UInt64 = 0
    public var queueDepth: UInt64 = 0
    public var graphRows: UInt64 = 0
    public var tailRows: UInt64 = 0
    public var replayedRecords: UInt64 = 0
    public var graphRowsInserted: UInt64 = 0
    public var deadRows: UInt64 = 0
    public var recoveryPhase: RecoveryPhase = .waiting
    /// Of the phase, of the snapshot file or of the log behind it.
    public var recoveryBytesDone: UInt64 = 0
    public var recoveryBytesTotal: UInt64 = 0
    /// What the phases have taken so far; they stay when recovery is done.
    public var snapshotLoadMillis: UInt64 = 0
    public var replayMillis: UInt64 = 0
    public var rebuilds: UInt64 = 0
    public var rebuildRowsLeft: UInt64 = 0
    public var rebuildBytes: UInt64 = 0
    public var deadBytes: UInt64 = 0
    public var missingStructures: UInt32 = 0
    public var damages: [FoundDamage] = []
    /// When the last round of the scrub ended, Unix milliseconds; 0 before that.
    public var scrubEndMillis: Int64 = 0
    /// Read in that round.
    public var scrubRoundBytes: UInt64 = 0
    public var scrubRounds: UInt64 = 0
    /// Read in the round under way.
    public var scrubBytes: UInt64 = 0

    public init(shard: UInt32) { self.shard = shard }
}

public struct StatusResponse: Equatable, Sendable {
    public var version = ""
    public var state: ServerState = .starting
    public var uptimeMillis: UInt64 = 0
    public var seq: Sequence = .zero
    public var collectionCount: UInt32 = 0
    public var shards: [ShardStatus] = []
    public var residentBytes: UInt64 = 0
    public var connections: UInt32 = 0
    public var kernels = ""
    /// Zero for none.
    public var memoryLimitBytes: UInt64 = 0
    public var admission: Admission = .open
    /// Of the volume with the data directory; nil when nobody knows.
    public var diskFreeBytes: UInt64?
    public var reserve: ReserveState = .none
    /// Of writes that wait in the engine.
    public var queuedBytes: UInt64 = 0
    /// What the server goes by for expiry and decay, Unix milliseconds.
    public var clockMillis: Int64 = 0
    /// The system's clock minus the server's.
    public var clockOffsetMillis: Int64 = 0
    /// Whether the system's clock is not followed.
    public var isClockHeld = false
    /// Nil without a backup repository.
    public var backup: BackupStatus?

    public init() {}
}

public struct SnapshotResponse: Equatable, Sendable {
    public var seq: Sequence
    public var bytes: UInt64
    public var micros: UInt64

    public init(seq: Sequence, bytes: UInt64, micros: UInt64) {
        self.seq = seq
        self.bytes = bytes
        self.micros = micros
    }
}

public struct FlushResponse: Equatable, Sendable {
    public var durable: Sequence

    public init(durable: Sequence) { self.durable = durable }
}
