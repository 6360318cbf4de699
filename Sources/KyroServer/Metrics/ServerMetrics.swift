// Every metric of the server, by name. Units stand in the names: seconds, bytes; what only grows ends
// in _total (https://prometheus.io/docs/practices/naming).
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform

/// Any thread; asked by the operations plane.
struct ServerMetrics: Sendable {
    let state: ServerState
    let calls: CallMetrics?
    let pool: WorkerPool
    let transport: Server

    func text() -> MetricsText {
        var text = MetricsText()
        let status = state.engine.status()
        addServer(status, to: &text)
        addProcess(to: &text)
        if let calls { addCalls(calls, to: &text) }
        addTransport(to: &text)
        addResources(status, to: &text)
        addShards(status.shards, to: &text)
        addBackups(status.backup, to: &text)
        return text
    }

    // MARK: the server

    private func addServer(_ status: StatusResponse, to text: inout MetricsText) {
        text.family("kyrodb_build_info", .gauge, "Always 1; what runs here.")
        text.sample(
            "kyrodb_build_info",
            [("version", state.version), ("kernels", state.engine.kernels)], UInt64(1))
        text.gauge(
            "kyrodb_ready", "1 when requests are welcome: recovered, whole, not draining.",
            UInt64(state.isReady ? 1 : 0))
        text.gauge(
            "kyrodb_draining", "1 from the beginning of a stop on.",
            UInt64(state.health.isDraining ? 1 : 0))
        text.gauge(
            "kyrodb_uptime_seconds", "Time since the engine was opened.",
            Double(status.uptimeMillis) / 1_000)
        text.gauge(
            "kyrodb_collections", "Collections of all tenants.", UInt64(status.collectionCount))
        text.gauge(
            "kyrodb_sequence", "Everything below this sequence is visible.", status.seq.raw)
        text.gauge(
            "kyrodb_clock_offset_seconds",
            "The system's clock minus the one that documents expire by.",
            Double(status.clockOffsetMillis) / 1_000)
        text.gauge(
            "kyrodb_clock_held", "1 while the system's clock is not followed.",
            UInt64(status.isClockHeld ? 1 : 0))
    }

    private func addProcess(to text: inout MetricsText) {
        text.family(
            "process_cpu_seconds_total", .counter, "User and system time spent, in seconds.")
        text.sample("process_cpu_seconds_total", [], ProcessFigures.cpuSeconds)
        text.gauge(
            "process_resident_memory_bytes", "Resident memory, mapped files included.",
            ProcessMemory.residentBytes)
        text.gauge("process_open_fds", "Open file descriptors.", ProcessFigures.openFiles)
        text.gauge("process_max_fds", "File descriptors allowed.", ProcessFigures.openFilesMax)
    }

    // MARK: calls

    private static let bounds = CallLayout.boundsNanos.map { MetricsText.text(Double($0) / 1e9) }

    /// Labels of "/kyrodb.v2.Search/Lookup".
    private static func labels(_ path: String) -> MetricsText.Labels {
        let parts = path.split(separator: "/")
        guard parts.count == 2 else { return [("service", "unknown"), ("method", "unknown")] }
        return [("service", String(parts[0])), ("method", String(parts[1]))]
    }

    private func addCalls(_ calls: CallMetrics, to text: inout MetricsText) {
        let reading = calls.read()
        let labels = calls.layout.paths.map(Self.labels)
        text.family("kyrodb_rpc_started_total", .counter, "Calls begun.")
        for (method, count) in reading.started.enumerated() {
            text.sample("kyrodb_rpc_started_total", labels[method], count)
        }
        text.family("kyrodb_rpc_in_flight", .gauge, "Calls begun and not ended.")
        for (method, count) in reading.inFlight.enumerated() {
            text.sample("kyrodb_rpc_in_flight", labels[method], count)
        }
        func all(_ one: CallMetrics.Reading.Ended) -> MetricsText.Labels {
            let code = StatusCode(rawValue: Int32(one.code)) ?? .unknown
            return labels[one.method] + [("code", code.name)]
        }
        text.family("kyrodb_rpc_ended_total", .counter, "Calls ended, by gRPC status code.")
        for one in reading.ended { text.sample("kyrodb_rpc_ended_total", all(one), one.count) }
        text.family(
            "kyrodb_rpc_duration_seconds", .histogram,
            "From a call's header to its status, by gRPC status code.")
        for one in reading.ended {
            text.histogram(
                "kyrodb_rpc_duration_seconds", all(one), bounds: Self.bounds,
                buckets: one.buckets, sum: Double(one.sumNanos) / 1e9)
        }
    }

