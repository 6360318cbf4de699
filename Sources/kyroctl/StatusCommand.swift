// kyroctl status.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let status = Command(
        name: "status", summary: "Show what the server is doing, shard by shard.",
        options: [
            Option("vectors", "also what serves the vector fields of the tenant's collections")
        ],
        examples: [
            ("status", "a table"),
            ("status --vectors", "memory of rows, codes and links, and rebuilds under way"),
            ("status --json", "every number, for scripts"),
        ],
        run: runStatus)
}

private func runStatus(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let status = try OperationsClient(session.connection()).status()
    let collections = try session.arguments.flag("vectors") ? describeAll(session) : nil
    if session.isJSON {
        session.write(json(of: status, collections))
        return .done
    }
    session.write(
        """
        KyroDB \(status.version) at \(session.server): \(text(status.state)), up \
        \(TimeSpan.text(micros: Int64(clamping: status.uptimeMillis) * 1_000))
        seq \(status.seq.raw), \(status.collectionCount) collections, \
        \(status.connections) connections, \(byteText(status.residentBytes)) resident, \
        \(status.kernels) kernels
        \(resources(of: status))


        """)
    if let backup = status.backup { session.write(text(backup)) }
    var table = Table([
        .init("shard", isRightAligned: true), .init("state"),
        .init("documents", isRightAligned: true), .init("seq", isRightAligned: true),
        .init("snapshot", isRightAligned: true), .init("log", isRightAligned: true),
        .init("memory", isRightAligned: true), .init("disk", isRightAligned: true),
        .init("queue", isRightAligned: true), .init("graph", isRightAligned: true),
        .init("tail", isRightAligned: true), .init("dead", isRightAligned: true),
    ])
    for shard in status.shards {
        table.append([
            String(shard.shard), text(shard.state), countText(shard.documents),
            String(shard.seq.raw), String(shard.snapshotSeq.raw), byteText(shard.logLSN),
            byteText(shard.residentBytes), byteText(shard.diskBytes),
            countText(shard.queueDepth), countText(shard.graphRows), countText(shard.tailRows),
            countText(shard.deadRows),
        ])
    }
    session.write(table)
    for shard in status.shards {
        if let progress = recoveryText(of: shard) {
            session.write("shard \(shard.shard): \(progress)\n")
        }
    }
    if status.isClockHeld {
        session.write(
            "clock: the system's is \(TimeSpan.text(micros: offsetMicros(status))) "
                + "\(status.clockOffsetMillis < 0 ? "behind" : "ahead") and is not followed; set "
                + "it right, or restart with --accept-clock\n")
    }
    for shard in status.shards where shard.rebuildRowsLeft > 0 || shard.missingStructures > 0 {
        let damaged =
            shard.missingStructures == 0
            ? "" : "; \(shard.missingStructures) damaged indexes are missing until then"
        session.write(
            "shard \(shard.shard): rebuilding, \(countText(shard.rebuildRowsLeft)) rows left\(damaged)\n"
        )
    }
    for shard in status.shards {
        for damage in shard.damages {
            session.write(
                "shard \(shard.shard): \(damage.path), offset \(damage.offset): "
                    + "\(singleLine(damage.finding))\(damage.isHealed ? " (healed)" : "")\n")
        }
    }
    for shard in status.shards where !shard.problem.isEmpty {
        session.write("shard \(shard.shard): \(singleLine(shard.problem))\n")
    }
    for description in collections ?? [] where !description.vectors.isEmpty {
        session.write("\n\(description.collection.scope.namespace)")
        VectorIndexOutput.show(description.vectors, session)
    }
    return .done
}

