// What can go wrong below the engine, with what an operator has to know: which file, where, what is
// affected, and what to do.
import KyroModel
import KyroPlatform

public enum StoreError: Error, Equatable, Sendable {
    /// The file system refused.
    case io(FileError)
    /// The volume is full; nothing was acknowledged, and writing may be tried again.
    case outOfSpace(FileError)
    /// No file can be opened for now; nothing was acknowledged, and writing may be tried again.
    case outOfFiles(FileError)
    /// The file says what it cannot mean, at or below a point that was durable.
    case damaged(Damage)
    /// Written by a later version.
    case newerFormat(path: String, found: UInt32, supported: UInt32)
    /// Another process serves this directory.
    case locked(path: String)
    case shardCountMismatch(path: String, found: Int, asked: Int)
    /// There are files, and they are not ours or not all there.
    case notADataDirectory(path: String, reason: String)
    /// A write or an fdatasync failed earlier; the log accepts nothing until it is opened again.
    case stopped(path: String, cause: String)
    /// Bytes that are no encoding of what they should be.
    case malformed(String)
    /// The engine could not take a record that the log had accepted.
    case notReplayable(path: String, lsn: LSN, cause: KyroError)

    public struct Damage: Equatable, Sendable {
        public var path: String
        public var offset: UInt64
        /// What was found there.
        public var finding: String
        /// What cannot be read because of it.
        public var affected: String
        public var advice: String

        public init(
            path: String, offset: UInt64, finding: String, affected: String,
            advice: String = Damage.restoreAdvice
        ) {
            self.path = path
            self.offset = offset
            self.finding = finding
            self.affected = affected
            self.advice = advice
        }

        public static let restoreAdvice = """
            nothing was changed; check the disk, see with kyrodb verify what else there is, then save \
            what is whole with kyrodb repair or restore a backup
            """
    }

    static func from(_ error: FileError) -> StoreError {
        if error.errno.isOutOfSpace { return .outOfSpace(error) }
        return error.errno.isOutOfFiles ? .outOfFiles(error) : .io(error)
    }

    /// Whether the same may succeed later, without a restart.
    public var isShortage: Bool {
        switch self {
        case .outOfSpace, .outOfFiles: true
        default: false
        }
    }
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .io(let error): "\(error)"
        case .outOfSpace(let error):
            "\(error): free space on the volume; writing goes on by itself once there is room"
        case .outOfFiles(let error):
            """
            \(error): close connections or raise the limit of open files (ulimit -n); writing goes \
            on by itself once a file can be opened
            """
        case .damaged(let damage):
            """
            \(damage.path) is damaged at offset \(damage.offset): \(damage.finding); \
            affected: \(damage.affected); \(damage.advice)
            """
        case .newerFormat(let path, let found, let supported):
            """
            \(path) has format version \(found), this KyroDB reads up to \(supported): start the \
            version that wrote it, or a later one
            """
        case .locked(let path):
            """
            data directory \(path) is in use by another KyroDB server: stop that server, or choose \
            another directory
            """
        case .shardCountMismatch(let path, let found, let asked):
            """
            data directory \(path) has \(found) shards and \(asked) were asked for: the number is \
            fixed when the directory is made; start with \(found), or omit it
            """
        case .notADataDirectory(let path, let reason):
            "\(path) cannot serve as a data directory: \(reason)"
        case .stopped(let path, let cause):
            "\(path) accepts nothing until the server is restarted, after: \(cause)"
        case .malformed(let what): what
        case .notReplayable(let path, let lsn, let cause):
            "the record at LSN \(lsn) of \(path) was logged and cannot be applied: \(cause)"
        }
    }

    /// What a caller of the server is told.
    public var kyroError: KyroError {
        switch self {
        case .outOfSpace: KyroError(.outOfSpace, description, retryAfterMillis: 2_000)
        case .outOfFiles: KyroError(.outOfFiles, description, retryAfterMillis: 1_000)
        case .stopped: KyroError(.shardReadOnly, description)
        case .notReplayable(_, _, let cause) where cause.reason == "OUT_OF_MEMORY": cause
        case .io, .damaged, .newerFormat, .locked, .shardCountMismatch, .notADataDirectory,
            .notReplayable:
            KyroError(.shardStopped, description)
        case .malformed: KyroError(.internal, description)
        }
    }
}

/// Runs what touches files and speaks of the store instead.
func storing<Result>(
    _ body: () throws(FileError) -> Result
) throws(StoreError) -> Result {
    do { return try body() } catch { throw .from(error) }
}
