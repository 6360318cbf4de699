// When a rebuild builds its graph at once in the place of carrying the old one over.
import KyroIndex
import KyroModel
import Testing

@Suite struct GraphWearTests {
    private static let parameters = GraphParameters(efConstruction: 40, flatRowsMax: 200)
    private static let field = VectorField(dimension: 16, metric: .l2)
    private let all = clusteredVectors(count: 4_000, dimension: 16, centres: 20, seed: 31)

    private func fixture(_ count: Int, atOnce: Bool) throws -> VectorFixture {
        var fixture = VectorFixture(field: Self.field, parameters: Self.parameters)
        for vector in all.prefix(count) { fixture.insert(vector) }
        if atOnce {
            #expect(fixture.index.install(try #require(fixture.bulkGraph(.default))))
        } else {
            fixture.fold()
        }
        return fixture
    }

    /// An index of the living rows, without a graph, and where they went.
    private func successor(of old: VectorFixture) throws -> (VectorIndex, SlotMap) {
        var map = SlotMap()
        var slotCount = 0
        for slot in 0..<old.slotCount {
            let isLeft = old.alive.contains(slot)
            map.append(isLeft ? slotCount : nil)
            if isLeft { slotCount += 1 }
        }
        let new = VectorIndex(field: Self.field, parameters: Self.parameters)
        try new.takeRows(from: old.index, 0..<old.index.rowCount, below: old.slotCount, map: map)
        return (new, map)
    }

    private func isBetterBuilt(_ old: VectorFixture) throws -> Bool {
        let (new, map) = try successor(of: old)
        return new.isBetterBuilt(
            thanCarriedFrom: old.index, below: old.slotCount, map: map)
    }

    @Test func aGraphBuiltAtOnceIsCarriedUntilAQuarterHasGone() throws {
        var shard = try fixture(2_000, atOnce: true)
        #expect(try !isBetterBuilt(shard))
        for slot in 0..<300 { shard.remove(slot * 5) }
        #expect(try !isBetterBuilt(shard))
        for slot in 0..<200 { shard.remove(slot * 5 + 1) }
        #expect(try isBetterBuilt(shard))
        // A few rows are scanned.
        for slot in 0..<2_000 where shard.alive.contains(slot) && shard.alive.count > 200 {
            shard.remove(slot)
        }
        #expect(try !isBetterBuilt(shard))
    }

    @Test func aGraphBuiltAtOnceIsCarriedUntilAQuarterWasLinkedSingly() throws {
        var shard = try fixture(2_000, atOnce: true)
        for vector in all[2_000..<2_300] { shard.insert(vector) }
        shard.fold()
        #expect(try !isBetterBuilt(shard))
        for vector in all[2_300..<2_700] { shard.insert(vector) }
        shard.fold()
        #expect(try isBetterBuilt(shard))
    }

    @Test func aGraphThatGrewRowByRowIsBuiltAnew() throws {
        #expect(try isBetterBuilt(try fixture(2_000, atOnce: false)))
    }

    @Test("What was built at once is known after a carry, and what was mended then is not forgiven")
    func wearOutlivesACarry() throws {
        for atOnce in [true, false] {
            var shard = try fixture(2_000, atOnce: atOnce)
            for slot in 0..<200 { shard.remove(slot * 7) }
            let (new, map) = try successor(of: shard)
            let carry = try #require(
                GraphCarry(from: shard.index, to: new, below: shard.slotCount, map: map))
            while !carry.step(rowsMax: 100) {}
            #expect(new.graphCount == 1_800)
            let again = VectorIndex(field: Self.field, parameters: Self.parameters)
            var same = SlotMap()
            for slot in 0..<1_800 { same.append(slot) }
            try again.takeRows(from: new, 0..<1_800, below: 1_800, map: same)
            #expect(
                again.isBetterBuilt(thanCarriedFrom: new, below: 1_800, map: same) == !atOnce)
        }
    }
}
