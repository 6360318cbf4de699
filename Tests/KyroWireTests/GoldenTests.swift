// Bytes written out by hand from the .proto files and protobuf's encoding rules.
import KyroModel
import KyroWire
import Testing

@Suite struct GoldenTests {
    @Test("A document is written by field number, maps by key")
    func document() throws {
        var document = Document(id: .number(7))
        document.vectors["v"] = [1, -2]
        document.sparseVectors["s"] = SparseVector(indices: [1, 300], values: [0.5, 0])
        document.texts["t"] = "hi"
        document.texts["a"] = ""
        document.metadata["m"] = .int64(-1)
        document.eventTimeMillis = 0
        document.multiVectors["m"] = MultiVector(dimension: 1, values: [1])
        let bytes = hex(
            """
            0a 02 08 07
            12 0f 0a 01 76 12 0a 0a 08 00 00 80 3f 00 00 00 c0
            1a 14 0a 01 73 12 0f 0a 03 01 ac 02 12 08 00 00 00 3f 00 00 00 00
            22 05 0a 01 61 12 00
            22 07 0a 01 74 12 02 68 69
            2a 10 0a 01 6d 12 0b 10 ff ff ff ff ff ff ff ff ff 01
            30 00
            42 0f 0a 01 6d 12 0a 08 01 12 06 0a 04 00 00 80 3f
            """)
        #expect(document.encodeWire() == bytes)
        #expect(try Document.decode(wire: bytes) == document)
    }

