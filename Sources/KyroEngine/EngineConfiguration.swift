// What an engine is told at its start.
import KyroModel
import KyroStore

public struct EngineConfiguration: Sendable {
    /// The data directory.
    public var path: String
    /// Fixed when the data directory is created; nil takes what it has, or `shardCountIfNew`.
    public var shardCount: Int?
    public var shardCountIfNew = 1
    public var fsync: FsyncPolicy = .always
    public var logSegmentBytes: Int?
    /// A snapshot is taken when a shard's log has grown by this much since the last.
    public var snapshotLogBytes = 256 << 20
    /// How fast a snapshot is written at most, so that others find the disk free; zero for no limit.
    public var snapshotBytesPerSecond = 192 << 20
    /// Mutations waiting for one shard's writer; beyond it writes get RESOURCE_EXHAUSTED.
    public var queueBytesMax = 64 << 20
    /// Encoded bytes that one log batch takes.
    public var groupBytesMax = 4 << 20
    /// What the scrub may read; 0 turns it off.
    public var scrubBytesPerSecond = 0
    /// Between two rounds of the scrub.
    public var scrubPauseMillis: Int64 = 600_000

    public init(path: String) { self.path = path }
}
