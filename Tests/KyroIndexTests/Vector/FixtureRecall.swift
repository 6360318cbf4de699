// What searches of a fixture find of the best there is.
import KyroIndex
import KyroModel
import Testing

/// Of several searches.
struct Findings {
    /// Of the best, those that score like the last of them included.
    var recall = 1.0
    /// Distances a search.
    var scored = 0.0
    var strategies: Set<VectorStrategy> = []
}

extension VectorFixture {
    enum Truth {
        case bruteForce
        /// By the index itself, and fast.
        case exactSearch
    }

    /// As many hits as there are to find are expected, all of them alive and in the mask.
    func findings(
        _ queries: [[Float]], k: Int = 10, efSearch: Int = 0, mask: SlotMask? = nil,
        against truth: Truth = .bruteForce
    ) throws -> Findings {
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var aside = SearchCounters()
        var (found, wanted) = (0, 0)
        var findings = Findings()
        for query in queries {
            let best =
                switch truth {
                case .bruteForce: bruteForce(query, k: k, mask: mask)
                case .exactSearch:
                    try search(
                        query, k: k, exact: true, mask: mask, scratch: &scratch, counters: &aside
                    ).hits
                }
            let (hits, plan) = try search(
                query, k: k, efSearch: efSearch, mask: mask, scratch: &scratch,
                counters: &counters)
            #expect(hits.count == best.count)
            let isAllowed = hits.allSatisfy {
                alive.contains($0.slot) && mask?.contains($0.slot) ?? true
            }
            #expect(isAllowed)
            findings.strategies.insert(plan.strategy)
            let slots = Set(best.map(\.slot))
            let last = Double(best.last?.score ?? 0)
            found += hits.count { hit in
                slots.contains(hit.slot)
                    || score(query, hit.slot).map { $0 >= last - 1e-6 * max(1, abs(last)) } ?? false
            }
            wanted += best.count
        }
        if wanted > 0 { findings.recall = Double(found) / Double(wanted) }
        findings.scored = Double(counters.rowsScored) / Double(max(1, queries.count))
        return findings
    }

    /// The living documents in an index of their own, and how their slots have changed; rows are
    /// there, links and lists are not.
    func living() throws -> (fixture: VectorFixture, map: SlotMap) {
        var new = VectorFixture(field: index.field, parameters: index.parameters)
        var map = SlotMap()
        for slot in 0..<slotCount {
            guard alive.contains(slot) else {
                map.append(nil)
                continue
            }
            map.append(new.slotCount)
            new.admit(vectors[slot])
        }
        try new.index.takeRows(from: index, 0..<index.rowCount, below: slotCount, map: map)
        return (new, map)
    }
}
