// Requests about backups, and their answers.

/// The raw values are those of `kyrodb.v2.BackupKind`.
public enum BackupKind: UInt8, Sendable {
    case none = 0
    case full = 1
    case incremental = 2
    /// A round of the archive: only in a server's status.
    case archive = 3
}

public struct CreateBackupRequest: Equatable, Sendable {
    /// Copies what came since the backup before, instead of everything.
    public var isIncremental: Bool

    public init(isIncremental: Bool = false) { self.isIncremental = isIncremental }
}

/// A backup that is on disk.
public struct BackupDescription: Equatable, Sendable {
    public var id: UInt64
    public var kind: BackupKind
    /// Of an incremental one: the backup before it. Zero otherwise.
    public var parent: UInt64 = 0
    /// Holds the state of every shard at this sequence.
    public var seq: Sequence
    /// When that sequence was taken, Unix ms.
    public var timeMillis: Int64 = 0
    /// Added to the repository.
    public var bytes: UInt64 = 0
    public var micros: UInt64 = 0

    public init(id: UInt64, kind: BackupKind, seq: Sequence) {
        self.id = id
        self.kind = kind
        self.seq = seq
    }
}

/// One message of the stream that creating a backup answers; the last one tells the backup.
public struct CreateBackupResponse: Equatable, Sendable {
    /// Read and copied so far, before compression.
    public var bytesDone: UInt64
    /// Known so far: grows while snapshots are taken.
    public var bytesTotal: UInt64
    public var backup: BackupDescription?

    public init(bytesDone: UInt64, bytesTotal: UInt64, backup: BackupDescription? = nil) {
        self.bytesDone = bytesDone
        self.bytesTotal = bytesTotal
        self.backup = backup
    }
}

/// What a server with a repository is doing about it.
public struct BackupStatus: Equatable, Sendable {
    public var repository = ""
    public var running: BackupKind = .none
    public var bytesDone: UInt64 = 0
    public var bytesTotal: UInt64 = 0
    /// The newest backup; zero when there is none.
    public var lastID: UInt64 = 0
    public var lastSeq: Sequence = .zero
    public var lastTimeMillis: Int64 = 0
    public var isArchiving = false
    /// Every moment up to here can be restored from the repository alone.
    public var archivedSeq: Sequence = .zero
    public var archivedTimeMillis: Int64 = 0
    /// Of the logs, not yet in the repository.
    public var archiveLagBytes: UInt64 = 0
    /// What went wrong last and has not gone right since; empty when all is well.
    public var problem = ""

    public init() {}
}
