// kyrodb.v2.Search.
import KyroModel
import KyroWire

public struct SearchClient {
    public let connection: Connection

    public init(_ connection: Connection) { self.connection = connection }

    private static let service = "/kyrodb.v2.Search/"

    public func search(
        _ request: SearchRequest, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> SearchResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Search", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    public func lookup(
        _ request: LookupRequest, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> LookupResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Lookup", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    /// Many searches on one stream; answers may come in another order.
    public func searchMany() throws(KyroError) -> SearchManyStream {
        SearchManyStream(call: try connection.open(Self.service + "SearchMany"))
    }

    /// Visits documents; take answers until nil.
    public func scan(_ request: ScanRequest) throws(KyroError) -> ScanCursor {
        let call = try connection.open(Self.service + "Scan")
        try call.send(request.encodeWire())
        call.halfClose()
        return ScanCursor(call: call, resumeToken: request.resumeToken)
    }
}

public final class SearchManyStream {
    private let call: Call

    init(call: Call) { self.call = call }

    public func send(_ request: SearchManyRequest) throws(KyroError) {
        try call.send(request.encodeWire())
    }

    /// No search follows.
    public func halfClose() { call.halfClose() }

    /// Nil when every search is answered and the call has ended.
    public func receive(timeoutMillis: Int64? = nil) throws(KyroError) -> SearchManyResponse? {
        guard let bytes = try call.receive(timeoutMillis: timeoutMillis) else { return nil }
        return try .decode(wire: bytes)
    }

    public func cancel() { call.cancel() }
}

/// A scan in progress. Cancel it when the rest is of no interest.
public final class ScanCursor {
    private let call: Call
    /// Behind the last answer taken: a new scan may continue there.
    public private(set) var resumeToken: [UInt8]

    init(call: Call, resumeToken: [UInt8]) {
        self.call = call
        self.resumeToken = resumeToken
    }

    /// The next documents; nil at the end.
    public func next(timeoutMillis: Int64? = nil) throws(KyroError) -> ScanResponse? {
        guard let bytes = try call.receive(timeoutMillis: timeoutMillis) else { return nil }
        let answer = try ScanResponse.decode(wire: bytes)
        resumeToken = answer.resumeToken
        return answer
    }

    public func cancel() { call.cancel() }
}
