// Which fusion a collection gets: what was fitted, its best leg, or the defaults.
//
// All comparisons are paired, over the same held-out queries, and tested by randomisation (Smucker,
// Allan & Carterette 2007): how often a difference as great comes about when the sign of each query's
// difference is a coin's.
//
// 1. Judgements that the best leg does not follow better than a random order of the candidates would
//    say nothing: defaults.
// 2. Without what was fitted: the defaults, unless the best leg alone does better by more than what a
//    change of ties or of a stemmer makes.
// 3. What was fitted takes their place where held out it does not fall below the best leg, and is
//    better than what would stand there otherwise by more than chance.
import KyroModel

struct FusionGuard {
    struct Verdict: Equatable {
        var choice: TuningChoice
        /// Of the legs, by its position.
        var bestLeg: Int
        var reason: String
    }

    /// Figures by query.
    let tuned: [Double]
    let defaults: [Double]
    let legs: [[Double]]
    let chance: [Double]
    let legNames: [String]

    /// On SciFact the order of ties moves nDCG@10 by 0.0013, the stemmer by 0.0035.
    private static let indifference = 0.0025
    private static let levelOfGain = 0.05
    /// Stricter: the best of several legs was picked.
    private static let levelOfSense = 0.01
    private static let flips = 2_000
    private static let seed: UInt64 = 0xC01

    func verdict() -> Verdict {
        let means = legs.map(Self.mean)
        var best = 0
        for leg in means.indices where means[leg] > means[best] { best = leg }
        let name = "\(legNames[best]) alone"
        func verdict(_ choice: TuningChoice, _ reason: String) -> Verdict {
            Verdict(choice: choice, bestLeg: best, reason: reason)
        }

        let sense = Self.probability(legs[best], over: chance)
        guard sense <= Self.levelOfSense else {
            return verdict(
                .defaults,
                "the judgements say nothing: \(name) has \(Self.text(means[best])), a random order "
                    + "of the candidates \(Self.text(Self.mean(chance))), p \(Self.text(sense))")
        }
        let (tunedMean, defaultMean) = (Self.mean(tuned), Self.mean(defaults))
        let keepsDefaults = defaultMean >= means[best] - Self.indifference
        let otherwise: TuningChoice = keepsDefaults ? .defaults : .bestLeg
        let standing = keepsDefaults ? defaults : legs[best]
        let figures =
            "held out \(Self.text(tunedMean)), the defaults \(Self.text(defaultMean)), \(name) "
            + Self.text(means[best])
        guard tunedMean >= means[best] else {
            return verdict(otherwise, figures + ": below the best leg")
        }
        let gain = Self.probability(tuned, over: standing)
        guard gain <= Self.levelOfGain else {
            return verdict(
                otherwise,
                figures + ": no more than chance gives, p \(Self.text(gain))")
        }
        return verdict(.tuned, figures + ", p \(Self.text(gain))")
    }

    static func mean(_ values: [Double]) -> Double {
        values.reduce(0, +) / Double(max(1, values.count))
    }

    /// Of a mean difference as great as that of `a` to `b`, or greater, by chance alone; 1 where `a`
    /// is not ahead.
    static func probability(_ a: [Double], over b: [Double]) -> Double {
        let differences = zip(a, b).map { $0 - $1 }.filter { $0 != 0 }
        let observed = differences.reduce(0, +)
        guard observed > 0 else { return 1 }
        var random = FlipSource(seed: seed)
        var asGreat = 0
        for _ in 0..<flips {
            var sum = 0.0
            var bits: UInt64 = 0
            for (index, difference) in differences.enumerated() {
                if index % 64 == 0 { bits = random.next() }
                sum += bits & 1 == 0 ? difference : -difference
                bits >>= 1
            }
            if sum >= observed { asGreat += 1 }
        }
        return Double(asGreat + 1) / Double(flips + 1)
    }

    /// Four decimals.
    private static func text(_ value: Double) -> String {
        let scaled = Int((max(0, value) * 10_000).rounded())
        let digits = String(10_000 + scaled % 10_000).dropFirst()
        return "\(scaled / 10_000).\(digits)"
    }
}
