// A formula over the hits of one search.
import KyroIndex
import KyroModel

extension Formula {
    /// What a document scores whose formula is missing in the end: below every other.
    static let missingScore = -Double.greatestFiniteMagnitude
}

/// Evaluates a formula on hits after fusion and decay; their scores become its results.
struct FormulaRanking {
    private let formula: Formula
    private let legs: FusedLegs
    private let execution: SearchExecution
    /// By shard, then as the formula's fields.
    private let readers: [[FieldReader]]

    init(_ formula: Formula, _ legs: FusedLegs, _ execution: SearchExecution) throws(KyroError) {
        self.formula = formula
        self.legs = legs
        self.execution = execution
        var readers: [[FieldReader]] = []
        for view in execution.views {
            // Event times are metadata, too.
            try view.shard.requireMetadata()
            readers.append(formula.fields.map { view.shard.metadata.reader(of: $0.name) })
        }
        self.readers = readers
    }

    func apply(to hits: inout [RankedHit]) throws(KyroError) {
        var scratch = Formula.Scratch(formula)
        scratch[.now] = Double(execution.nowMillis)
        for index in hits.indices {
            if index % 256 == 0 { try execution.cancellation.check() }
            load(hits[index], into: &scratch)
            hits[index].score = formula.evaluate(&scratch) ?? Formula.missingScore
        }
    }

    private func load(_ hit: RankedHit, into scratch: inout Formula.Scratch) {
        let details = legs.details(of: hit)
        let eventTime = execution.eventTime(of: hit).map(Double.init)
        scratch[.score] = hit.score
        scratch[.fused] = details.fused
        scratch[.decay] = execution.decayFactor(of: hit)
        scratch[.vector] = hit.vector.map { Double($0.score) } ?? .nan
        scratch[.vectorNorm] = details.vector?.normalised ?? .nan
        scratch[.vectorRank] = hit.vector.map { Double($0.rank) } ?? .nan
        scratch[.sparse] = hit.sparse.map { Double($0.score) } ?? .nan
        scratch[.sparseNorm] = details.sparse?.normalised ?? .nan
        scratch[.sparseRank] = hit.sparse.map { Double($0.rank) } ?? .nan
        scratch[.text] = hit.text.map { Double($0.score) } ?? .nan
        scratch[.textNorm] = details.text?.normalised ?? .nan
        scratch[.textRank] = hit.text.map { Double($0.rank) } ?? .nan
        scratch[.eventTime] = eventTime ?? .nan
        scratch[.age] = eventTime.map { Double(execution.nowMillis) - $0 } ?? .nan
        for (position, field) in formula.fields.enumerated() {
            let reader = readers[hit.shard][position]
            scratch.fields[position] =
                field.presenceOnly
                ? (reader.isPresent(at: hit.slot) ? 1 : .nan) : reader.number(at: hit.slot) ?? .nan
        }
    }
}
