// What can go wrong with a backup, told so that an operator knows what to do next.
import KyroModel
import KyroPlatform

public enum BackupError: Error, Equatable, Sendable {
    /// The file system refused, or a file of the data directory is damaged.
    case store(StoreError)
    /// It cannot be done as asked; says what can.
    case refused(String)
    /// A file of the repository is not what it was when it was written.
    case damaged(Damage)
    /// Something that is needed is not in the repository.
    case missing(String)
    /// The engine refused its part.
    case engine(KyroError)

    public struct Damage: Equatable, Sendable {
        public var path: String
        public var finding: String
        public var affected: String

        public init(path: String, finding: String, affected: String) {
            self.path = path
            self.finding = finding
            self.affected = affected
        }
    }
}

extension BackupError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .store(let error): "\(error)"
        case .refused(let reason): reason
        case .damaged(let damage):
            "\(damage.path) is damaged: \(damage.finding); affected: \(damage.affected)"
        case .missing(let what): what
        case .engine(let error): error.message
        }
    }

    /// What a caller of the server is told.
    public var kyroError: KyroError {
        switch self {
        case .store(.outOfSpace(let error)):
            KyroError(
                code: .resourceExhausted, reason: "OUT_OF_SPACE",
                message: "\(error): free space on the volume of the backups and try again",
                retryAfterMillis: 5_000)
        case .store(let error) where error.isShortage: error.kyroError
        case .store(let error):
            KyroError(code: .internal, reason: "BACKUP_FAILED", message: "\(error)")
        case .refused, .missing: KyroError(.backupRefused, description)
        case .damaged: KyroError(code: .dataLoss, reason: "BACKUP_DAMAGED", message: description)
        case .engine(let error): error
        }
    }
}

/// Runs what reads or writes files and speaks of the backup instead.
func backing<Result>(_ body: () throws(FileError) -> Result) throws(BackupError) -> Result {
    do { return try body() } catch { throw .store(.from(error)) }
}

/// The same for what the rest of the store does.
func backingStore<Result>(
    _ body: () throws(StoreError) -> Result
) throws(BackupError) -> Result {
    do { return try body() } catch { throw .store(error) }
}
