// What a tuning came to, for people and for scripts.
import KyroCommands
import KyroModel

enum TuneOutput {
    static func show(_ outcome: TuneOutcome, _ session: Session) {
        let learned = outcome.fusion
        var table = Table([
            .init("fused by"), .init("nDCG@10", isRightAligned: true), .init("weights"),
            .init(""),
        ])
        func mark(_ isKept: Bool) -> String {
            guard isKept else { return "" }
            return outcome.version == 0 ? "would be kept" : "kept"
        }
        let rows = legRows(learned)
        let best = rows.max { $0.figure < $1.figure }?.name
        for row in rows {
            table.append([
                "\(row.name) alone", decimals(row.figure), "",
                mark(learned.choice == .bestLeg && row.name == best),
            ])
        }
        table.append([
            "defaults", decimals(learned.figures.defaults), "1 each",
            mark(learned.choice == .defaults),
        ])
        table.append([
            "fitted, held out", decimals(learned.figures.tuned),
            learned.choice == .tuned ? weights(learned) : "", mark(learned.choice == .tuned),
        ])
        session.write(table)
        session.write(
            "\n\(learned.queryCount) queries in \(learned.folds.count) folds: \(learned.reason)\n")
        if outcome.version > 0 {
            session.write("searches go by version \(outcome.version): \(weights(learned))\n")
        }
    }

    static func showHistory(_ collection: CollectionDescription, _ session: Session) {
        let active = collection.tuning?.version ?? 0
        if session.isJSON {
            session.write(
                .object([
                    JSON.Member("active_version", .int(Int64(active))),
                    JSON.Member(
                        "versions",
                        .array(
                            collection.tuningHistory.map { tuning in
                                .object([
                                    JSON.Member("version", .int(Int64(tuning.version))),
                                    JSON.Member(
                                        "fusions", .array(tuning.fusions.map { json(of: $0) })),
                                ])
                            })),
                ]))
            return
        }
        guard !collection.tuningHistory.isEmpty else {
            session.write("\(collection.scope.namespace) has learnt nothing yet\n")
            return
        }
        var table = Table([
            .init("version", isRightAligned: true), .init("learnt", widthMin: 10),
            .init("legs", widthMin: 10), .init("choice"), .init("weights", widthMin: 12),
            .init("queries", isRightAligned: true), .init("nDCG@10", isRightAligned: true),
            .init("best leg", isRightAligned: true), .init("defaults", isRightAligned: true),
        ])
        for tuning in collection.tuningHistory {
            for learned in tuning.fusions {
                let best = legRows(learned).map(\.figure).max() ?? 0
                table.append([
                    "\(tuning.version)" + (tuning.version == active ? " *" : ""),
                    Timestamp.text(millis: learned.timeMillis), legs(learned.legs),
                    text(learned.choice), weights(learned), "\(learned.queryCount)",
                    decimals(learned.figures.tuned), decimals(best),
                    decimals(learned.figures.defaults),
                ])
            }
        }
        session.write(table)
        session.write(
            active == 0
                ? "\nno version is active: searches are fused by the defaults\n"
                : "\n* is what searches go by\n")
    }

    static func json(of outcome: TuneOutcome) -> JSON {
        .object([
            JSON.Member("version", .int(Int64(outcome.version))),
            JSON.Member("fusion", json(of: outcome.fusion)),
        ])
    }

    // MARK: Parts

    private static func legRows(_ learned: LearnedFusion) -> [(name: String, figure: Double)] {
        var rows: [(String, Double)] = []
        if learned.legs.vectorField != nil { rows.append(("vector", learned.figures.vector)) }
        if learned.legs.sparseField != nil { rows.append(("sparse", learned.figures.sparse)) }
        if learned.legs.textFields != nil { rows.append(("text", learned.figures.text)) }
        return rows
    }

    private static func legs(_ legs: LegCombination) -> String {
        [
            legs.vectorField.map { "vector \($0)" }, legs.sparseField.map { "sparse \($0)" },
            legs.textFields.map { $0.isEmpty ? "text" : "text \($0.joined(separator: ", "))" },
        ].compactMap { $0 }.joined(separator: " + ")
    }

    private static func text(_ choice: TuningChoice) -> String {
        switch choice {
        case .tuned: "tuned"
        case .bestLeg: "best leg"
        case .defaults: "defaults"
        }
    }

    private static func named(_ learned: LearnedFusion) -> [(name: String, weight: Double)] {
        let weights = learned.fusion.weights ?? LegWeights()
        return legRows(learned).map { row in
            switch row.name {
            case "vector": (row.name, weights.vector)
            case "sparse": (row.name, weights.sparse)
            default: (row.name, weights.text)
            }
        }
    }

    /// As `kyroctl search` takes them.
    private static func weights(_ learned: LearnedFusion) -> String {
        form(learned.fusion)
            + named(learned).map { "\($0.name)=\($0.weight)" }.joined(separator: ",")
    }

    private static func form(_ fusion: Fusion) -> String {
        if fusion.method == .rrf { return "--rrf " }
        let name = NormalisationName.allCases.first { $0.normalisation == fusion.normalisation }
        return name == .minMax ? "" : name.map { "--normalise \($0.rawValue) " } ?? ""
    }

    private static func decimals(_ value: Double) -> String {
        let scaled = Int((max(0, value) * 10_000).rounded())
        return "\(scaled / 10_000)." + String(10_000 + scaled % 10_000).dropFirst()
    }

    private static func json(of learned: LearnedFusion) -> JSON {
        .object([
            JSON.Member("legs", .string(legs(learned.legs))),
            JSON.Member("choice", .string(text(learned.choice))),
            JSON.Member("method", .string(learned.fusion.method == .rrf ? "rrf" : "weighted")),
            JSON.Member(
                "normalisation",
                .string(
                    NormalisationName.allCases.first {
                        $0.normalisation == learned.fusion.normalisation
                    }?.rawValue ?? "")),
            JSON.Member(
                "weights",
                .object(named(learned).map { JSON.Member($0.name, .double($0.weight)) })),
            JSON.Member("queries", .int(Int64(learned.queryCount))),
            JSON.Member("ndcg_at_10", json(of: learned.figures, learned)),
            JSON.Member(
                "folds",
                .array(
                    learned.folds.map { fold in
                        .object([
                            JSON.Member("queries", .int(Int64(fold.queryCount))),
                            JSON.Member("ndcg_at_10", json(of: fold.figures, learned)),
                        ])
                    })),
            JSON.Member("reason", .string(learned.reason)),
            JSON.Member("time", .string(Timestamp.text(millis: learned.timeMillis))),
        ])
    }

    private static func json(of figures: TuningFigures, _ learned: LearnedFusion) -> JSON {
        var members = [
            JSON.Member("tuned", .double(figures.tuned)),
            JSON.Member("defaults", .double(figures.defaults)),
        ]
        if learned.legs.vectorField != nil {
            members.append(JSON.Member("vector", .double(figures.vector)))
        }
        if learned.legs.sparseField != nil {
            members.append(JSON.Member("sparse", .double(figures.sparse)))
        }
        if learned.legs.textFields != nil {
            members.append(JSON.Member("text", .double(figures.text)))
        }
        return .object(members)
    }
}
