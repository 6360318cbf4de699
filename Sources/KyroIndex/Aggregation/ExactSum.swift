// A sum of doubles that does not depend on their order.

/// Adds without error and rounds once (the small superaccumulator of Neal, 2015, "Fast Exact Summation
/// Using Small and Large Superaccumulators"). Limb i counts units of 2^(32 i − 1074), in two's
/// complement with 31 spare bits, so that 2^30 doubles are added between two carries.
package struct ExactSum {
    /// Exponents reach limb 63, mantissas two limbs beyond, carries one more.
    private var limbs = [Int64](repeating: 0, count: 68)
    private var untilCarry = 1 << 30

    package init() {}

    /// - Precondition: `value` is finite.
    @inline(__always)
    package mutating func add(_ value: Double) {
        let bits = value.bitPattern
        let exponent = Int(bits >> 52) & 0x7FF
        var mantissa = bits & ((1 << 52) - 1)
        if exponent > 0 { mantissa |= 1 << 52 }
        let shift = max(exponent, 1) - 1
        let limb = shift >> 5
        let within = UInt64(shift & 31)
        let low = Int64(truncatingIfNeeded: (mantissa << within) & 0xFFFF_FFFF)
        let rest = mantissa >> (32 - within)
        let middle = Int64(truncatingIfNeeded: rest & 0xFFFF_FFFF)
        let high = Int64(truncatingIfNeeded: rest >> 32)
        if bits >> 63 == 0 {
            limbs[limb] &+= low
            limbs[limb + 1] &+= middle
            limbs[limb + 2] &+= high
        } else {
            limbs[limb] &-= low
            limbs[limb + 1] &-= middle
            limbs[limb + 2] &-= high
        }
        untilCarry -= 1
        if untilCarry == 0 {
            Self.carry(&limbs)
            untilCarry = 1 << 30
        }
    }

    /// All limbs but the last become 32 bits without a sign.
    private static func carry(_ limbs: inout [Int64]) {
        for i in 0..<(limbs.count - 1) {
            limbs[i + 1] += limbs[i] >> 32
            limbs[i] &= 0xFFFF_FFFF
        }
    }

    /// Rounded to nearest, ties to even; infinite where no double is large enough.
    package var value: Double {
        var limbs = limbs
        Self.carry(&limbs)
        let isNegative = (limbs.last ?? 0) < 0
        if isNegative {
            for i in limbs.indices { limbs[i] = -limbs[i] }
            Self.carry(&limbs)
        }
        guard let top = limbs.lastIndex(where: { $0 != 0 }) else { return 0 }
        // The 64 bits from the highest on, and whether anything lies below them.
        let length = 32 * top + Int64.bitWidth - limbs[top].leadingZeroBitCount
        func bits(from position: Int) -> UInt64 {
            guard position >= 0 else { return bits(from: 0) << UInt64(-position) }
            let limb = position >> 5
            let within = UInt64(position & 31)
            func word(_ i: Int) -> UInt64 { i < limbs.count ? UInt64(limbs[i]) : 0 }
            return word(limb) >> within | word(limb + 1) << (32 - within)
                | (within == 0 ? 0 : word(limb + 2) << (64 - within))
        }
        let magnitude: Double
        if length <= 53 {
            magnitude = Double(
                sign: .plus, exponent: -1074, significand: Double(bits(from: 0)))
        } else {
            let start = length - 64
            let window = bits(from: start)
            let below = window & 0x7FF
            var isSticky = false
            if start > 0 {
                isSticky =
                    limbs[..<(start >> 5)].contains { $0 != 0 }
                    || UInt64(limbs[start >> 5]) & ((1 << UInt64(start & 31)) - 1) != 0
            }
            var mantissa = window >> 11
            if below > 0x400 || below == 0x400 && (isSticky || mantissa & 1 == 1) { mantissa += 1 }
            magnitude = Double(
                sign: .plus, exponent: length - 53 - 1074, significand: Double(mantissa))
        }
        return isNegative ? -magnitude : magnitude
    }
}