    private func addTransport(to text: inout MetricsText) {
        text.gauge(
            "kyrodb_connections", "Open connections of clients.",
            UInt64(max(0, transport.connectionCount)))
        let counters = transport.counters
        text.counter(
            "kyrodb_connections_accepted_total", "Connections that were handed to a loop.",
            counters.connectionsAccepted)
        text.gauge(
            "kyrodb_unsent_bytes", "Answers that wait for their clients to take them.",
            UInt64(max(0, counters.unsentBytes)))
        text.family(
            "kyrodb_refused_total", .counter,
            "Connections closed and calls ended without any handler's doing, by reason.")
        for refusal in TransportRefusal.allCases {
            text.sample(
                "kyrodb_refused_total", [("reason", refusal.name)], counters.count(of: refusal))
        }
        text.gauge(
            "kyrodb_search_queue_depth", "Searches that wait for a thread.", UInt64(pool.depth))
    }

    // MARK: resources

    private func addResources(_ status: StatusResponse, to text: inout MetricsText) {
        text.gauge(
            "kyrodb_write_queue_bytes", "Writes that wait in the engine.", status.queuedBytes)
        text.gauge(
            "kyrodb_memory_limit_bytes", "What the process may use; 0 without a limit.",
            status.memoryLimitBytes)
        text.family(
            "kyrodb_admission_state", .gauge,
            "1 at what memory allows: open, throttled (unary writes are refused), closed.")
        for (name, admission) in [
            ("open", Admission.open), ("throttled", .throttled), ("closed", .closed),
        ] {
            text.sample(
                "kyrodb_admission_state", [("state", name)],
                UInt64(status.admission == admission ? 1 : 0))
        }
        if let free = status.diskFreeBytes {
            text.gauge(
                "kyrodb_disk_free_bytes", "Free on the volume with the data directory.", free)
        }
        text.gauge(
            "kyrodb_disk_reserve_held", "1 while room for a clean stop is held.",
            UInt64(status.reserve == .held ? 1 : 0))
    }

    // MARK: shards

    private typealias ShardValue = (ShardStatus) -> UInt64

    private func addShards(_ shards: [ShardStatus], to text: inout MetricsText) {
        text.family("kyrodb_shard_state", .gauge, "1 at the state that the shard is in.")
        for shard in shards {
            for (name, state) in [
                ("recovering", ShardState.recovering), ("serving", .serving),
                ("read_only", .readOnly), ("stopped", .stopped),
            ] {
                text.sample(
                    "kyrodb_shard_state", [("shard", "\(shard.shard)"), ("state", name)],
                    UInt64(shard.state == state ? 1 : 0))
            }
        }
        for (name, kind, help, value) in Self.shardFamilies {
            text.family(name, kind, help)
            for shard in shards {
                text.sample(name, [("shard", "\(shard.shard)")], value(shard))
            }
        }
        text.family(
            "kyrodb_shard_recovery_seconds", .gauge, "What recovery has taken so far, by phase.")
        for shard in shards {
            for (phase, millis) in [
                ("load_snapshot", shard.snapshotLoadMillis), ("replay_log", shard.replayMillis),
            ] {
                text.sample(
                    "kyrodb_shard_recovery_seconds",
                    [("shard", "\(shard.shard)"), ("phase", phase)], Double(millis) / 1_000)
            }
        }
    }

    private static var shardFamilies:
        [(name: String, kind: MetricsText.Kind, help: String, value: ShardValue)]
    {
        logFamilies + indexFamilies
    }

