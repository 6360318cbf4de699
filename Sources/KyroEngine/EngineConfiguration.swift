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
    /// How fast a snapshot is written at most, so that others find the disk free; zero for no limit.
    public var snapshotBytesPerSecond = 192 << 20
    /// Mutations waiting for one shard's writer; beyond it writes get RESOURCE_EXHAUSTED.
    public var queueBytesMax = 64 << 20
    /// A collection's part in a shard is rebuilt without its dead rows when it has more than this,
    /// and more than this share of the living ones, in per cent.
    public var rebuildDeadRowsMin = 4_096
    public var rebuildDeadPercent = 50
    /// Rows of a vector field that wait to be linked, from which on the graph is built anew of all
    /// rows at once: inserting so many one by one takes two seconds.
    public var bulkRowsMin = 20_000
    /// Threads that build such a graph, in the background.
    public var bulkThreads = 1
    /// So long a dead row stays in the graph, for the searches that began before its death: one that
    /// takes longer may have to scan.
    public var repairGraceMillis = 250
    /// How long the measuring of recall rests after each piece of work, which takes about 3 ms.
    public var recallPauseMillis = 3
    /// Encoded bytes that one log batch takes.
    public var groupBytesMax = 4 << 20
    /// The longest that a group waits for callers of the last one, before a sync they can share.
    public var commitLingerMicros = 200
    /// Whether an operator vouches for the system's clock at this start; see ExpiryClock.
    public var acceptsClock = false

    /// The repository of this directory's backups; nil for none.
    public var backupsPath: String?
    /// Ships the log to the repository as it grows.
    public var isArchiving = false
    /// Between two rounds of the archive.
    public var archiveMillis = 1_000
    /// Log that is kept for an archive that falls behind; beyond it the log goes, and the archive
    /// begins anew with a full backup.
    public var archiveLagBytesMax: UInt64 = 4 << 30
    /// What the scrub may read; 0 turns it off.
    public var scrubBytesPerSecond = 0
    /// Between two rounds of the scrub.
    public var scrubPauseMillis: Int64 = 600_000

    /// Bytes that the process may use; nil for any number. See MemoryBudget.
    public var memoryLimitBytes: UInt64?
    /// Room kept on the volume for what must be finished when it is full.
    public var reserve = ReserveSize.none

    public init(path: String) { self.path = path }
}
