// Which value has a given rank among many, exactly and without sorting or storing them.
import KyroModel

/// Narrows the range that a rank lies in by a histogram of 4,096 bins, pass by pass over the columns,
/// until the range is one key: one pass for a narrow range of integers, six at most. Memory is 32 KiB
/// a rank, whatever the number of values.
package enum OrderStatistics {
    private static let binBits = 12

    /// Ranks that lie between the same bounds.
    private struct Span {
        /// Keys as unsigned numbers of the same order, inclusive.
        var low: UInt64
        var high: UInt64
        /// Values below `low`.
        var below: Int
        /// Ascending.
        var ranks: [Int]

        var shift: UInt64 {
            let width = high - low
            let bits = UInt64.bitWidth - width.leadingZeroBitCount
            return UInt64(max(0, bits - OrderStatistics.binBits))
        }
    }

    /// The key at each rank, from zero on.
    /// - Parameter ranks: ascending, each below the number of values, which lie in `range`.
    package static func keys(
        at ranks: [Int], of walk: KeyWalk, in range: ClosedRange<Int64>
    ) throws(KyroError) -> [Int: Int64] {
        var found: [Int: Int64] = [:]
        guard !ranks.isEmpty else { return found }
        var open = [
            Span(
                low: unsigned(range.lowerBound), high: unsigned(range.upperBound), below: 0,
                ranks: ranks)
        ]
        while !open.isEmpty {
            let counts = try histograms(open, walk)
            var next: [Span] = []
            for (number, span) in open.enumerated() {
                let shift = span.shift
                var bin = number << binBits
                var below = span.below
                for rank in span.ranks {
                    while below + counts[bin] <= rank {
                        below += counts[bin]
                        bin += 1
                    }
                    let low = span.low + UInt64(bin & ((1 << binBits) - 1)) << shift
                    if shift == 0 {
                        found[rank] = signed(low)
                    } else if let last = next.last, last.low == low {
                        next[next.count - 1].ranks.append(rank)
                    } else {
                        let (end, isOver) = low.addingReportingOverflow((1 << shift) - 1)
                        next.append(
                            Span(
                                low: low, high: isOver ? span.high : min(end, span.high),
                                below: below, ranks: [rank]))
                    }
                }
            }
            open = next
        }
        return found
    }

    /// Values by bin, 4,096 for each span.
    private static func histograms(_ spans: [Span], _ walk: KeyWalk) throws(KyroError) -> [Int] {
        var counts = [Int](repeating: 0, count: spans.count << binBits)
        let lows = spans.map(\.low)
        let highs = spans.map(\.high)
        let shifts = spans.map(\.shift)
        try walk.forEach { key, _ in
            let value = unsigned(key)
            // The last span that does not begin above the value.
            var first = 0
            var end = lows.count
            while first < end {
                let middle = (first + end) >> 1
                if lows[middle] <= value { first = middle + 1 } else { end = middle }
            }
            let span = first - 1
            guard span >= 0, value <= highs[span] else { return }
            counts[span << binBits + Int((value - lows[span]) >> shifts[span])] += 1
        }
        return counts
    }

    private static func unsigned(_ key: Int64) -> UInt64 { UInt64(bitPattern: key) ^ (1 << 63) }
    private static func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value ^ (1 << 63)) }
}