    private static var logFamilies:
        [(name: String, kind: MetricsText.Kind, help: String, value: ShardValue)]
    {
        [
            (
                "kyrodb_shard_write_queue_depth", .gauge,
                "Writes that wait for the shard's writer.",
                { $0.queueDepth }
            ),
            (
                "kyrodb_shard_sequence", .gauge, "The last sequence that the shard has published.",
                { $0.seq.raw }
            ),
            (
                "kyrodb_shard_log_written_bytes_total", .counter,
                "Where the log ends, counted from its first byte ever.", { $0.logLSN }
            ),
            (
                "kyrodb_shard_log_synced_bytes_total", .counter,
                "What of the log is on disk for certain, counted likewise.", { $0.syncedLSN }
            ),
            (
                "kyrodb_shard_snapshot_sequence", .gauge, "What the newest snapshot holds.",
                { $0.snapshotSeq.raw }
            ),
            ("kyrodb_shard_disk_bytes", .gauge, "Log and snapshots.", { $0.diskBytes }),
            (
                "kyrodb_shard_replayed_records_total", .counter,
                "Log records applied again since the start.", { $0.replayedRecords }
            ),
            (
                "kyrodb_shard_recovery_done_bytes", .gauge,
                "Read in the recovery's phase under way.", { $0.recoveryBytesDone }
            ),
            (
                "kyrodb_shard_recovery_size_bytes", .gauge,
                "To be read in the recovery's phase under way.", { $0.recoveryBytesTotal }
            ),
            (
                "kyrodb_shard_scrub_rounds_total", .counter,
                "Times that all files were read again.",
                { $0.scrubRounds }
            ),
            (
                "kyrodb_shard_damages", .gauge, "Damage found in files that still rests on them.",
                { UInt64($0.damages.count { !$0.isHealed }) }
            ),
        ]
    }

    private static var indexFamilies:
        [(name: String, kind: MetricsText.Kind, help: String, value: ShardValue)]
    {
        [
            ("kyrodb_shard_documents", .gauge, "Live documents.", { $0.documents }),
            (
                "kyrodb_shard_dead_rows", .gauge,
                "Rows that were overwritten or deleted and not yet dropped.", { $0.deadRows }
            ),
            ("kyrodb_shard_dead_bytes", .gauge, "Memory of dead rows.", { $0.deadBytes }),
            (
                "kyrodb_shard_resident_bytes", .gauge, "Memory of rows and indexes.",
                { $0.residentBytes }
            ),
            (
                "kyrodb_shard_index_rows", .gauge, "Vectors that are in their index.",
                { $0.graphRows }
            ),
            (
                "kyrodb_shard_index_tail_rows", .gauge,
                "Vectors that are scanned until they are in their index.", { $0.tailRows }
            ),
            (
                "kyrodb_shard_index_inserts_total", .counter,
                "Vectors put into graphs since the start.", { $0.graphRowsInserted }
            ),
            (
                "kyrodb_shard_index_missing", .gauge,
                "Index structures that a snapshot could not give back and a rebuild must.",
                { UInt64($0.missingStructures) }
            ),
            ("kyrodb_shard_rebuilds_total", .counter, "Rebuilds since the start.", { $0.rebuilds }),
            (
                "kyrodb_shard_rebuild_rows_left", .gauge,
                "Rows that the rebuild under way has left.",
                { $0.rebuildRowsLeft }
            ),
            (
                "kyrodb_shard_rebuild_bytes", .gauge, "Memory that rebuilds hold besides.",
                { $0.rebuildBytes }
            ),
        ]
    }

    private func addBackups(_ backup: BackupStatus?, to text: inout MetricsText) {
        guard let backup else { return }
        text.gauge(
            "kyrodb_backup_running", "1 while a backup is made.",
            UInt64(backup.running == .none ? 0 : 1))
        text.gauge(
            "kyrodb_backup_last_timestamp_seconds", "When the newest backup was made; 0 for never.",
            Double(backup.lastTimeMillis) / 1_000)
        text.gauge(
            "kyrodb_backup_last_sequence", "What the newest backup holds.", backup.lastSeq.raw)
        text.gauge(
            "kyrodb_backup_failing", "1 while what went wrong last has not gone right since.",
            UInt64(backup.problem.isEmpty ? 0 : 1))
        text.gauge(
            "kyrodb_archive_lag_bytes", "Log that is not yet in the repository.",
            backup.archiveLagBytes)
        text.gauge(
            "kyrodb_archive_timestamp_seconds",
            "Every moment up to here can be restored; 0 without an archive.",
            Double(backup.archivedTimeMillis) / 1_000)
    }
}
