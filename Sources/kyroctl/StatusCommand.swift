// kyroctl status.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let status = Command(
        name: "status", summary: "Show what the server is doing, shard by shard.",
        examples: [
            ("status", "a table"),
            ("status --json", "every number, for scripts"),
        ],
        run: runStatus)
}

private func runStatus(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let status = try OperationsClient(session.connection()).status()
    if session.isJSON {
        session.write(json(of: status))
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
    for shard in status.shards where !shard.problem.isEmpty {
        session.write("shard \(shard.shard): \(singleLine(shard.problem))\n")
    }
    return .done
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

private func json(of status: StatusResponse) -> JSON {
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
        ])
    }
    return .object([
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
        JSON.Member("shards", .array(shards)),
    ])
}
