// kyroctl backup restore: a repository becomes a data directory.
import KyroCommands
import KyroModel
import KyroPlatform
import KyroStore

extension Command {
    static let backupRestore = Command(
        name: "backup restore", summary: "Make a data directory out of a repository.",
        details: """
            Without --at the newest state is restored. A sequence is what writes are answered with;
            a time means every write that was logged by then. The directory gets an id of its own:
            serve it with a repository of its own too. What the archive had not shipped when the
            server went down is read from the old data directory with --log-from.
            """,
        options: [
            from,
            Option("to", value: "DIR", "the data directory to make; empty or missing"),
            Option(
                "at", value: "TIME|SEQ",
                "the moment: RFC 3339, @MILLIS of Unix time, or a sequence as a plain number"),
            Option("backup", value: "ID", "stand on this backup, not on the newest that fits"),
            Option(
                "log-from", value: "DIR",
                "the data directory that was backed up, at rest, for what was not archived"),
            Option("force", "replace a data directory that is there"),
            Option("quiet", "no progress on the terminal"),
        ],
        examples: [
            ("backup restore --from /backups --to /var/lib/kyrodb", "the newest state"),
            (
                "backup restore --from /backups --to ./then --at 2026-03-01T12:00:00Z",
                "everything that was logged by noon"
            ),
            ("backup restore --from /backups --to ./then --at 120455", "the state at a sequence"),
            (
                "backup restore --from /backups --log-from /var/lib/kyrodb --to ./all",
                "up to the last acknowledged write, with the old directory's log"
            ),
        ],
        run: restoreBackup)
}

private func restoreBackup(_ session: Session) throws -> ExitCode {
    let arguments = session.arguments
    _ = try arguments.positionals(exactly: [])
    guard let to = arguments.string("to") else {
        throw UsageError("restore into which directory? Name it by --to DIR")
    }
    var request = RestoreRequest(to: trimmed(to))
    request.target = try target(arguments)
    request.backup = try arguments.integer("backup", in: 1...Int.max).map { UInt64($0) }
    request.logFrom = arguments.string("log-from").map(trimmed)
    request.force = arguments.flag("force")
    let repository = try repository(of: session)
    var line = progress(session)
    let restore = BackupRestore(repository, request) { bytes in
        line.update(count: bytes, fraction: nil, nowNanos: Now.monotonicNanos)
    }
    let report: RestoreReport
    do {
        report = try restore.run()
    } catch {
        line.clear()
        throw error
    }
    line.clear()
    if session.isJSON {
        session.write(
            .object([
                JSON.Member("directory", .string(report.directory.description)),
                JSON.Member("backup", JSON(report.backup)),
                JSON.Member("seq", JSON(report.seq)),
                JSON.Member("shards", .int(Int64(report.shardCount))),
                JSON.Member("collections", .int(Int64(report.collections))),
                JSON.Member("log_records", JSON(report.records)),
                JSON.Member("bytes", JSON(report.bytes)),
            ]))
    } else {
        session.write(
            "\(request.to): the state at seq \(report.seq.raw), \(report.collections) collections, "
                + "from backup \(report.backup) and \(countText(report.records)) records of the "
                + "log\n")
    }
    return .done
}

private func target(_ arguments: Arguments) throws -> RestoreTarget? {
    guard let text = arguments.string("at") else { return nil }
    if let seq = UInt64(text) { return .seq(Sequence(seq)) }
    if text.hasPrefix("@") {
        guard let millis = Int64(text.dropFirst()) else {
            throw UsageError("--at is \"\(text)\"; behind @ stand milliseconds of Unix time")
        }
        return .time(millis)
    }
    do {
        return .time(try Timestamp.parse(text))
    } catch {
        throw UsageError("--at: \(error), @MILLIS, or a sequence")
    }
}
