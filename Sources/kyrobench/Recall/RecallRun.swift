// One collection in an engine of its own: loaded, asked, calibrated, measured.
import KyroEngine
import KyroModel
import KyroPlatform

/// What a number of queries had and took.
struct RecallOutcome: Sendable {
    var mean = 0.0
    /// The mean of the tenth that fared worst.
    var worstDecile = 0.0
    /// A query.
    var distances = 0.0
}

/// One target on one collection.
struct RecallResult: Sendable {
    var collection: String
    var target: Double
    var outcome: RecallOutcome
    /// Told with the last answer.
    var estimate: RecallEstimate
    /// The cheapest fixed number of candidates that reaches the target, where one does.
    var cheapest: (efSearch: Int, outcome: RecallOutcome)?

    var ratio: Double {
        cheapest.map { outcome.distances / $0.outcome.distances } ?? .infinity
    }
    var passes: Bool { outcome.mean >= target - 0.005 && ratio <= 1.5 }
}

final class RecallRun {
    private static let scope = Scope(namespace: "recall")
    private static let field = "v"
    private static let hits = 10
    private static let batchRows = 1_000
    private static let loadSecondsMax = 300.0
    private static let calibrationSecondsMax = 120.0
    /// A calibration that has taken nothing in for so long has what it wants for now.
    private static let stillSeconds = 3.0

    private let collection: RecallCollection
    private let options: RecallOptions
    private let engine: Engine
    private let folder: String
    /// Of each measured query the score of its tenth.
    private var least: [Double] = []
    /// What live queries were learnt from, at the end.
    private(set) var samples: UInt32 = 0
    private var asked = 0

    init(_ collection: RecallCollection, _ options: RecallOptions) throws {
        self.options = options
        folder = try ServerProcess.makeFolder(in: options.folder)
        var configuration = EngineConfiguration(path: folder + "/data")
        configuration.fsync = .never
        configuration.shardCount = options.shardCount
        configuration.bulkThreads = 2
        configuration.recallPauseMillis = 0
        engine = try Engine(configuration, hashSeed: options.seed)
        while !engine.isServing { pause(seconds: 0.001) }
        self.collection = collection
    }

    deinit {
        engine.close()
        removeTree(folder)
    }

    func measure() throws -> [RecallResult] {
        let start = clock.monotonicNanos()
        try load()
        note(
            "\(collection.name): \(collection.rows.count) rows, \(fixed(secondsSince(start), 1)) s")
        try findTruth()
        try calibrate()
        note(
            "\(collection.name): \(samples) samples after \(asked) live queries, "
                + "\(fixed(secondsSince(start), 1)) s")
        let results = try RecallOptions.targets.map { try result($0) }
        return try compare(results)
    }

    // MARK: Loading

    private func load() throws {
        var schema = Schema()
        schema.vectors[Self.field] = VectorField(
            dimension: collection.rows[0].count, metric: .cosine)
        for first in stride(from: 0, to: collection.rows.count, by: Self.batchRows) {
            let mutations = (first..<min(first + Self.batchRows, collection.rows.count)).map {
                number in
                var document = Document(id: .number(UInt64(number)))
                document.vectors[Self.field] = collection.rows[number]
                return Result<Mutation, KyroError>.success(.upsert(document))
            }
            let gate = Gate()
            let failure = Locked<KyroError?>(nil)
            engine.write(
                WriteRequest(scope: Self.scope, mutations: mutations, createIfMissing: schema),
                byteCount: 4 * Self.batchRows * collection.rows[0].count
            ) { result in
                if case .failure(let error) = result { failure.withLock { $0 = error } }
                gate.open()
            }
            gate.wait()
            if let failure = failure.withLock({ $0 }) { throw failure }
        }
        let start = clock.monotonicNanos()
        while engine.status().shards.contains(where: { $0.tailRows > 0 }) {
            guard secondsSince(start) < Self.loadSecondsMax else {
                throw BenchError("\(collection.name): rows wait to be linked for too long")
            }
            pause(seconds: 0.02)
        }
    }

    // MARK: Asking

    private func request(_ query: [Float]) -> SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(vector: query)
        request.limit = UInt32(Self.hits)
        request.candidates = UInt32(Self.hits)
        request.explain = true
        return request
    }

    private func search(_ request: SearchRequest) throws(KyroError) -> SearchResponse {
        try engine.search(request, cancellation: Cancellation())
    }

    private func findTruth() throws {
        least = try collection.measured.map { query in
            var request = request(query)
            request.exact = true
            return try search(request).hits.last?.score ?? 0
        }
    }

    /// Asks once for a recall and then for nothing in particular, as live queries do, and waits until
    /// what was taken of them has been measured.
    private func calibrate() throws {
        try wait { $0 > 0 }
        for number in 0..<options.liveCount {
            _ = try search(request(collection.live[number % collection.live.count]))
        }
        asked = options.liveCount
        var last: UInt32 = 0
        var changed = clock.monotonicNanos()
        try wait { count in
            if count != last {
                last = count
                changed = clock.monotonicNanos()
            }
            return secondsSince(changed) >= Self.stillSeconds
        }
        samples = last
    }

    /// Looks at the number of samples now and then, which takes a live query each time.
    private func wait(until isDone: (UInt32) -> Bool) throws {
        let start = clock.monotonicNanos()
        while secondsSince(start) < Self.calibrationSecondsMax {
            var request = request(collection.live[0])
            request.vector?.recall = RecallOptions.targets[0]
            let estimate = try search(request).recall
            // What is scanned in full has no samples, and needs none.
            if estimate?.mean == 1 || isDone(estimate?.samples ?? 0) { return }
            pause(seconds: 0.1)
        }
        note("\(collection.name): the calibration takes too long; measured as it is")
    }

    private func outcome(
        _ change: (inout SearchRequest) -> Void
    ) throws -> (RecallOutcome, RecallEstimate?) {
        var shares: [Double] = []
        var distances: UInt64 = 0
        var estimate: RecallEstimate?
        for (query, least) in zip(collection.measured, least) {
            var request = request(query)
            change(&request)
            let response = try search(request)
            let found = response.hits.count { $0.score >= least }
            shares.append(Double(min(found, Self.hits)) / Double(Self.hits))
            for shard in response.explain?.shards ?? [] { distances += shard.rowsScored }
            estimate = response.recall
        }
        let count = Double(shares.count)
        let worst = shares.sorted().prefix(max(1, shares.count / 10))
        return (
            RecallOutcome(
                mean: shares.reduce(0, +) / count,
                worstDecile: worst.reduce(0, +) / Double(worst.count),
                distances: Double(distances) / count), estimate
        )
    }

    private func result(_ target: Double) throws -> RecallResult {
        let (outcome, estimate) = try outcome { $0.vector?.recall = target }
        guard let estimate else { throw BenchError("an answer tells no recall") }
        return RecallResult(
            collection: collection.name, target: target, outcome: outcome, estimate: estimate)
    }

    /// With fixed numbers of candidates, until all targets are reached.
    private func compare(_ results: [RecallResult]) throws -> [RecallResult] {
        var results = results
        var efSearch = Self.hits
        while efSearch < Limits.efSearchMax, results.contains(where: { $0.cheapest == nil }) {
            let (outcome, _) = try outcome { $0.vector?.efSearch = UInt32(efSearch) }
            for i in results.indices
            where results[i].cheapest == nil && outcome.mean >= results[i].target {
                results[i].cheapest = (efSearch, outcome)
            }
            efSearch = max(efSearch + 1, efSearch * 105 / 100)
        }
        return results
    }
}
