// Counts of calls by method and code, and the text that tells them.
import KyroServer
import Testing

@Suite struct CallMetricsTests {
    @Test func bucketsHoldWhatTheirBoundsSay() {
        let bounds = CallLayout.boundsNanos
        #expect(CallLayout.bucket(of: 0) == 0)
        for (i, bound) in bounds.enumerated() {
            #expect(CallLayout.bucket(of: bound) == i)
            #expect(CallLayout.bucket(of: bound + 1) == i + 1)
        }
        #expect(CallLayout.bucket(of: .max) == bounds.count)
    }

    @Test func cellsOfMethodsAndCodesDoNotOverlap() {
        let layout = CallLayout(paths: ["/a.B/C", "/a.B/D"])
        var seen: Set<Int> = []
        for method in layout.paths.indices {
            #expect(seen.insert(CallLayout.started(method)).inserted)
            for code in 0..<CallLayout.codeCount {
                let first = CallLayout.first(method, code)
                for cell in first..<(first + CallLayout.cellsPerCode) {
                    #expect(seen.insert(cell).inserted)
                }
            }
        }
        #expect(seen == Set(0..<layout.cellCount))
    }

    @Test func anUnknownPathHasTheFirstNumber() {
        let layout = CallLayout(paths: ["/a.B/D", "/a.B/C"])
        #expect(layout.number(of: "/a.B/C") == 1)
        #expect(layout.number(of: "/a.B/D") == 2)
        #expect(layout.number(of: "/a.B/E") == CallLayout.unknownMethod)
    }
}

@Suite struct MetricsTextTests {
    private func text(_ body: (inout MetricsText) -> Void) -> String {
        var text = MetricsText()
        body(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test func aHistogramAddsUpItsBuckets() {
        let made = text {
            $0.family("x_seconds", .histogram, "Time.")
            $0.histogram(
                "x_seconds", [("a", "b")], bounds: ["0.1", "1"], buckets: [2, 0, 3], sum: 7.5)
        }
        #expect(
            made == """
                # HELP x_seconds Time.
                # TYPE x_seconds histogram
                x_seconds_bucket{a="b",le="0.1"} 2
                x_seconds_bucket{a="b",le="1"} 2
                x_seconds_bucket{a="b",le="+Inf"} 5
                x_seconds_sum{a="b"} 7.5
                x_seconds_count{a="b"} 5

                """)
    }

    @Test func labelValuesAndHelpAreEscaped() {
        let made = text {
            $0.family("x", .gauge, "a\\b\nc")
            $0.sample("x", [("l", "q\"\\\n")], UInt64(1))
        }
        #expect(made == "# HELP x a\\\\b\\nc\n# TYPE x gauge\nx{l=\"q\\\"\\\\\\n\"} 1\n")
    }
}
