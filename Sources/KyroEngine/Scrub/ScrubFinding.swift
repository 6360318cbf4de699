// Damage that was found while the server runs.
import KyroModel
import KyroStore

/// Found by re-reading what nobody had asked for.
struct ScrubFinding: Sendable {
    enum Place: Sendable, Equatable {
        /// A snapshot by its file's name.
        case snapshot(String)
        /// A segment of the log by the LSN at which it ends.
        case log(end: LSN)
    }

    var place: Place
    var path: String
    var offset: UInt64
    var finding: String
    var isHealed = false
}

/// What a shard's scrubbing has come to.
struct ScrubState: Sendable {
    var findings: [ScrubFinding] = []
    /// Of the last round that ended, Unix milliseconds; 0 before the first.
    var roundEndMillis: Int64 = 0
    var roundBytes: UInt64 = 0
    var rounds: UInt64 = 0
    /// In the round under way.
    var bytes: UInt64 = 0

    /// Healed ones go first when there are too many.
    private static let findingsMax = 32

    /// - Returns: false when it is known already.
    mutating func add(_ finding: ScrubFinding) -> Bool {
        let isKnown = findings.contains {
            !$0.isHealed && $0.path == finding.path && $0.offset == finding.offset
        }
        if isKnown { return false }
        findings.append(finding)
        if findings.count > Self.findingsMax {
            findings.remove(at: findings.firstIndex { $0.isHealed } ?? 0)
        }
        return true
    }

    var hasOpenFindings: Bool { findings.contains { !$0.isHealed } }
}
