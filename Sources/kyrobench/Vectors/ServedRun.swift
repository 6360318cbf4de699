// KyroDB over gRPC: a server of its own on loopback, one connection, one request after the other.
import KyroClient
import KyroModel
import KyroPlatform
import KyroWire

struct ServedRun {
    let data: VectorData
    let options: VectorOptions

    static let name = "kyrodb gRPC"
    static let defaultName = "kyrodb gRPC defaults"
    private static let scope = Scope(namespace: "vectors")
    private static let field = "embedding"
    private static let explainedMax = 200
    private static let warmUps = 50

    /// The curve, and what a request that says nothing but its vector gets.
    func measure() throws -> [SystemResult] {
        let folder = try ServerProcess.makeFolder(in: options.folder)
        defer { removeTree(folder) }
        let server = try ServerProcess(
            binary: options.binary, folder: folder, options: SnapshotBenchmark.serverOptions)
        defer { server.stop() }
        let connection = try Connection(
            to: server.endpoint, timeouts: Timeouts(callMillis: 600_000))
        defer { connection.close() }
        let before = try waitUntilServing(connection)
        var result = SystemResult(
            system: Self.name,
            library: "kyrodb \(before.version), kernels \(before.kernels), "
                + "\(before.shards.count) shards",
            parameterName: "efSearch", isPeer: false)
        var defaults = result
        defaults.system = Self.defaultName
        result.build = try load(connection, before)
        for ef in Sweep.ownEfs {
            let point = try point(connection, ef: ef)
            result.points.append(point)
            note("\(Self.name): efSearch \(ef), \(point.text)")
            if Sweep.ends(result.points) { break }
        }
        let point = try point(connection, ef: 0)
        defaults.points.append(point)
        note("\(Self.defaultName): \(point.text)")
        return [result, defaults]
    }

    private func load(_ connection: Connection, _ before: StatusResponse) throws -> BuildResult {
        let rowCount = data.corpus.rowCount
        note("\(Self.name): loading \(rowCount) rows")
        let start = clock.monotonicNanos()
        var schema = Schema()
        schema.vectors[Self.field] = VectorField(
            dimension: data.corpus.dimension, metric: .cosine)
        try ingest(0..<rowCount, to: Self.scope, schema, over: connection) { row in
            var document = Document(id: .number(UInt64(row)))
            document.vectors[Self.field] = data.corpus.floats(row)
            return document
        }
        let rowSeconds = secondsSince(start)
        note("\(Self.name): acknowledged after \(fixed(rowSeconds, 1)) s; now the graph")
        try waitUntilFolded(connection)
        let seconds = secondsSince(start)
        let status = try OperationsClient(connection).status()
        let graphRows = status.shards.reduce(0) { $0 + $1.graphRows }
        let tailRows = status.shards.reduce(0) { $0 + $1.tailRows }
        note("\(Self.name): \(graphRows) rows in the graph after \(fixed(seconds, 1)) s")
        return BuildResult(
            threads: Int(status.shards.count), seconds: seconds, rowSeconds: rowSeconds,
            rowCount: rowCount,
            residentBytes: status.residentBytes - min(before.residentBytes, status.residentBytes),
            countedBytes: nil,
            remark: "\(graphRows) rows in the graph, \(tailRows) in the tail; whole server")
    }

    /// With an `efSearch` as many candidates as hits: a search by vectors alone has no leg to be
    /// fused with, but each shard would keep a hundred, and no smaller `efSearch` would count.
    private func request(_ query: Int, ef: Int) -> SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        if ef > 0 { request.candidates = UInt32(ExactTruth.depth) }
        request.vector = VectorQuery(vector: data.queries.floats(query), efSearch: UInt32(ef))
        request.limit = UInt32(ExactTruth.depth)
        return request
    }

    private func point(_ connection: Connection, ef: Int) throws -> CurvePoint {
        let path = RequestKind.vector.path
        let count = data.queries.rowCount
        let requests = (0..<count).map { request($0, ef: ef).encodeWire() }
        for request in requests.prefix(Self.warmUps) { _ = try connection.unary(path, request) }
        var nanos: [UInt64] = []
        var answers: [[UInt8]] = []
        nanos.reserveCapacity(options.passes * count)
        answers.reserveCapacity(options.passes * count)
        let begun = clock.monotonicNanos()
        for _ in 0..<options.passes {
            for request in requests {
                let start = clock.monotonicNanos()
                let answer = try connection.unary(path, request)
                nanos.append(clock.monotonicNanos() - start)
                answers.append(answer)
            }
        }
        let seconds = secondsSince(begun)
        var found = 0
        for (number, answer) in answers.enumerated() {
            let hits = try SearchResponse.decode(wire: answer).hits
            let rows = hits.map { hit in
                if case .number(let row) = hit.id { Int(row) } else { -1 }
            }
            found += data.truth.found(rows, query: number % count)
        }
        return CurvePoint(
            parameter: ef, recall: Double(found) / Double(answers.count * ExactTruth.depth),
            distances: try distances(connection, ef: ef), micros: SearchTimes(nanos: nanos),
            perSecondOfOne: Double(nanos.count) / seconds, perSecondOfAll: nil)
    }

    /// Of all shards, as `explain` tells.
    private func distances(_ connection: Connection, ef: Int) throws -> Double {
        let client = SearchClient(connection)
        let count = min(Self.explainedMax, data.queries.rowCount)
        var scored: UInt64 = 0
        for query in 0..<count {
            var request = request(query, ef: ef)
            request.explain = true
            let shards = try client.search(request).explain?.shards ?? []
            for shard in shards { scored += shard.rowsScored }
        }
        return Double(scored) / Double(count)
    }
}
