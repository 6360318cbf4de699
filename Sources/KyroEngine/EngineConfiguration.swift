// What an engine is told at its start.
import KyroModel
import KyroStore

public struct EngineConfiguration: Sendable {
    /// The data directory.
    public var path: String
    /// Fixed when the data directory is created; nil takes what it has, or `shardCountIfNew`.
    public var shardCount: Int?
    public var shardCountIfNew = 1
    /// Of collections that have none of their own.
    public var fsync: Durability = .always
    public var logSegmentBytes: Int?
    /// A snapshot is taken when a shard's log has grown by this much since the last.
    public var snapshotLogBytes = 256 << 20
    /// Mutations waiting for one shard's writer; beyond it writes get RESOURCE_EXHAUSTED.
    public var queueBytesMax = 64 << 20
    /// Encoded bytes that one log batch takes.
    public var groupBytesMax = 4 << 20
    /// The longest that a group waits for callers of the last one, before a sync they can share.
    public var commitLingerMicros = 200
    /// Whether an operator vouches for the system's clock at this start; see ExpiryClock.
    public var acceptsClock = false

    public init(path: String) { self.path = path }
}
