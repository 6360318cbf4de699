// What time leaves of a score.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

extension TimeDecay {
    /// From `floor` to 1; everything from the future is new, and what has no time keeps its score.
    func factor(eventTimeMillis: Int64?, originMillis: Int64) -> Double {
        guard let eventTimeMillis else { return 1 }
        // In doubles, where the difference of any two times exists.
        let age = max(0, Double(originMillis) - Double(eventTimeMillis) - Double(offsetMillis))
        let halfLives = age / Double(halfLifeMillis)
        let factor =
            switch shape {
            case .exponential: exp2(-halfLives)
            case .linear: max(0, 1 - halfLives / 2)
            case .gauss: exp2(-halfLives * halfLives)
            }
        return max(self.floor, factor)
    }
}
