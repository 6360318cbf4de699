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
            .init("postings", isRightAligned: true), .init("listed", isRightAligned: true),
            .init("time", isRightAligned: true),
        ])
        for shard in explain.shards {
            table.append([
                String(shard.shard), text(shard.vectorStrategy), countText(shard.rows),
                countText(shard.graphRows), countText(shard.tailRows),
                countText(shard.filterMatches), countText(shard.rowsScored),
                countText(shard.postingsScored), countText(shard.postingsListed),
                TimeSpan.text(micros: Int64(clamping: shard.micros)),
            ])
        }
        session.write("\n")
        session.write(table)
        let steps = [
            ("plan", explain.planMicros), ("search", explain.searchMicros),
            ("merge", explain.mergeMicros),
        ]
        session.write(
            steps.map { "\($0.0) \(TimeSpan.text(micros: Int64(clamping: $0.1)))" }
                .joined(separator: ", ") + "\n")
        for reason in reasons(explain.shards) { session.write("vectors: \(reason)\n") }
        for note in explain.notes { session.write("note: \(note)\n") }
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
            ])
        }
        return .object([
            JSON.Member("shards", .array(shards)),
            JSON.Member("notes", .array(explain.notes.map { .string($0) })),
            JSON.Member("plan_micros", JSON(explain.planMicros)),
            JSON.Member("search_micros", JSON(explain.searchMicros)),
            JSON.Member("merge_micros", JSON(explain.mergeMicros)),
        ])
    }
}
