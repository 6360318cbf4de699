// operations.proto: Status, Snapshot and Flush; Wire+Backups.swift has the rest.
import KyroModel

// MARK: Requests

public struct StatusRequest: Equatable, Sendable {
    public init() {}

    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> StatusRequest {
        try decodeEmptyMessage(bytes)
        return StatusRequest()
    }

    public func encodeWire() -> [UInt8] { [] }
}

public struct SnapshotRequest: Equatable, Sendable {
    public init() {}

    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SnapshotRequest {
        try decodeEmptyMessage(bytes)
        return SnapshotRequest()
    }

    public func encodeWire() -> [UInt8] { [] }
}

public struct FlushRequest: Equatable, Sendable {
    public init() {}

    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> FlushRequest {
        try decodeEmptyMessage(bytes)
        return FlushRequest()
    }

    public func encodeWire() -> [UInt8] { [] }
}

// MARK: StatusResponse

struct FoundDamageDraft: WireDraft {
    var damage = FoundDamage(path: "", offset: 0, finding: "", isHealed: false)

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): damage.path = try reader.string("file")
        case (2, .varint): damage.offset = try reader.varint("offset")
        case (3, .bytes): damage.finding = try reader.string("finding")
        case (4, .varint): damage.isHealed = try reader.bool("healed")
        default: try reader.skip(field)
        }
    }

    func finish() -> FoundDamage { damage }
}

extension FoundDamage: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, path)
        sink.uint(2, offset)
        sink.string(3, finding)
        sink.bool(4, isHealed)
    }
}

struct ShardStatusDraft: WireDraft {
    var status = ShardStatus(shard: 0)
    var damages: [FoundDamageDraft] = []
    var state: Int32 = 0
    var recoveryPhase: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): status.shard = try reader.uint32("shard")
        case (2, .varint): state = try reader.int32("state")
        case (3, .bytes): status.problem = try reader.string("problem")
        case (4, .varint): status.documents = try reader.varint("documents")
        case (5, .varint): status.seq = Sequence(try reader.varint("seq"))
        case (6, .varint): status.logLSN = try reader.varint("log_lsn")
        case (7, .varint): status.syncedLSN = try reader.varint("synced_lsn")
        case (8, .varint): status.snapshotSeq = Sequence(try reader.varint("snapshot_seq"))
        case (9, .varint): status.residentBytes = try reader.varint("resident_bytes")
        case (10, .varint): status.diskBytes = try reader.varint("disk_bytes")
        case (11, .varint): status.queueDepth = try reader.varint("queue_depth")
        case (12, .varint): status.graphRows = try reader.varint("graph_rows")
        case (13, .varint): status.tailRows = try reader.varint("tail_rows")
        case (14, .varint): status.replayedRecords = try reader.varint("replayed_records")
        case (15, .varint): status.graphRowsInserted = try reader.varint("graph_rows_inserted")
        case (16, .varint): status.deadRows = try reader.varint("dead_rows")
        case (20, .varint): recoveryPhase = try reader.int32("recovery_phase")
        case (21, .varint): status.recoveryBytesDone = try reader.varint("recovery_bytes_done")
        case (22, .varint): status.recoveryBytesTotal = try reader.varint("recovery_bytes_total")
        case (23, .varint): status.snapshotLoadMillis = try reader.varint("snapshot_load_ms")
        case (24, .varint): status.replayMillis = try reader.varint("replay_ms")
        case (25, .varint): status.rebuilds = try reader.varint("rebuilds")
        case (26, .varint): status.rebuildRowsLeft = try reader.varint("rebuild_rows_left")
        case (27, .varint): status.rebuildBytes = try reader.varint("rebuild_bytes")
        case (28, .varint): status.deadBytes = try reader.varint("dead_bytes")
        case (29, .varint): status.missingStructures = try reader.uint32("missing_structures")
        case (30, .bytes): try reader.message("damages", appendingTo: &damages)
        case (31, .varint):
            status.scrubEndMillis = Int64(bitPattern: try reader.varint("scrub_end_ms"))
        case (32, .varint): status.scrubRoundBytes = try reader.varint("scrub_round_bytes")
        case (33, .varint): status.scrubRounds = try reader.varint("scrub_rounds")
        case (34, .varint): status.scrubBytes = try reader.varint("scrub_bytes")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> ShardStatus {
        var finished = status
        finished.state = try enumValue(state, "state", ShardState.init(rawValue:))
        finished.recoveryPhase = try enumValue(
            recoveryPhase, "recovery_phase", RecoveryPhase.init(rawValue:))
        finished.damages = try finishList(damages, "damages")
        return finished
    }
}

