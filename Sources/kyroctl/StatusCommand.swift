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
    if status.isClockHeld {
        session.write(
            "clock: the system's is \(TimeSpan.text(micros: offsetMicros(status))) "
                + "\(status.clockOffsetMillis < 0 ? "behind" : "ahead") and is not followed; set "
                + "it right, or restart with --accept-clock\n")
    }
    for shard in status.shards where !shard.problem.isEmpty {
        session.write("shard \(shard.shard): \(singleLine(shard.problem))\n")
    }
    return .done
}

private func offsetMicros(_ status: StatusResponse) -> Int64 {
    Int64(clamping: status.clockOffsetMillis.magnitude.multipliedReportingOverflow(by: 1_000).0)
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
        JSON.Member("clock_ms", .int(status.clockMillis)),
        JSON.Member("clock_offset_ms", .int(status.clockOffsetMillis)),
        JSON.Member("clock_held", .bool(status.isClockHeld)),
        JSON.Member("shards", .array(shards)),
    ])
}
