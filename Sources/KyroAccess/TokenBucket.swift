// A rate on the monotonic clock, without a timer and without a lock.
import Synchronization

/// The token bucket as its mirror image, one moment: when the bucket would be full again (the virtual
/// scheduling form of GCRA, ITU-T I.371 annex A). What is admitted moves it on by its cost; it may lie
/// ahead by the bucket's depth. A request that finds room is admitted whole, whatever it costs, and
/// those behind it wait for the debt: so a message larger than the bucket passes, once in a while.
final class TokenBucket: Sendable {
    private let nanosPerToken: Double
    private let depthNanos: UInt64
    private let fullAgain = Atomic<UInt64>(0)

    /// - Parameter tokensPerSecond: above zero.
    init(tokensPerSecond: Int64, burstSeconds: Int64) {
        precondition(
            tokensPerSecond > 0 && burstSeconds > 0,
            "\(tokensPerSecond) tokens a second, \(burstSeconds) s of burst")
        nanosPerToken = 1e9 / Double(tokensPerSecond)
        depthNanos = UInt64(burstSeconds) * 1_000_000_000
    }

    /// Takes `tokens`.
    /// - Returns: nil, or the nanoseconds until there is room, and nothing is taken.
    func take(_ tokens: Int, nowNanos: UInt64) -> UInt64? {
        // An hour of debt is the most: no request shuts its caller out for ever.
        let cost = UInt64(min((Double(tokens) * nanosPerToken).rounded(.up), 3.6e12))
        var seen = fullAgain.load(ordering: .relaxed)
        while true {
            let ahead = seen > nowNanos ? seen - nowNanos : 0
            guard ahead < depthNanos else { return ahead - depthNanos + 1 }
            let (exchanged, current) = fullAgain.compareExchange(
                expected: seen, desired: max(seen, nowNanos) + cost, ordering: .relaxed)
            if exchanged { return nil }
            seen = current
        }
    }

    /// Whether nothing is owed: forgetting the bucket changes nothing.
    func isFull(nowNanos: UInt64) -> Bool { fullAgain.load(ordering: .relaxed) <= nowNanos }
}
