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

    /// Makes everything acknowledged durable.
    public func flush(timeoutMillis: Int64? = nil) throws(KyroError) -> FlushResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Flush", FlushRequest().encodeWire(), timeoutMillis: timeoutMillis))
    }
}
