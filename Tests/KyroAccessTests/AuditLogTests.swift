// One line for each entry, in order, whatever the names in it are.
import Foundation
import KyroAccess
import KyroJSON
import Testing

@Suite struct AuditLogTests {
    private func entry(_ number: Int) -> AuditEntry {
        AuditEntry(
            timeMillis: 1_772_366_400_123, principal: number == 0 ? nil : "p\(number)",
            method: "/a/b", scope: ("t\"\n", nil), code: .permissionDenied, reason: "ROLE_MISSING",
            peer: "127.0.0.1:1")
    }

    @Test(
        "Entries are appended in order, one object a line, also behind a file that was moved away")
    func appends() throws {
        let path = NSTemporaryDirectory() + "kyro-audit-\(UUID().uuidString)"
        defer {
            for file in [path, path + ".1"] { try? FileManager.default.removeItem(atPath: file) }
        }
        let log = try AuditLog(path: path) { Issue.record("\($0)") }
        for number in 0..<1_000 { log.append(entry(number)) }
        log.close()
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        let second = try AuditLog(path: path) { Issue.record("\($0)") }
        second.append(entry(7))
        second.close()
        let lines = try String(contentsOfFile: path + ".1", encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 1_000)
        for (number, line) in lines.enumerated() {
            let json = try JSON(parsing: String(line))
            #expect(json["principal"] == (number == 0 ? JSON.null : .string("p\(number)")))
            #expect(json["tenant"] == .string("t\"\n") && json["namespace"] == .null)
            #expect(json["code"] == .string("PERMISSION_DENIED"))
            #expect(json["time"] == .string("2026-03-01T12:00:00.123Z"))
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count == 1)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test(
        "Times are those of the calendar",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ])
    func times(millis: Int64, text: String) {
        #expect(UTCTime.text(millis: millis) == text)
    }

    @Test("Where the file cannot be written, nothing begins")
    func refused() {
        #expect(throws: (any Error).self) {
            _ = try AuditLog(path: "/nonexistent/audit.jsonl") { _ in }
        }
    }
}
