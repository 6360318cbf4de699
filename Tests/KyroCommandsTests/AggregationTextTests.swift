// Aggregations and sort keys on a command line.
import KyroCommands
import KyroModel
import Testing

@Suite struct AggregationTextTests {
    @Test func facets() throws {
        #expect(
            try Aggregation.facet(parsing: "repo")
                == Aggregation(.facet(FacetAggregation(field: "repo")), name: "repo"))
        #expect(
            try Aggregation.facet(parsing: "a:b:7")
                == Aggregation(.facet(FacetAggregation(field: "a:b", limit: 7)), name: "a:b"))
        for wrong in ["", "repo:", "repo:0", "repo:x", "repo:10001", ":3"] {
            #expect(throws: UsageError.self, "\(wrong)") { try Aggregation.facet(parsing: wrong) }
        }
    }

    @Test func histograms() throws {
        let month = TimeHistogramAggregation(calendar: .month)
        #expect(
            try Aggregation.histogram(parsing: "@time:month")
                == Aggregation(.timeHistogram(month), name: "@time"))
        let hours = TimeHistogramAggregation(field: "at", intervalMillis: 21_600_000)
        #expect(
            try Aggregation.histogram(parsing: "at:6h")
                == Aggregation(.timeHistogram(hours), name: "at"))
        let halves = HistogramAggregation(field: "price", interval: 0.5)
        #expect(
            try Aggregation.histogram(parsing: "price:0.5")
                == Aggregation(.histogram(halves), name: "price"))
        for wrong in ["price", "price:", "price:0", "price:-1", "price:nan", "price:decade", ":5"] {
            #expect(throws: UsageError.self, "\(wrong)") {
                try Aggregation.histogram(parsing: wrong)
            }
        }
    }

    @Test func statistics() throws {
        let usual = StatsAggregation(field: "", quantiles: [0.5, 0.9, 0.99])
        #expect(
            try Aggregation.stats(parsing: "@time") == Aggregation(.stats(usual), name: "@time"))
        let own = StatsAggregation(field: "files", quantiles: [0, 1])
        #expect(
            try Aggregation.stats(parsing: "files:0,1") == Aggregation(.stats(own), name: "files"))
        for wrong in ["", "files:2", "files:0.5,x", "files:-0.1"] {
            #expect(throws: UsageError.self, "\(wrong)") { try Aggregation.stats(parsing: wrong) }
        }
    }

    @Test func sortKeys() throws {
        #expect(
            try SortKey.list(parsing: "files:desc,@time,repo:asc:first,a:b,first")
                == [
                    SortKey("files", isDescending: true), SortKey(),
                    SortKey("repo", isMissingFirst: true), SortKey("a:b"), SortKey("first"),
                ])
        for wrong in ["", "a,", ":desc", "a,:first"] {
            #expect(throws: UsageError.self, "\(wrong)") { try SortKey.list(parsing: wrong) }
        }
    }
}
