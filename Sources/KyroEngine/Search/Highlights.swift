// The passages that come with the hits of a page.
import KyroIndex
import KyroModel

/// Highlighters of one query, by view and field.
struct Highlights {
    private let fields: [String]
    private let highlighters: [FieldMap<TextHighlighter>]

    /// Nil where none are asked for.
    init?(
        _ query: CheckedQuery, views: [CollectionView], cancellation: Cancellation
    ) throws(KyroError) {
        guard let leg = query.text, let wanted = leg.highlight else { return nil }
        let plans = try TextLegPlans(
            leg, views: views, isOfThePast: query.isOfThePast, cancellation: cancellation)
        fields = wanted.fields.isEmpty ? leg.fields : wanted.fields
        var highlighters: [FieldMap<TextHighlighter>] = []
        for (number, view) in views.enumerated() {
            var own: FieldMap<TextHighlighter> = [:]
            for field in fields {
                guard let index = view.root.texts[field] else { continue }
                own[field] = TextHighlighter(
                    plans.plan(ofView: number), field: field, index: index, wanted)
            }
            highlighters.append(own)
        }
        self.highlighters = highlighters
    }

    /// Of one hit, without the fields in which nothing was found.
    func highlights(
        of document: Document, view: Int, cancellation: Cancellation
    ) throws(KyroError) -> [Highlight] {
        var found: [Highlight] = []
        for field in fields {
            guard let text = document.texts[field], let highlighter = highlighters[view][field]
            else { continue }
            try cancellation.check()
            let fragments = highlighter.fragments(of: text)
            if !fragments.isEmpty { found.append(Highlight(field: field, fragments: fragments)) }
        }
        return found
    }
}
