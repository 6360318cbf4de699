// Whether the legs can be fused and ranked as a query asks.
import KyroModel

/// What a search does with fused scores, checked and compiled.
struct CheckedRanking {
    struct Diversity {
        var lambda: Double
        /// Hits to choose from.
        var pool: Int
        var field: String
    }

    var formula: Formula?
    var grouping: Grouping?
    var diversity: Diversity?
    var rescore: CheckedRescore?

    /// Nil where nothing is asked.
    init?(_ request: SearchRequest, schema: Schema) throws(KyroError) {
        guard let options = request.ranking, !options.isEmpty else { return nil }
        if !options.formula.isEmpty {
            formula = try FormulaCompiler.compile(options.formula, schema: schema)
        }
        let end = Int(request.offset) + Int(request.limit)
        if let rescore = options.rescore {
            self.rescore = try CheckedRescore(rescore, end: end, schema: schema)
        }
        if let grouping = options.grouping {
            try RankingValidation.check(grouping, end: end, schema: schema)
            self.grouping = grouping
        }
        if let diversity = options.diversity {
            self.diversity = try RankingValidation.check(
                diversity, end: end, vectorField: request.vector?.field, schema: schema)
        }
    }
}

enum RankingValidation {
    static func check(_ decay: TimeDecay) throws(KyroError) {
        guard decay.halfLifeMillis > 0 else {
            throw .invalid(
                "time_decay.half_life_ms", "is \(decay.halfLifeMillis); it must be positive")
        }
        guard decay.offsetMillis >= 0 else {
            throw .invalid(
                "time_decay.offset_ms", "is \(decay.offsetMillis); it must not be negative")
        }
        guard decay.floor >= 0, decay.floor <= 1 else {
            throw .invalid("time_decay.floor", "is \(decay.floor); it must lie in 0...1")
        }
    }

    /// - Parameter end: offset + limit, which count groups here.
    static func check(_ grouping: Grouping, end: Int, schema: Schema) throws(KyroError) {
        guard !grouping.field.isEmpty else {
            throw .invalid("ranking.grouping.field", "is empty; name a metadata field")
        }
        let types: [ValueType] = [.string, .int64, .double, .bool, .timestamp]
        if let type = schema.metadata[grouping.field], !types.contains(type) {
            throw KyroError(
                .typeMismatch,
                "ranking.grouping.field \"\(grouping.field)\" is a \(type.name); hits are grouped by "
                    + "single texts, numbers, bools and times", field: "ranking.grouping.field")
        }
        let hits = max(1, Int(grouping.hitsPerGroup)) * end
        guard hits <= Limits.hitsMax else {
            throw .overLimit(
                "ranking.grouping.hits_per_group",
                "times offset + limit is \(hits); the limit is \(Limits.hitsMax)")
        }
    }

    static func check(
        _ diversity: Diversity, end: Int, vectorField: String?, schema: Schema
    ) throws(KyroError) -> CheckedRanking.Diversity {
        guard diversity.lambda >= 0, diversity.lambda <= 1 else {
            throw .invalid(
                "ranking.diversity.lambda", "is \(diversity.lambda); it must lie in 0...1")
        }
        guard end <= Limits.diversityPoolMax else {
            throw .overLimit(
                "ranking.diversity",
                "with offset + limit of \(end); the limit is \(Limits.diversityPoolMax)")
        }
        guard diversity.pool <= Limits.diversityPoolMax else {
            throw .overLimit(
                "ranking.diversity.pool",
                "is \(diversity.pool); the limit is \(Limits.diversityPoolMax)")
        }
        let path = "ranking.diversity.field"
        let asked = diversity.field.isEmpty ? vectorField ?? "" : diversity.field
        let name = try CheckedQuery.only(
            asked, of: schema.vectors.names, path: path, kind: "vector")
        guard let field = schema.vectors[name] else {
            throw CheckedQuery.missing(
                name, path: path, kind: "vector", names: schema.vectors.names)
        }
        let asking = diversity.pool == 0 ? Limits.candidatesDefault : Int(diversity.pool)
        let pool = max(asking, end)
        guard pool * field.dimension <= Limits.diversityFloatsMax else {
            throw .overLimit(
                "ranking.diversity.pool",
                "of \(pool) times dimension \(field.dimension) is \(pool * field.dimension); the "
                    + "limit is \(Limits.diversityFloatsMax)")
        }
        return CheckedRanking.Diversity(lambda: diversity.lambda, pool: pool, field: name)
    }

    static func check(_ fusion: Fusion) throws(KyroError) {
        guard fusion.rrfK <= Limits.rrfKMax else {
            throw .overLimit("fusion.rrf_k", "is \(fusion.rrfK); the limit is \(Limits.rrfKMax)")
        }
        let candidates = fusion.candidates ?? LegCandidates()
        for (name, count) in [
            ("vector", candidates.vector), ("sparse", candidates.sparse), ("text", candidates.text),
        ] where count > Limits.hitsMax {
            throw .overLimit(
                "fusion.candidates.\(name)", "is \(count); the limit is \(Limits.hitsMax)")
        }
        guard let weights = fusion.weights else { return }
        for (name, weight) in [
            ("vector", weights.vector), ("sparse", weights.sparse), ("text", weights.text),
        ] where !(weight >= 0 && weight.isFinite) {
            throw .invalid(
                "fusion.weights.\(name)", "is \(weight); it must be finite and not negative")
        }
    }
}