/// The tenant's collections; without those that are dropped meanwhile.
private func describeAll(_ session: Session) throws -> [DescribeCollectionResponse] {
    let client = CollectionsClient(try session.connection())
    var descriptions: [DescribeCollectionResponse] = []
    for collection in try client.listAll(tenant: session.tenant) {
        do throws(KyroError) {
            descriptions.append(try client.describe(collection.scope))
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }
    return descriptions
}

/// What a shard that does not serve yet is doing, how far it is, and for about how long.
private func recoveryText(of shard: ShardStatus) -> String? {
    guard shard.state == .recovering else { return nil }
    let phase: String
    let millis: UInt64
    switch shard.recoveryPhase {
    case .waiting, .done: return nil
    case .loadingSnapshot:
        phase = "loading its snapshot"
        millis = shard.snapshotLoadMillis
    case .replayingLog:
        phase = "replaying its log, \(countText(shard.replayedRecords)) records so far"
        millis = shard.replayMillis
    }
    let total = shard.recoveryBytesTotal
    guard total > 0 else { return phase }
    let done = min(shard.recoveryBytesDone, total)
    var text = "\(phase), \(100 * done / total) % of \(byteText(total))"
    if done > 0, millis >= 100 {
        let left = Double(millis) * Double(total - done) / Double(done)
        text += ", about \(TimeSpan.text(micros: Int64(left * 1_000))) left"
    }
    return text
}

private func text(_ phase: RecoveryPhase) -> String {
    switch phase {
    case .waiting: "waiting"
    case .loadingSnapshot: "loading snapshot"
    case .replayingLog: "replaying log"
    case .done: "done"
    }
}

private func offsetMicros(_ status: StatusResponse) -> Int64 {
    Int64(clamping: status.clockOffsetMillis.magnitude.multipliedReportingOverflow(by: 1_000).0)
}

/// Limits, and what is short.
private func resources(of status: StatusResponse) -> String {
    let limit = status.memoryLimitBytes
    var parts = [limit == 0 ? "no memory limit" : "memory limit \(byteText(limit))"]
    switch status.admission {
    case .open: break
    case .throttled: parts.append("memory is short: documents are taken from streams alone")
    case .closed: parts.append("memory is used up: no documents are taken")
    }
    if status.queuedBytes > 0 { parts.append("\(byteText(status.queuedBytes)) of writes wait") }
    if let free = status.diskFreeBytes { parts.append("\(byteText(free)) free on disk") }
    if status.reserve == .givenUp { parts.append("the reserve on disk is given up") }
    return parts.joined(separator: ", ")
}

private func text(_ admission: Admission) -> String {
    switch admission {
    case .open: "open"
    case .throttled: "throttled"
    case .closed: "closed"
    }
}

private func text(_ state: ReserveState) -> String {
    switch state {
    case .none: "none"
    case .held: "held"
    case .givenUp: "given-up"
    }
}

private func text(_ state: ServerState) -> String {
    switch state {
    case .starting: "starting"
    case .serving: "serving"
    case .draining: "draining"
    }
}

private func text(_ state: ShardState) -> String {
    switch state {
    case .recovering: "recovering"
    case .serving: "serving"
    case .readOnly: "read-only"
    case .stopped: "stopped"
    }
}

private func text(_ backup: BackupStatus) -> String {
    var lines: [String] = []
    if backup.lastID == 0 {
        lines.append("backups in \(backup.repository): none yet")
    } else {
        lines.append(
            "backups in \(backup.repository): the newest is \(backup.lastID), at seq "
                + "\(backup.lastSeq.raw), \(Timestamp.text(millis: backup.lastTimeMillis))")
    }
    if backup.running == .full || backup.running == .incremental {
        lines.append(
            "backup under way, \(text(backup.running)): \(byteText(backup.bytesDone)) of "
                + "\(byteText(backup.bytesTotal))")
    }
    if backup.isArchiving {
        lines.append(
            "archived up to seq \(backup.archivedSeq.raw), "
                + "\(Timestamp.text(millis: backup.archivedTimeMillis)); "
                + "\(byteText(backup.archiveLagBytes)) of the log to go")
    }
    if !backup.problem.isEmpty { lines.append("backup: \(singleLine(backup.problem))") }
    return lines.joined(separator: "\n") + "\n\n"
}

private func json(of backup: BackupStatus) -> JSON {
    .object([
        JSON.Member("repository", .string(backup.repository)),
        JSON.Member("running", .string(text(backup.running))),
        JSON.Member("bytes_done", JSON(backup.bytesDone)),
        JSON.Member("bytes_total", JSON(backup.bytesTotal)),
        JSON.Member("last_id", JSON(backup.lastID)),
        JSON.Member("last_seq", JSON(backup.lastSeq)),
        JSON.Member("last_time_ms", .int(backup.lastTimeMillis)),
        JSON.Member("archiving", .bool(backup.isArchiving)),
        JSON.Member("archived_seq", JSON(backup.archivedSeq)),
        JSON.Member("archived_time_ms", .int(backup.archivedTimeMillis)),
        JSON.Member("archive_lag_bytes", JSON(backup.archiveLagBytes)),
        JSON.Member("problem", .string(backup.problem)),
    ])
}

private func json(
    of status: StatusResponse, _ collections: [DescribeCollectionResponse]?
) -> JSON {
    let shards = status.shards.map { shard in
        JSON.object([
            JSON.Member("shard", .int(Int64(shard.shard))),
            JSON.Member("state", .string(text(shard.state))),
            JSON.Member("problem", .string(shard.problem)),
            JSON.Member("documents", JSON(shard.documents)),
            JSON.Member("seq", JSON(shard.seq)),
            JSON.Member("log_lsn", JSON(shard.logLSN)),
            JSON.Member("synced_lsn", JSON(shard.syncedLSN)),
            JSON.Member("snapshot_seq", JSON(shard.snapshotSeq)),
            JSON.Member("resident_bytes", JSON(shard.residentBytes)),
            JSON.Member("disk_bytes", JSON(shard.diskBytes)),
            JSON.Member("queue_depth", JSON(shard.queueDepth)),
            JSON.Member("graph_rows", JSON(shard.graphRows)),
            JSON.Member("tail_rows", JSON(shard.tailRows)),
            JSON.Member("replayed_records", JSON(shard.replayedRecords)),
            JSON.Member("graph_rows_inserted", JSON(shard.graphRowsInserted)),
            JSON.Member("dead_rows", JSON(shard.deadRows)),
            JSON.Member(
                "damages",
                .array(
                    shard.damages.map { damage in
                        .object([
                            JSON.Member("file", .string(damage.path)),
                            JSON.Member("offset", JSON(damage.offset)),
                            JSON.Member("finding", .string(damage.finding)),
                            JSON.Member("healed", .bool(damage.isHealed)),
                        ])
                    })),
            JSON.Member("scrub_end_ms", .int(shard.scrubEndMillis)),
            JSON.Member("scrub_round_bytes", JSON(shard.scrubRoundBytes)),
            JSON.Member("scrub_rounds", JSON(shard.scrubRounds)),
            JSON.Member("scrub_bytes", JSON(shard.scrubBytes)),
            JSON.Member("recovery_phase", .string(text(shard.recoveryPhase))),
            JSON.Member("recovery_bytes_done", JSON(shard.recoveryBytesDone)),
            JSON.Member("recovery_bytes_total", JSON(shard.recoveryBytesTotal)),
            JSON.Member("snapshot_load_ms", JSON(shard.snapshotLoadMillis)),
            JSON.Member("replay_ms", JSON(shard.replayMillis)),
            JSON.Member("rebuilds", JSON(shard.rebuilds)),
            JSON.Member("rebuild_rows_left", JSON(shard.rebuildRowsLeft)),
            JSON.Member("rebuild_bytes", JSON(shard.rebuildBytes)),
            JSON.Member("dead_bytes", JSON(shard.deadBytes)),
            JSON.Member("missing_structures", .int(Int64(shard.missingStructures))),
        ])
    }
    let vectors = collections.map { descriptions in
        JSON.Member(
            "vectors",
            .object(
                descriptions.map { description in
                    JSON.Member(
                        description.collection.scope.namespace,
                        .array(description.vectors.map { JSON($0) }))
                }))
    }
    return .object(
        [
            JSON.Member("version", .string(status.version)),
            JSON.Member("state", .string(text(status.state))),
            JSON.Member("uptime_ms", JSON(status.uptimeMillis)),
            JSON.Member("seq", JSON(status.seq)),
            JSON.Member("collections", .int(Int64(status.collectionCount))),
            JSON.Member("connections", .int(Int64(status.connections))),
            JSON.Member("resident_bytes", JSON(status.residentBytes)),
            JSON.Member("kernels", .string(status.kernels)),
            JSON.Member("memory_limit_bytes", JSON(status.memoryLimitBytes)),
            JSON.Member("admission", .string(text(status.admission))),
            JSON.Member("queued_bytes", JSON(status.queuedBytes)),
            JSON.Member("disk_free_bytes", status.diskFreeBytes.map { JSON($0) } ?? .null),
            JSON.Member("reserve", .string(text(status.reserve))),
            JSON.Member("backup", status.backup.map(json(of:)) ?? .null),
            JSON.Member("clock_ms", .int(status.clockMillis)),
            JSON.Member("clock_offset_ms", .int(status.clockOffsetMillis)),
            JSON.Member("clock_held", .bool(status.isClockHeld)),
            JSON.Member("shards", .array(shards)),
        ] + [vectors].compactMap { $0 })
}
