// BM25 or BM25F over one or several text fields.
import KyroModel

/// One field's part in a text search.
public struct TextLeg: Sendable {
    /// Nil in a shard where no document has the field: others have, and scores are the same
    /// everywhere.
    public let index: TextIndex?
    public let field: TextField
    /// Distinct and sorted, from `TextIndex.analyze`.
    public let terms: [String]
    /// Summed over all shards of the collection.
    public let statistics: TextIndex.Statistics
    /// Weight of the field; finite and not negative.
    public let boost: Double

    public init(
        index: TextIndex, terms: [String], statistics: TextIndex.Statistics, boost: Double = 1
    ) {
        self.init(
            index: index, field: index.field, terms: terms, statistics: statistics, boost: boost)
    }

    public init(
        index: TextIndex?, field: TextField, terms: [String], statistics: TextIndex.Statistics,
        boost: Double = 1
    ) {
        precondition(
            terms.count == statistics.documentFrequency.count,
            "\(statistics.documentFrequency.count) frequencies of \(terms.count) terms")
        precondition(boost >= 0 && boost.isFinite, "a boost of \(boost)")
        self.index = index
        self.field = field
        self.terms = terms
        self.statistics = statistics
        self.boost = boost
    }
}

public enum TextSearch {
    /// The best `k` visible documents, best first; only documents with at least one of the terms.
    ///
    /// Scores add up in double, part by part in a fixed order, and are rounded once: give the legs in
    /// the same order in every shard. The result does not depend on the strategy.
    ///
    /// - Parameters:
    ///   - floor: documents that score less may be left out: what the best `k` of other shards have
    ///     at least.
    ///   - mask: the slots to consider; nil for all.
    public static func run(
        legs: [TextLeg], scoring: TextScoring = .sum, strategy: PostingStrategy = .automatic,
        floor: Float = -.infinity, k: Int, visibility: Visibility, mask: SlotMask?,
        order: any SlotOrder, scratch: inout ScoreScratch, counters: inout SearchCounters,
        cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        guard k > 0, visibility.slotCount > 0 else { return [] }
        let legs = legs.filter { $0.boost > 0 }
        switch scoring {
        case .sum:
            return try run(
                sumLists(legs), strategy: strategy, floor: floor, k: k, visibility: visibility,
                mask: mask, order: order, scratch: &scratch, counters: &counters,
                cancellation: cancellation
            ) { lists, scratch, counters throws(KyroError) in
                for list in lists {
                    counters.postingsScored += try scratch.add(
                        list.number, of: list.index.postings, list.model,
                        slotCount: visibility.slotCount, mask: mask, cancellation: cancellation)
                }
            }
        case .bm25f:
            return try run(
                combinedLists(legs), strategy: strategy, floor: floor, k: k,
                visibility: visibility, mask: mask, order: order, scratch: &scratch,
                counters: &counters, cancellation: cancellation
            ) { lists, scratch, counters throws(KyroError) in
                var fields = ScoreScratch()
                fields.prepare(slotCount: visibility.slotCount)
                for (position, list) in lists.enumerated() {
                    counters.postingsScored += try fields.add(
                        list.number, of: list.index.postings, list.model,
                        slotCount: visibility.slotCount, mask: mask, cancellation: cancellation)
                    let next = position + 1
                    if next == lists.count || lists[next].model.term != list.model.term {
                        scratch.take(&fields) { list.model.gain($0) }
                    }
                }
            }
        }
    }

    /// A term's list in one field.
    struct List<Model: PostingModel> {
        var index: TextIndex
        var number: Int
        var model: Model
    }

    /// The sum over the legs, leg by leg and term by term, of boost × BM25. The formula is Lucene's
    /// (since version 8): idf × tf / (tf + k1 × (1 − b + b × length / average length)), with exact
    /// lengths (Robertson & Zaragoza 2009, section 3, without the constant factor k1 + 1).
    private static func sumLists(_ legs: [TextLeg]) -> [List<BM25Model>] {
        var lists: [List<BM25Model>] = []
        for leg in legs {
            guard let index = leg.index else { continue }
            let parameters = leg.field.bm25
            let average = leg.statistics.averageLength
            for (position, term) in leg.terms.enumerated() {
                guard let number = index.number(term) else { continue }
                let idf = leg.statistics.inverseDocumentFrequency(position)
                let model = BM25Model(
                    lengths: index.lengths, weight: leg.boost * idf,
                    constant: parameters.k1 * (1 - parameters.b),
                    perToken: parameters.k1 * parameters.b / average)
                lists.append(List(index: index, number: number, model: model))
            }
        }
        return lists
    }

