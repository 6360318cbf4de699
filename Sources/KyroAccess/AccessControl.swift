// The one place that says who a caller is.
import KyroModel
import KyroPlatform

public struct AccessOptions: Sendable {
    /// Principals, keys, certificates and quotas.
    public var accessFile: String?
    public var tokens: TokenOptions?
    /// Whether what a client's certificate says counts.
    public var trustsCertificates = false

    public init() {}

    /// Whether callers must say who they are.
    public var isOn: Bool { accessFile != nil || tokens != nil }

    /// What is to be read again when it changes.
    public var paths: [String] {
        (accessFile.map { [$0] } ?? []) + (tokens.map { [$0.keySetFile] } ?? [])
    }
}

/// Any thread. Files that changed are read by `reload`; one that is broken leaves what was before.
public final class AccessControl: Sendable {
    private struct State {
        var access: AccessState
        var keySet: KeySet?
        var generation: UInt64 = 1
    }

    private let options: AccessOptions
    private let files: any FileSystem
    private let clock: any Clock
    /// Unix milliseconds, by the clock that credentials expire by.
    private let nowMillis: @Sendable () -> Int64
    private let state: Locked<State>

    /// - Throws: what is wrong with a file; nobody is let in by half of one.
    public init(
        _ options: AccessOptions, files: any FileSystem = PosixFileSystem(),
        clock: any Clock = SystemClock(), nowMillis: @escaping @Sendable () -> Int64
    ) throws(KyroError) {
        self.options = options
        self.files = files
        self.clock = clock
        self.nowMillis = nowMillis
        state = Locked(
            State(
                access: try Self.readAccess(options, files, following: nil),
                keySet: try Self.readKeySet(options, files)))
    }

    private static func readAccess(
        _ options: AccessOptions, _ files: any FileSystem, following former: AccessState?
    ) throws(KyroError) -> AccessState {
        var file = AccessFile()
        if let path = options.accessFile {
            let bytes = try read(path, files, bytesMax: AccessFile.bytesMax)
            do throws(KyroError) {
                file = try AccessFile(parsing: bytes)
                return try AccessState(file, following: former)
            } catch {
                throw KyroError(.invalidField, "\(path): \(error.message)")
            }
        }
        return try AccessState(file, following: former)
    }

    private static func readKeySet(
        _ options: AccessOptions, _ files: any FileSystem
    ) throws(KyroError) -> KeySet? {
        guard let tokens = options.tokens else { return nil }
        let bytes = try read(tokens.keySetFile, files, bytesMax: KeySet.bytesMax)
        do throws(KyroError) {
            return try KeySet(parsing: bytes)
        } catch {
            throw KyroError(.invalidField, "\(tokens.keySetFile): \(error.message)")
        }
    }

    private static func read(
        _ path: String, _ files: any FileSystem, bytesMax: Int
    ) throws(KyroError) -> [UInt8] {
        do {
            let file = try files.open(path, .read)
            let size = try file.size()
            guard size <= UInt64(bytesMax) else {
                throw KyroError(
                    .limitExceeded, "\(path): has \(size) bytes; the limit is \(bytesMax)")
            }
            return try file.readAll()
        } catch let error as KyroError {
            throw error
        } catch {
            throw KyroError(.invalidField, "\(error)")
        }
    }

    // MARK: changes

    /// Reads both files again. What an `Authentication` says is to be asked anew when this changes.
    public var generation: UInt64 { state.withLock { $0.generation } }

    /// - Throws: what is wrong; nothing has changed then.
    public func reload() throws(KyroError) {
        let former = state.withLock { $0.access }
        let access = try Self.readAccess(options, files, following: former)
        let keySet = try Self.readKeySet(options, files)
        state.withLock { state in
            state.access = access
            state.keySet = keySet
            state.generation += 1
        }
    }

    // MARK: who calls

    /// - Parameters:
    ///   - authorization: of the request's metadata.
    ///   - certificateNames: of the client's certificate, which was verified; empty without one.
    /// - Throws: CREDENTIALS_MISSING, CREDENTIALS_INVALID, CREDENTIALS_EXPIRED, CREDENTIALS_REVOKED.
    public func authenticate(
        authorization: [UInt8]?, certificateNames: [String]
    ) throws(KyroError) -> Authentication {
        let (access, keySet) = state.withLock { ($0.access, $0.keySet) }
        guard let authorization else {
            guard options.trustsCertificates, !certificateNames.isEmpty else {
                throw .missingCredentials
            }
            return try access.authenticate(certificate: certificateNames)
        }
        guard let credential = Self.bearer(authorization) else { throw .unknownCredentials }
        if let key = APIKey(credential) {
            return try access.authenticate(key, nowMillis: nowMillis())
        }
        guard let keySet, let tokens = options.tokens else { throw .unknownCredentials }
        return try TokenVerifier(tokens, keySet).authenticate(credential, nowMillis: nowMillis())
    }

    /// Longest authorization that is looked at: of a signed token with long lists of names.
    static let authorizationBytesMax = 16 << 10

    /// What stands behind the scheme (RFC 6750 §2.1), whose case does not matter.
    private static func bearer(_ authorization: [UInt8]) -> [UInt8]? {
        let scheme = Array("bearer ".utf8)
        guard authorization.count > scheme.count, authorization.count <= authorizationBytesMax,
            zip(authorization, scheme).allSatisfy({ $0 | 0x20 == $1 })
        else { return nil }
        return Array(authorization[scheme.count...])
    }

    /// Whether `authentication` has run out by now.
    public func hasExpired(_ authentication: Authentication) -> Bool {
        guard let expiry = authentication.expiresMillis else { return false }
        return nowMillis() >= expiry
    }

    // MARK: how much

    public func principalMeter(_ name: String) -> Meter? {
        state.withLock { $0.access }.principalMeters.meter(
            of: name, nowNanos: clock.monotonicNanos())
    }

    public func tenantMeter(_ name: String) -> Meter? {
        state.withLock { $0.access }.tenantMeters.meter(of: name, nowNanos: clock.monotonicNanos())
    }

    public func monotonicNanos() -> UInt64 { clock.monotonicNanos() }
}
