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
    ) throws(KyroError) -> [[Candidate]] {
        for field in leg.fields {
            for view in views { try view.shard.requireText(field) }
        }
        let plans = try TextLegPlans(
            leg, views: views, isOfThePast: query.isOfThePast, cancellation: cancellation)
        var perShard: [[Candidate]] = []
        for (index, view) in views.enumerated() {
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let plan = plans.plan(ofView: index)
            let indexes = plans.fields.map { view.root.texts[$0.name] }
            if query.explains {
                counters[index].postingsListed += plan.estimatedPostings(indexes)
            }
            let found = try StructuredTextSearch.run(
                plan, indexes: indexes, k: query.candidates(of: .text),
                visibility: view.visibility, mask: masks[index], order: view.shard.rows,
                counters: &counters[index], cancellation: cancellation)
            explains[index].textCandidates = UInt64(found.count)
            perShard.append(Self.candidates(found, shard: index))
        }
        return perShard
    }
}

/// A plan for every way in which the views' fields are analysed: one, but while analysers change.
struct TextLegPlans {
    /// Those of the leg that some view has and that count for something.
    let fields: [(name: String, boost: Double)]
    private var plans: [TextPlan] = []
    /// By view.
    private var numbers: [Int] = []

    init(
        _ leg: CheckedQuery.TextLeg, views: [CollectionView], isOfThePast: Bool,
        cancellation: Cancellation
    ) throws(KyroError) {
        fields = zip(leg.fields, leg.boosts).filter { field, boost in
            boost > 0 && views.contains { $0.root.texts[field] != nil }
        }.map { ($0, $1) }
        var ways: [[TextField]] = []
        for view in views {
            var models: [TextIndex] = []
            for field in fields {
                let own = view.root.texts[field.name]
                let any = views.lazy.compactMap { $0.root.texts[field.name] }.first
                if let model = own ?? any { models.append(model) }
            }
            let way = models.map(\.field)
            if let known = ways.firstIndex(of: way) {
                numbers.append(known)
                continue
            }
            var planned: [TextPlanner.Field] = []
            for (field, model) in zip(fields, models) {
                planned.append(
                    try Self.field(
                        field, model, views, isOfThePast: isOfThePast, cancellation: cancellation))
            }
            var planner = TextPlanner(fields: planned, cancellation: cancellation)
            let node = leg.node ?? .match(leg.query)
            plans.append(
                try planner.plan(node, path: leg.isStructured ? "text.node" : "text.query"))
            numbers.append(ways.count)
            ways.append(way)
        }
    }

    private static func field(
        _ field: (name: String, boost: Double), _ model: TextIndex, _ views: [CollectionView],
        isOfThePast: Bool, cancellation: Cancellation
    ) throws(KyroError) -> TextPlanner.Field {
        guard isOfThePast else {
            return TextPlanner.Field(
                name: field.name, model: model,
                shards: views.compactMap { $0.root.texts[field.name] }, boost: field.boost)
        }
        return try TextPlanner.Field(
            name: field.name, model: model,
            past: views.compactMap { view in
                view.root.texts[field.name].map { ($0, view.visibility) }
            }, boost: field.boost, cancellation: cancellation)
    }

    func plan(ofView view: Int) -> TextPlan { plans[numbers[view]] }
}
