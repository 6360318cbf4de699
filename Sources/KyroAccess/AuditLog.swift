// What was done with rights, and what was refused for want of them: one JSON object a line, appended.
//
//     {"time":"2026-03-01T12:00:00.000Z","principal":"importer","method":"/kyrodb.v2.…","tenant":"acme",
//      "namespace":"logs","code":"PERMISSION_DENIED","reason":"ROLE_MISSING","peer":"127.0.0.1:40112"}
//
// No credential and nothing of a message but the names in its scope is written.
import KyroJSON
import KyroModel
import KyroPlatform

public struct AuditEntry: Sendable {
    /// Unix.
    public var timeMillis: Int64
    /// Nil where it is not known who called.
    public var principal: String?
    public var method: String
    public var tenant: String?
    public var namespace: String?
    public var code: StatusCode
    /// Empty for success.
    public var reason: String
    public var peer: String

    public init(
        timeMillis: Int64, principal: String?, method: String,
        scope: (tenant: String?, name: String?),
        code: StatusCode, reason: String, peer: String
    ) {
        self.timeMillis = timeMillis
        self.principal = principal
        self.method = method
        tenant = scope.tenant
        namespace = scope.name
        self.code = code
        self.reason = reason
        self.peer = peer
    }

    /// With the end of line.
    var line: String {
        func text(_ value: String?) -> JSON { value.map { .string($0) } ?? .null }
        return JSON.object([
            JSON.Member("time", .string(UTCTime.text(millis: timeMillis))),
            JSON.Member("principal", text(principal)),
            JSON.Member("method", .string(method)), JSON.Member("tenant", text(tenant)),
            JSON.Member("namespace", text(namespace)), JSON.Member("code", .string(code.name)),
            JSON.Member("reason", .string(reason)), JSON.Member("peer", .string(peer)),
        ]).text + "\n"
    }
}

/// A thread of its own appends to the file, so that no loop waits for a disk. What does not fit its
/// queue is counted, and the count is written when there is room.
public final class AuditLog: Sendable {
    /// Lines that wait: a second of a flood.
    private static let queueBytesMax = 8 << 20

    private let path: String
    private let queue = BlockingQueue<String>(weightMax: queueBytesMax)
    private let dropped = Locked(0)
    private let thread = Locked<KyroThread?>(nil)
    private let report: @Sendable (String) -> Void

    /// - Parameter report: takes what goes wrong with the file.
    /// - Throws: INVALID_FIELD where the file cannot be appended to.
    public init(
        path: String, report: @escaping @Sendable (String) -> Void
    ) throws(KyroError) {
        self.path = path
        self.report = report
        let file: AppendedFile
        do {
            file = try AppendedFile(path)
        } catch {
            throw KyroError(.invalidField, "the audit log cannot be written: \(error)")
        }
        thread.withLock { thread in
            thread = KyroThread(name: "kyro-audit") { [self] in self.run(file) }
        }
    }

    public func append(_ entry: AuditEntry) {
        let line = entry.line
        if queue.push(line, weight: line.utf8.count) != .accepted {
            dropped.withLock { $0 += 1 }
        }
    }

    /// Writes what waits and ends.
    public func close() {
        queue.close()
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    private func run(_ file: AppendedFile) {
        var isFailing = false
        while true {
            let lines = queue.popAll(weightLimit: 1 << 20)
            if lines.isEmpty { return }
            var text = lines.joined()
            let lost = dropped.withLock { count in
                defer { count = 0 }
                return count
            }
            if lost > 0 { text += "{\"dropped\":\(lost)}\n" }
            do {
                // Moved away for rotation: a new one is made.
                try file.append(Array(text.utf8))
                isFailing = false
            } catch {
                if !isFailing { report("\(path): \(error)") }
                isFailing = true
                dropped.withLock { $0 += lines.count + lost }
            }
        }
    }
}
