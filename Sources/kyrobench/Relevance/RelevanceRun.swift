// One collection: loaded, measured as it is, tuned, and measured again on other queries.
import KyroClient
import KyroModel
import KyroPlatform

/// Means of nDCG@10.
struct RelevanceResult: Sendable {
    var name: String
    var text = 0.0
    var vector = 0.0
    /// Of the exact nearest rows, where the data set has them.
    var exactVector: Double?
    var hybrid = 0.0
    var rrf = 0.0
    /// On queries that it was not tuned on.
    var tuned = 0.0
    /// What the server chose, of each tuning.
    var choices: [String] = []
    var trainedOn = 0
    var measuredOn = 0
    var tuneSeconds = 0.0

    var bestLeg: Double { max(text, vector) }
}

/// What of a data set is exchanged among its documents.
struct Exchange {
    var texts = false
    var vectors = false
    var judgements = false
}

final class RelevanceRun {
    private static let foldCount = 5
    private static let stillSeconds = 2.0
    private static let graphSecondsMax = 120.0

    private let name: String
    private let folder: String
    private let options: RelevanceOptions
    private let exchange: Exchange
    private let scope: Scope
    private let server: ServerProcess?
    private let connection: Connection

    init(_ name: String, folder: String, _ options: RelevanceOptions, _ exchange: Exchange) throws {
        self.name = name
        self.folder = folder
        self.options = options
        self.exchange = exchange
        scope = Scope(namespace: "quality-\(name)")
        server = options.endpoint == nil ? try ServerProcess(binary: options.binary) : nil
        let given = try options.endpoint.map { try Endpoint(parsing: $0) }
        guard let endpoint = given ?? server?.endpoint else { throw BenchError("no server") }
        connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 120_000))
    }

    deinit {
        connection.close()
        _ = server?.stop()
    }

    func measure() throws -> RelevanceResult {
        let random = SeededRandomSource(seed: options.seed)
        let data = try load(random)
        let test =
            options.isTiny
            ? JudgedSet(knownItems: data, count: 60, random)
            : try JudgedSet(folder: folder, countMax: options.queriesMax)
        var result = RelevanceResult(name: name)
        result.measuredOn = test.queries.count
        result.text = try mean(test.queries) { $0.vector = nil }
        result.vector = try mean(test.queries) { $0.text = nil }
        if !exchange.vectors, !options.isTiny { result.exactVector = try exactMean(test) }
        result.hybrid = try mean(test.queries) { $0.fusion = Fusion() }
        result.rrf = try mean(test.queries) { $0.fusion = Fusion(method: .rrf) }
        if fileExists(folder + "/train_queries.jsonl") {
            var train = try JudgedSet(
                folder: folder, prefix: "train_", countMax: options.queriesMax)
            if exchange.judgements { train = train.withExchangedJudgements(random) }
            try tune(train.queries, &result)
            result.tuned = try mean(test.queries) { _ in }
        } else {
            try crossValidate(test, random, &result)
        }
        return result
    }

    /// Tuned on four fifths and measured on the other, five times.
    private func crossValidate(
        _ set: JudgedSet, _ random: SeededRandomSource, _ result: inout RelevanceResult
    ) throws {
        let order = random.shuffled(set.queries.count)
        var sum = 0.0
        for fold in 0..<Self.foldCount {
            let train = order.enumerated().filter { $0.offset % Self.foldCount != fold }
            let test = order.enumerated().filter { $0.offset % Self.foldCount == fold }
            try tune(train.map { set.queries[$0.element] }, &result)
            sum +=
                try mean(test.map { set.queries[$0.element] }) { _ in } * Double(test.count)
        }
        result.tuned = sum / Double(set.queries.count)
    }

    // MARK: Loading

    private func load(_ random: SeededRandomSource) throws -> DataSet {
        let start = clock.monotonicNanos()
        let data = try DataSet(folder: folder)
        let workload = try Workload(data, layout: .joined, seed: options.seed)
        let otherTexts = exchange.texts ? random.shuffled(data.corpus.count) : nil
        let otherVectors = exchange.vectors ? random.shuffled(data.corpus.count) : nil
        try ingest(
            0..<data.corpus.count, to: scope, workload.schema, over: connection
        ) { row in
            var document = workload.document(row)
            if let otherTexts { document.texts = workload.document(otherTexts[row]).texts }
            if let otherVectors { document.vectors = workload.document(otherVectors[row]).vectors }
            return document
        }
        if !options.isTiny { try waitForGraph() }
        note("\(name): \(data.corpus.count) documents in \(fixed(secondsSince(start), 1)) s")
        return data
    }

    /// Until no row has been linked for two seconds: a collection that is small stays without a graph.
    private func waitForGraph() throws {
        let operations = OperationsClient(connection)
        let start = clock.monotonicNanos()
        var last: UInt64?
        var changed = start
        while secondsSince(changed) < Self.stillSeconds, secondsSince(start) < Self.graphSecondsMax
        {
            let status = try operations.status()
            let rows = status.shards.reduce(0) { $0 + $1.graphRows }
            let isWhole = !status.shards.contains { $0.tailRows > 0 }
            if rows > 0, isWhole { return }
            if rows != last {
                last = rows
                changed = clock.monotonicNanos()
            }
            pause(seconds: 0.1)
        }
    }

    // MARK: Asking

    /// - Parameter change: of a request of both legs that says nothing of fusion.
    private func mean(
        _ queries: [JudgedSet.Query], _ change: (inout SearchRequest) -> Void
    ) throws -> Double {
        let client = SearchClient(connection)
        var sum = 0.0
        for query in queries {
            var request = SearchRequest(scope: scope)
            request.text = TextQuery(query: query.text)
            request.vector = VectorQuery(vector: query.vector)
            request.limit = UInt32(Relevance.depth)
            change(&request)
            sum += Relevance.ndcg(try client.search(request).hits.map(\.id), query.judged)
        }
        return sum / Double(max(1, queries.count))
    }

    /// Of the exact nearest rows that the data set tells.
    private func exactMean(_ set: JudgedSet) throws -> Double? {
        let rowCount = try Matrix(path: folder + "/queries.npy").rowCount
        guard
            let truth = try DataSet.truth(
                folder + "/gt_queries_ids.npy", queryCount: rowCount)
        else { return nil }
        let ids = try DataSet.lines(of: folder + "/corpus.jsonl") { line, _ in
            DocumentID.text(line["id"]?.plainText ?? "")
        }
        let sum = set.queries.reduce(0) { sum, query in
            let found = truth[query.row].prefix(Relevance.depth).map { ids[$0] }
            return sum + Relevance.ndcg(found, query.judged)
        }
        return sum / Double(max(1, set.queries.count))
    }

    private func tune(
        _ queries: [JudgedSet.Query], _ result: inout RelevanceResult
    ) throws {
        let start = clock.monotonicNanos()
        let client = CollectionsClient(connection)
        let stream = try client.tune(TuneStart(scope: scope))
        for query in queries {
            var judged = JudgedQuery(
                judgements: query.judged.map { Judgement(id: $0, grade: max(0, $1)) })
            judged.text = TextQuery(query: query.text)
            judged.vector = VectorQuery(vector: query.vector)
            try stream.send(judged)
        }
        let outcome = try stream.finish()
        result.tuneSeconds += secondsSince(start)
        result.trainedOn = queries.count
        let weights = outcome.fusion.fusion.weights ?? LegWeights()
        let fusion = outcome.fusion.fusion
        let method =
            fusion.method == .rrf ? "rrf " : fusion.normalisation == .zScore ? "z " : ""
        result.choices.append(
            "\(outcome.fusion.choice) \(method)\(fixed(weights.vector, 3)):"
                + fixed(weights.text, 3))
        note("\(name): \(outcome.fusion.reason)")
    }
}
