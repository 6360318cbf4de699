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
    /// Mutations waiting for one shard's writer; beyond it writes get RESOURCE_EXHAUSTED.
    public var queueBytesMax = 64 << 20
    /// Encoded bytes that one log batch takes.
    public var groupBytesMax = 4 << 20

    /// Bytes that the process may use; nil for any number. See MemoryBudget.
    public var memoryLimitBytes: UInt64?
    /// Room kept on the volume for what must be finished when it is full.
    public var reserve = ReserveSize.none

    public init(path: String) { self.path = path }
}
