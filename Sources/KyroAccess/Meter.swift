// What one principal or one tenant has used of its quota.
import KyroModel
import KyroPlatform
import Synchronization

public final class Meter: Sendable {
    let quota: Quota
    /// Such as `tenant "acme"`, for the error.
    private let owner: String
    private let requests: TokenBucket?
    private let bytes: TokenBucket?
    private let calls = Atomic<Int64>(0)

    package init(_ quota: Quota, owner: String) {
        self.quota = quota
        self.owner = owner
        func bucket(_ rate: Int64) -> TokenBucket? {
            rate > 0
                ? TokenBucket(tokensPerSecond: rate, burstSeconds: quota.burstSeconds) : nil
        }
        requests = bucket(quota.requestsPerSecond)
        bytes = bucket(quota.bytesPerSecond)
    }

    /// A call begins; `endCall` is owed when this does not throw.
    /// - Throws: QUOTA_EXCEEDED with the time to wait.
    public func beginCall() throws(KyroError) {
        let now = calls.add(1, ordering: .relaxed).newValue
        guard quota.concurrentCalls > 0, now > quota.concurrentCalls else { return }
        calls.subtract(1, ordering: .relaxed)
        throw exceeded("\(quota.concurrentCalls) calls at a time", afterNanos: 50_000_000)
    }

    public func endCall() { calls.subtract(1, ordering: .relaxed) }

    /// - Parameter byteCount: of the request's message.
    /// - Throws: QUOTA_EXCEEDED with the time to wait; nothing is counted then.
    public func take(requests count: Int, bytes byteCount: Int, nowNanos: UInt64) throws(KyroError)
    {
        if byteCount > 0, let bytes, let wait = bytes.take(byteCount, nowNanos: nowNanos) {
            throw exceeded("\(quota.bytesPerSecond) bytes a second", afterNanos: wait)
        }
        if count > 0, let requests, let wait = requests.take(count, nowNanos: nowNanos) {
            throw exceeded("\(quota.requestsPerSecond) requests a second", afterNanos: wait)
        }
    }

    func isIdle(nowNanos: UInt64) -> Bool {
        calls.load(ordering: .relaxed) == 0 && requests?.isFull(nowNanos: nowNanos) ?? true
            && bytes?.isFull(nowNanos: nowNanos) ?? true
    }

    private func exceeded(_ limit: String, afterNanos: UInt64) -> KyroError {
        KyroError(
            .quotaExceeded, "the quota of \(owner) is \(limit); wait before the next request",
            retryAfterMillis: Int64(clamping: (afterNanos + 999_999) / 1_000_000))
    }
}

/// The meters of all principals, or of all tenants.
package final class MeterBook: Sendable {
    /// Meters of those that the file does not name, at about 300 bytes each.
    package static let othersMax = 65_536
    private static let sweepNanos: UInt64 = 1_000_000_000

    private struct Others {
        var meters: [[UInt8]: Meter] = [:]
        var sweptNanos: UInt64 = 0
    }

    private let kind: String
    private let named: [[UInt8]: Meter]
    private let othersQuota: Quota?
    private let others: Locked<Others>
    /// For those who come when there are `othersMax` that owe something.
    private let crowd: Meter?

    /// - Parameter former: a book whose meters go on where their quota is the same.
    package init(
        _ quotas: [(name: String, quota: Quota)], kind: String, following former: MeterBook?
    ) {
        self.kind = kind
        var named: [[UInt8]: Meter] = [:]
        for (name, quota) in quotas where name != "*" {
            let key = Array(name.utf8)
            if let meter = former?.named[key], meter.quota == quota {
                named[key] = meter
            } else {
                named[key] = Meter(quota, owner: "\(kind) \"\(name)\"")
            }
        }
        self.named = named
        let quota = quotas.last { $0.name == "*" }?.quota
        othersQuota = quota
        crowd = quota.map { Meter($0, owner: "the other \(kind)s") }
        var others = Others()
        if let former, former.othersQuota == quota {
            others.meters = former.others.withLock { $0.meters }
        }
        self.others = Locked(others)
    }

    /// nil where there is no quota.
    package func meter(of name: String, nowNanos: UInt64) -> Meter? {
        if named.isEmpty, othersQuota == nil { return nil }
        let key = Array(name.utf8)
        if let meter = named[key] { return meter }
        guard let othersQuota else { return nil }
        let made = others.withLock { others -> Meter? in
            if let meter = others.meters[key] { return meter }
            if others.meters.count >= Self.othersMax {
                guard nowNanos >= others.sweptNanos + Self.sweepNanos else { return nil }
                others.sweptNanos = nowNanos
                others.meters = others.meters.filter { !$0.value.isIdle(nowNanos: nowNanos) }
                guard others.meters.count < Self.othersMax else { return nil }
            }
            let meter = Meter(othersQuota, owner: "\(kind) \"\(name)\"")
            others.meters[key] = meter
            return meter
        }
        return made ?? crowd
    }
}
