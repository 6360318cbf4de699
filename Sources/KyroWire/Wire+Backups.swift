// operations.proto: backups.
import KyroModel

// MARK: CreateBackupRequest

struct CreateBackupRequestDraft: WireDraft {
    var isIncremental = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): isIncremental = try reader.bool("incremental")
        default: try reader.skip(field)
        }
    }

    func finish() -> CreateBackupRequest { CreateBackupRequest(isIncremental: isIncremental) }
}

extension CreateBackupRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> CreateBackupRequest {
        try decodeMessage(CreateBackupRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.bool(1, isIncremental) }
}

// MARK: CreateBackupResponse

struct BackupDescriptionDraft: WireDraft {
    var backup = BackupDescription(id: 0, kind: .none, seq: .zero)
    var kind: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): backup.id = try reader.varint("id")
        case (2, .varint): kind = try reader.int32("kind")
        case (3, .varint): backup.parent = try reader.varint("parent")
        case (4, .varint): backup.seq = Sequence(try reader.varint("seq"))
        case (5, .varint): backup.timeMillis = try reader.int64("time_ms")
        case (6, .varint): backup.bytes = try reader.varint("bytes")
        case (7, .varint): backup.micros = try reader.varint("micros")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> BackupDescription {
        var finished = backup
        finished.kind = try enumValue(kind, "kind", BackupKind.init(rawValue:))
        return finished
    }
}

extension BackupDescription: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, id)
        sink.uint(2, UInt32(kind.rawValue))
        sink.uint(3, parent)
        sink.uint(4, seq.raw)
        sink.int(5, timeMillis)
        sink.uint(6, bytes)
        sink.uint(7, micros)
    }
}

struct CreateBackupResponseDraft: WireDraft {
    var bytesDone: UInt64 = 0
    var bytesTotal: UInt64 = 0
    var backup: BackupDescriptionDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): bytesDone = try reader.varint("bytes_done")
        case (2, .varint): bytesTotal = try reader.varint("bytes_total")
        case (3, .bytes): try reader.message("backup", into: &backup)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> CreateBackupResponse {
        CreateBackupResponse(
            bytesDone: bytesDone, bytesTotal: bytesTotal, backup: try backup?.finish("backup"))
    }
}

extension CreateBackupResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> CreateBackupResponse {
        try decodeMessage(CreateBackupResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, bytesDone)
        sink.uint(2, bytesTotal)
        sink.message(3, backup)
    }
}

// MARK: BackupStatus

struct BackupStatusDraft: WireDraft {
    var status = BackupStatus()
    var running: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): status.repository = try reader.string("repository")
        case (2, .varint): running = try reader.int32("running")
        case (3, .varint): status.bytesDone = try reader.varint("bytes_done")
        case (4, .varint): status.bytesTotal = try reader.varint("bytes_total")
        case (5, .varint): status.lastID = try reader.varint("last_id")
        case (6, .varint): status.lastSeq = Sequence(try reader.varint("last_seq"))
        case (7, .varint): status.lastTimeMillis = try reader.int64("last_time_ms")
        case (8, .varint): status.isArchiving = try reader.bool("archiving")
        case (9, .varint): status.archivedSeq = Sequence(try reader.varint("archived_seq"))
        case (10, .varint): status.archivedTimeMillis = try reader.int64("archived_time_ms")
        case (11, .varint): status.archiveLagBytes = try reader.varint("archive_lag_bytes")
        case (12, .bytes): status.problem = try reader.string("problem")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> BackupStatus {
        var finished = status
        finished.running = try enumValue(running, "running", BackupKind.init(rawValue:))
        return finished
    }
}

extension BackupStatus: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, repository)
        sink.uint(2, UInt32(running.rawValue))
        sink.uint(3, bytesDone)
        sink.uint(4, bytesTotal)
        sink.uint(5, lastID)
        sink.uint(6, lastSeq.raw)
        sink.int(7, lastTimeMillis)
        sink.bool(8, isArchiving)
        sink.uint(9, archivedSeq.raw)
        sink.int(10, archivedTimeMillis)
        sink.uint(11, archiveLagBytes)
        sink.string(12, problem)
    }
}
