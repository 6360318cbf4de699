// The impacts of 64 postings of a term: which pairs of frequency and length are not beaten.
//
// Statistics of the collection change with every write, so that no score can be kept. But BM25 grows
// with the frequency and falls with the length, whatever they are: the best of a block is among its
// pairs that no other equals or beats in both. Up to six are kept, 16 bits each, by falling
// frequency; of more than six the first, the greatest frequency, takes the lengths of those that it
// displaces.
//
//   pair:  frequency code << 10 | length code; zero for none
//   frequency code, 6 bits:  1 to 62 as they are; 63 for more
//   length code, 10 bits:    0 to 511 as they are; then 32 steps in each doubling, rounded down
import KyroBytes

extension TextIndex {
    /// Writer only. - Precondition: the length of the entry's slot is known.
    func post(_ entry: UInt64, to term: Int) {
        unsafe postings.append(entry, to: term) { unsafe summary(of: $0) }
    }

    private func summary(of entries: UnsafeBufferPointer<UInt64>) -> PostingSummary {
        var impacts = ImpactPairs()
        for i in 0..<entries.count {
            let entry = unsafe entries[i]
            let slot = Int(entry & 0xFFFF_FFFF)
            impacts.add(frequency: UInt32(entry >> 32), length: max(lengths[slot], 1) - 1)
        }
        return impacts.summary
    }
}

/// Collects the pairs of a block.
struct ImpactPairs {
    /// Least length code by frequency code.
    private var least = InlineArray<64, UInt16>(repeating: .max)
    /// Frequency codes that occurred.
    private var seen: UInt64 = 0
    static let pairsMax = 6

    mutating func add(frequency: UInt32, length: UInt32) {
        let code = Int(Self.code(frequency: frequency))
        least[code] = min(least[code], Self.code(length: length))
        seen |= 1 << UInt64(code)
    }

    var summary: PostingSummary {
        var front = InlineArray<64, UInt16>(repeating: 0)
        var count = 0
        var shortest = UInt16.max
        var rest = seen
        while rest != 0 {
            let frequency = 63 - rest.leadingZeroBitCount
            rest &= ~(1 << UInt64(frequency))
            let length = least[frequency]
            guard length < shortest else { continue }
            shortest = length
            front[count] = UInt16(frequency) << 10 | length
            count += 1
        }
        let dropped = max(0, count - Self.pairsMax)
        if dropped > 0 { front[dropped] = front[0] & 0xFC00 | front[dropped] & 0x3FF }
        var summary = PostingSummary(low: 0, high: 0)
        for i in 0..<(count - dropped) {
            let pair = front[dropped + i]
            if i < 2 {
                summary.low |= UInt32(pair) << UInt32(16 * i)
            } else {
                summary.high |= UInt64(pair) << UInt64(16 * (i - 2))
            }
        }
        return summary
    }

    /// Rounded up.
    static func code(frequency: UInt32) -> UInt16 { UInt16(min(frequency, 63)) }

    static func frequency(code: UInt16) -> UInt32 { code < 63 ? UInt32(code) : .max }

    /// Rounded down.
    static func code(length: UInt32) -> UInt16 {
        guard length >= 512 else { return UInt16(length) }
        let exponent = 31 - length.leadingZeroBitCount
        let step = length >> UInt32(exponent - 5) & 31
        return UInt16(min(512 + (exponent - 9) * 32 + Int(step), 1_023))
    }

    static func length(code: UInt16) -> UInt32 {
        guard code >= 512 else { return UInt32(code) }
        let exponent = UInt32(code - 512) / 32 + 9
        return (32 + UInt32(code) % 32) << (exponent - 5)
    }
}

extension PostingSummary {
    /// Calls `body` with each pair: no posting of the block has a greater frequency and a lesser
    /// length than one of them.
    @inline(__always)
    func forEachImpact(_ body: (_ frequency: UInt32, _ length: UInt32) -> Void) {
        var rest = UInt64(low) | high << 32
        var last = high >> 32
        while rest != 0 {
            let pair = UInt16(truncatingIfNeeded: rest)
            body(
                ImpactPairs.frequency(code: pair >> 10), ImpactPairs.length(code: pair & 0x3FF))
            rest = rest >> 16 | (last & 0xFFFF) << 48
            last >>= 16
        }
    }
}