    @Test("Boosts of text fields are doubles by name, written even where they are zero")
    func boosts() throws {
        var request = SearchRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.text = TextQuery(query: "q")
        request.text?.boosts = ["t": 3, "u": 0]
        request.text?.scoring = .bm25f
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            22 21 0a 01 71 52 0c 0a 01 74 11 00 00 00 00 00 00 08 40
            52 0c 0a 01 75 11 00 00 00 00 00 00 00 00 58 01
            48 0a
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try SearchRequest.decode(wire: bytes) == request)
        let error = #expect(throws: KyroError.self) {
            try SearchRequest.decode(wire: hex("22 02 58 02"))
        }
        #expect(error?.field == "text.scoring")
    }

    @Test("A search request writes what is set and skips defaults")
    func searchRequest() throws {
        var request = SearchRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.vector = VectorQuery(vector: [1])
        request.filter = .not(.equals(field: "f", .bool(false)))
        request.limit = 10
        request.projection = Projection(metadata: .all)
        request.explain = true
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            12 08 12 06 0a 04 00 00 80 3f
            2a 0b 1a 09 22 07 0a 01 66 12 02 20 00
            48 0a
            62 04 0a 02 08 01
            78 01
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try SearchRequest.decode(wire: bytes) == request)
    }

    @Test("Options of a vector field are a message, left out where all are the defaults")
    func indexing() throws {
        var request = CreateCollectionRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.schema.vectors["p"] = VectorField(dimension: 3)
        request.schema.vectors["q"] = VectorField(
            dimension: 3, metric: .l2,
            indexing: VectorIndexing(
                kind: .graph, codes: .sq4, rerank: .bf16, storage: .disk, m: 24,
                efConstruction: 300, efSearch: 7, lists: 1, probes: 2))
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            12 25
              0a 05 0a 01 70 10 03
              0a 1c 0a 01 71 10 03 18 02
                22 13 08 01 10 03 18 01 20 01 28 18 30 ac 02 38 07 40 01 48 02
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try CreateCollectionRequest.decode(wire: bytes) == request)
    }

    @Test("What serves a vector field comes with the description")
    func indexStatus() throws {
        var status = VectorIndexStatus(
            field: "v", kind: .graph, codes: .sq8, rerank: .f32, storage: .memory)
        status.rows = 300
        status.indexedRows = 2
        status.rebuildRowsTotal = 5
        var schema = Schema()
        schema.multiVectors["m"] = MultiVectorField(dimension: 300)
        let response = DescribeCollectionResponse(
            collection: CollectionDescription(
                scope: Scope(tenant: "a", namespace: "b"), id: CollectionID(1), schemaVersion: 2,
                schema: schema),
            vectors: [status],
            texts: [TextIndexStatus(field: "t", rebuildRowsDone: 3, rebuildRowsTotal: 300)])
        let bytes = hex(
            """
            0a 16 0a 06 0a 01 61 12 01 62 10 01 18 02
              22 08 2a 06 0a 01 6d 10 ac 02
            12 0e 0a 01 76 10 01 18 02 30 ac 02 38 02 70 05
            22 08 0a 01 74 10 03 18 ac 02
            """)
        #expect(response.encodeWire() == bytes)
        #expect(try DescribeCollectionResponse.decode(wire: bytes) == response)
    }

    @Test("A rebuild names fields with all their options, defaults too")
    func rebuild() throws {
        var request = RebuildRequest(scope: Scope(tenant: "a", namespace: "b"), vectors: [:])
        request.vectors["p"] = .default
        request.vectors["q"] = VectorIndexing(codes: .sq4, m: 24)
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            12 05 0a 01 70 12 00
            12 09 0a 01 71 12 04 10 03 28 18
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try RebuildRequest.decode(wire: bytes) == request)
    }

    @Test("A judged query has its legs, and grades as doubles")
    func judgedQuery() throws {
        var query = JudgedQuery(judgements: [
            Judgement(id: .number(7), grade: 2), Judgement(id: .text("x"), grade: 0),
        ])
        query.text = TextQuery(query: "hi")
        let bytes = hex(
            """
            12 1c 1a 04 0a 02 68 69
            32 0d 0a 02 08 07 11 00 00 00 00 00 00 00 40
            32 05 0a 03 12 01 78
            """)
        #expect(TuneRequest.query(query).encodeWire() == bytes)
        #expect(try TuneRequest.decode(wire: bytes) == .query(query))
    }

    @Test("A leg of all texts is an empty message, which is not the same as none")
    func legCombination() throws {
        let learned = LearnedFusion(
            legs: LegCombination(vectorField: "v", textFields: []), choice: .bestLeg,
            fusion: Fusion(weights: LegWeights(vector: 1, sparse: 0, text: 0.5)), queryCount: 3)
        let bytes = hex(
            """
            12 27 08 04
            12 23 0a 05 0a 01 76 1a 00
            10 01
            1a 14 1a 12 09 00 00 00 00 00 00 f0 3f 19 00 00 00 00 00 00 e0 3f
            20 03 2a 00
            """)
        let response = TuneResponse.outcome(TuneOutcome(version: 4, fusion: learned))
        #expect(response.encodeWire() == bytes)
        #expect(try TuneResponse.decode(wire: bytes) == response)
    }

    @Test("A recall is asked for and told as doubles")
    func recall() throws {
        var request = SearchRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.vector = VectorQuery(vector: [1], probes: 3, recall: 0.5)
        request.limit = 10
        let asked = hex(
            """
            0a 06 0a 01 61 12 01 62
            12 13 12 06 0a 04 00 00 80 3f 20 03 29 00 00 00 00 00 00 e0 3f
            48 0a
            """)
        #expect(request.encodeWire() == asked)
        #expect(try SearchRequest.decode(wire: asked) == request)

        var response = SearchResponse(hits: [], seq: Sequence(9))
        response.recall = RecallEstimate(
            target: 0.5, mean: 0.75, worstDecile: 0, samples: 4, efSearch: 200)
        let told = hex(
            """
            10 09
            22 17 09 00 00 00 00 00 00 e0 3f 11 00 00 00 00 00 00 e8 3f 20 04 28 c8 01
            """)
        #expect(response.encodeWire() == told)
        #expect(try SearchResponse.decode(wire: told) == response)
    }

    @Test("Fusion, decay and ranking write what differs from the defaults")
    func ranking() throws {
        var request = SearchRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.timeDecay = TimeDecay(
            halfLifeMillis: 1, originMillis: 0, shape: .gauss, offsetMillis: 5, floor: 0.5)
        request.fusion = Fusion(
            method: .max, normalisation: .distribution,
            candidates: LegCandidates(vector: 7, text: 300))
        request.ranking = RankingOptions(
            formula: "1", grouping: Grouping(field: "g", hitsPerGroup: 3, missing: .dropped),
            diversity: Diversity(lambda: 0.5, pool: 9))
        let asked = hex(
            """
            0a 06 0a 01 61 12 01 62
            3a 11 08 01 10 00 18 02 20 05 29 00 00 00 00 00 00 e0 3f
            42 0b 08 02 20 02 2a 05 08 07 18 ac 02
            48 0a
            82 01 19 0a 01 31
              12 07 0a 01 67 10 03 18 02
              1a 0b 09 00 00 00 00 00 00 e0 3f 10 09
            """)
        #expect(request.encodeWire() == asked)
        #expect(try SearchRequest.decode(wire: asked) == request)

        var hit = Hit(id: .number(1), score: 0, seq: Sequence(3))
        var details = ScoreDetails(fused: 0.5, decay: 0)
        details.text = LegContribution(normalised: 0.5, weighted: 0)
        details.formula = 0
        hit.group = .bool(true)
        hit.details = details
        let told = hex(
            """
            0a 29 0a 02 08 01 38 03
              52 1d 1a 09 09 00 00 00 00 00 00 e0 3f 21 00 00 00 00 00 00 e0 3f
                31 00 00 00 00 00 00 00 00
              5a 02 20 01
            10 09
            """)
        let response = SearchResponse(hits: [hit], seq: Sequence(9))
        #expect(response.encodeWire() == told)
        #expect(try SearchResponse.decode(wire: told) == response)
    }

    @Test("A structured text query is a tree")
    func textNodes() throws {
        var request = SearchRequest(scope: Scope(tenant: "a", namespace: "b"))
        var query = TextQuery(query: "")
        query.node = TextNode(
            .boolean(
                must: [TextNode(.match("x", .all, minimumShouldMatch: 0))],
                should: [
                    TextNode(
                        .fuzzy("f", edits: 2, prefixLength: 1, expansions: 0), fields: ["t"]),
                    TextNode(.terms(["u", "v"])),
                ],
                mustNot: [
                    TextNode(.phrase("p q", slop: 3)), TextNode(.prefix("r", expansions: 9)),
                ], minimumShouldMatch: 1), boost: 2)
        query.minimumShouldMatch = 4
        query.highlight = HighlightQuery(fragments: 5, before: "<")
        request.text = query
        request.limit = 10
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            22 4d 1a 42
            32 37
            0a 07 12 05 0a 01 78 10 01
            12 0c 2a 07 0a 01 66 10 02 18 01 3a 01 74
            12 08 0a 06 0a 01 75 0a 01 76
            1a 09 1a 07 0a 03 70 20 71 10 03
            1a 07 22 05 0a 01 72 10 09
            20 01
            41 00 00 00 00 00 00 00 40
            28 04 32 05 10 05 22 01 3c
            48 0a
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try SearchRequest.decode(wire: bytes) == request)

        var hit = Hit(id: .text("x"), score: 0, seq: Sequence(3))
        hit.highlights = [Highlight(field: "t", fragments: ["a", "b"])]
        let response = SearchResponse(hits: [hit], seq: Sequence(9))
        let told = hex(
            "0a 12 0a 03 12 01 78 38 03 42 09 0a 01 74 12 01 61 12 01 62 10 09")
        #expect(response.encodeWire() == told)
        #expect(try SearchResponse.decode(wire: told) == response)
    }

    @Test("A rebuild names text fields with all their options")
    func rebuildOfTexts() throws {
        var request = RebuildRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.texts["t"] = TextField(
            language: "french", foldsDiacritics: true, stopWords: .list(["le"]), stems: false)
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            1a 2b 0a 01 74 12 26
            1a 06 66 72 65 6e 63 68
            22 12 09 33 33 33 33 33 33 f3 3f 11 00 00 00 00 00 00 e8 3f
            28 01 30 02 3a 02 6c 65 40 01
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try RebuildRequest.decode(wire: bytes) == request)
    }

    @Test("Text nodes nest sixteen deep, and there are a thousand")
    func textNodeBounds() throws {
        func nested(_ depth: Int) -> SearchRequest {
            var node = TextNode.match("x")
            for _ in 1..<depth { node = .boolean(must: [node]) }
            var request = SearchRequest(scope: Scope(namespace: "b"))
            request.text = TextQuery(query: "")
            request.text?.node = node
            return request
        }
        let deepest = nested(Limits.textDepthMax)
        #expect(try SearchRequest.decode(wire: deepest.encodeWire()) == deepest)
        let deeper = #expect(throws: KyroError.self) {
            try SearchRequest.decode(wire: nested(Limits.textDepthMax + 1).encodeWire())
        }
        #expect(deeper?.field == "text.node" && deeper?.reason == "LIMIT_EXCEEDED")
        var wide = nested(1)
        wide.text?.node = .boolean(
            should: Array(repeating: .match("x"), count: Limits.textNodesMax))
        let wider = #expect(throws: KyroError.self) {
            try SearchRequest.decode(wire: wide.encodeWire())
        }
        #expect(wider?.field == "text.node" && wider?.reason == "LIMIT_EXCEEDED")
    }

    @Test("Hits carry their vectors as the request asked")
    func vectorEncodings() throws {
        var hit = Hit(id: .text("x"), score: 0.5, seq: Sequence(3))
        hit.vector = LegScore(score: 0, rank: 1)
        var document = Document(id: .text("x"))
        document.vectors[""] = [1]
        hit.document = document
        var response = SearchResponse(hits: [hit], seq: Sequence(9))
        let head =
            "0a 27 0a 03 12 01 78 11 00 00 00 00 00 00 e0 3f 1a 02 10 01 32 11 0a 03 12 01 78"
        let tail = "38 03 10 09"
        #expect(
            response.encodeWire() == hex(head + "12 0a 0a 00 12 06 0a 04 00 00 80 3f" + tail))
        response.vectorEncoding = .packedF32
        #expect(
            response.encodeWire() == hex(head + "12 0a 0a 00 12 06 12 04 00 00 80 3f" + tail))
        response.vectorEncoding = .floats
        let packed = hex(head + "12 0a 0a 00 12 06 12 04 00 00 80 3f" + tail)
        #expect(try SearchResponse.decode(wire: packed) == response)
    }

    @Test("Packed vectors of every format become floats")
    func packedFormats() throws {
        func vector(_ inner: String) throws -> [Float]? {
            let body = hex(inner)
            let entry = [0x0a, 0, 0x12, UInt8(body.count)] + body
            let document = [0x0a, 2, 8, 1, 0x12, UInt8(entry.count)] + entry
            return try Document.decode(wire: document).vectors[""]
        }
        #expect(try vector("12 08 00 00 80 3f 00 00 00 c0") == [1, -2])
        #expect(try vector("12 08 00 3c 00 c0 01 00 ff 7b 18 01") == [1, -2, 0x1p-24, 65_504])
        #expect(try vector("18 01 12 04 00 7c 00 80") == [.infinity, -0.0])
        #expect(try vector("12 03 01 ff 80 18 02") == [1, -1, -128])
        #expect(try vector("0d 00 00 80 3f 0a 04 00 00 00 40") == [1, 2])
        #expect(try vector("") == [])
    }

    @Test("Errors travel with ErrorInfo, BadRequest and RetryInfo")
    func statusDetails() throws {
        let error = KyroError(.queueFull, "m", field: "f", retryAfterMillis: 1_500)
        let prefix = "type.googleapis.com/google.rpc."
        func any(_ name: String, _ value: String) -> [UInt8] {
            let url = Array((prefix + name).utf8)
            let value = hex(value)
            let body = [0x0a, UInt8(url.count)] + url + [0x12, UInt8(value.count)] + value
            return [0x1a, UInt8(body.count)] + body
        }
        let bytes =
            hex("08 08 12 01 6d")
            + any("ErrorInfo", "0a 0a 51554555455f46554c4c 12 06 6b79726f6462")
            + any("BadRequest", "0a 06 0a 01 66 12 01 6d")
            + any("RetryInfo", "0a 08 08 01 10 80ca b5ee 01")
        #expect(encodeStatusDetails(for: error) == bytes)
        #expect(try decodeStatusDetails(bytes) == error)
        let plain = KyroError(.collectionNotFound, "m")
        #expect(try decodeStatusDetails(encodeStatusDetails(for: plain)) == plain)
    }
}
