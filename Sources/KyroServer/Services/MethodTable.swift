// From a path to what answers it.
import KyroAccess
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

/// Every method of every service. Read-only after its construction, so that all loops share it.
final class MethodTable: CallDispatcher {
    private typealias MakeHandler = @Sendable (ServerCall) -> any CallHandler

    private let methods: [String: MakeHandler]

    /// Methods whose calls last as long as their clients wish, or as the work that they ask for.
    static let streaming: Set<String> = [
        "/kyrodb.v2.Collections/Tune", "/kyrodb.v2.Ingest/Stream", "/kyrodb.v2.Search/SearchMany",
        "/kyrodb.v2.Search/Scan", "/kyrodb.v2.Operations/CreateBackup",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]

    init(context: ServiceContext) {
        let collections = CollectionsService(context)
        let ingest = IngestService(context)
        let search = SearchService(context)
        let operations = OperationsService(context)
        let health = context.health
        methods = [
            "/kyrodb.v2.Collections/Create": { _ in UnaryHandler(collections.create) },
            "/kyrodb.v2.Collections/Describe": { _ in UnaryHandler(collections.describe) },
            "/kyrodb.v2.Collections/List": { _ in UnaryHandler(collections.list) },
            "/kyrodb.v2.Collections/Drop": { _ in UnaryHandler(collections.drop) },
            "/kyrodb.v2.Collections/Rebuild": { _ in UnaryHandler(collections.rebuild) },
            "/kyrodb.v2.Collections/SetRetention": { _ in UnaryHandler(collections.setRetention) },
            "/kyrodb.v2.Collections/Tune": { TuneHandler(context, call: $0) },
            "/kyrodb.v2.Collections/RollBackTuning": { _ in
                UnaryHandler(collections.rollBackTuning)
            },
            "/kyrodb.v2.Ingest/Write": { _ in UnaryHandler(ingest.write) },
            "/kyrodb.v2.Ingest/Stream": { IngestStreamHandler(context, call: $0) },
            "/kyrodb.v2.Search/Search": { _ in UnaryHandler(search.search) },
            "/kyrodb.v2.Search/SearchMany": { SearchManyHandler(context, call: $0) },
            "/kyrodb.v2.Search/Lookup": { _ in UnaryHandler(search.lookup) },
            "/kyrodb.v2.Search/Scan": { ScanHandler(context, call: $0) },
            "/kyrodb.v2.Operations/Status": { _ in UnaryHandler(operations.status) },
            "/kyrodb.v2.Operations/Snapshot": { _ in UnaryHandler(operations.snapshot) },
            "/kyrodb.v2.Operations/Flush": { _ in UnaryHandler(operations.flush) },
            "/kyrodb.v2.Operations/CreateBackup": { _ in BackupHandler(context) },
            "/grpc.health.v1.Health/Check": { _ in UnaryHandler(health.check) },
            "/grpc.health.v1.Health/Watch": { HealthWatchHandler(health, call: $0) },
        ]
        for path in methods.keys {
            precondition(MethodAccess.matrix[path] != nil, "who may call \(path) is not said")
        }
    }

    /// Of all methods.
    var paths: [String] { Array(methods.keys) }

    func handler(for call: ServerCall) -> (any CallHandler)? { methods[call.path]?(call) }
}

/// What the services share.
struct ServiceContext: Sendable {
    let engine: Engine
    let pool: WorkerPool
    let health: HealthBoard
    let version: String
    let connectionCount: @Sendable () -> Int
    /// Callers must say who they are; a call without rights gets at no collection.
    let isGuarded: Bool

    /// Distances that a search may cost and still run on its loop: about half a millisecond.
    static let inlineCostMax = 6_000

    func runsHere(cost: Int, on call: ServerCall) -> Bool {
        cost <= Self.inlineCostMax
            && !(cost > Self.inlineCostMax / 8 && call.loop.hasOtherReadyWork)
    }

    /// Runs `work` here when it is short and the loop has nothing else to do, on the pool otherwise;
    /// there it may share itself with the pool, which it is given.
    func run(
        cost: Int, on call: ServerCall, orFail reply: Reply,
        _ work: @escaping @Sendable (_ sharing: WorkerPool?) -> Void
    ) {
        if runsHere(cost: cost, on: call) { return work(nil) }
        guard pool.submit(lane: call.lane, { [pool] in work(pool) }) else {
            return reply.fail(
                KyroError(
                    .queueFull, "too many searches are waiting; try again", retryAfterMillis: 50))
        }
    }
}
