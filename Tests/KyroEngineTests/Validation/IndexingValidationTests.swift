// What a user is told about options of a vector field that cannot be, and that the others are kept.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct IndexingValidationTests {
    private static let scope = Scope(namespace: "options")

    private static func error(_ indexing: VectorIndexing) throws -> KyroError? {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = Schema()
        schema.vectors["e"] = VectorField(dimension: 8, indexing: indexing)
        do {
            try test.create(scope, schema)
        } catch let error as KyroError {
            return error
        }
        let described = try test.engine.describeCollection(DescribeCollectionRequest(scope: scope))
        #expect(described.collection.schema == schema)
        #expect(described.vectors.map(\.field) == ["e"])
        return nil
    }

    @Test(
        "Each mistake is named with its field",
        arguments: [
            ("m", .limitExceeded, VectorIndexing(m: 3)),
            ("m", .limitExceeded, VectorIndexing(m: 33)),
            ("ef_construction", .limitExceeded, VectorIndexing(efConstruction: 15)),
            ("ef_construction", .limitExceeded, VectorIndexing(m: 24, efConstruction: 23)),
            ("ef_construction", .limitExceeded, VectorIndexing(efConstruction: 2_049)),
            ("ef_search", .limitExceeded, VectorIndexing(efSearch: 10_001)),
            ("lists", .limitExceeded, VectorIndexing(kind: .ivf, lists: 65_537)),
            ("probes", .limitExceeded, VectorIndexing(kind: .ivf, lists: 9, probes: 10)),
            ("probes", .limitExceeded, VectorIndexing(kind: .ivf, probes: 65_537)),
            ("lists", .invalidField, VectorIndexing(kind: .graph, lists: 9)),
            ("probes", .invalidField, VectorIndexing(probes: 9)),
            ("m", .invalidField, VectorIndexing(kind: .ivf, m: 8)),
            ("ef_search", .invalidField, VectorIndexing(kind: .ivf, efSearch: 8)),
            ("ef_construction", .invalidField, VectorIndexing(kind: .flat, efConstruction: 80)),
            ("rerank", .invalidField, VectorIndexing(codes: .bq, rerank: .none)),
            ("rerank", .invalidField, VectorIndexing(codes: .pq, rerank: .none)),
            ("rerank", .invalidField, VectorIndexing(codes: .none, rerank: .none)),
            (
                "storage", .invalidField,
                VectorIndexing(codes: .sq8, rerank: .none, storage: .disk)
            ),
        ] as [(String, KyroError.Reason, VectorIndexing)])
    func mistakes(field: String, reason: KyroError.Reason, indexing: VectorIndexing) throws {
        let error = try #require(try Self.error(indexing), "\(indexing)")
        #expect(error.field == "schema.vectors[\"e\"].indexing.\(field)", "\(error)")
        #expect(error.reason == reason.rawValue, "\(error)")
    }

    @Test(
        "What goes together is kept as it was given",
        arguments: [
            .default, VectorIndexing(m: 4, efConstruction: 4, efSearch: 1),
            VectorIndexing(kind: .graph, m: 32, efConstruction: 2_048, efSearch: 10_000),
            VectorIndexing(codes: .sq4, rerank: .none), VectorIndexing(codes: .sq8, rerank: .none),
            VectorIndexing(rerank: .none),
            VectorIndexing(codes: .bq, rerank: .bf16, storage: .disk),
            VectorIndexing(kind: .flat, codes: .none, storage: .disk),
            VectorIndexing(kind: .ivf, lists: 65_536, probes: 9),
        ] as [VectorIndexing])
    func combinations(indexing: VectorIndexing) throws {
        #expect(try Self.error(indexing) == nil)
    }

    @Test func aQueryTakesNoMoreProbesThanThereAreLists() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = Schema()
        schema.vectors["e"] = VectorField(dimension: 1)
        try test.create(Self.scope, schema)
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(vector: [1], probes: 65_536)
        #expect(try test.search(request).hits.isEmpty)
        request.vector?.probes = 65_537
        let error = #expect(throws: KyroError.self) { try test.search(request) }
        #expect(error?.field == "vector.probes")
    }

    @Test func aDescriptionTellsRowsAndBytesOfEveryShard() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        defer { test.close() }
        var schema = Schema()
        schema.vectors["a"] = VectorField(dimension: 64)
        schema.vectors["b"] = VectorField(
            dimension: 8, indexing: VectorIndexing(kind: .graph, codes: .sq8, rerank: .bf16))
        try test.create(Self.scope, schema)
        let documents = (0..<40).map { id in
            var document = Document(id: .number(UInt64(id)))
            document.vectors["a"] = Array(repeating: Float(id + 1), count: 64)
            return document
        }
        try test.write(documents.map { .upsert($0) }, to: Self.scope)
        try test.write([.remove(.number(3))], to: Self.scope)
        let vectors = try test.engine.describeCollection(
            DescribeCollectionRequest(scope: Self.scope)
        ).vectors
        try #require(vectors.map(\.field) == ["a", "b"])
        #expect(vectors[0].kind == .flat && vectors[0].codes == .sq8)
        #expect(vectors[0].rows == 40 && vectors[0].indexedRows == 0 && vectors[0].deadRows == 1)
        #expect(vectors[0].rowBytes >= 40 * 64 * 4)
        #expect(vectors[0].codeBytes >= 40 * 64)
        #expect(vectors[0].rebuildRowsTotal == 0)
        #expect(vectors[1].kind == .graph && vectors[1].rerank == .bf16)
        #expect(vectors[1].rows == 0 && vectors[1].rowBytes == 0)
    }
}
