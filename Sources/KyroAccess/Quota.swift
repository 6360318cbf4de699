// How much a principal or a tenant may ask for.
import KyroJSON
import KyroModel

/// Zero is no limit.
public struct Quota: Equatable, Sendable {
    /// Calls, and each message of a stream beyond its first.
    public var requestsPerSecond: Int64 = 0
    /// Of request messages.
    public var bytesPerSecond: Int64 = 0
    /// Calls at the same time.
    public var concurrentCalls: Int64 = 0
    /// What may come at once after a pause, in seconds' worth of the rates.
    public var burstSeconds: Int64 = 1

    public init() {}

    static let rateMax: Int64 = 1_000_000_000
    static let burstSecondsMax: Int64 = 3_600

    init(_ json: JSON, field: String) throws(KyroError) {
        let object = try JSONObject(
            json, field: field,
            known: [
                "requests_per_second", "bytes_per_second", "concurrent_calls", "burst_seconds",
            ])
        func rate(_ name: String, max: Int64) throws(KyroError) -> Int64 {
            let value = try object.integer(name) ?? 0
            guard value <= max else {
                throw .overLimit("\(field).\(name)", "is \(value); the limit is \(max)")
            }
            return value
        }
        requestsPerSecond = try rate("requests_per_second", max: Self.rateMax)
        bytesPerSecond = try rate("bytes_per_second", max: Self.rateMax)
        concurrentCalls = try rate("concurrent_calls", max: Self.rateMax)
        burstSeconds = max(1, try rate("burst_seconds", max: Self.burstSecondsMax))
    }

    var json: JSON {
        var members: [JSON.Member] = []
        func add(_ name: String, _ value: Int64, unless absent: Int64) {
            if value != absent { members.append(JSON.Member(name, .int(value))) }
        }
        add("requests_per_second", requestsPerSecond, unless: 0)
        add("bytes_per_second", bytesPerSecond, unless: 0)
        add("concurrent_calls", concurrentCalls, unless: 0)
        add("burst_seconds", burstSeconds, unless: 1)
        return .object(members)
    }
}
