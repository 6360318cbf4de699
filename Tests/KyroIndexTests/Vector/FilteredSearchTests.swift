// Filtered searches of every selectivity against brute force: filters drawn at random, around the
// query, and far from it.
import Foundation
import KyroIndex
import KyroModel
import Synchronization
import Testing

@Suite struct FilteredSearchTests {
    enum Kind: CaseIterable { case independent, correlated, antiCorrelated }

    static let dimension = 16
    static let rowCount = 24_000
    static let seed: UInt64 = 21
    static let parameters = GraphParameters(efConstruction: 60, flatRowsMax: 500)

    /// 24,000 rows in 80 clusters, of which 300 wait in the tail; every third document from 18,000 on
    /// lacks the field, so that rows and slots differ, and every tenth row is dead.
    static let fixture: VectorFixture = {
        var fixture = VectorFixture(
            field: VectorField(dimension: dimension), parameters: parameters)
        let vectors = clusteredVectors(
            count: rowCount, dimension: dimension, centres: 80, seed: seed)
        for (i, vector) in vectors.dropLast(300).enumerated() {
            fixture.insert(vector)
            if i >= 18_000, i % 3 == 0 { fixture.insert(nil) }
        }
        fixture.fold()
        for vector in vectors.suffix(300) { fixture.insert(vector) }
        for slot in stride(from: 3, to: fixture.slotCount, by: 10)
        where fixture.vectors[slot] != nil { fixture.remove(slot) }
        return fixture
    }()

    static let queries = clusteredVectors(
        count: 12, dimension: dimension, centres: 80, seed: seed)

    /// - Parameter ranked: all living rows, best first.
    static func mask(
        _ kind: Kind, members: Int, ranked: [ScoredSlot], _ numbers: inout SeededNumbers
    ) -> SlotMask {
        var mask = SlotMask(slotCount: fixture.slotCount)
        switch kind {
        case .independent:
            var left = members
            for (i, hit) in ranked.enumerated() where numbers.below(ranked.count - i) < left {
                mask.insert(hit.slot)
                left -= 1
            }
        case .correlated:
            let pivot = ranked[numbers.below(50)].slot
            if let vector = fixture.vectors[pivot] {
                for hit in fixture.bruteForce(vector, k: members) { mask.insert(hit.slot) }
            }
        case .antiCorrelated: for hit in ranked.suffix(members) { mask.insert(hit.slot) }
        }
        return mask
    }

    @Test(arguments: Kind.allCases, [0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.001])
    func recallIsKeptAtEverySelectivity(kind: Kind, share: Double) throws {
        var numbers = SeededNumbers(seed: Self.seed)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var found = 0
        var wanted = 0
        var courses: [String] = []
        for query in Self.queries {
            let ranked = Self.fixture.bruteForce(query, k: .max)
            let members = max(1, Int(Double(ranked.count) * share))
            let mask = Self.mask(kind, members: members, ranked: ranked, &numbers)
            let expected = Self.fixture.bruteForce(query, k: 10, mask: mask)
            for strategy in [nil, VectorStrategy.filteredGraph] {
                let hits = try Self.search(query, 10, mask, strategy, &scratch, &counters)
                #expect(hits.count == expected.count, "seed \(Self.seed)")
                let ids = Set(expected.map(\.slot))
                found += hits.count { ids.contains($0.slot) }
                wanted += expected.count
                courses.append("\(counters.filteredWalk.course)")
            }
        }
        let recall = Double(found) / Double(wanted)
        #expect(recall >= 0.97, "\(recall), seed \(Self.seed), \(courses)")
    }

