// The rights of one call.
import KyroAccess
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

/// Lives on the call's loop.
final class CallAccess {
    private(set) var principal: Principal
    let method: MethodAccess
    private let warden: AccessGuard
    private let call: ServerCall
    private var authentication: Authentication
    private var generation: UInt64
    private var principalMeter: Meter?
    private var tenantMeters: [(tenant: String, meter: Meter)] = []
    private var hasEnded = false
    /// Messages and their bytes that no tenant has paid for yet.
    private var unpaid = (requests: 0, bytes: 0)
    private var messageCount = 0
    /// What the requests named last, for the audit log.
    private var scope: (tenant: String?, name: String?) = (nil, nil)

    /// Tenants of one stream whose calls are counted; more of them pay by their rates alone.
    private static let tenantsMax = 64

    init(
        _ warden: AccessGuard, _ method: MethodAccess, _ authentication: Authentication,
        _ call: ServerCall
    ) {
        self.warden = warden
        self.method = method
        self.authentication = authentication
        self.call = call
        principal = authentication.principal
        generation = warden.control.generation
    }

    // MARK: the life of a call

    /// - Throws: ROLE_MISSING, SCOPE_DENIED, QUOTA_EXCEEDED; nothing is owed then.
    func begin() throws(KyroError) {
        if case .restricted(let role, let kind) = method {
            try principal.require(role)
            if kind == .server { try principal.requireServer() }
        }
        guard let meter = warden.control.principalMeter(principal.name) else { return }
        try meter.beginCall()
        do throws(KyroError) {
            try meter.take(requests: 1, bytes: 0, nowNanos: warden.control.monotonicNanos())
        } catch {
            meter.endCall()
            throw error
        }
        principalMeter = meter
    }

    /// Before a message goes to its handler.
    /// - Throws: QUOTA_EXCEEDED, after which it may be asked again; and what `stillHolds` throws.
    func admit(messageBytes: Int) throws(KyroError) {
        try stillHolds()
        let now = warden.control.monotonicNanos()
        // The call itself has paid for its first message; which tenant it is for is not known yet.
        let isFirst = messageCount == 0
        try principalMeter?.take(requests: isFirst ? 0 : 1, bytes: messageBytes, nowNanos: now)
        if let last = tenantMeters.last {
            try last.meter.take(requests: 1, bytes: messageBytes, nowNanos: now)
        } else {
            unpaid.requests += 1
            unpaid.bytes += messageBytes
        }
        messageCount += 1
    }

    /// A stream is under way, which is slowed down rather than ended.
    var isUnderWay: Bool { messageCount > 0 }

    /// Rights may go while a stream is open.
    /// - Throws: one of the CREDENTIALS errors, ROLE_MISSING, SCOPE_DENIED.
    func stillHolds() throws(KyroError) {
        if warden.control.generation == generation {
            guard warden.control.hasExpired(authentication) else { return }
            throw KyroError(.credentialsExpired, "the credential has expired")
        }
        generation = warden.control.generation
        authentication = try warden.authenticate(call)
        principal = authentication.principal
        guard case .restricted(let role, let kind) = method else { return }
        try principal.require(role)
        switch kind {
        case .server: try principal.requireServer()
        case .collection:
            guard let tenant = scope.tenant, let name = scope.name else { return }
            try checkScope(tenant, name)
        case .tenant, .visible: break
        }
    }

    /// Gives back what `begin` took. Called once or more.
    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        principalMeter?.endCall()
        for entry in tenantMeters { entry.meter.endCall() }
    }

    /// The call is over: administrative ones are written down, and those that were refused.
    func audit() {
        let code = call.status.map { StatusCode(rawValue: $0.code) ?? .unknown } ?? .cancelled
        var reason = code == .ok ? "" : code.name
        if let details = call.status?.details, !details.isEmpty,
            let error = try? decodeStatusDetails(details)
        {
            reason = error.reason
        }
        let isRefused =
            code == .permissionDenied || code == .unauthenticated
            || reason == KyroError.Reason.quotaExceeded.rawValue
        guard isRefused || method.isAdministrative else { return }
        warden.write(call, principal.name, scope: scope, code, reason)
    }

    // MARK: scopes

    /// The collection that a request means.
    /// - Throws: SCOPE_DENIED, also where there is no such collection; QUOTA_EXCEEDED of the tenant.
    func resolve(_ scope: Scope) throws(KyroError) -> Scope {
        self.scope = (scope.tenant, scope.namespace)
        var resolved = scope
        resolved.tenant = try principal.tenant(
            named: scope.tenant, isImplied: scope.isTenantImplied)
        self.scope = (resolved.tenant, resolved.namespace)
        try checkScope(resolved.tenant, resolved.namespace)
        try charge(resolved.tenant)
        return resolved
    }

    private func checkScope(_ tenant: String, _ name: String) throws(KyroError) {
        _ = try principal.tenant(named: tenant, isImplied: false)
        guard principal.namespaces.covers(name) else {
            throw KyroError(
                .scopeDenied, "the caller has no rights in namespace \"\(name)\"",
                field: "scope.namespace")
        }
    }

    func resolveTenant(_ tenant: String, isImplied: Bool) throws(KyroError) -> String {
        scope = (tenant, nil)
        let resolved = try principal.tenant(named: tenant, isImplied: isImplied)
        scope = (resolved, nil)
        try charge(resolved)
        return resolved
    }

    private func charge(_ tenant: String) throws(KyroError) {
        if let entry = tenantMeters.last(where: { $0.tenant.utf8.elementsEqual(tenant.utf8) }) {
            return try pay(entry.meter)
        }
        guard let meter = warden.control.tenantMeter(tenant) else {
            unpaid = (0, 0)
            return
        }
        try meter.beginCall()
        do throws(KyroError) {
            try pay(meter)
        } catch {
            meter.endCall()
            throw error
        }
        if tenantMeters.count < Self.tenantsMax {
            tenantMeters.append((tenant, meter))
        } else {
            meter.endCall()
        }
    }

    private func pay(_ meter: Meter) throws(KyroError) {
        guard unpaid.requests > 0 else { return }
        let owed = unpaid
        unpaid = (0, 0)
        try meter.take(
            requests: owed.requests, bytes: owed.bytes,
            nowNanos: warden.control.monotonicNanos())
    }
}
