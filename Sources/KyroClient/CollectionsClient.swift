// kyrodb.v2.Collections.
import KyroModel
import KyroWire

public struct CollectionsClient {
    public let connection: Connection

    public init(_ connection: Connection) { self.connection = connection }

    private static let service = "/kyrodb.v2.Collections/"

    /// - Throws: ALREADY_EXISTS where the scope has a collection.
    public func create(
        _ scope: Scope, schema: Schema = Schema(), durability: Durability? = nil,
        retentionMillis: Int64 = 0, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> CollectionDescription {
        let request = CreateCollectionRequest(
            scope: scope, schema: schema, durability: durability,
            retentionMillis: retentionMillis)
        return try .decode(
            wire: connection.unary(
                Self.service + "Create", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    public func describe(
        _ scope: Scope, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> DescribeCollectionResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Describe", DescribeCollectionRequest(scope: scope).encodeWire(),
                timeoutMillis: timeoutMillis))
    }

    /// Changes how vector fields are indexed and text fields analysed; `describe` tells how far the
    /// vectors are.
    public func rebuild(
        _ scope: Scope, vectors: FieldMap<VectorIndexing>, texts: FieldMap<TextField> = [:],
        timeoutMillis: Int64? = nil
    ) throws(KyroError) -> CollectionDescription {
        let request = RebuildRequest(scope: scope, vectors: vectors, texts: texts)
        return try .decode(
            wire: connection.unary(
                Self.service + "Rebuild", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    /// Changes how long versions that were overwritten or removed stay readable.
    public func setRetention(
        _ scope: Scope, millis: Int64, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> CollectionDescription {
        let request = SetRetentionRequest(scope: scope, retentionMillis: millis)
        return try .decode(
            wire: connection.unary(
                Self.service + "SetRetention", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    /// One page.
    public func list(
        _ request: ListCollectionsRequest, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> ListCollectionsResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "List", request.encodeWire(), timeoutMillis: timeoutMillis))
    }

    /// Every page.
    public func listAll(
        tenant: String, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> [CollectionDescription] {
        var all: [CollectionDescription] = []
        var request = ListCollectionsRequest(tenant: tenant)
        repeat {
            let page = try list(request, timeoutMillis: timeoutMillis)
            all.append(contentsOf: page.collections)
            request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty
        return all
    }

    public func drop(
        _ scope: Scope, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> DropCollectionResponse {
        try .decode(
            wire: connection.unary(
                Self.service + "Drop", DropCollectionRequest(scope: scope).encodeWire(),
                timeoutMillis: timeoutMillis))
    }
}

extension CollectionsClient {
    /// Makes an earlier version of a collection's tuning, or none (0), the one that searches go by.
    public func rollBackTuning(
        _ scope: Scope, to version: UInt32, timeoutMillis: Int64? = nil
    ) throws(KyroError) -> RollBackTuningResponse {
        let request = RollBackTuningRequest(scope: scope, version: version)
        return try .decode(
            wire: connection.unary(
                Self.service + "RollBackTuning", request.encodeWire(), timeoutMillis: timeoutMillis)
        )
    }

    /// Learns fusion weights from judged queries.
    public func tune(_ start: TuneStart) throws(KyroError) -> TuneStream {
        let call = try connection.open(Self.service + "Tune")
        try call.send(TuneRequest.start(start).encodeWire())
        return TuneStream(call: call)
    }
}

/// A tuning under way: send the queries, then finish.
public final class TuneStream {
    private let call: Call
    /// The latest that the server has told.
    public private(set) var progress = TuneProgress()

    init(call: Call) { self.call = call }

    /// Waits while the server is behind.
    public func send(_ query: JudgedQuery) throws(KyroError) {
        do throws(KyroError) {
            try call.send(TuneRequest.query(query).encodeWire())
        } catch {
            // What the server thinks of an earlier query says more than that it listens no longer.
            while try call.receive() != nil {}
            throw error
        }
        while let bytes = call.receiveNow() {
            if case .progress(let progress) = try TuneResponse.decode(wire: bytes) {
                self.progress = progress
            }
        }
    }

    /// No query follows: waits for the outcome.
    ///
    /// - Parameters:
    ///   - timeoutMillis: between two messages; the server tells its progress several times a second.
    ///   - progress: called with what the server tells on the way.
    public func finish(
        timeoutMillis: Int64? = nil, progress: (TuneProgress) -> Void = { _ in }
    ) throws(KyroError) -> TuneOutcome {
        call.halfClose()
        var outcome: TuneOutcome?
        while let bytes = try call.receive(timeoutMillis: timeoutMillis) {
            switch try TuneResponse.decode(wire: bytes) {
            case .progress(let told):
                self.progress = told
                progress(told)
            case .outcome(let told): outcome = told
            }
        }
        guard let outcome else {
            throw KyroError(
                code: .internal, reason: KyroError.Reason.malformedMessage.rawValue,
                message: "the server ended the call without an outcome")
        }
        return outcome
    }

    public func cancel() { call.cancel() }
}
