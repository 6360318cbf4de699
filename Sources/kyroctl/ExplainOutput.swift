// What a search tells of itself under --explain.
import KyroCommands
import KyroModel

enum ExplainOutput {
    private static func text(_ strategy: VectorStrategy) -> String {
        switch strategy {
        case .none: "none"
        case .graph: "graph"
        case .flat: "scan"
        case .filteredGraph: "filtered graph"
        case .filteredFlat: "filtered scan"
        case .ivf: "inverted lists"
        case .filteredIVF: "filtered inverted lists"
        }
    }

    static func show(_ explain: Explain, _ session: Session) {
        var table = Table([
            .init("shard", isRightAligned: true), .init("vectors by"),
            .init("rows", isRightAligned: true), .init("in graph", isRightAligned: true),
            .init("in tail", isRightAligned: true), .init("filter left", isRightAligned: true),
            .init("rows scored", isRightAligned: true),
            .init("estimated", isRightAligned: true),
            .init("postings", isRightAligned: true), .init("listed", isRightAligned: true),
            .init("time", isRightAligned: true),
        ])
        for shard in explain.shards {
            table.append([
                String(shard.shard), text(shard.vectorStrategy), countText(shard.rows),
                countText(shard.graphRows), countText(shard.tailRows),
                countText(shard.filterMatches), countText(shard.rowsScored),
                countText(shard.estimatedCost), countText(shard.postingsScored),
                countText(shard.postingsListed),
                TimeSpan.text(micros: Int64(clamping: shard.micros)),
            ])
        }
        session.write("\n")
        session.write(table)
        showLegs(explain, session)
        let steps = [
            ("plan", explain.planMicros), ("search", explain.searchMicros),
            ("merge", explain.mergeMicros),
        ]
        session.write(text(of: steps))
        if let stages = explain.stages {
            session.write("of which " + text(of: Self.steps(of: stages).filter { $0.1 > 0 }))
        }
        for reason in reasons(explain.shards) { session.write("vectors: \(reason)\n") }
        for note in explain.notes { session.write("note: \(note)\n") }
    }

    private static func text(of steps: [(String, UInt64)]) -> String {
        steps.map { "\($0.0) \(TimeSpan.text(micros: Int64(clamping: $0.1)))" }
            .joined(separator: ", ") + "\n"
    }

    private static func steps(of stages: StageMicros) -> [(String, UInt64)] {
        [
            ("filter", stages.filter), ("vector", stages.vector), ("sparse", stages.sparse),
            ("text", stages.text), ("merge", stages.merge), ("fuse", stages.fuse),
            ("rank", stages.rank), ("fetch", stages.fetch),
        ]
    }

    private static func legs(
        _ explain: Explain
    ) -> [(name: String, leg: LegExplain, shares: (ShardExplain) -> UInt64)] {
        var legs: [(name: String, leg: LegExplain, shares: (ShardExplain) -> UInt64)] = []
        if let leg = explain.vector { legs.append(("vector", leg, { $0.vectorCandidates })) }
        if let leg = explain.sparse { legs.append(("sparse", leg, { $0.sparseCandidates })) }
        if let leg = explain.text { legs.append(("text", leg, { $0.textCandidates })) }
        return legs
    }

    private static func showLegs(_ explain: Explain, _ session: Session) {
        let legs = legs(explain)
        guard !legs.isEmpty else { return }
        var table = Table([
            .init("leg"), .init("asked", isRightAligned: true),
            .init("candidates", isRightAligned: true), .init("of shards"),
            .init("weight", isRightAligned: true), .init("best", isRightAligned: true),
            .init("worst", isRightAligned: true), .init("mean", isRightAligned: true),
            .init("deviation", isRightAligned: true),
        ])
        for (name, leg, shares) in legs {
            table.append(
                [
                    name, countText(leg.asked), countText(leg.candidates),
                    explain.shards.map { countText(shares($0)) }.joined(separator: " + "),
                ]
                    + [leg.weight, leg.best, leg.worst, leg.mean, leg.deviation].map {
                        decimal($0, places: 4)
                    })
        }
        session.write("\n")
        session.write(table)
        session.write("\n")
    }

    /// One line a hit, whose terms add up to its score.
    static func showScores(
        of response: SearchResponse, to request: SearchRequest, _ session: Session
    ) {
        guard let explain = response.explain else { return }
        let weights = LegWeights(
            vector: explain.vector?.weight ?? 1, sparse: explain.sparse?.weight ?? 1,
            text: explain.text?.weight ?? 1)
        let isLone =
            legs(explain).count == 1 && request.fusion == nil && request.timeDecay == nil
        session.write("\n")
        for (index, hit) in response.hits.enumerated() {
            let line = scoreText(
                of: hit, weights: weights, takesGreatest: request.fusion?.method == .max,
                isLone: isLone, rescore: request.ranking?.rescore)
            guard let line else { continue }
            session.write("\(Int(request.offset) + index + 1). \(hit.id.argument): \(line)\n")
        }
    }

