// Whether fusion weights can be learnt from what is given.
import KyroModel

enum TuningValidation {
    static func check(_ start: TuneStart) throws(KyroError) {
        guard start.folds == 0 || Limits.foldsRange.contains(start.folds) else {
            let range = Limits.foldsRange
            throw .overLimit(
                "folds",
                "is \(start.folds); it must lie in \(range.lowerBound)...\(range.upperBound)")
        }
        let range = UInt32(NDCG.depth)...UInt32(Limits.tuneCandidatesMax)
        guard start.candidates == 0 || range.contains(start.candidates) else {
            throw .overLimit(
                "candidates",
                "is \(start.candidates); it must lie in \(range.lowerBound)...\(range.upperBound)")
        }
    }

    /// By document.
    static func grades(_ judgements: [Judgement]) throws(KyroError) -> [DocumentID: Double] {
        guard judgements.count <= Limits.judgementsMax else {
            throw .overLimit(
                "judgements",
                "has \(judgements.count) entries; the limit is \(Limits.judgementsMax)")
        }
        var grades: [DocumentID: Double] = [:]
        grades.reserveCapacity(judgements.count)
        for (index, judgement) in judgements.enumerated() {
            try NameValidation.check(judgement.id, field: "judgements[\(index)].id")
            guard judgement.grade >= 0, judgement.grade <= Limits.gradeMax else {
                throw .invalid(
                    "judgements[\(index)].grade",
                    "is \(judgement.grade); it must lie in 0...\(Limits.gradeMax)")
            }
            guard grades.updateValue(judgement.grade, forKey: judgement.id) == nil else {
                throw .invalid(
                    "judgements[\(index)].id", "names document \(judgement.id) a second time")
            }
        }
        guard grades.values.contains(where: { $0 > 0 }) else {
            throw .invalid(
                "judgements", "has no grade above 0; leave out queries that nothing answers")
        }
        return grades
    }

    /// - Parameter first: of the queries before; nil for the first.
    static func check(
        _ legs: LegCombination, like first: LegCombination?
    ) throws(KyroError) {
        guard legs.count > 1 else {
            throw KyroError(
                .invalidField,
                "of vector, sparse and text one alone is given; weights are for two or three",
                field: "vector")
        }
        guard let first, legs != first else { return }
        throw KyroError(
            .invalidField,
            "this query has \(legs.text), those before it \(first.text); weights are learnt for one "
                + "combination at a time",
            field: "vector")
    }
}

extension LegCombination {
    fileprivate var text: String {
        [
            vectorField.map { "vector \"\($0)\"" }, sparseField.map { "sparse \"\($0)\"" },
            textFields.map { $0.isEmpty ? "all text" : "text " + $0.joined(separator: ", ") },
        ].compactMap { $0 }.joined(separator: " and ")
    }
}
