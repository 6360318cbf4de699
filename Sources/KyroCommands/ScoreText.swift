// Why a hit scores what it does, as a line of arithmetic.
import KyroModel

/// `0.8109 = (1 × 0.9321 vector + 0.5 × 0.0000 text) × 0.8700 age`; nil without details.
///
/// - Parameter weights: of the legs, as the search explained them.
public func scoreText(
    of hit: Hit, weights: LegWeights, takesGreatest: Bool, isLone: Bool, rescore: Rescore? = nil
) -> String? {
    guard let details = hit.details else { return nil }
    let legs: [(String, LegScore?, LegContribution?, Double)] = [
        ("vector", hit.vector, details.vector, weights.vector),
        ("sparse", hit.sparse, details.sparse, weights.sparse),
        ("text", hit.text, details.text, weights.text),
    ]
    let parts = legs.compactMap { name, score, part, weight -> String? in
        guard let score, let part else { return nil }
        if isLone { return "\(number(part.weighted)) \(name) (rank \(score.rank))" }
        return "\(short(weight)) × \(number(part.normalised)) \(name) "
            + "(\(number(Double(score.score))), rank \(score.rank))"
    }
    var sum = parts.joined(separator: takesGreatest ? ", " : " + ")
    if takesGreatest { sum = "max(\(sum))" }
    if details.decay != 1 {
        if parts.count > 1, !takesGreatest { sum = "(\(sum))" }
        sum += " × \(number(details.decay)) age"
    }
    if let diversity = details.diversity {
        sum +=
            "; relevance \(number(diversity.relevance)), "
            + "likeness to those before \(number(diversity.similarity))"
    }
    let isMissing = hit.score == -Double.greatestFiniteMagnitude
    if isMissing { return "last, since its formula is missing; without it \(sum)" }
    let fused = details.fused * details.decay
    let formula =
        details.formula.map { "\(number($0)) = formula where score \(number(fused))" }
        ?? number(details.rescore?.score ?? hit.score)
    guard let rescore, let found = details.rescore else { return "\(formula) = \(sum)" }
    let weight = rescore.weight == 0 ? 1 : rescore.weight
    return "\(number(hit.score)) = \(short(weight)) × \(number(found.maxSim)) MaxSim + "
        + "\(short(rescore.scoreWeight)) × \(number(found.score)) score; score \(formula) = \(sum)"
}

private func number(_ value: Double) -> String { decimal(value, places: 6) }

/// Without zeros at the end.
private func short(_ value: Double) -> String {
    value == value.rounded() ? decimal(value, places: 0) : "\(value)"
}
