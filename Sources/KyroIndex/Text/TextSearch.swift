// BM25 over one or several text fields, exhaustive and term at a time.
import KyroModel

/// One field's part in a text search.
public struct TextLeg: Sendable {
    public let index: TextIndex
    /// Distinct and sorted, from `TextIndex.analyze`.
    public let terms: [String]
    /// Summed over all shards of the collection.
    public let statistics: TextIndex.Statistics

    public init(index: TextIndex, terms: [String], statistics: TextIndex.Statistics) {
        self.index = index
        self.terms = terms
        self.statistics = statistics
    }
}

public enum TextSearch {
    /// The best `k` visible documents by the sum over the legs of their BM25 scores, best first;
    /// only documents with at least one of the terms.
    ///
    /// Contributions add up in double, leg by leg and term by term in the given order, and are
    /// rounded once: give the legs in the same order in every shard. The formula is Lucene's (since
    /// version 8): idf × tf / (tf + k1 × (1 − b + b × length / average length)), with exact lengths
    /// (Robertson & Zaragoza 2009, section 3, without the constant factor k1 + 1).
    ///
    /// - Parameter mask: the slots to consider; nil for all.
    public static func run(
        legs: [TextLeg], k: Int, visibility: Visibility, mask: SlotMask?,
        order: any SlotOrder, scratch: inout ScoreScratch, counters: inout SearchCounters,
        cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        guard k > 0, visibility.slotCount > 0 else { return [] }
        scratch.prepare(slotCount: visibility.slotCount)
        for leg in legs {
            precondition(
                leg.terms.count == leg.statistics.documentFrequency.count,
                "\(leg.statistics.documentFrequency.count) frequencies of \(leg.terms.count) terms")
            let parameters = leg.index.field.bm25
            let average = leg.statistics.averageLength
            for (position, term) in leg.terms.enumerated() {
                guard let number = leg.index.number(term) else { continue }
                let weights = TermWeights(
                    idf: leg.statistics.inverseDocumentFrequency(position),
                    constant: parameters.k1 * (1 - parameters.b),
                    perToken: parameters.k1 * parameters.b / average)
                do throws(KyroError) {
                    counters.postingsScored += try scratch.addTerm(
                        number, of: leg.index, weights: weights, slotCount: visibility.slotCount,
                        mask: mask, cancellation: cancellation)
                } catch {
                    scratch.clear()
                    throw error
                }
            }
        }
        return try scratch.drain(
            k: k, positiveOnly: true, visibility: visibility, order: order,
            cancellation: cancellation)
    }
}

extension TextIndex {
    /// `TextSearch.run` over this field alone.
    public func search(
        terms: [String], statistics: Statistics, k: Int, visibility: Visibility, mask: SlotMask?,
        order: any SlotOrder, scratch: inout TextScratch, counters: inout SearchCounters,
        cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        try TextSearch.run(
            legs: [TextLeg(index: self, terms: terms, statistics: statistics)], k: k,
            visibility: visibility, mask: mask, order: order, scratch: &scratch,
            counters: &counters, cancellation: cancellation)
    }
}