    /// Any k, any mask, dead members among them: as many as match, each once, in order, truly scored.
    @Test(arguments: 1...4)
    func noSearchReturnsFewerThanMatch(seed: Int) throws {
        var numbers = SeededNumbers(seed: UInt64(seed))
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for round in 0..<24 {
            let query = Self.queries[numbers.below(Self.queries.count)]
            let ranked = Self.fixture.bruteForce(query, k: .max)
            let kind = Kind.allCases[numbers.below(3)]
            let members = 1 + numbers.below(1 << (1 + numbers.below(13)))
            var mask = Self.mask(
                kind, members: min(members, ranked.count), ranked: ranked, &numbers)
            for _ in 0..<numbers.below(members + 1) {
                mask.insert(numbers.below(Self.fixture.slotCount))
            }
            let k = 1 + numbers.below(1 << (1 + numbers.below(9)))
            let isForced = numbers.below(2) == 0
            let hits = try Self.search(
                query, k, mask, isForced ? .filteredGraph : nil, &scratch, &counters)
            let comment = Comment(rawValue: "seed \(seed), round \(round), k \(k), \(kind)")
            let expected = Self.fixture.bruteForce(query, k: k, mask: mask)
            #expect(hits.count == expected.count, comment)
            #expect(Set(hits.map(\.slot)).count == hits.count, comment)
            for (hit, next) in zip(hits, hits.dropFirst()) {
                #expect(hit.score >= next.score, comment)
            }
            for hit in hits {
                let isAllowed = mask.contains(hit.slot) && Self.fixture.alive.contains(hit.slot)
                let score = try #require(Self.fixture.score(query, hit.slot), comment)
                #expect(isAllowed, comment)
                #expect(abs(Double(hit.score) - score) < 1e-6, comment)
            }
        }
    }

