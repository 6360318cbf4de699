// What a writer is told: the field, the bound, the reason; and that the rest of the batch is kept.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct DocumentValidationTests {
    static let scope = Scope(namespace: "checks")

    private static func document(_ change: (inout Document) -> Void) -> Mutation {
        var document = Document(id: .number(1))
        change(&document)
        return .upsert(document)
    }

    private struct Case {
        var mutation: Mutation
        var reason: KyroError.Reason
        var field: String
        var message: String
    }

    private static func upsert(
        _ reason: KyroError.Reason, _ field: String, _ message: String,
        _ change: (inout Document) -> Void
    ) -> Case {
        let path = "mutations[1].upsert" + field
        return Case(
            mutation: document(change), reason: reason, field: path, message: path + message)
    }

    private static let cases: [Case] = [
        upsert(.invalidField, ".id", " is empty; it must have 1 to 512 bytes") {
            $0.id = .text("")
        },
        upsert(.limitExceeded, ".id", " has 513 bytes; the limit is 512") {
            $0.id = .text(String(repeating: "x", count: 513))
        },
        upsert(
            .dimensionMismatch, ".vectors[\"v\"]",
            " has 2 dimensions; the collection has it with 3"
        ) { $0.vectors["v"] = [1, 2] },
        upsert(
            .invalidField, ".vectors[\"v\"]",
            " contains NaN or infinity; every component must be finite"
        ) { $0.vectors["v"] = [1, .infinity, 2] },
        upsert(
            .invalidField, ".vectors[\"v\"]",
            " is the zero vector, which has no direction under cosine"
        ) { $0.vectors["v"] = [0, 0, 0] },
        upsert(
            .limitExceeded, ".vectors[\"w\"].dimension", " is 0; it must lie in 1...16384"
        ) { $0.vectors["w"] = [] },
        upsert(
            .invalidField, ".sparse_vectors[\"s\"]",
            " has index 7 twice; each index may occur once"
        ) { $0.sparseVectors["s"] = SparseVector(indices: [7, 1, 7], values: [1, 2, 3]) },
        upsert(
            .invalidField, ".sparse_vectors[\"s\"]",
            " has 2 indices and 1 values; there must be as many of each"
        ) { $0.sparseVectors["s"] = SparseVector(indices: [7, 8], values: [1]) },
        upsert(
            .invalidField, ".sparse_vectors[\"s\"]",
            " contains NaN or infinity; every value must be finite"
        ) { $0.sparseVectors["s"] = SparseVector(indices: [7], values: [.nan]) },
        upsert(
            .limitExceeded, ".texts[\"t\"]", " has 1048577 bytes; the limit is 1048576"
        ) { $0.texts["t"] = String(repeating: "x", count: (1 << 20) + 1) },
        upsert(
            .typeMismatch, ".metadata[\"n\"]", " is string; the collection has it as int64"
        ) { $0.metadata["n"] = .string("7") },
        upsert(.invalidField, ".metadata[\"d\"]", " is NaN or infinite") {
            $0.metadata["d"] = .double(.nan)
        },
        upsert(
            .dimensionMismatch, ".multi_vectors[\"m\"]",
            " has rows of 3 dimensions; the collection has it with 2"
        ) { $0.multiVectors["m"] = MultiVector(dimension: 3, values: [1, 2, 3]) },
        upsert(
            .limitExceeded, ".multi_vectors[\"x\"].dimension", " is 0; it must lie in 1...16384"
        ) { $0.multiVectors["x"] = MultiVector(dimension: 0, values: []) },
        upsert(.invalidField, ".metadata[\"\"]", " is empty; it must have 1 to 128 bytes") {
            $0.metadata[""] = .bool(true)
        },
        upsert(.invalidField, ".metadata[\"a\nb\"]", " contains a control character") {
            $0.metadata["a\nb"] = .bool(true)
        },
        Case(
            mutation: .remove(.text("")), reason: .invalidField, field: "mutations[1].remove",
            message: "mutations[1].remove is empty; it must have 1 to 512 bytes"),
    ]

    @Test func eachMistakeIsNamedAndTheRestOfTheBatchIsKept() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 3)
        schema.metadata["n"] = .int64
        schema.multiVectors["m"] = MultiVectorField(dimension: 2)
        try test.create(Self.scope, schema)
        for (index, item) in Self.cases.enumerated() {
            let good = Document(id: .number(UInt64(1_000 + index)))
            let response = try test.write(
                [.upsert(good), item.mutation, .remove(good.id), .upsert(good)], to: Self.scope)
            #expect(response.outcomes.map(\.isApplied) == [true, false, true, true])
            let error = try #require(response.outcomes[1].error)
            #expect(error.message == item.message)
            #expect(error.field == item.field)
            #expect(error.reason == item.reason.rawValue)
        }
        #expect(try test.scan(Self.scope).count == Self.cases.count)
        // What was refused has added no field.
        #expect(try test.describe(Self.scope).schema == schema)
    }

    /// The first to carry a field decides its type, within a batch too.
    @Test func theFirstValueFixesAFieldsType() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 3))
        defer { test.close() }
        let values: [MetadataValue] = [.int64(1), .string("x"), .int64(2), .int64s([3])]
        let response = try test.write(
            values.enumerated().map { index, value in
                var document = Document(id: .number(UInt64(index)))
                document.metadata["n"] = value
                return .upsert(document)
            }, to: Self.scope, creating: Schema())
        #expect(response.outcomes.map(\.isApplied) == [true, false, true, false])
        #expect(try test.describe(Self.scope).schema.metadata["n"] == .int64)
    }

    /// Whoever comes first, in a batch or before a restart.
    @Test func theFirstMultiVectorFixesAFieldsDimension() throws {
        let disk = MemoryFileSystem()
        func write(_ test: TestEngine, _ dimensions: [Int]) throws -> [KyroError?] {
            try test.write(
                dimensions.enumerated().map { index, dimension in
                    var document = Document(id: .number(UInt64(index)))
                    document.multiVectors["tokens"] = MultiVector(
                        dimension: dimension, values: Array(repeating: 1, count: 2 * dimension))
                    return .upsert(document)
                }, to: Self.scope, creating: Schema()
            ).outcomes.map(\.error)
        }
        var test = try TestEngine(disk, EngineSettings(shardCount: 3))
        let first = try write(test, [4, 3, 4])
        #expect(first.map { $0 == nil } == [true, false, true])
        #expect(
            first[1]?.message
                == "mutations[1].upsert.multi_vectors[\"tokens\"] has rows of 3 dimensions; the "
                + "collection has it with 4")
        for _ in 0..<2 {
            #expect(
                try test.describe(Self.scope).schema.multiVectors["tokens"]
                    == MultiVectorField(dimension: 4))
            test.close()
            test = try TestEngine(disk, EngineSettings(shardCount: 3))
            #expect(try write(test, [3, 4, 8]).map { $0 == nil } == [false, true, false])
            try test.snapshot()
        }
        var declared = Schema()
        declared.multiVectors["m"] = MultiVectorField(dimension: 16_385)
        let error = #expect(throws: KyroError.self) {
            try test.create(Scope(namespace: "declared"), declared)
        }
        #expect(error?.field == "schema.multi_vectors[\"m\"].dimension")
        test.close()
    }

    /// An update is judged with what it would make of the document.
    @Test func anUpdateThatWouldMakeADocumentTooLargeChangesNothing() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var document = Document(id: .number(1))
        let text = String(repeating: "x", count: 1 << 20)
        for field in 0..<3 { document.texts["t\(field)"] = text }
        try test.write([.upsert(document)], to: Self.scope, creating: Schema())
        var part = Document(id: .number(1))
        part.texts["t4"] = text
        let response = try test.write([.update(PartialUpdate(set: part))], to: Self.scope)
        #expect(response.outcomes[0].error?.reason == KyroError.Reason.limitExceeded.rawValue)
        #expect(try test.scan(Self.scope) == [document])
    }
}
