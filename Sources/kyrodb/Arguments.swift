// The server's command line.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroServer
import KyroStore

struct UsageError: Error {
    var message: String
}

enum Command {
    case serve(ServerOptions, portFile: String?)
    case offline(OfflineCommand)
    case help
    case version
}

enum Arguments {
    static let usage = """
        Usage: kyrodb serve --data DIR [options]
               kyrodb verify DATA           check a directory that nobody serves
               kyrodb repair DATA --to NEW  save what is whole in a damaged one

        Serves hybrid search over the documents in DIR, which is made when it does not exist.

          --data DIR               data directory; its parent must exist
          --listen HOST:PORT       where to listen (default 127.0.0.1:50051; port 0 lets the kernel
                                   choose; an IPv6 address stands within brackets)
          --tls-cert FILE          talk TLS 1.2 or newer: PEM certificate, intermediates behind it
          --tls-key FILE           its private key, PEM, not encrypted
          --tls-client-ca FILE     believe clients' certificates from these authorities, PEM: their
                                   names stand for principals of the access file
          --tls-client-required    refuse clients without a certificate
          --access FILE            callers must say who they are: principals, API keys, certificates
                                   and quotas (kyroctl keys makes it; read anew when it changes)
          --jwks FILE              believe tokens that these keys have signed (JWT: RS256, ES256,
                                   EdDSA; read anew when it changes), with both of
          --jwt-issuer TEXT        what their claim "iss" must be
          --jwt-audience TEXT      what their claim "aud" must contain
          --jwt-leeway-seconds N   how far the issuer's clock may differ (default 60)
          --audit FILE             write administrative and refused calls here, one JSON object a line
          --insecure               allow a HOST other than loopback without TLS or authentication
          --port-file FILE         write HOST:PORT here once listening
          --shards N               shards of a new directory (default: number of cores)
          --loops N                event loops (default: number of cores)
          --fsync POLICY           always | interval:MILLIS | never (default always): when a write
                                   must be on disk, in collections created without a durability
          --commit-linger-micros N longest wait of a group commit for writers of the last one, and
                                   never longer than half a sync (default 200; 0 never waits)
          --accept-clock           go by the system's clock at this start, however far it is from
                                   the last time in the log
          --log-segment-bytes N    size of a log file (default 16 MiB)
          --snapshot-log-bytes N   take a snapshot when a shard's log has grown by so much
                                   (default 256 MiB)
          --backups DIR            repository for backups (kyroctl backup create); not inside --data
          --archive                ship the log to the repository as it grows, so that any moment
                                   can be restored (with --backups)
          --archive-millis N       time between two rounds of the archive (default 1000)
          --archive-lag-bytes N    log kept for an archive that cannot follow (default 4 GiB)
          --scrub-mib-per-second N read the files' checksums again and again at this rate, to find
                                   damage while it can be healed (default 8; 0 turns it off)
          --memory-limit BYTES     what the process may use, such as 2GiB: above nine tenths of it no
                                   documents are taken; auto is 80 % of what the machine or the
                                   control group has, none is no limit (default auto)
          --reserve-bytes N        room kept in DIR for a clean stop on a full disk (default 8 MiB
                                   and 1 MiB a shard; 0 for none)
          --drain-millis N         time that calls under way get at a stop (default 10000)
        \(TransportArguments.usage)
          --quiet                  log errors alone
          --log-format FORMAT      text | json: how log lines look (default text)
          --slow-request-millis N  log unary requests that took so long (default 1000; 0 for none)
          --operations HOST:PORT   metrics and state over HTTP/1.1: /metrics (Prometheus), /health,
                                   /ready, /version (default: nobody listens)
          --operations-port-file FILE
                                   write HOST:PORT of the operations plane here once listening
          --insecure-operations    allow --operations on a HOST other than loopback: whoever reaches it
                                   reads the metrics
          --help, --version

        Examples:
          kyrodb serve --data /var/lib/kyrodb
          kyrodb serve --data ./data --listen 127.0.0.1:0 --port-file ./port --fsync interval:100
          kyrodb serve --data ./data --tls-cert server.pem --tls-key server.key
          kyrodb serve --data ./data --listen 0.0.0.0:50051 --tls-cert server.pem \\
            --tls-key server.key --access access.json --audit audit.jsonl

        SIGTERM or SIGINT stops it: calls under way finish, the logs are sealed, exit status 0. SIGHUP
        reads certificate, key, access file and JWKS anew, as happens within a second of their change;
        a file that is broken leaves what was before.
        """

