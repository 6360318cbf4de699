// kyrodb repair: saves what is whole in a damaged data directory into a new one. Exit status 0 when
// nothing was lost, 1 when something was, 2 when nothing could be done.
import KyroCommands
import KyroEngine
import KyroModel
import KyroPlatform

enum RepairCommand {
    /// Documents that the text names one by one; JSON has all.
    private static let doubtsShown = 20

    static func run(_ path: String, to target: String, isJSON: Bool) -> Int32 {
        let line = ProgressLine(verb: "saved")
        let report: RepairReport
        do throws(KyroError) {
            report = try DirectoryRepair.run(path, to: target, fileSystem: PosixFileSystem()) {
                line.update(text: "\(countText(UInt64($0))) documents saved")
            }
        } catch {
            line.clear()
            printToStandardError("kyrodb: \(path) cannot be repaired: \(error.message)")
            return 2
        }
        line.clear()
        if isJSON {
            Terminal.write(json(of: report, target: target).text + "\n")
        } else {
            Terminal.write(text(of: report, path: path, target: target))
        }
        return report.isComplete ? 0 : 1
    }

    private static func text(of report: RepairReport, path: String, target: String) -> String {
        var text = ""
        if !report.losses.isEmpty {
            var table = Table([
                .init("file"), .init("offset", isRightAligned: true), .init("lost"),
                .init("consequence"),
            ])
            for loss in report.losses {
                table.append([loss.path, String(loss.offset), loss.lost, loss.consequence])
            }
            text += table.text() + "\n"
        }
        if !report.doubts.isEmpty {
            var table = Table([
                .init("collection"), .init("document"), .init("kept seq", isRightAligned: true),
                .init("newest seq", isRightAligned: true), .init("why"),
            ])
            for doubt in report.doubts.prefix(doubtsShown) {
                table.append([
                    doubt.scope.namespace, "\(doubt.id)", doubt.kept.map { String($0.raw) } ?? "-",
                    String(doubt.newest.raw), doubt.reason,
                ])
            }
            text += table.text()
            if report.doubts.count > doubtsShown {
                text += "and \(report.doubts.count - doubtsShown) more; --json lists them all\n"
            }
            text += "\n"
        }
        for note in report.notes { text += "note: \(singleLine(note))\n" }
        let verdict =
            report.isComplete
            ? "nothing that was durable is lost"
            : "\(report.losses.count) losses, \(report.doubts.count) documents in doubt"
        return text
            + "\(target) holds \(countText(UInt64(report.documentCount))) documents of "
            + "\(report.collectionCount) collections in \(report.shardCount) shards: \(verdict)\n"
    }

    private static func json(of report: RepairReport, target: String) -> JSON {
        .object([
            JSON.Member("complete", .bool(report.isComplete)),
            JSON.Member("target", .string(target)),
            JSON.Member("documents", .int(Int64(report.documentCount))),
            JSON.Member("collections", .int(Int64(report.collectionCount))),
            JSON.Member("shards", .int(Int64(report.shardCount))),
            JSON.Member("seq", JSON(report.seq.raw)),
            JSON.Member(
                "losses",
                .array(
                    report.losses.map { loss in
                        .object([
                            JSON.Member("shard", loss.shard.map { .int(Int64($0)) } ?? .null),
                            JSON.Member("file", .string(loss.path)),
                            JSON.Member("offset", JSON(loss.offset)),
                            JSON.Member("lost", .string(loss.lost)),
                            JSON.Member("consequence", .string(loss.consequence)),
                        ])
                    })),
            JSON.Member("doubts", .array(report.doubts.map(json(of:)))),
            JSON.Member("notes", .array(report.notes.map { .string($0) })),
        ])
    }

    private static func json(of doubt: RepairReport.Doubt) -> JSON {
        .object([
            JSON.Member("tenant", .string(doubt.scope.tenant)),
            JSON.Member("namespace", .string(doubt.scope.namespace)),
            JSON.Member("id", .string("\(doubt.id)")),
            JSON.Member("kept_seq", doubt.kept.map { JSON($0.raw) } ?? .null),
            JSON.Member("newest_seq", JSON(doubt.newest.raw)),
            JSON.Member("reason", .string(doubt.reason)),
        ])
    }
}