    /// Where no row around the query matches the walk is left before it has cost much.
    @Test func aFilterFarFromTheQueryIsScannedAfterAShortLook() throws {
        var numbers = SeededNumbers(seed: 5)
        var scratch = VectorScratch()
        for query in Self.queries {
            let ranked = Self.fixture.bruteForce(query, k: .max)
            let mask = Self.mask(.antiCorrelated, members: 10_000, ranked: ranked, &numbers)
            var counters = SearchCounters()
            let request = VectorIndex.Request(vector: query, k: 10)
            let plan = Self.fixture.index.plan(
                request, visibility: Self.fixture.visibility, mask: mask, maskCount: 10_000)
            _ = try Self.search(query, 10, mask, nil, &scratch, &counters)
            let walk = counters.filteredWalk
            #expect(walk.course == .left && walk.isLeft)
            #expect(walk.scored <= 600, "\(walk)")
            let words = plan.reason(after: walk)
            #expect(words.hasPrefix("10,000 of 24,000 rows match: scan of their codes as 11,"))
            #expect(
                words.hasSuffix(
                    "; walk left after \(walk.scored) distances: \(walk.matched) of \(walk.met) "
                        + "rows met match"), "\(words)")
        }
    }

    @Test func aFilterAroundTheQueryIsWalkedOverAllRows() throws {
        var numbers = SeededNumbers(seed: 6)
        var scratch = VectorScratch()
        for query in Self.queries {
            let ranked = Self.fixture.bruteForce(query, k: .max)
            let mask = Self.mask(.correlated, members: 10_000, ranked: ranked, &numbers)
            var counters = SearchCounters()
            _ = try Self.search(query, 10, mask, nil, &scratch, &counters)
            #expect(counters.filteredWalk.course == .lead)
            #expect(counters.rowsScored <= 3_000)
        }
    }

    /// A quarter of the rows at random: too many to scan, too few to walk over all.
    @Test func aFilterThatIgnoresTheQueryIsWalkedOverWhatMatches() throws {
        var numbers = SeededNumbers(seed: 7)
        var scratch = VectorScratch()
        var courses: [FilteredWalkOutcome.Course] = []
        for query in Self.queries {
            let ranked = Self.fixture.bruteForce(query, k: .max)
            let mask = Self.mask(.independent, members: 6_500, ranked: ranked, &numbers)
            var counters = SearchCounters()
            _ = try Self.search(query, 10, mask, .filteredGraph, &scratch, &counters)
            courses.append(counters.filteredWalk.course)
            #expect(counters.rowsScored <= 3_000)
        }
        #expect(courses.count { $0 == .hop } >= courses.count / 2, "\(courses), seed 7")
    }

    @Test func aReasonTellsWhatWasWeighed() throws {
        let fixture = Self.fixture
        let request = VectorIndex.Request(vector: Self.queries[0], k: 10)
        func reason(_ request: VectorIndex.Request, members: Int?) -> String {
            var mask: SlotMask?
            if let members {
                var some = SlotMask(slotCount: fixture.slotCount)
                for slot in 0..<members { some.insert(slot) }
                mask = some
            }
            return fixture.index.plan(
                request, visibility: fixture.visibility, mask: mask, maskCount: members ?? 0
            ).reason(after: FilteredWalkOutcome())
        }
        #expect(reason(request, members: 0) == "no row matches")
        #expect(
            reason(request, members: 1_200)
                == "1,200 of 24,000 rows match: scan of their codes 1,200 distances, too few to walk"
        )
        #expect(
            reason(request, members: nil).hasPrefix("24,000 rows: scan of their codes as 24,000"))
        let exact = VectorIndex.Request(vector: request.vector, k: 10, exact: true)
        #expect(
            reason(exact, members: 7)
                == "7 of 24,000 rows match: all scored in full precision, as asked")
        let small = VectorFixture(field: VectorField(dimension: 2))
        let plan = small.index.plan(
            VectorIndex.Request(vector: [1, 0], k: 1), visibility: small.visibility, mask: nil,
            maskCount: 0)
        #expect(plan.reason(after: FilteredWalkOutcome()) == "no rows")
    }

    /// A filter's members are found while a maintenance thread links the rows of the tail.
    @Test func searchesBesideAFoldingThreadReturnAllThatMatch() throws {
        var fixture = VectorFixture(
            field: VectorField(dimension: Self.dimension), parameters: Self.parameters)
        let vectors = clusteredVectors(
            count: 6_000, dimension: Self.dimension, centres: 40, seed: 22)
        for vector in vectors { fixture.insert(vector) }
        let shared = fixture
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            shared.fold()
            done.signal()
        }
        var numbers = SeededNumbers(seed: 23)
        var scratch = VectorScratch()
        var isOver = false
        var round = 0
        while !isOver || round < 50 {
            isOver = isOver || done.wait(timeout: .now()) == .success
            let target = numbers.below(6_000)
            let step = 1 + numbers.below(40)
            var mask = SlotMask(slotCount: 6_000)
            for slot in stride(from: target % step, to: 6_000, by: step) { mask.insert(slot) }
            var counters = SearchCounters()
            let request = VectorIndex.Request(vector: vectors[target], k: 20)
            let hits = try shared.index.search(
                request, plan: VectorPlan(strategy: .filteredGraph, estimatedCost: 1),
                visibility: shared.visibility, mask: mask, order: BySlot(), scratch: &scratch,
                counters: &counters, cancellation: Cancellation())
            #expect(hits.count == 20, "round \(round), seed 23")
            #expect(hits.first?.slot == target, "round \(round), seed 23")
            let isAllowed = hits.allSatisfy { mask.contains($0.slot) }
            #expect(isAllowed, "round \(round), seed 23")
            round += 1
        }
        #expect(shared.index.graphCount == 6_000)
    }

    /// - Parameter strategy: nil for the planned one.
    private static func search(
        _ query: [Float], _ k: Int, _ mask: SlotMask, _ strategy: VectorStrategy?,
        _ scratch: inout VectorScratch, _ counters: inout SearchCounters
    ) throws -> [ScoredSlot] {
        let request = VectorIndex.Request(vector: query, k: k)
        let planned = fixture.index.plan(
            request, visibility: fixture.visibility, mask: mask, maskCount: mask.count())
        let plan = strategy.map { VectorPlan(strategy: $0, estimatedCost: 1) } ?? planned
        return try fixture.index.search(
            request, plan: plan, visibility: fixture.visibility, mask: mask, order: BySlot(),
            scratch: &scratch, counters: &counters, cancellation: Cancellation())
    }
}
