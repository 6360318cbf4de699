// Aggregations, sort keys and page tokens: bytes by hand, merging, and what is refused.
import KyroModel
import KyroWire
import Testing

@Suite struct AggregationTests {
    @Test("Aggregations are a list of a oneof; a count is an empty message")
    func request() throws {
        var request = SearchRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.limit = 0
        request.aggregations = [
            Aggregation(
                .facet(FacetAggregation(field: "f", limit: 3, minCount: 2)), name: "n",
                over: .candidates),
            Aggregation(.timeHistogram(TimeHistogramAggregation(calendar: .month))),
            Aggregation(.stats(StatsAggregation(field: "f", quantiles: [0.5]))),
            Aggregation(.count, filter: .exists(field: "f")),
            Aggregation(.histogram(HistogramAggregation(field: "f", interval: 2))),
        ]
        request.pageToken = [1, 2]
        request.paged = true
        let bytes = hex(
            """
            0a 06 0a 01 61 12 01 62
            8a 01 0e 0a 01 6e 10 01 2a 07 0a 01 66 10 03 18 02
            8a 01 04 3a 02 20 03
            8a 01 0f 42 0d 0a 01 66 12 08 00 00 00 00 00 00 e0 3f
            8a 01 09 1a 05 3a 03 0a 01 66 22 00
            8a 01 0e 32 0c 0a 01 66 11 00 00 00 00 00 00 00 40
            92 01 02 01 02
            a0 01 01
            """)
        #expect(request.encodeWire() == bytes)
        #expect(try SearchRequest.decode(wire: bytes) == request)
    }

    @Test("Results come in order, numbers with their types")
    func response() throws {
        var facet = FacetResult()
        facet.buckets = [FacetBucket(value: .string("x"), documents: 4)]
        facet.otherValues = 2
        facet.otherDocuments = 3
        facet.missing = 1
        var stats = StatsResult()
        stats.count = 2
        stats.min = .int64(1)
        stats.max = .int64(3)
        stats.sum = 4
        stats.mean = 2
        stats.quantiles = [Quantile(q: 0.5, value: 2)]
        var response = SearchResponse(hits: [], seq: .zero)
        response.aggregations = [
            AggregationResult(name: "n", documents: 5, kind: .facet(facet)),
            AggregationResult(name: "", documents: 0, kind: .stats(stats)),
            AggregationResult(name: "", documents: 9, kind: .count),
        ]
        response.nextPageToken = [7]
        let bytes = hex(
            """
            2a 16 0a 01 6e 10 05 1a 0f 0a 07 0a 03 0a 01 78 10 04 10 02 18 03 20 01
            2a 32 32 30 08 02 1a 02 10 01 22 02 10 03 29 00 00 00 00 00 00 10 40
              31 00 00 00 00 00 00 00 40
              3a 12 09 00 00 00 00 00 00 e0 3f 11 00 00 00 00 00 00 00 40
            2a 02 10 09
            32 01 07
            """)
        #expect(response.encodeWire() == bytes)
        #expect(try SearchResponse.decode(wire: bytes) == response)
    }

    @Test("A kind that comes again merges into itself and replaces any other")
    func merging() throws {
        // facet {limit 3}, facet {field f}; then stats {}, histogram {field f}.
        let merged = try SearchRequest.decode(
            wire: hex("8a 01 09 2a 02 10 03 2a 03 0a 01 66 8a 01 07 42 00 32 03 0a 01 66"))
        #expect(
            merged.aggregations == [
                Aggregation(.facet(FacetAggregation(field: "f", limit: 3))),
                Aggregation(.histogram(HistogramAggregation(field: "f", interval: 0))),
            ])
        // Quantiles packed or not.
        let half = "00 00 00 00 00 00 e0 3f"
        let stats = try SearchRequest.decode(wire: hex("8a 01 15 42 13 11 \(half) 12 08 \(half)"))
        #expect(
            stats.aggregations == [Aggregation(.stats(StatsAggregation(quantiles: [0.5, 0.5])))])
    }

    @Test("What has no kind, an unknown number or too many entries is refused where it is")
    func refusals() throws {
        func refusal(_ bytes: [UInt8]) throws -> KyroError {
            try #require(throws: KyroError.self) { try SearchRequest.decode(wire: bytes) }
        }
        #expect(try refusal(hex("8a 01 00")).field == "aggregations[0]")
        #expect(try refusal(hex("8a 01 04 22 00 10 02")).field == "aggregations[0].over")
        #expect(
            try refusal(hex("8a 01 04 3a 02 20 05")).field
                == "aggregations[0].time_histogram.calendar")
        #expect(
            try refusal(hex("8a 01 04 22 00 1a 00")).field == "aggregations[0].filter")
        let many = try refusal((0...64).flatMap { _ in hex("8a 01 02 22 00") })
        #expect(many.reason == KyroError.Reason.limitExceeded.rawValue)
        #expect(many.field == "aggregations")
        let keys = try #require(throws: KyroError.self) {
            try ScanRequest.decode(wire: (0...8).flatMap { _ in hex("42 00") })
        }
        #expect(keys.field == "order_by")
    }

    @Test("Sort keys")
    func sortKeys() throws {
        var request = ScanRequest(scope: Scope(tenant: "a", namespace: "b"))
        request.orderBy = [
            SortKey("f", isDescending: true), SortKey(isMissingFirst: true), SortKey(),
        ]
        let bytes = hex("0a 06 0a 01 61 12 01 62 42 05 0a 01 66 10 01 42 02 18 01 42 00")
        #expect(request.encodeWire() == bytes)
        #expect(try ScanRequest.decode(wire: bytes) == request)
    }
}
