// What an examination of a data directory says: place, finding, consequence, advice.
import KyroModel

public struct Finding: Equatable, Sendable {
    /// From harmless to grave.
    public enum Severity: Int, Comparable, Sendable, CaseIterable {
        /// A file that the server removes at its next start, or one that is none of its own.
        case leftover
        /// The end of an interrupted write, which was never acknowledged as durable; the server cuts
        /// it at its next start.
        case tear
        /// Damage that the server gets over by itself.
        case survivable
        /// Damage that stops a shard.
        case stopsShard
        /// Damage that keeps the server from starting.
        case stopsServer

        public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }

        public var isDamage: Bool { self >= .survivable }

        public var text: String {
            switch self {
            case .leftover: "leftover"
            case .tear: "tear"
            case .survivable: "damage, survivable"
            case .stopsShard: "damage, stops the shard"
            case .stopsServer: "damage, stops the server"
            }
        }
    }

    public var severity: Severity
    public var shard: Int?
    public var path: String
    public var offset: UInt64
    public var finding: String
    public var affected: String
    public var advice: String

    public init(
        _ severity: Severity, shard: Int? = nil, path: String, offset: UInt64 = 0,
        finding: String, affected: String, advice: String
    ) {
        self.severity = severity
        self.shard = shard
        self.path = path
        self.offset = offset
        self.finding = finding
        self.affected = affected
        self.advice = advice
    }

    static let repairAdvice =
        "check the disk; kyrodb repair DATA --to NEW saves what is whole, or restore a backup"
    static let serverAdvice = "nothing now; check the disk"
    static let noAdvice = "nothing"
}

public struct VerifyReport: Equatable, Sendable {
    public var findings: [Finding] = []
    public var fileCount = 0
    public var byteCount: UInt64 = 0
    public var shardCount = 0
    /// Records in the logs.
    public var recordCount = 0

    public init() {}

    /// No damage: tears and leftovers are part of an ordinary life.
    public var isWhole: Bool { !findings.contains { $0.severity.isDamage } }
    public var worst: Finding.Severity? { findings.map(\.severity).max() }
}
