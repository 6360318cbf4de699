// Whether the legs can be fused and ranked as a query asks.
import KyroModel

/// What a search does with fused scores, checked and compiled.
struct CheckedRanking {
    var formula: Formula?

    /// Nil where nothing is asked.
    init?(_ options: RankingOptions?, schema: Schema) throws(KyroError) {
        guard let options, !options.isEmpty else { return nil }
        if !options.formula.isEmpty {
            formula = try FormulaCompiler.compile(options.formula, schema: schema)
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
