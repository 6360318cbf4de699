// When a candidate is left out of a list of neighbours because of one that is in it already.
import KyroModel

/// Subramanya et al. 2019, section 2.3: a candidate is left out for a neighbour that it is nearer
/// to than to the row which chooses, by more than a factor of alpha in squared distance. With 1
/// (Malkov & Yashunin 2018, algorithm 4) lists are so short that walks with few candidates end too
/// early.
struct LeaveOutRule: Sendable {
    /// The score of a row against itself, as far as it is known: 1 for the cosine.
    private let one: Float
    /// Inner products know no distance: there alpha is not used.
    private let hasDistance: Bool
    private let isL2: Bool
    private let alpha: Float

    /// Below this share of the squares that it is the difference of, a distance is within what
    /// codes of 8 bits confuse, and stands for none.
    private static let doubt: Float = 1e-3

    init(metric: Metric, alpha: Float) {
        precondition(alpha >= 1, "\(alpha)")
        one = metric == .cosine ? 1 : 0
        hasDistance = metric != .innerProduct
        isL2 = metric == .l2
        self.alpha = alpha
    }

    /// A candidate is left out for a neighbour whose score with it reaches this.
    ///
    /// - Parameters:
    ///   - score: of the candidate with the row that chooses, biases included.
    ///   - biases: of the two, added up.
    @inline(__always) func leastScore(_ score: Float, biases: Float) -> Float {
        guard hasDistance else { return score }
        let distance = one - score
        let size = isL2 ? -biases : 1
        if distance <= Self.doubt * size { return score }
        return one - distance / alpha
    }
}