    /// Term by term, and within a term leg by leg: idf × tf' / (k1 + tf'), tf' being the sum over the
    /// legs of boost × tf / (1 − b + b × length / average length) (Robertson & Zaragoza 2009, section
    /// 3.6). Terms of different fields are one where their bytes are. A term's idf is that of the
    /// field where most documents have it; k1 is the mean of the fields', weighted by their boosts.
    private static func combinedLists(_ legs: [TextLeg]) -> [List<BM25FModel>] {
        let boosts = legs.reduce(0) { $0 + $1.boost }
        let k1 = legs.reduce(0) { $0 + $1.boost / boosts * $1.field.bm25.k1 }
        // By bytes: strings that look alike are equal to Swift.
        var terms: [[UInt8]: (idf: Double, df: Int, legs: [(leg: Int, position: Int)])] = [:]
        for (number, leg) in legs.enumerated() {
            for (position, term) in leg.terms.enumerated() {
                let df = leg.statistics.documentFrequency[position]
                let key = Array(term.utf8)
                var known = terms[key] ?? (0, -1, [])
                if df > known.df {
                    known.df = df
                    known.idf = leg.statistics.inverseDocumentFrequency(position)
                }
                known.legs.append((number, position))
                terms[key] = known
            }
        }
        let sorted = terms.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        var lists: [List<BM25FModel>] = []
        for (order, entry) in sorted.enumerated() {
            for place in entry.value.legs {
                let leg = legs[place.leg]
                guard let index = leg.index, let number = index.dictionary.find(entry.key) else {
                    continue
                }
                let b = leg.field.bm25.b
                let model = BM25FModel(
                    lengths: index.lengths, boost: leg.boost, constant: 1 - b,
                    perToken: b / leg.statistics.averageLength, idf: entry.value.idf, k1: k1,
                    term: order)
                lists.append(List(index: index, number: number, model: model))
            }
        }
        return lists
    }

    private static func run<Model: PostingModel>(
        _ lists: [List<Model>], strategy: PostingStrategy, floor: Float, k: Int,
        visibility: Visibility, mask: SlotMask?, order: any SlotOrder,
        scratch: inout ScoreScratch, counters: inout SearchCounters, cancellation: Cancellation,
        exhaustively addAll: (
            [List<Model>], inout ScoreScratch, inout SearchCounters
        ) throws(KyroError) -> Void
    ) throws(KyroError) -> [ScoredSlot] {
        var postings = 0
        for list in lists { postings += list.index.postings.count(list.number) }
        counters.postingsListed += postings
        if strategy.prunes(lists: lists.count, postings: postings, k: k) {
            var clauses: [PostingClause<Model>] = []
            clauses.reserveCapacity(lists.count)
            for list in lists {
                guard
                    let cursor = PostingCursor(
                        list.index.postings, list: list.number, below: visibility.slotCount)
                else { continue }
                clauses.append(PostingClause(model: list.model, cursor: cursor))
            }
            return try scratch.searchBlocks(
                &clauses, k: k, floor: floor, positiveOnly: true, visibility: visibility,
                mask: mask, order: order, counters: &counters, cancellation: cancellation)
        }
        scratch.prepare(slotCount: visibility.slotCount)
        do throws(KyroError) {
            try addAll(lists, &scratch, &counters)
        } catch {
            scratch.clear()
            throw error
        }
        return try scratch.drain(
            k: k, positiveOnly: true, visibility: visibility, order: order,
            cancellation: cancellation)
    }
}

extension TextIndex {
    /// `TextSearch.run` over this field alone.
    public func search(
        terms: [String], statistics: Statistics, strategy: PostingStrategy = .automatic,
        floor: Float = -.infinity, k: Int, visibility: Visibility, mask: SlotMask?,
        order: any SlotOrder, scratch: inout TextScratch, counters: inout SearchCounters,
        cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        try TextSearch.run(
            legs: [TextLeg(index: self, terms: terms, statistics: statistics)],
            strategy: strategy, floor: floor, k: k, visibility: visibility, mask: mask,
            order: order, scratch: &scratch, counters: &counters, cancellation: cancellation)
    }
}
