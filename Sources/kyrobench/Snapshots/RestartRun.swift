// How long a restart takes until the first correct answer, and how fast a log is replayed.
import KyroClient
import KyroModel

struct RestartRun {
    let options: SnapshotOptions
    let documents: SyntheticDocuments
    let folder: String

    static let questionCount = 20
    static let firstAnswerSecondsMin = 10.0
    static let readTimeFactor = 1.5
    static let replayPerSecondMin = 50_000.0

    /// Answers from before the stop, to hold those from after it against.
    private struct Answers: Equatable {
        var hits: [[Hit]] = []
    }

    private struct Start {
        var server: ServerProcess
        /// From the start of the process.
        var firstAnswerSeconds: Double
        var status: StatusResponse
    }

    /// Stops the server and starts others; returns the last one.
    func measure(_ running: ServerProcess, _ report: FigureReport) throws -> ServerProcess {
        let before: Answers
        var count: UInt64 = 0
        do {
            let connection = try connect(running)
            defer { connection.close() }
            try waitUntilFolded(connection)
            before = try ask(connection)
            count = try countDocuments(connection)
            note("taking a snapshot")
            let snapshot = try OperationsClient(connection).snapshot()
            report.fact("snapshot", Double(snapshot.bytes) / 1e6, "MB")
            report.fact("snapshot taken in", Double(snapshot.micros) / 1e6, "s")
        }
        guard running.stop() == 0 else { throw BenchError("the server did not stop cleanly") }

        let cold = try restart(
            report, "restart", before: before, documentCount: options.documentCount,
            liveCount: count)
        report.add(
            .atMost(
                0, "restart: rows inserted into the graph",
                Double(cold.status.shards.reduce(0) { $0 + $1.graphRowsInserted })))
        do {
            let connection = try connect(cold.server)
            defer { connection.close() }
            note("writing \(options.tailCount) records behind the snapshot")
            let last = options.documentCount + options.tailCount
            try stream(documents, numbers: options.documentCount..<last, over: connection)
        }
        cold.server.kill()

        let all = options.documentCount + options.tailCount
        let killed = try restart(
            report, "restart after a kill", before: nil, documentCount: all,
            liveCount: count + UInt64(options.tailCount))
        let shards = killed.status.shards
        let replayed = shards.reduce(0) { $0 + $1.replayedRecords }
        let inserted = shards.reduce(0) { $0 + $1.graphRowsInserted }
        report.add(
            .atMost(
                Double(replayed), "restart after a kill: rows inserted into the graph",
                Double(inserted)))
        let slowest = shards.map(\.replayMillis).max() ?? 0
        report.fact("replayed", Double(replayed), "records")
        report.add(
            .atLeast(
                Self.replayPerSecondMin, "replay",
                Double(replayed) / (Double(max(1, slowest)) / 1_000), "records/s", isCount: false))
        return killed.server
    }

    private func connect(_ server: ServerProcess) throws -> Connection {
        try Connection(to: server.endpoint, timeouts: Timeouts(callMillis: 600_000))
    }

    private func restart(
        _ report: FigureReport, _ name: String, before: Answers?, documentCount count: Int,
        liveCount: UInt64
    ) throws -> Start {
        let snapshots = try DiskReading.snapshotFiles(under: folder + "/data")
        var read = try DiskReading.measure(snapshots)
        let again = try DiskReading.measure(snapshots)
        if again.seconds < read.seconds { read = again }
        let rate = Double(read.bytes) / read.seconds
        report.fact("\(name): disk reads", rate / 1e6, "MB/s")
        let emptied = DiskReading.emptyPageCache(try DiskReading.files(under: folder + "/data"))
        note("\(name): the page cache is emptied: \(emptied)")

        let start = clock.monotonicNanos()
        let server = try ServerProcess(
            binary: options.binary, folder: folder, options: SnapshotBenchmark.serverOptions)
        let connection = try connect(server)
        defer { connection.close() }
        let status = try waitUntilServing(connection)
        report.fact("\(name): serving after", secondsSince(start), "s")
        try compareFirst(connection, before, count)
        let seconds = secondsSince(start)
        try compareAll(connection, before, count)
        let found = try countDocuments(connection)
        guard found == liveCount else {
            throw BenchError("\(found) documents after the restart, \(liveCount) before")
        }
        let bound = max(
            Self.firstAnswerSecondsMin, Self.readTimeFactor * Double(read.bytes) / rate)
        report.add(.atMost(bound, "\(name): first correct answer", seconds, "s", isCount: false))
        let loads = status.shards.map(\.snapshotLoadMillis).max() ?? 0
        report.fact("\(name): snapshots loaded in", Double(loads) / 1_000, "s")
        return Start(server: server, firstAnswerSeconds: seconds, status: status)
    }

    // MARK: questions

    private func ask(_ connection: Connection) throws -> Answers {
        var answers = Answers()
        for number in 0..<Self.questionCount {
            for request in requests(number) {
                answers.hits.append(try SearchClient(connection).search(request).hits)
            }
        }
        return answers
    }

    private func requests(_ number: Int) -> [SearchRequest] {
        let count = options.documentCount
        return [
            documents.vectorRequest(number, among: count),
            documents.textRequest(number, among: count),
            documents.filterRequest(number, among: count),
        ]
    }

    /// One answer of each kind.
    private func compareFirst(_ connection: Connection, _ before: Answers?, _ count: Int) throws {
        try compareDocument(count - 1, connection)
        for (index, request) in requests(0).enumerated() {
            let hits = try SearchClient(connection).search(request).hits
            guard !hits.isEmpty, before.map({ $0.hits[index] == hits }) ?? true else {
                throw BenchError("answer \(index) after the restart differs from the one before")
            }
        }
    }

    private func compareAll(_ connection: Connection, _ before: Answers?, _ count: Int) throws {
        if let before {
            guard try ask(connection) == before else {
                throw BenchError("answers after the restart differ from those before")
            }
        }
        var chance = Chance(options.seed)
        for number in 0..<200 {
            // Half of them from the last fifth, where the replayed tail is.
            let document =
                number % 2 == 0
                ? chance.below(count) : count - 1 - chance.below(max(1, count / 6))
            try compareDocument(document, connection)
            if number < Self.questionCount { try findByOwnVector(document, connection) }
        }
    }

    /// The whole document comes back.
    private func compareDocument(_ number: Int, _ connection: Connection) throws {
        let wanted = documents.document(number)
        let client = SearchClient(connection)
        let answer = try client.lookup(LookupRequest(scope: documents.scope, ids: [wanted.id]))
        guard answer.results.first?.document == wanted else {
            throw BenchError("document \(number) is not what was written")
        }
    }

    /// Among all rows its own vector is the nearest.
    private func findByOwnVector(_ number: Int, _ connection: Connection) throws {
        let wanted = documents.document(number)
        let client = SearchClient(connection)
        var request = SearchRequest(scope: documents.scope)
        request.vector = VectorQuery(
            vector: wanted.vectors[SyntheticDocuments.vectorField] ?? [])
        request.limit = 1
        request.exact = true
        guard try client.search(request).hits.first?.id == wanted.id else {
            throw BenchError("the vector of document \(number) does not find it")
        }
    }

    private func countDocuments(_ connection: Connection) throws -> UInt64 {
        try OperationsClient(connection).status().shards.reduce(0) { $0 + $1.documents }
    }
}
