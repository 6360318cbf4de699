// kyrodb verify: an offline check of a data directory. Exit status 0 whole, 1 damaged, 2 when it
// could not be checked.
import KyroCommands
import KyroPlatform
import KyroStore

enum VerifyCommand {
    static func run(_ path: String, isJSON: Bool) -> Int32 {
        let line = ProgressLine(verb: "checked")
        let report: VerifyReport
        do throws(StoreError) {
            report = try DirectoryVerification.run(path, fileSystem: PosixFileSystem()) {
                line.update(done: $0, total: $1)
            }
        } catch {
            line.clear()
            printToStandardError("kyrodb: \(path) cannot be checked: \(error)")
            return 2
        }
        line.clear()
        if isJSON {
            Terminal.write(json(of: report).text + "\n")
        } else {
            Terminal.write(text(of: report, path: path))
        }
        return report.isWhole ? 0 : 1
    }

    private static func text(of report: VerifyReport, path: String) -> String {
        var text = FindingsTable.text(report.findings)
        let amount =
            "\(report.shardCount) shards, \(report.fileCount) files, \(byteText(report.byteCount)), "
            + "\(countText(UInt64(report.recordCount))) log records"
        let verdict =
            switch report.worst {
            case nil, .leftover, .tear: "whole"
            case .survivable: "damaged, and the server gets over it"
            case .stopsShard: "damaged: the server would start without at least one shard"
            case .stopsServer: "damaged: the server would not start"
            }
        if !text.isEmpty { text += "\n" }
        return text + "\(path) is \(verdict) (\(amount))\n"
    }

    private static func json(of report: VerifyReport) -> JSON {
        .object([
            JSON.Member("whole", .bool(report.isWhole)),
            JSON.Member("shards", .int(Int64(report.shardCount))),
            JSON.Member("files", .int(Int64(report.fileCount))),
            JSON.Member("bytes", JSON(report.byteCount)),
            JSON.Member("log_records", .int(Int64(report.recordCount))),
            JSON.Member("findings", FindingsTable.json(report.findings)),
        ])
    }
}

enum FindingsTable {
    /// One block of lines for each: a table would be too wide to read.
    static func text(_ findings: [Finding]) -> String {
        guard !findings.isEmpty else { return "" }
        var table = Table([
            .init("what"), .init("file"), .init("offset", isRightAligned: true), .init("finding"),
            .init("affected"), .init("do"),
        ])
        for finding in findings.sorted(by: { $0.severity > $1.severity }) {
            table.append([
                finding.severity.text, finding.path, String(finding.offset), finding.finding,
                finding.affected, finding.advice,
            ])
        }
        return table.text()
    }

    static func json(_ findings: [Finding]) -> JSON {
        .array(
            findings.map { finding in
                .object([
                    JSON.Member("severity", .string("\(finding.severity)")),
                    JSON.Member("damage", .bool(finding.severity.isDamage)),
                    JSON.Member("shard", finding.shard.map { .int(Int64($0)) } ?? .null),
                    JSON.Member("file", .string(finding.path)),
                    JSON.Member("offset", JSON(finding.offset)),
                    JSON.Member("finding", .string(finding.finding)),
                    JSON.Member("affected", .string(finding.affected)),
                    JSON.Member("advice", .string(finding.advice)),
                ])
            })
    }
}

/// How far a long command is, on a terminal alone, ten times a second.
final class ProgressLine {
    private let verb: String
    private var drawnNanos: Int64 = 0

    init(verb: String) { self.verb = verb }

    func update(done: UInt64, total: UInt64) {
        let percent = total == 0 ? 100 : min(100, done * 100 / total)
        update(text: "\(percent)% of \(byteText(total)) \(verb)")
    }

    func update(text: @autoclosure () -> String) {
        guard Terminal.isErrorTerminal, Now.monotonicNanos - drawnNanos >= 100_000_000 else {
            return
        }
        drawnNanos = Now.monotonicNanos
        Terminal.writeError("\r\u{1B}[K" + text())
    }

    func clear() {
        guard drawnNanos != 0 else { return }
        Terminal.writeError("\r\u{1B}[K")
    }
}