    /// Each reason once, with the shards that gave it where they differ.
    private static func reasons(_ shards: [ShardExplain]) -> [String] {
        var texts: [String] = []
        for shard in shards where !shard.vectorReason.isEmpty {
            if !texts.contains(shard.vectorReason) { texts.append(shard.vectorReason) }
        }
        guard texts.count > 1 else { return texts }
        return texts.map { text in
            let names = shards.filter { $0.vectorReason == text }.map { String($0.shard) }
            return "\(text) (shard \(names.joined(separator: ", ")))"
        }
    }

    static func show(_ recall: RecallEstimate, _ session: Session) {
        session.write("\(recall.text)\n")
    }

    static func json(of recall: RecallEstimate) -> JSON {
        .object([
            JSON.Member("target", .double(recall.target)),
            JSON.Member("mean", .double(recall.mean)),
            JSON.Member("worst_decile", .double(recall.worstDecile)),
            JSON.Member("samples", .int(Int64(recall.samples))),
            JSON.Member("ef_search", .int(Int64(recall.efSearch))),
            JSON.Member("probes", .int(Int64(recall.probes))),
        ])
    }

    static func json(of explain: Explain) -> JSON {
        let shards = explain.shards.map { shard in
            JSON.object([
                JSON.Member("shard", .int(Int64(shard.shard))),
                JSON.Member("vector_strategy", .string(text(shard.vectorStrategy))),
                JSON.Member("rows", JSON(shard.rows)),
                JSON.Member("graph_rows", JSON(shard.graphRows)),
                JSON.Member("tail_rows", JSON(shard.tailRows)),
                JSON.Member("filter_matches", JSON(shard.filterMatches)),
                JSON.Member("rows_scored", JSON(shard.rowsScored)),
                JSON.Member("postings_scored", JSON(shard.postingsScored)),
                JSON.Member("postings_listed", JSON(shard.postingsListed)),
                JSON.Member("estimated_cost", JSON(shard.estimatedCost)),
                JSON.Member("micros", JSON(shard.micros)),
                JSON.Member("vector_reason", .string(shard.vectorReason)),
                JSON.Member("vector_candidates", JSON(shard.vectorCandidates)),
                JSON.Member("sparse_candidates", JSON(shard.sparseCandidates)),
                JSON.Member("text_candidates", JSON(shard.textCandidates)),
            ])
        }
        var members = [
            JSON.Member("shards", .array(shards)),
            JSON.Member("notes", .array(explain.notes.map { .string($0) })),
            JSON.Member("plan_micros", JSON(explain.planMicros)),
            JSON.Member("search_micros", JSON(explain.searchMicros)),
            JSON.Member("merge_micros", JSON(explain.mergeMicros)),
        ]
        for (name, leg, _) in legs(explain) {
            members.append(JSON.Member(name, json(of: leg)))
        }
        if let stages = explain.stages {
            let micros = steps(of: stages).map { JSON.Member($0.0, JSON($0.1)) }
            members.append(JSON.Member("stage_micros", .object(micros)))
        }
        return .object(members)
    }

    private static func json(of leg: LegExplain) -> JSON {
        .object([
            JSON.Member("asked", JSON(leg.asked)),
            JSON.Member("candidates", JSON(leg.candidates)),
            JSON.Member("weight", .double(leg.weight)), JSON.Member("best", .double(leg.best)),
            JSON.Member("worst", .double(leg.worst)), JSON.Member("mean", .double(leg.mean)),
            JSON.Member("deviation", .double(leg.deviation)),
        ])
    }

    static func json(of details: ScoreDetails) -> JSON {
        var members: [JSON.Member] = []
        for (name, part) in [
            ("vector", details.vector), ("sparse", details.sparse), ("text", details.text),
        ] {
            guard let part else { continue }
            members.append(
                JSON.Member(
                    name,
                    .object([
                        JSON.Member("normalised", .double(part.normalised)),
                        JSON.Member("weighted", .double(part.weighted)),
                    ])))
        }
        members.append(JSON.Member("fused", .double(details.fused)))
        members.append(JSON.Member("decay", .double(details.decay)))
        if let formula = details.formula {
            members.append(JSON.Member("formula", .double(formula)))
        }
        if let rescore = details.rescore {
            members.append(JSON.Member("score_before", .double(rescore.score)))
            members.append(JSON.Member("max_sim", .double(rescore.maxSim)))
        }
        if let diversity = details.diversity {
            members.append(JSON.Member("relevance", .double(diversity.relevance)))
            members.append(JSON.Member("similarity", .double(diversity.similarity)))
        }
        return .object(members)
    }
}