    static func parse(_ arguments: [String], version: String) throws(UsageError) -> Command {
        var rest = arguments[...]
        guard let verb = rest.popFirst() else {
            throw UsageError(message: "a command is missing; try: kyrodb serve --data DIR")
        }
        switch verb {
        case "--help", "-h", "help": return .help
        case "--version", "version": return .version
        case "verify", "repair":
            do {
                return .offline(try OfflineCommand.parse(verb, Array(rest)))
            } catch {
                throw UsageError(message: "\(error); see kyrodb \(verb) --help")
            }
        case "serve": break
        default:
            throw UsageError(message: "unknown command \"\(verb)\"; try: kyrodb serve --data DIR")
        }
        var options = ServerOptions(engine: EngineConfiguration(path: ""), version: version)
        options.engine.shardCountIfNew = min(ProcessMemory.coreCount, DataDirectory.shardsMax)
        options.engine.bulkThreads = max(1, ProcessMemory.coreCount - 1)
        options.engine.scrubBytesPerSecond = 8 << 20
        options.engine.memoryLimitBytes = automaticMemoryLimit
        options.engine.reserve = .standard
        options.transport.loopCount = ProcessMemory.coreCount
        var portFile: String?
        var isInsecure = false
        var tokens = TokenArguments()
        var operations = OperationsArguments()
        while let name = rest.popFirst() {
            switch name {
            case "--help", "-h": return .help
            case "--insecure": isInsecure = true
            case "--insecure-operations": operations.isInsecure = true
            case "--accept-clock": options.engine.acceptsClock = true
            case "--tls-client-required": options.requiresClientCertificate = true
            case "--quiet": Log.level = .error
            case "--archive": options.engine.isArchiving = true
            default:
                guard let value = rest.popFirst() else {
                    throw UsageError(message: "\(name) needs a value, or is unknown; see --help")
                }
                if try tokens.set(name, value) { continue }
                if try operations.take(name, value, &options) { continue }
                try set(name, value, &options, &portFile)
            }
        }
        guard !options.engine.path.isEmpty else {
            throw UsageError(message: "--data DIR is missing")
        }
        guard (options.certificateFile == nil) == (options.privateKeyFile == nil) else {
            throw UsageError(message: "--tls-cert and --tls-key belong together; one is missing")
        }
        guard !options.engine.isArchiving || options.engine.backupsPath != nil else {
            throw UsageError(message: "--archive needs --backups DIR, where to")
        }
        try operations.apply(to: &options)
        try AccessArguments.finish(&options, tokens)
        if !isInsecure, !isLoopback(options.transport.host) {
            try AccessArguments.refuseIfOpen(options)
        }
        return .serve(options, portFile: portFile)
    }

