// kyrodb.v2.Ingest.
import KyroModel
import KyroWire

public struct IngestClient {
    public let connection: Connection

    public init(_ connection: Connection) { self.connection = connection }

    static let service = "/kyrodb.v2.Ingest/"

    /// Durable when it returns, under fsync=always. Each mutation has its own outcome.
    public func write(
        _ request: WriteRequest, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> WriteResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Write", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    /// Writes whole documents.
    public func upsert(
        _ documents: [Document], in scope: Scope, createIfMissing: Schema? = nil,
        timeoutMillis: Int64? = nil
    ) throws(KyroError) -> WriteResponse {
        try write(
            WriteRequest(
                scope: scope, mutations: documents.map { .success(.upsert($0)) },
                createIfMissing: createIfMissing),
            timeoutMillis: timeoutMillis)
    }

    public func remove(
        _ ids: [DocumentID], in scope: Scope, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> WriteResponse {
        try write(
            WriteRequest(scope: scope, mutations: ids.map { .success(.remove($0)) }),
            timeoutMillis: timeoutMillis)
    }

    /// Opens a stream of batches that survives lost connections.
    public func stream(_ open: StreamOpen) throws(KyroError) -> IngestStream {
        try IngestStream(connection, open)
    }
}
