// What the text leg must know of the whole collection before it asks the first shard.
import KyroIndex
import KyroModel

/// The text leg in the terms of the whole collection.
enum CollectionTextLeg: Sendable {
    /// Not asked for.
    case none
    /// The fields that some shard has, with their terms and statistics, for `inShard` to finish.
    case words([(name: String, leg: TextLeg)], TextScoring)
    case structured(TextLegPlans)

    init(
        _ query: CheckedQuery, views: [CollectionView], cancellation: Cancellation
    ) throws(KyroError) {
        guard let leg = query.text else {
            self = .none
            return
        }
        for field in leg.fields {
            for view in views { try view.shard.requireText(field) }
        }
        if leg.node != nil || TextLegPlans.isAnalyserChanging(leg, views) {
            self = .structured(
                try TextLegPlans(
                    leg, views: views, isOfThePast: query.isOfThePast, cancellation: cancellation))
        } else {
            let fields = try Self.fields(
                leg, views, isOfThePast: query.isOfThePast, cancellation: cancellation)
            self = .words(fields, leg.scoring)
        }
    }

    private static func fields(
        _ leg: CheckedQuery.TextLeg, _ views: [CollectionView], isOfThePast: Bool,
        cancellation: Cancellation
    ) throws(KyroError) -> [(name: String, leg: TextLeg)] {
        var fields: [(name: String, leg: TextLeg)] = []
        for (position, name) in leg.fields.enumerated() {
            guard let any = views.lazy.compactMap({ $0.root.texts[name] }).first else { continue }
            let terms = any.analyze(leg.query)
            guard terms.count <= Limits.queryTermsMax else {
                throw .overLimit(
                    "text.query",
                    "has \(terms.count) distinct terms; the limit is \(Limits.queryTermsMax)")
            }
            var statistics = TextIndex.Statistics(
                documentFrequency: Array(repeating: 0, count: terms.count))
            for view in views {
                guard let texts = view.root.texts[name] else { continue }
                statistics =
                    try statistics
                    + (isOfThePast
                        ? texts.statistics(
                            of: terms, at: view.visibility, cancellation: cancellation)
                        : texts.statistics(of: terms))
            }
            fields.append(
                (
                    name,
                    TextLeg(
                        index: nil, field: any.field, terms: terms, statistics: statistics,
                        boost: leg.boosts[position])
                ))
        }
        return fields
    }
}

extension TextLeg {
    /// The same leg in one shard, which may have no document with the field.
    func inShard(_ name: String, _ view: CollectionView) -> TextLeg {
        TextLeg(
            index: view.root.texts[name], field: field, terms: terms, statistics: statistics,
            boost: boost)
    }
}
