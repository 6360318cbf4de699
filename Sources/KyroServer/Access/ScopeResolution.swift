// Where requests meet rights: the one place that says which collections a request touches.
import KyroAccess
import KyroModel

/// Names one collection.
protocol ScopedRequest {
    var scope: Scope { get set }
}

extension CreateCollectionRequest: ScopedRequest {}
extension DescribeCollectionRequest: ScopedRequest {}
extension DropCollectionRequest: ScopedRequest {}
extension RebuildRequest: ScopedRequest {}
extension SetRetentionRequest: ScopedRequest {}
extension RollBackTuningRequest: ScopedRequest {}
extension WriteRequest: ScopedRequest {}
extension StreamOpen: ScopedRequest {}
extension SearchRequest: ScopedRequest {}
extension LookupRequest: ScopedRequest {}
extension ScanRequest: ScopedRequest {}
extension TuneStart: ScopedRequest {}

extension ServiceContext {
    /// `request` with the collection that it means, as `resolve` says.
    func resolved<Request: ScopedRequest>(
        _ request: Request, for call: ServerCall
    ) throws(KyroError) -> Request {
        var request = request
        request.scope = try resolve(request.scope, for: call)
        return request
    }

    /// Decodes the message, resolves its scope, hands the request on, and answers with what becomes
    /// of it.
    func answer<Request: ScopedRequest, Answer>(
        _ message: [UInt8], _ decode: ([UInt8]) throws(KyroError) -> Request, _ call: ServerCall,
        _ reply: Reply,
        by perform: (Request, @escaping @Sendable (Result<Answer, KyroError>) -> Void) -> Void,
        _ encode: @escaping @Sendable (Answer) -> [UInt8]
    ) {
        do throws(KyroError) {
            let request = try resolved(try decode(message), for: call)
            perform(request) { reply.complete($0.map(encode)) }
        } catch {
            reply.fail(error)
        }
    }

    /// The collection that a request of `call` means, from who calls and what it names. Every service
    /// passes every scope that it decodes through here before the engine sees it.
    /// - Throws: SCOPE_DENIED, whether there is such a collection or not; QUOTA_EXCEEDED.
    func resolve(_ scope: Scope, for call: ServerCall) throws(KyroError) -> Scope {
        let access = try access(of: call)
        let resolved = try access?.resolve(scope) ?? scope
        call.lane = Self.lane(of: resolved.tenant)
        return resolved
    }

    /// The tenant that a request of `call` means, where it names no collection.
    func resolveTenant(
        _ tenant: String, isImplied: Bool, for call: ServerCall
    ) throws(KyroError) -> String {
        let access = try access(of: call)
        return try access?.resolveTenant(tenant, isImplied: isImplied) ?? tenant
    }

    /// Whether `call` may learn of a collection.
    func sees(_ scope: Scope, _ call: ServerCall) -> Bool {
        guard isGuarded else { return true }
        return call.access?.principal.covers(scope) ?? false
    }

    /// Whether `call` may learn how the whole server fares.
    func seesServer(_ call: ServerCall) -> Bool {
        guard isGuarded else { return true }
        return call.access?.principal.isServerWide ?? false
    }

    /// - Throws: ROLE_MISSING for what a request asks beyond its method.
    func require(_ role: Role, for call: ServerCall) throws(KyroError) {
        try access(of: call)?.principal.require(role)
    }

    /// nil where everybody may do everything.
    private func access(of call: ServerCall) throws(KyroError) -> CallAccess? {
        if let access = call.access { return access }
        guard !isGuarded else {
            throw KyroError(.scopeDenied, "\(call.path) has no rights to any collection")
        }
        return nil
    }

    /// Work of different tenants waits in different queues.
    private static func lane(of tenant: String) -> UInt64 {
        UInt64(bitPattern: Int64(tenant.hashValue))
    }
}
