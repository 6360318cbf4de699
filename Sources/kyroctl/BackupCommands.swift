// kyroctl backup create, list, verify, prune. Create asks the server; the others read the repository
// itself, with or without a server.
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform
import KyroStore

extension Command {
    static let from = Option(
        "from", value: "DIR", "the repository: what kyrodb serve was given with --backups")

    static let backupCreate = Command(
        name: "backup create", summary: "Make a backup while the server goes on serving.",
        details: """
            The backup is written to the directory that the server was given with --backups, on the
            server's machine. It holds every shard's state at one sequence. A full one takes
            snapshots; an incremental one copies what was written since the backup before it.
            Interrupted, it leaves nothing behind.
            """,
        options: [
            Option("incremental", "only what came since the backup before"),
            Option("quiet", "no progress on the terminal"),
        ],
        examples: [
            ("backup create", "a full backup"),
            ("backup create --incremental --json", "an increment, its number for a script"),
        ],
        run: createBackup)

    static let backupList = Command(
        name: "backup list", summary: "List the backups in a repository.",
        options: [from],
        examples: [
            ("backup list --from /backups", "a table"),
            ("backup list --from /backups --json", "one object, for scripts"),
        ],
        run: listBackups)

    static let backupVerify = Command(
        name: "backup verify", summary: "Read a whole repository and name what is damaged.",
        details: """
            Reads every byte of every file and checks that each backup has all it needs. Exit code
            1 when something is damaged or missing.
            """,
        options: [from, Option("quiet", "no progress on the terminal")],
        examples: [("backup verify --from /backups", "what is damaged, and which backups need it")],
        run: verifyBackups)

    static let backupPrune = Command(
        name: "backup prune", summary: "Remove old backups and what only they needed.",
        details: """
            Keeps the newest full backups, each with its increments and the archive behind it, and
            removes what is older. Nothing that a kept backup needs is removed.
            """,
        options: [
            from,
            Option("keep", value: "N", "full backups to keep, at least 1"),
            Option("dry-run", "tell what would go, and leave it"),
        ],
        examples: [
            ("backup prune --from /backups --keep 3 --dry-run", "what would be removed"),
            ("backup prune --from /backups --keep 3", "remove it"),
        ],
        run: pruneBackups)
}

/// A progress line where somebody looks at it.
func progress(_ session: Session) -> Progress {
    Progress(
        isShown: Terminal.isErrorTerminal && !session.arguments.flag("quiet") && !session.isJSON,
        width: Terminal.width(of: 2), nowNanos: Now.monotonicNanos, unit: .bytes)
}

func repository(of session: Session) throws -> BackupRepository {
    guard let path = session.arguments.string("from") else {
        throw UsageError("which repository? Name it by --from DIR")
    }
    return try BackupRepository.open(trimmed(path), fileSystem: PosixFileSystem())
}

/// A server with an archive locks the repository for a moment every second.
private func lock(_ repository: BackupRepository) throws -> any File {
    let endNanos = Now.monotonicNanos + 5_000_000_000
    while true {
        do throws(BackupError) {
            return try repository.lock()
        } catch {
            guard case .refused = error, Now.monotonicNanos < endNanos else { throw error }
        }
        _ = Gate().wait(timeoutNanos: 20_000_000)
    }
}

/// Without slashes at its end.
func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
}

private func createBackup(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let request = CreateBackupRequest(isIncremental: session.arguments.flag("incremental"))
    var line = progress(session)
    defer { line.clear() }
    let backup = try OperationsClient(session.connection()).createBackup(request) { answer in
        let fraction =
            answer.bytesTotal == 0 ? nil : Double(answer.bytesDone) / Double(answer.bytesTotal)
        line.update(count: answer.bytesDone, fraction: fraction, nowNanos: Now.monotonicNanos)
    }
    line.clear()
    if session.isJSON {
        session.write(
            .object([
                JSON.Member("id", JSON(backup.id)),
                JSON.Member("kind", .string(text(backup.kind))),
                JSON.Member("parent", backup.parent == 0 ? .null : JSON(backup.parent)),
                JSON.Member("seq", JSON(backup.seq)),
                JSON.Member("time", .string(Timestamp.text(millis: backup.timeMillis))),
                JSON.Member("bytes", JSON(backup.bytes)),
                JSON.Member("micros", JSON(backup.micros)),
            ]))
    } else {
        let parent = backup.parent == 0 ? "" : " since backup \(backup.parent)"
        session.write(
            "backup \(backup.id), \(text(backup.kind))\(parent), at seq \(backup.seq.raw): "
                + "\(byteText(backup.bytes)) in "
                + "\(TimeSpan.text(micros: Int64(clamping: backup.micros)))\n")
    }
    return .done
}