    private static func set(
        _ name: String, _ value: String, _ options: inout ServerOptions, _ portFile: inout String?
    ) throws(UsageError) {
        switch name {
        case "--data": options.engine.path = value
        case "--port-file": portFile = value
        case "--tls-cert": options.certificateFile = value
        case "--tls-key": options.privateKeyFile = value
        case "--tls-client-ca": options.clientAuthoritiesFile = value
        case "--access": options.access.accessFile = value
        case "--audit": options.auditFile = value
        case "--shards": options.engine.shardCount = try number(name, value, 1...1_024)
        case "--loops": options.transport.loopCount = try number(name, value, 1...256)
        case "--log-segment-bytes":
            options.engine.logSegmentBytes = try number(name, value, 4_096...(1 << 30))
        case "--snapshot-log-bytes":
            options.engine.snapshotLogBytes = try number(name, value, 4_096...(1 << 40))
        case "--backups": options.engine.backupsPath = value
        case "--archive-millis":
            options.engine.archiveMillis = try number(name, value, 10...3_600_000)
        case "--archive-lag-bytes":
            options.engine.archiveLagBytesMax = UInt64(try number(name, value, 4_096...(1 << 50)))
        case "--scrub-mib-per-second":
            options.engine.scrubBytesPerSecond = try number(name, value, 0...65_536) << 20
        case "--drain-millis": options.drainMillis = try number(name, value, 0...3_600_000)
        case "--commit-linger-micros":
            options.engine.commitLingerMicros = try number(name, value, 0...100_000)
        case "--memory-limit": options.engine.memoryLimitBytes = try memoryLimit(value)
        case "--reserve-bytes":
            let byteCount = try number(name, value, 0...(1 << 40))
            options.engine.reserve = ReserveSize(bytes: byteCount, bytesPerShard: 0)
        case "--fsync": options.engine.fsync = try policy(value)
        case "--listen":
            guard let colon = value.lastIndex(of: ":"),
                let port = UInt16(value[value.index(after: colon)...]), colon != value.startIndex
            else {
                throw UsageError(message: "--listen is \"\(value)\"; it must be HOST:PORT")
            }
            options.transport.host = try host(value[..<colon])
            options.transport.port = port
        default:
            if try TransportArguments.set(name, value, &options.transport) { return }
            throw UsageError(message: "unknown option \"\(name)\"; see --help")
        }
    }

    /// - Parameter text: a name or an address; an IPv6 address within brackets.
    static func host(_ text: Substring) throws(UsageError) -> String {
        if text.hasPrefix("["), text.hasSuffix("]"), text.count > 2 {
            return String(text.dropFirst().dropLast())
        }
        guard !text.contains(where: { ":[]".contains($0) }) else {
            throw UsageError(
                message: "--listen has the host \"\(text)\"; write IPv6 as [ADDRESS]:PORT")
        }
        return String(text)
    }

    /// HOST:PORT, as `--listen` reads it.
    static func address(_ host: String, _ port: UInt16) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private static func policy(_ value: String) throws(UsageError) -> Durability {
        switch value {
        case "always": return .always
        case "never": return .never
        default:
            let prefix = "interval:"
            guard value.hasPrefix(prefix), let millis = Int64(value.dropFirst(prefix.count)),
                Durability.intervalMillisRange.contains(millis)
            else {
                throw UsageError(
                    message: "--fsync is \"\(value)\"; it must be always, interval:MILLIS "
                        + "(1 to 60000) or never")
            }
            return .interval(millis: millis)
        }
    }

    /// The rest is for the kernel, its page cache, and whoever else is on the machine. A server that
    /// refuses documents can be helped; one that the kernel has ended serves nobody.
    private static var automaticMemoryLimit: UInt64 { ProcessMemory.limitBytes / 10 * 8 }

    /// nil for none.
    private static func memoryLimit(_ text: String) throws(UsageError) -> UInt64? {
        switch text {
        case "none": return nil
        case "auto": return automaticMemoryLimit
        default: break
        }
        let units: KeyValuePairs<String, UInt64> = [
            "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
        ]
        let unit = units.first { text.hasSuffix($0.key) }
        let digits = unit.map { text.dropLast($0.key.count) } ?? text[...]
        guard let number = UInt64(digits), number <= 1 << 50,
            case let byteCount = number.multipliedReportingOverflow(by: unit?.value ?? 1),
            !byteCount.overflow, byteCount.partialValue >= 64 << 20
        else {
            throw UsageError(
                message: "--memory-limit is \"\(text)\"; it must be a number of bytes from 64 MiB "
                    + "on, with KiB, MiB, GiB or TiB behind it or not, or auto, or none")
        }
        return byteCount.partialValue
    }

    static func number(
        _ name: String, _ value: String, _ range: ClosedRange<Int>
    ) throws(UsageError) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw UsageError(
                message: "\(name) is \"\(value)\"; it must be a number from \(range.lowerBound) to "
                    + "\(range.upperBound)")
        }
        return number
    }

    static func isLoopback(_ host: String) -> Bool {
        // 127.0.0.0/8 in dotted form: a name such as 127.example.com leads anywhere.
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return host == "localhost" || host == "::1"
            || parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
