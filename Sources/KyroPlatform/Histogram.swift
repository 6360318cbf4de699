// Latencies and sizes in bounded memory: log-linear buckets, as in HdrHistogram.
//
// Values below 64 have a bucket each; above, every power of two is cut into 32, so that a bucket is
// at most 1/32 (3.1 %) of its values wide.

public struct Histogram: Sendable {
    private static let subBits = 5
    private static let linear = 1 << (subBits + 1)
    private static let bucketCount = linear + (64 - subBits - 1) * (1 << subBits)

    private var counts: [UInt64]
    public private(set) var count: UInt64 = 0
    public private(set) var sum: UInt64 = 0
    public private(set) var minimum: UInt64 = .max
    public private(set) var maximum: UInt64 = 0

    public init() { counts = Array(repeating: 0, count: Self.bucketCount) }

    public mutating func record(_ value: UInt64) {
        counts[Self.bucket(of: value)] += 1
        count += 1
        sum &+= value
        minimum = min(minimum, value)
        maximum = max(maximum, value)
    }

    public mutating func merge(_ other: Histogram) {
        for i in counts.indices { counts[i] += other.counts[i] }
        count += other.count
        sum &+= other.sum
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
    }

    public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

    /// The least bucket bound that `fraction` of the values do not exceed; 0 when empty.
    /// - Parameter fraction: in [0, 1]; 0.99 is p99.
    public func quantile(_ fraction: Double) -> UInt64 {
        precondition(fraction >= 0 && fraction <= 1, "\(fraction) is no fraction")
        guard count > 0 else { return 0 }
        let rank = max(1, UInt64((fraction * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, inBucket) in counts.enumerated() where inBucket > 0 {
            seen += inBucket
            if seen >= rank { return min(Self.upperBound(of: bucket), maximum) }
        }
        return maximum
    }

    static func bucket(of value: UInt64) -> Int {
        guard value >= UInt64(linear) else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        let shift = exponent - subBits
        let sub = Int(value >> UInt64(shift)) - (1 << subBits)
        return linear + (shift - 1) * (1 << subBits) + sub
    }

    /// The greatest value of a bucket.
    static func upperBound(of bucket: Int) -> UInt64 {
        guard bucket >= linear else { return UInt64(bucket) }
        let shift = (bucket - linear) / (1 << subBits) + 1
        let sub = UInt64((bucket - linear) % (1 << subBits) + (1 << subBits))
        return ((sub + 1) << UInt64(shift)) &- 1
    }
}
