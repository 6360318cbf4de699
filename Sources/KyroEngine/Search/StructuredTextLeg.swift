// The text leg of a search that is more than a list of words.
//
// Plans are made of what the parts' indexes were analysed with. While a field's analyser changes,
// some shards have the new one already and some have not: each is asked in its own terms, and the
// frequencies of a term are those of all shards that have it, under whichever analyser.
import KyroIndex
import KyroModel

extension SearchExecution {
    /// Whether some shards analyse one of the fields in another way than others do.
    func isAnalyserChanging(_ leg: CheckedQuery.TextLeg) -> Bool {
        guard views.count > 1 else { return false }
        for field in leg.fields {
            var known: TextIndex?
            for view in views {
                guard let index = view.root.texts[field] else { continue }
                if let known, known.field != index.field { return true }
                known = index
            }
        }
        return false
    }

    mutating func structuredTextLeg(
        _ leg: CheckedQuery.TextLeg
    ) throws(KyroError) -> [Candidate] {
        for field in leg.fields {
            for view in views { try view.shard.requireText(field) }
        }
        let plans = try TextLegPlans(leg, views: views, cancellation: cancellation)
        var perShard: [[Candidate]] = []
        for (index, view) in views.enumerated() {
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let found = try StructuredTextSearch.run(
                plans.plan(ofView: index),
                indexes: plans.fields.map { view.root.texts[$0] }, k: query.candidates,
                visibility: view.visibility, mask: masks[index], order: view.shard.rows,
                counters: &counters[index], cancellation: cancellation)
            perShard.append(Self.candidates(found, shard: index))
        }
        return Ranking.merge(perShard, count: query.candidates, precedes: precedes)
    }
}

/// A plan for every way in which the views' fields are analysed: one, but while analysers change.
struct TextLegPlans {
    /// Those of the leg that some view has.
    let fields: [String]
    private var plans: [TextPlan] = []
    /// By view.
    private var numbers: [Int] = []

    init(
        _ leg: CheckedQuery.TextLeg, views: [CollectionView], cancellation: Cancellation
    ) throws(KyroError) {
        let fields = leg.fields.filter { field in
            views.contains { $0.root.texts[field] != nil }
        }
        self.fields = fields
        var ways: [[TextField]] = []
        for view in views {
            var models: [TextIndex] = []
            for field in fields {
                let own = view.root.texts[field]
                let any = views.lazy.compactMap { $0.root.texts[field] }.first
                if let model = own ?? any { models.append(model) }
            }
            let way = models.map(\.field)
            if let known = ways.firstIndex(of: way) {
                numbers.append(known)
                continue
            }
            var planner = TextPlanner(
                fields: zip(fields, models).map { name, model in
                    TextPlanner.Field(
                        name: name, model: model, shards: views.compactMap { $0.root.texts[name] })
                }, cancellation: cancellation)
            let node = leg.node ?? .match(leg.query)
            plans.append(
                try planner.plan(node, path: leg.isStructured ? "text.node" : "text.query"))
            numbers.append(ways.count)
            ways.append(way)
        }
    }

    func plan(ofView view: Int) -> TextPlan { plans[numbers[view]] }
}
