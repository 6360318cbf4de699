// What an explained search says of itself, against what it does.
import KyroIndex
import KyroModel
import Testing

@Suite struct PlanReasonTests {
    private static let dimension = 64
    private static let fullPrecision = "full precision"

    private static func fixture(_ indexing: VectorIndexing, count: Int) -> VectorFixture {
        var fixture = VectorFixture(
            field: VectorField(dimension: dimension, metric: .l2, indexing: indexing))
        for vector in clusteredVectors(
            count: count, dimension: dimension, centres: 20, seed: 71)
        {
            fixture.insert(vector)
        }
        return fixture
    }

    /// Whoever reads "full precision" has every row scored once, and by nothing but itself.
    @Test(
        "Full precision is said where no code was asked, and nowhere else",
        arguments: VectorIndexKind.allCases,
        [
            VectorIndexing(), VectorIndexing(rerank: .bf16), VectorIndexing(rerank: .none),
            VectorIndexing(storage: .disk),
        ])
    func fullPrecision(kind: VectorIndexKind, keeping: VectorIndexing) throws {
        var indexing = keeping
        indexing.kind = kind
        var scratch = VectorScratch()
        for count in [20, 150, 1_500, 4_500] {
            let fixture = Self.fixture(indexing, count: count)
            var some = SlotMask(slotCount: count)
            for slot in 0..<(count / 2) { some.insert(slot) }
            for folds in [false, true] {
                if folds { fixture.fold() }
                for (exact, mask) in [(false, nil), (true, nil), (false, some), (true, some)] {
                    var counters = SearchCounters()
                    let (hits, plan) = try fixture.search(
                        [Float](repeating: 0.5, count: Self.dimension), k: 10, exact: exact,
                        mask: mask, scratch: &scratch, counters: &counters)
                    let reason = plan.reason(after: counters.filteredWalk)
                    let matching = mask == nil ? count : count / 2
                    let isInFull =
                        fixture.index.isExact(
                            VectorIndex.Request(vector: [], k: 10, exact: exact), plan: plan)
                        && counters.rowsScored == matching
                    let asked = "\(kind) \(keeping) \(count) \(exact): \(reason)"
                    #expect(reason.contains(Self.fullPrecision) == isInFull, "\(asked)")
                    #expect(reason.contains("as asked") == exact, "\(asked)")
                    let isAboutGraph = reason.contains("graph")
                    #expect(!isAboutGraph || fixture.index.buildsGraph, "\(asked)")
                    #expect(hits.count == 10)
                }
            }
        }
    }

    @Test(arguments: VectorIndexKind.allCases)
    func nothingIsSaidToBeScannedWhereNothingMatches(kind: VectorIndexKind) {
        let fixture = Self.fixture(VectorIndexing(kind: kind), count: 100)
        let request = VectorIndex.Request(
            vector: [Float](repeating: 1, count: Self.dimension), k: 10)
        let plan = fixture.index.plan(
            request, visibility: fixture.visibility, mask: SlotMask(slotCount: 100), maskCount: 0)
        #expect(plan.reason(after: FilteredWalkOutcome()) == "no row matches")
    }

    @Test func listsAreNamedWhereThereAreSome() throws {
        let fixture = Self.fixture(VectorIndexing(kind: .ivf), count: 9_000)
        let request = VectorIndex.Request(
            vector: [Float](repeating: 1, count: Self.dimension), k: 10, probes: 2)
        func reason() -> String {
            fixture.index.plan(
                request, visibility: fixture.visibility, mask: nil, maskCount: 0
            ).reason(after: FilteredWalkOutcome())
        }
        #expect(
            reason() == "9,000 rows, for which there are no lists yet: scan of their codes")
        fixture.fold()
        #expect(reason().hasPrefix("9,000 rows: the nearest lists cost about "))
    }
}
