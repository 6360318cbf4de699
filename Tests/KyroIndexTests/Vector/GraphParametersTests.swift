// A graph as a user asks for it: any M from 4 to 32, or none at all.
import KyroIndex
import KyroModel
import Testing

@Suite struct GraphParametersTests {
    @Test("Zeros are the defaults; M sets both widths; what lies outside is brought inside")
    func options() {
        #expect(GraphParameters(.default) == .default)
        let given = GraphParameters(VectorIndexing(m: 24, efConstruction: 300, efSearch: 7))
        #expect(
            given
                == GraphParameters(
                    neighboursMax: 24, baseCells: 48, efConstruction: 300, efSearch: 7))
        let wild = GraphParameters(
            VectorIndexing(kind: .graph, m: 200, efConstruction: 1, efSearch: .max))
        #expect(
            wild
                == GraphParameters(
                    neighboursMax: 32, baseCells: 64, efConstruction: 32, efSearch: 10_000,
                    flatRowsMax: 1))
    }

    @Test("More rows want more candidates, unless the field says how many")
    func candidatesByRows() throws {
        let plain = GraphParameters.default
        let rows = [0, 131_071, 131_072, 262_144, 1_000_000]
        #expect(rows.map { plain.efSearch(rowCount: $0) } == [96, 96, 128, 160, 192])
        #expect(GraphParameters(efSearch: 7).efSearch(rowCount: 1_000_000) == 7)
    }

    @Test(
        "A graph of any M finds what a scan finds, also after a restart",
        arguments: [4, 7, 16, 24, 32])
    func recall(m: Int) throws {
        let indexing = VectorIndexing(kind: .graph, m: UInt32(m))
        var fixture = VectorFixture(field: VectorField(dimension: 16, indexing: indexing))
        let vectors = clusteredVectors(count: 3_000, dimension: 16, centres: 20, seed: UInt64(m))
        for vector in vectors { fixture.insert(vector) }
        fixture.fold()
        #expect(fixture.index.graphCount == 3_000)
        #expect(fixture.index.servedKind == .graph)

        let (rows, graph) = (MemorySnapshot(), MemorySnapshot())
        try fixture.index.writeRows(to: rows, slotCount: 3_000)
        try fixture.index.writeGraph(to: graph, slotCount: 3_000)
        // A row has another list with the probability of the power of two at or below M.
        let above = (graph.bytes.count - 24 - 3_000 * 2 * m * 4) / (m * 4)
        var power = 4
        while power * 2 <= m { power *= 2 }
        let expected = 3_000 / (power - 1)
        #expect(abs(above - expected) < expected / 4, "\(above), not about \(expected)")

        let restored = try RestoredVectors(
            from: rows, field: fixture.index.field, slotCount: 3_000)
        fixture.index = try VectorIndex(restored, graphFrom: graph)
        #expect(fixture.index.parameters == GraphParameters(indexing))
        let queries = (0..<50).map { vectors[$0 * 59] }
        let findings = try fixture.findings(queries, efSearch: 200)
        #expect(findings.strategies == [.graph])
        #expect(findings.recall >= 0.98)
    }

    @Test("Kind flat has no graph however many rows come")
    func flat() throws {
        var fixture = VectorFixture(
            field: VectorField(dimension: 4, indexing: VectorIndexing(kind: .flat)))
        for vector in clusteredVectors(count: 6_000, dimension: 4, centres: 9, seed: 5) {
            fixture.insert(vector)
        }
        fixture.fold()
        #expect(fixture.index.graphCount == 0)
        #expect(fixture.index.servedKind == .flat)
        #expect(!fixture.index.buildsGraph)
    }
}
