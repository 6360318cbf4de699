// Rescoring by the token vectors that are stored with documents.
import KyroIndex
import KyroModel

/// A rescoring query, checked.
struct CheckedRescore {
    var field: String
    var query: MultiVector
    /// Hits that go on.
    var top: Int
    var weight: Double
    var scoreWeight: Double

    /// - Parameter end: offset + limit.
    init(_ rescore: Rescore, end: Int, schema: Schema) throws(KyroError) {
        let path = "ranking.rescore"
        field = try CheckedQuery.only(
            rescore.field, of: schema.multiVectors.names, path: path + ".field",
            kind: "multi-vector")
        try NameValidation.check(field, field: path + ".field")
        try DocumentValidation.check(rescore.query, field: path + ".query")
        if let declared = schema.multiVectors[field] {
            try DocumentValidation.check(rescore.query, of: declared, field: path + ".query")
        }
        guard rescore.query.rowCount <= Limits.rescoreRowsMax else {
            throw .overLimit(
                path + ".query",
                "has \(rescore.query.rowCount) rows; the limit is \(Limits.rescoreRowsMax)")
        }
        guard rescore.top <= Limits.rescoreTopMax else {
            throw .overLimit(
                path + ".top", "is \(rescore.top); the limit is \(Limits.rescoreTopMax)")
        }
        guard end <= Limits.rescoreTopMax else {
            throw .overLimit(
                path, "with offset + limit of \(end); the limit is \(Limits.rescoreTopMax)")
        }
        for (name, weight) in [
            ("weight", rescore.weight), ("score_weight", rescore.scoreWeight),
        ] where !weight.isFinite {
            throw .invalid(path + "." + name, "is \(weight); it must be finite")
        }
        query = rescore.query
        top = max(rescore.top == 0 ? Limits.candidatesDefault : Int(rescore.top), end)
        weight = rescore.weight == 0 ? 1 : rescore.weight
        scoreWeight = rescore.scoreWeight
    }
}

extension SearchExecution {
    /// Keeps the best `top` hits and gives them their new scores.
    /// - Parameter hits: best first; afterwards in no order.
    /// - Returns: what was found, by the key of the hit.
    func rescore(
        _ hits: inout [RankedHit], by rescore: CheckedRescore
    ) throws(KyroError) -> [UInt64: RescoreDetails] {
        hits.removeLast(max(0, hits.count - rescore.top))
        var details: [UInt64: RescoreDetails] = [:]
        var scratch: [Double] = []
        for index in hits.indices {
            try cancellation.check()
            let hit = hits[index]
            let document = try views[hit.shard].shard.storedDocument(at: hit.slot)
            var maxSim = 0.0
            if let stored = document.multiVectors[rescore.field],
                stored.dimension == rescore.query.dimension
            {
                maxSim = try VectorSimilarity.maxSim(
                    query: rescore.query.values, document: stored.values,
                    dimension: stored.dimension, scratch: &scratch
                ) { () throws(KyroError) in try cancellation.check() }
            }
            details[hit.key] = RescoreDetails(score: hit.score, maxSim: maxSim)
            // What ranks last for want of a score stays there.
            guard hit.score != Formula.missingScore else { continue }
            let before = rescore.scoreWeight == 0 ? 0 : rescore.scoreWeight * hit.score
            let score = before + rescore.weight * maxSim
            hits[index].score = max(-.greatestFiniteMagnitude, min(.greatestFiniteMagnitude, score))
        }
        return details
    }
}
