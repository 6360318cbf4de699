// The text leg of a search that is more than a list of words.
//
// Plans are made of what the parts' indexes were analysed with. While a field's analyser changes,
// some shards have the new one already and some have not: each is asked in its own terms, and the
// frequencies of a term are those of all shards that have it, under whichever analyser.
import KyroIndex
import KyroModel

/// A plan for every way in which the views' fields are analysed: one, but while analysers change.
struct TextLegPlans: Sendable {
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

    /// Whether some shards analyse one of the fields in another way than others do.
    static func isAnalyserChanging(_ leg: CheckedQuery.TextLeg, _ views: [CollectionView]) -> Bool {
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
