// What stands between the transport and the services where callers must say who they are.
import KyroAccess
import KyroHTTP2
import KyroModel
import KyroPlatform

/// Asks, before any handler exists, who calls, whether the method is theirs, and whether their quota
/// has room; the scope is left to `ServiceContext.resolve`, which knows the request.
///
/// Any loop; what a call needs of it hangs on the call.
final class AccessGuard: CallDispatcher {
    let control: AccessControl
    private let methods: any CallDispatcher
    private let audit: AuditLog?
    /// Unix milliseconds, for the audit log.
    private let nowMillis: @Sendable () -> Int64

    init(
        _ control: AccessControl, before methods: any CallDispatcher, audit: AuditLog?,
        nowMillis: @escaping @Sendable () -> Int64
    ) {
        self.control = control
        self.methods = methods
        self.audit = audit
        self.nowMillis = nowMillis
    }

    func handler(for call: ServerCall) -> (any CallHandler)? {
        // What is not in the matrix is no method: the table has checked that of its own.
        guard let method = MethodAccess.matrix[call.path], method != .open else {
            return methods.handler(for: call)
        }
        // Asked for now: the socket may be gone when the entry is written.
        if audit != nil { _ = call.peer }
        let access: CallAccess
        do throws(KyroError) {
            access = CallAccess(self, method, try authenticate(call), call)
        } catch {
            return deny(call, nil, error)
        }
        do throws(KyroError) {
            try access.begin()
        } catch {
            return deny(call, access.principal.name, error)
        }
        call.access = access
        guard let handler = methods.handler(for: call) else {
            access.end()
            return nil
        }
        return GuardedHandler(handler, access)
    }

    /// - Throws: one of the CREDENTIALS errors.
    func authenticate(_ call: ServerCall) throws(KyroError) -> Authentication {
        let generation = control.generation
        let known = call.connection?.access
        let credential = try Self.authorization(of: call)
        if let known, known.generation == generation, known.isOf(credential),
            !control.hasExpired(known.authentication)
        {
            return known.authentication
        }
        let authentication = try control.authenticate(
            authorization: credential, certificateNames: call.connection?.certificateNames ?? [])
        call.connection?.access = ConnectionAccess(authentication, credential, generation)
        return authentication
    }

    private static func authorization(of call: ServerCall) throws(KyroError) -> [UInt8]? {
        var found: [UInt8]?
        for entry in call.metadata where entry.name == "authorization" {
            guard found == nil else {
                throw KyroError(.credentialsInvalid, "the call carries several authorizations")
            }
            found = entry.value
        }
        return found
    }

    private func deny(
        _ call: ServerCall, _ principal: String?, _ error: KyroError
    ) -> (any CallHandler)? {
        call.finish(GRPCStatus(error))
        write(call, principal, scope: nil, error.code, error.reason)
        return nil
    }

    /// - Parameter scope: nil where the request was not read.
    func write(
        _ call: ServerCall, _ principal: String?, scope: (tenant: String?, name: String?)?,
        _ code: StatusCode, _ reason: String
    ) {
        guard let audit else { return }
        audit.append(
            AuditEntry(
                timeMillis: nowMillis(), principal: principal, method: call.path,
                scope: scope ?? (nil, nil), code: code, reason: reason, peer: call.peer))
    }
}

/// The credential that a connection brought last, and whose it is: asked once, not for every call.
final class ConnectionAccess {
    let authentication: Authentication
    let generation: UInt64
    private let credential: [UInt8]?

    init(_ authentication: Authentication, _ credential: [UInt8]?, _ generation: UInt64) {
        self.authentication = authentication
        self.credential = credential
        self.generation = generation
    }

    /// A proxy may carry many callers over one connection: the comparison tells no time.
    func isOf(_ other: [UInt8]?) -> Bool {
        switch (credential, other) {
        case (nil, nil): true
        case (let a?, let b?): Secrets.areEqual(a, b)
        case (nil, .some), (.some, nil): false
        }
    }
}
