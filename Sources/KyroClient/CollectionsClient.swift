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
        timeoutMillis: Int64? = nil
    ) throws(KyroError) -> CollectionDescription {
        let request = CreateCollectionRequest(
            scope: scope, schema: schema, durability: durability)
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
