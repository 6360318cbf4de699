// Creating, describing, listing, rebuilding and dropping collections.
import KyroModel

extension Engine {
    public func createCollection(
        _ request: CreateCollectionRequest,
        completion: @escaping @Sendable (Result<CollectionDescription, KyroError>) -> Void
    ) {
        changeCatalog(completion) { engine throws(KyroError) in
            try NameValidation.check(request.scope)
            try SchemaValidation.check(request.schema)
            if let shortage = engine.refusalForMemory(isStream: false) { throw shortage }
            if case .interval(let millis) = request.durability,
                !Durability.intervalMillisRange.contains(millis)
            {
                throw .invalid(
                    "durability.interval_ms",
                    "is \(millis); it must lie in 1...\(Durability.intervalMillisRange.upperBound)")
            }
            try SchemaValidation.checkRetention(request.retentionMillis)
            return try engine.catalog.create(
                request.scope, schema: request.schema, durability: request.durability,
                retentionMillis: request.retentionMillis
            ).description
        }
    }

    public func dropCollection(
        _ request: DropCollectionRequest,
        completion: @escaping @Sendable (Result<DropCollectionResponse, KyroError>) -> Void
    ) {
        changeCatalog(completion) { engine throws(KyroError) in
            let collection = try engine.collection(of: request.scope)
            let count = collection.documentCount
            try engine.catalog.drop(collection)
            for shard in engine.shards {
                _ = shard.queue.push(.drop(collection), weight: 0, ignoresBound: true)
            }
            engine.budget.freed()
            return DropCollectionResponse(documentsDropped: count)
        }
    }

    /// Changes how vector fields are indexed and text fields analysed. The change is durable when it
    /// is answered, and each shard's maintenance carries it out from then on.
    public func rebuild(
        _ request: RebuildRequest,
        completion: @escaping @Sendable (Result<CollectionDescription, KyroError>) -> Void
    ) {
        changeCatalog(completion) { engine throws(KyroError) in
            let collection = try engine.collection(of: request.scope)
            guard !request.vectors.isEmpty || !request.texts.isEmpty else {
                throw .invalid("vectors", "is empty, as is texts; name the fields to change")
            }
            var schema = collection.schema
            for entry in request.vectors {
                let path = "vectors[\"\(entry.name)\"]"
                try Self.checkKnown(entry.name, of: schema.vectors.names, "vector", field: path)
                try IndexingValidation.check(entry.value, field: path)
                schema.vectors[entry.name]?.indexing = entry.value
            }
            for entry in request.texts {
                let path = "texts[\"\(entry.name)\"]"
                try Self.checkKnown(entry.name, of: schema.texts.names, "text", field: path)
                try SchemaValidation.check(entry.value, field: path)
                schema.texts[entry.name] = entry.value
            }
            try engine.catalog.change(collection, to: schema)
            for shard in engine.shards { shard.foldGate.open() }
            return collection.description
        }
    }

    private static func checkKnown(
        _ name: String, of names: [String], _ kind: String, field path: String
    ) throws(KyroError) {
        guard !names.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else { return }
        throw KyroError(
            .fieldNotFound,
            "\(path): the collection's \(kind) fields are: "
                + (names.isEmpty ? "none" : names.joined(separator: ", ")), field: path)
    }

    public func describeCollection(
        _ request: DescribeCollectionRequest
    ) throws(KyroError) -> DescribeCollectionResponse {
        let collection = try collection(of: request.scope)
        return DescribeCollectionResponse(
            collection: collection.description, vectors: collection.vectorStatus,
            metadata: collection.metadataStatistics, texts: collection.textStatus)
    }

    /// How many there are that `isVisible`.
    public func collectionCount(where isVisible: (Scope) -> Bool) -> Int {
        catalog.all.count { isVisible($0.scope) }
    }

    /// Ordered by namespace; the page token is the last namespace of the page before.
    /// - Parameter isVisible: collections that are not are passed over, as if there were none.
    public func listCollections(
        _ request: ListCollectionsRequest, where isVisible: (Scope) -> Bool = { _ in true }
    ) throws(KyroError) -> ListCollectionsResponse {
        try ensureServing()
        try NameValidation.check(request.tenant, field: "tenant_id")
        guard request.pageSize <= Limits.pageSizeMax else {
            throw .overLimit(
                "page_size", "is \(request.pageSize); the limit is \(Limits.pageSizeMax)")
        }
        let pageSize = request.pageSize == 0 ? Limits.pageSizeDefault : Int(request.pageSize)
        let behind = catalog.collections(ofTenant: request.tenant).filter {
            isVisible($0.scope)
                && (request.pageToken.isEmpty
                    || request.pageToken.utf8.lexicographicallyPrecedes($0.scope.namespace.utf8))
        }
        let page = behind.prefix(pageSize)
        let isLast = page.count == behind.count
        return ListCollectionsResponse(
            collections: page.map { collection in
                var description = collection.description
                // A page of them would be long.
                description.tuningHistory = []
                return description
            },
            nextPageToken: isLast ? "" : page.last?.scope.namespace ?? "")
    }

    func changeCatalog<Answer: Sendable>(
        _ completion: @escaping @Sendable (Result<Answer, KyroError>) -> Void,
        _ change: @escaping @Sendable (Engine) throws(KyroError) -> Answer
    ) {
        let isRunning = control.run { [self] in
            do throws(KyroError) {
                try ensureServing()
                let answer = try change(self)
                completion(.success(answer))
            } catch {
                completion(.failure(error))
            }
        }
        if !isRunning { completion(.failure(Self.busy("the catalog's queue is full"))) }
    }
}