extension ShardStatus: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, shard)
        sink.uint(2, UInt32(state.rawValue))
        sink.string(3, problem)
        sink.uint(4, documents)
        sink.uint(5, seq.raw)
        sink.uint(6, logLSN)
        sink.uint(7, syncedLSN)
        sink.uint(8, snapshotSeq.raw)
        sink.uint(9, residentBytes)
        sink.uint(10, diskBytes)
        sink.uint(11, queueDepth)
        sink.uint(12, graphRows)
        sink.uint(13, tailRows)
        sink.uint(14, replayedRecords)
        sink.uint(15, graphRowsInserted)
        sink.uint(16, deadRows)
        sink.uint(20, UInt32(recoveryPhase.rawValue))
        sink.uint(21, recoveryBytesDone)
        sink.uint(22, recoveryBytesTotal)
        sink.uint(23, snapshotLoadMillis)
        sink.uint(24, replayMillis)
        sink.uint(25, rebuilds)
        sink.uint(26, rebuildRowsLeft)
        sink.uint(27, rebuildBytes)
        sink.uint(28, deadBytes)
        sink.uint(29, missingStructures)
        sink.messages(30, damages)
        sink.int(31, scrubEndMillis)
        sink.uint(32, scrubRoundBytes)
        sink.uint(33, scrubRounds)
        sink.uint(34, scrubBytes)
    }
}

struct StatusResponseDraft: WireDraft {
    var response = StatusResponse()
    var state: Int32 = 0
    var admission: Int32 = 0
    var reserve: Int32 = 0
    var shards: [ShardStatusDraft] = []
    var backup: BackupStatusDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): response.version = try reader.string("version")
        case (2, .varint): state = try reader.int32("state")
        case (3, .varint): response.uptimeMillis = try reader.varint("uptime_ms")
        case (4, .varint): response.seq = Sequence(try reader.varint("seq"))
        case (5, .varint): response.collectionCount = try reader.uint32("collection_count")
        case (6, .bytes): try reader.message("shards", appendingTo: &shards)
        case (7, .varint): response.residentBytes = try reader.varint("resident_bytes")
        case (8, .varint): response.connections = try reader.uint32("connections")
        case (9, .bytes): response.kernels = try reader.string("kernels")
        case (20, .varint): response.memoryLimitBytes = try reader.varint("memory_limit_bytes")
        case (21, .varint): admission = try reader.int32("admission")
        case (22, .varint): response.diskFreeBytes = try reader.varint("disk_free_bytes")
        case (23, .varint): reserve = try reader.int32("reserve")
        case (24, .varint): response.queuedBytes = try reader.varint("queued_bytes")
        case (25, .varint): response.clockMillis = try reader.int64("clock_ms")
        case (26, .varint): response.clockOffsetMillis = try reader.int64("clock_offset_ms")
        case (27, .varint): response.isClockHeld = try reader.bool("clock_held")
        case (28, .bytes): try reader.message("backup", into: &backup)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> StatusResponse {
        var finished = response
        finished.state = try enumValue(state, "state", ServerState.init(rawValue:))
        finished.admission = try enumValue(admission, "admission", Admission.init(rawValue:))
        finished.reserve = try enumValue(reserve, "reserve", ReserveState.init(rawValue:))
        finished.shards = try finishList(shards, "shards")
        finished.backup = try backup?.finish("backup")
        return finished
    }
}

extension StatusResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> StatusResponse {
        try decodeMessage(StatusResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, version)
        sink.uint(2, UInt32(state.rawValue))
        sink.uint(3, uptimeMillis)
        sink.uint(4, seq.raw)
        sink.uint(5, collectionCount)
        sink.messages(6, shards)
        sink.uint(7, residentBytes)
        sink.uint(8, connections)
        sink.string(9, kernels)
        sink.uint(20, memoryLimitBytes)
        sink.uint(21, UInt32(admission.rawValue))
        if let diskFreeBytes { sink.presentUInt(22, diskFreeBytes) }
        sink.uint(23, UInt32(reserve.rawValue))
        sink.uint(24, queuedBytes)
        sink.int(25, clockMillis)
        sink.int(26, clockOffsetMillis)
        sink.bool(27, isClockHeld)
        sink.message(28, backup)
    }
}

// MARK: SnapshotResponse, FlushResponse

struct SnapshotResponseDraft: WireDraft {
    var seq: UInt64 = 0
    var bytes: UInt64 = 0
    var micros: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): seq = try reader.varint("seq")
        case (2, .varint): bytes = try reader.varint("bytes")
        case (3, .varint): micros = try reader.varint("micros")
        default: try reader.skip(field)
        }
    }

    func finish() -> SnapshotResponse {
        SnapshotResponse(seq: Sequence(seq), bytes: bytes, micros: micros)
    }
}

extension SnapshotResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SnapshotResponse {
        try decodeMessage(SnapshotResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, seq.raw)
        sink.uint(2, bytes)
        sink.uint(3, micros)
    }
}

struct FlushResponseDraft: WireDraft {
    var durable: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): durable = try reader.varint("durable_seq")
        default: try reader.skip(field)
        }
    }

    func finish() -> FlushResponse { FlushResponse(durable: Sequence(durable)) }
}

extension FlushResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> FlushResponse {
        try decodeMessage(FlushResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.uint(1, durable.raw) }
}
