// The one error that reaches a caller: what happened, which field is to blame, what to do.

/// Canonical gRPC status codes; the raw values are those of `google.rpc.Code`.
public enum StatusCode: Int32, Sendable, CaseIterable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16
}

public struct KyroError: Error, Equatable, Sendable {
    /// Stable names that clients may branch on; they travel as `ErrorInfo.reason`.
    public enum Reason: String, Sendable, CaseIterable {
        case malformedMessage = "MALFORMED_MESSAGE"
        case invalidField = "INVALID_FIELD"
        case dimensionMismatch = "DIMENSION_MISMATCH"
        case typeMismatch = "TYPE_MISMATCH"
        case limitExceeded = "LIMIT_EXCEEDED"
        case collectionNotFound = "COLLECTION_NOT_FOUND"
        case collectionExists = "COLLECTION_EXISTS"
        case fieldNotFound = "FIELD_NOT_FOUND"
        case messageTooLarge = "MESSAGE_TOO_LARGE"
        case creditExceeded = "CREDIT_EXCEEDED"
        case queueFull = "QUEUE_FULL"
        case outOfSpace = "OUT_OF_SPACE"
        case outOfMemory = "OUT_OF_MEMORY"
        case outOfFiles = "OUT_OF_FILES"
        case seqNotReached = "SEQ_NOT_REACHED"
        case tokenInvalid = "TOKEN_INVALID"
        case tokenExpired = "TOKEN_EXPIRED"
        case asOfGone = "AS_OF_GONE"
        case notServing = "NOT_SERVING"
        case rebuilding = "REBUILDING"
        case draining = "DRAINING"
        case shardReadOnly = "SHARD_READ_ONLY"
        case shardStopped = "SHARD_STOPPED"
        case backupRefused = "BACKUP_REFUSED"
        case credentialsMissing = "CREDENTIALS_MISSING"
        case credentialsInvalid = "CREDENTIALS_INVALID"
        case credentialsExpired = "CREDENTIALS_EXPIRED"
        case credentialsRevoked = "CREDENTIALS_REVOKED"
        case roleMissing = "ROLE_MISSING"
        case scopeDenied = "SCOPE_DENIED"
        case quotaExceeded = "QUOTA_EXCEEDED"
        case cancelled = "CANCELLED"
        case deadlineExceeded = "DEADLINE_EXCEEDED"
        case unimplemented = "UNIMPLEMENTED"
        case `internal` = "INTERNAL"

        public var code: StatusCode {
            switch self {
            case .malformedMessage, .invalidField, .dimensionMismatch, .typeMismatch,
                .limitExceeded, .fieldNotFound, .tokenInvalid:
                .invalidArgument
            case .collectionNotFound: .notFound
            case .collectionExists: .alreadyExists
            case .messageTooLarge, .creditExceeded, .queueFull, .quotaExceeded: .resourceExhausted
            case .outOfSpace, .outOfMemory, .outOfFiles: .resourceExhausted
            case .seqNotReached, .tokenExpired, .backupRefused: .failedPrecondition
            case .asOfGone: .outOfRange
            case .credentialsMissing, .credentialsInvalid, .credentialsExpired,
                .credentialsRevoked:
                .unauthenticated
            case .roleMissing, .scopeDenied: .permissionDenied
            case .notServing, .rebuilding, .draining, .shardReadOnly, .shardStopped: .unavailable
            case .cancelled: .cancelled
            case .deadlineExceeded: .deadlineExceeded
            case .unimplemented: .unimplemented
            case .internal: .internal
            }
        }
    }

    public var code: StatusCode
    /// One of `Reason` when it came from this version of KyroDB.
    public var reason: String
    /// Names the field, the limit and what to do.
    public var message: String
    /// Path of the offending field, such as `mutations[3].upsert.vectors["title"]`.
    public var field: String?
    /// When trying again can help.
    public var retryAfterMillis: Int64?

    public init(
        _ reason: Reason, _ message: String, field: String? = nil, retryAfterMillis: Int64? = nil
    ) {
        self.init(
            code: reason.code, reason: reason.rawValue, message: message, field: field,
            retryAfterMillis: retryAfterMillis)
    }

    /// What a client makes of an answer, whatever server it came from.
    public init(
        code: StatusCode, reason: String, message: String, field: String? = nil,
        retryAfterMillis: Int64? = nil
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.retryAfterMillis = retryAfterMillis
    }

    public static func invalid(_ field: String, _ problem: String) -> KyroError {
        KyroError(.invalidField, "\(field) \(problem)", field: field)
    }

    public static func overLimit(_ field: String, _ problem: String) -> KyroError {
        KyroError(.limitExceeded, "\(field) \(problem)", field: field)
    }
}

extension KyroError {
    /// Whether memory, room or files ran out: that passes, and says nothing about what was read.
    public var isShortage: Bool {
        switch Reason(rawValue: reason) {
        case .outOfSpace, .outOfMemory, .outOfFiles: true
        default: false
        }
    }
}

extension KyroError: CustomStringConvertible {
    public var description: String { "\(reason): \(message)" }
}
