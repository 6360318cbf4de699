// kyroctl search: what its options say about fusing, rescoring and ranking.
import KyroCommands
import KyroModel

extension SearchRequest {
    static func ranking(_ arguments: Arguments) throws -> RankingOptions {
        var ranking = RankingOptions(formula: arguments.string("formula") ?? "")
        let hitsPerGroup = try arguments.integer("per-group", in: 1...Limits.hitsMax)
        let missing = try arguments.choice("missing-group", of: MissingGroupName.self)
        if let field = arguments.string("group-by") {
            ranking.grouping = Grouping(
                field: field, hitsPerGroup: UInt32(hitsPerGroup ?? 0),
                missing: missing?.missing ?? .alone)
        } else if hitsPerGroup != nil || missing != nil {
            throw UsageError("--per-group and --missing-group need --group-by")
        }
        let pool = try arguments.integer("diversity-pool", in: 1...Limits.diversityPoolMax)
        if let text = arguments.string("diversify") {
            guard let lambda = Double(text), lambda >= 0, lambda <= 1 else {
                throw UsageError("--diversify is \"\(text)\"; it must lie in 0...1")
            }
            ranking.diversity = Diversity(lambda: lambda, pool: UInt32(pool ?? 0))
        } else if pool != nil {
            throw UsageError("--diversity-pool needs --diversify")
        }
        ranking.rescore = try rescore(arguments)
        return ranking
    }

    private static func rescore(_ arguments: Arguments) throws -> Rescore? {
        let top = try arguments.integer("rescore-top", in: 1...Limits.rescoreTopMax)
        let weights = arguments.string("rescore-weights")
        guard let source = arguments.string("rescore") else {
            guard arguments.string("rescore-field") == nil, top == nil, weights == nil else {
                throw UsageError(
                    "--rescore-field, --rescore-top and --rescore-weights need --rescore")
            }
            return nil
        }
        var rescore = Rescore(
            field: arguments.string("rescore-field") ?? "", query: try VectorSource.multi(source),
            top: UInt32(top ?? 0))
        if let weights {
            let numbers = weights.split(separator: ",", omittingEmptySubsequences: false)
                .compactMap { Double($0) }
            guard numbers.count == 2, numbers.allSatisfy(\.isFinite), numbers[0] != 0 else {
                throw UsageError(
                    "--rescore-weights is \"\(weights)\"; write two numbers, of MaxSim and of the "
                        + "score before, such as 1,0.5; the first is not 0")
            }
            (rescore.weight, rescore.scoreWeight) = (numbers[0], numbers[1])
        }
        return rescore
    }

    static func decay(
        _ arguments: Arguments, originMillis: Int64?
    ) throws(UsageError) -> TimeDecay? {
        guard let halfLife = try arguments.millis("decay") else {
            for name in ["origin", "shape", "offset", "floor"]
            where arguments.string("decay-\(name)") != nil {
                throw UsageError("--decay-\(name) needs --decay")
            }
            return nil
        }
        return TimeDecay(
            halfLifeMillis: halfLife, originMillis: originMillis,
            shape: try arguments.choice("decay-shape", of: DecayShapeName.self)?.shape
                ?? .exponential,
            offsetMillis: try arguments.millis("decay-offset") ?? 0,
            floor: try arguments.share("decay-floor") ?? 0)
    }

    static func fusion(_ arguments: Arguments) throws(UsageError) -> Fusion? {
        let rrfK = try arguments.integer("rrf-k", in: 1...Limits.rrfKMax)
        let weights = try arguments.string("weights").map {
            text throws(UsageError) in try LegWeights(parsing: text)
        }
        let candidates = try arguments.string("leg-candidates").map {
            text throws(UsageError) in try LegCandidates(parsing: text)
        }
        let name = try arguments.choice("fusion", of: FusionName.self)
        let normalisation = try arguments.choice("normalise", of: NormalisationName.self)
        let isRRF = arguments.flag("rrf") || rrfK != nil
        if isRRF, let name, name != .rrf {
            throw UsageError("--rrf and --fusion \(name.rawValue) exclude each other")
        }
        guard isRRF || name != nil || weights != nil || candidates != nil || normalisation != nil
        else { return nil }
        return Fusion(
            method: isRRF ? .rrf : name?.method ?? .weighted, rrfK: UInt32(rrfK ?? 0),
            weights: weights, normalisation: normalisation?.normalisation ?? .minMax,
            candidates: candidates)
    }
}
