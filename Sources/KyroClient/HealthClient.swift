// grpc.health.v1.Health.
import KyroModel
import KyroWire

public struct HealthClient {
    public let connection: Connection

    public init(_ connection: Connection) { self.connection = connection }

    private static let service = "/grpc.health.v1.Health/"

    /// An empty service asks after the server.
    public func check(
        service: String = "", timeoutMillis: Int64? = nil
    ) throws(KyroError) -> HealthCheckResponse.ServingStatus {
        let answer = try HealthCheckResponse.decode(
            wire: connection.unary(
                Self.service + "Check", HealthCheckRequest(service: service).encodeWire(),
                timeoutMillis: timeoutMillis))
        return answer.status
    }

    /// The state now, and every later change.
    public func watch(service: String = "") throws(KyroError) -> HealthWatch {
        let call = try connection.open(Self.service + "Watch")
        try call.send(HealthCheckRequest(service: service).encodeWire())
        call.halfClose()
        return HealthWatch(call: call)
    }
}

/// Cancel it when it is of no more interest.
public struct HealthWatch {
    let call: Call

    /// Nil when the server ended the watch.
    public func next(
        timeoutMillis: Int64? = nil
    ) throws(KyroError) -> HealthCheckResponse.ServingStatus? {
        guard let bytes = try call.receive(timeoutMillis: timeoutMillis) else { return nil }
        return try HealthCheckResponse.decode(wire: bytes).status
    }

    public func cancel() { call.cancel() }
}