func text(_ kind: BackupKind) -> String {
    switch kind {
    case .none: "none"
    case .full: "full"
    case .incremental: "incremental"
    case .archive: "archive"
    }
}

private func text(_ kind: BackupManifest.Kind) -> String {
    switch kind {
    case .full: "full"
    case .incremental: "incremental"
    case .archive: "archive"
    }
}

private func listBackups(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let repository = try repository(of: session)
    let reach = repository.archives.last
    if session.isJSON {
        session.write(
            .object([
                JSON.Member("directory", .string(repository.directory.description)),
                JSON.Member("shards", .int(Int64(repository.shardCount))),
                JSON.Member("backups", .array(repository.backups.map(json(of:)))),
                JSON.Member("archive", reach.map(json(of:)) ?? .null),
                JSON.Member(
                    "unreadable", .array(repository.unreadable.map { .string("\($0)") })),
            ]))
    } else {
        var table = Table([
            .init("id", isRightAligned: true), .init("kind"),
            .init("since", isRightAligned: true), .init("seq", isRightAligned: true),
            .init("time"), .init("added", isRightAligned: true),
        ])
        for backup in repository.backups {
            table.append([
                String(backup.id), text(backup.kind),
                backup.parent == 0 ? "" : String(backup.parent), String(backup.seq.raw),
                Timestamp.text(millis: backup.wallMillis), byteText(backup.addedBytes),
            ])
        }
        session.write(table)
        if let reach {
            session.write(
                "the archive reaches to seq \(reach.seq.raw), "
                    + "\(Timestamp.text(millis: reach.wallMillis))\n")
        }
        for problem in repository.unreadable { session.note("\(problem)") }
    }
    return repository.unreadable.isEmpty ? .done : .someFailed
}

private func json(of backup: BackupManifest) -> JSON {
    .object([
        JSON.Member("id", JSON(backup.id)),
        JSON.Member("kind", .string(text(backup.kind))),
        JSON.Member("parent", backup.parent == 0 ? .null : JSON(backup.parent)),
        JSON.Member("seq", JSON(backup.seq)),
        JSON.Member("time", .string(Timestamp.text(millis: backup.wallMillis))),
        JSON.Member("time_ms", .int(backup.wallMillis)),
        JSON.Member("bytes", JSON(backup.addedBytes)),
    ])
}

private func verifyBackups(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let repository = try repository(of: session)
    var line = progress(session)
    let result = try repository.verify { bytes in
        line.update(count: bytes, fraction: nil, nowNanos: Now.monotonicNanos)
    }
    line.clear()
    if session.isJSON {
        let findings = result.findings.map { finding in
            JSON.object([
                JSON.Member("subject", .string(finding.subject)),
                JSON.Member("problem", .string(finding.problem)),
                JSON.Member("backups", .array(finding.backups.map { JSON($0) })),
            ])
        }
        session.write(
            .object([
                JSON.Member("files", .int(Int64(result.files))),
                JSON.Member("bytes", JSON(result.bytes)),
                JSON.Member("backups", .int(Int64(repository.backups.count))),
                JSON.Member("findings", .array(findings)),
            ]))
    } else {
        for finding in result.findings {
            let users = finding.backups.map(String.init).joined(separator: ", ")
            session.write(
                "\(finding.subject): \(finding.problem)"
                    + (users.isEmpty ? "\n" : "; needed by backup \(users)\n"))
        }
        session.write(
            "\(repository.backups.count) backups, \(result.files) files, \(byteText(result.bytes)): "
                + (result.findings.isEmpty ? "whole\n" : "\(result.findings.count) problems\n"))
    }
    return result.findings.isEmpty ? .done : .someFailed
}

private func pruneBackups(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    guard let keep = try session.arguments.integer("keep", in: 1...1_000_000) else {
        throw UsageError("how many full backups shall stay? Say so by --keep N")
    }
    let repository = try repository(of: session)
    let isDry = session.arguments.flag("dry-run")
    let lock = isDry ? nil : try lock(repository)
    // Again under the lock: a server may have added something.
    try repository.scan()
    let plan = try repository.prunePlan(keep: keep)
    if !isDry { try repository.prune(plan) }
    withExtendedLifetime(lock) {}
    if session.isJSON {
        session.write(
            .object([
                JSON.Member("removed", .bool(!isDry)),
                JSON.Member("backups", .array(plan.backups.map { JSON($0) })),
                JSON.Member("files", .array(plan.files.map { .string($0) })),
                JSON.Member("bytes", JSON(plan.bytes)),
            ]))
    } else {
        let numbers = plan.backups.reversed().map(String.init).joined(separator: ", ")
        let backups = plan.backups.isEmpty ? "no backup" : "backup \(numbers)"
        session.write(
            "\(isDry ? "would remove" : "removed") \(backups): \(plan.files.count) files, "
                + "\(byteText(plan.bytes))\n")
    }
    return .done
}
