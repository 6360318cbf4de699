// kyrodb.v2.Operations.
import KyroModel
import KyroWire

public struct OperationsClient {
    public let connection: Connection

    public init(_ connection: Connection) { self.connection = connection }

    private static let service = "/kyrodb.v2.Operations/"

    public func status(timeoutMillis: Int64? = nil) throws(KyroError) -> StatusResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Status", StatusRequest().encodeWire(), timeoutMillis: timeoutMillis)
        )
    }

    /// Writes a snapshot of every shard; answers when it is on disk.
    public func snapshot(timeoutMillis: Int64? = nil) throws(KyroError) -> SnapshotResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Snapshot", SnapshotRequest().encodeWire(),
                timeoutMillis: timeoutMillis))
    }

    /// Makes a backup in the server's repository; answers when it is on disk.
    ///
    /// - Parameters:
    ///   - timeoutMillis: between two messages; the server tells its progress several times a second
    ///     once it copies.
    ///   - progress: called with what the server tells on the way.
    public func createBackup(
        _ request: CreateBackupRequest, timeoutMillis: Int64? = nil,
        progress: (CreateBackupResponse) -> Void = { _ in }
    ) throws(KyroError) -> BackupDescription {
        let call = try connection.open(Self.service + "CreateBackup")
        try call.send(request.encodeWire())
        call.halfClose()
        var backup: BackupDescription?
        while let bytes = try call.receive(timeoutMillis: timeoutMillis) {
            let answer = try CreateBackupResponse.decode(wire: bytes)
            backup = answer.backup ?? backup
            progress(answer)
        }
        guard let backup else {
            throw KyroError(
                code: .internal, reason: KyroError.Reason.malformedMessage.rawValue,
                message: "the server ended the call without a backup")
        }
        return backup
    }

    /// Makes everything acknowledged durable.
    public func flush(timeoutMillis: Int64? = nil) throws(KyroError) -> FlushResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Flush", FlushRequest().encodeWire(), timeoutMillis: timeoutMillis))
    }
}
