// Hybrid searches one after the other, each answer checked, and the writes beside them.
import KyroClient
import KyroModel
import KyroPlatform
import KyroWire
import Synchronization

/// What one pass over the questions found.
struct HybridResult: Sendable {
    var histogram = Histogram()
    /// Ids of each answer, by question.
    var answers: [[DocumentID]] = []
    var empty = 0
    var broken = 0

    func millis(_ fraction: Double) -> Double { Double(histogram.quantile(fraction)) / 1e6 }
}

struct HybridLoad: Sendable {
    let documents: HybridDocuments
    let queries: [HybridQuery]
    let endpoint: Endpoint

    static let writesPerSecond = 1_000
    private static let batchDocuments = 10
    /// One batch of so many has a document looked up and searched for behind its acknowledgement.
    private static let batchesPerCheck = 10
    private static let warmUps = 100

    /// Asks everything once and goes on from the start until `isEnough`.
    ///
    /// - Parameter change: makes another request of a question's; answers are then not checked.
    func search(
        _ queries: ArraySlice<HybridQuery>, isEnough: () -> Bool = { true },
        change: ((inout SearchRequest) -> Void)? = nil
    ) throws -> HybridResult {
        let connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
        defer { connection.close() }
        let path = RequestKind.hybrid.path
        let requests = queries.map { query in
            var request = query.request
            change?(&request)
            return request.encodeWire()
        }
        for request in requests.prefix(Self.warmUps) { _ = try connection.unary(path, request) }
        var result = HybridResult()
        var number = 0
        while number < requests.count || !isEnough() {
            let place = number % requests.count
            let sent = clock.monotonicNanos()
            let answer = try connection.unary(path, requests[place])
            result.histogram.record(clock.monotonicNanos() - sent)
            let hits = try SearchResponse.decode(wire: answer).hits
            if hits.isEmpty { result.empty += 1 }
            if number < requests.count { result.answers.append(hits.map(\.id)) }
            let query = queries[queries.startIndex + place]
            if change == nil, let problem = query.problem(with: hits) {
                if result.broken < 5 { note("question \(place): \(problem)") }
                result.broken += 1
            }
            number += 1
        }
        return result
    }

    // MARK: writes

    struct Written: Sendable {
        var count = 0
        var seconds = 0.0
        var checked = 0
        var missing = 0

        var perSecond: Double { Double(count) / max(seconds, 1e-9) }
    }

    /// Asks everything, and for `seconds` at least, while documents are written.
    func searchBesideWrites(seconds: Double) throws -> (HybridResult, Written) {
        let isStopping = SharedBox(Atomic<Bool>(false))
        let outcome = Locked<Result<Written, BenchError>>(.success(Written()))
        let load = self
        let writer = KyroThread(name: "writer") {
            let result: Result<Written, BenchError>
            do {
                result = .success(try load.write(until: isStopping))
            } catch {
                result = .failure(BenchError("the writer failed: \(error)"))
            }
            outcome.withLock { $0 = result }
        }
        let start = clock.monotonicNanos()
        let searched = Result {
            try search(queries[...], isEnough: { secondsSince(start) >= seconds })
        }
        isStopping.value.store(true, ordering: .relaxed)
        writer.join()
        return (try searched.get(), try outcome.withLock { try $0.get() })
    }

    /// Every other document is a new one.
    private func written(_ place: Int) -> Document {
        let isNew = place % 2 == 0
        var chance = Chance(UInt64(place) &* 0xA24B_AED4_963E_E407)
        let number = isNew ? documents.rowCount + place / 2 : chance.below(documents.rowCount)
        // Above every revision before, should a document be written twice.
        return documents.document(number, revision: place + 1)
    }

    private func write(until isStopping: SharedBox<Atomic<Bool>>) throws -> Written {
        let connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
        defer { connection.close() }
        let checks = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
        defer { checks.close() }
        let start = clock.monotonicNanos()
        let stream = try IngestClient(connection).stream(
            StreamOpen(scope: HybridDocuments.scope, producer: "hybrid-\(start)"))
        var result = Written()
        var unchecked: [UInt64: Document] = [:]
        var batch: UInt64 = 0
        while !isStopping.value.load(ordering: .relaxed) {
            let due = Double(result.count) / Double(Self.writesPerSecond) - secondsSince(start)
            if due > 0 { pause(seconds: min(due, 0.5)) }
            let first = result.count
            let batchDocuments = (0..<Self.batchDocuments).map { written(first + $0) }
            batch += 1
            if batch % UInt64(Self.batchesPerCheck) == 0 { unchecked[batch] = batchDocuments.last }
            try stream.send(
                StreamBatch(
                    clientSequence: batch,
                    mutations: batchDocuments.map { .success(.upsert($0)) }))
            result.count += Self.batchDocuments
            try check(stream.takeAcks(), &unchecked, SearchClient(checks), &result)
        }
        result.seconds = secondsSince(start)
        try stream.finish()
        try check(stream.takeAcks(), &unchecked, SearchClient(checks), &result)
        return result
    }

    private func check(
        _ acks: [StreamAck], _ unchecked: inout [UInt64: Document], _ client: SearchClient,
        _ result: inout Written
    ) throws {
        try refuseErrors(acks)
        for ack in acks {
            guard let document = unchecked.removeValue(forKey: ack.clientSequence) else { continue }
            result.checked += 1
            if try !isFound(document, client) { result.missing += 1 }
        }
    }

    /// As it was written, or as it was written later still: by its id, and by its own vector among the
    /// documents of its millisecond.
    private func isFound(_ document: Document, _ client: SearchClient) throws -> Bool {
        let lookup = LookupRequest(
            scope: HybridDocuments.scope, ids: [document.id],
            projection: Projection(metadata: .all))
        guard let stored = try client.lookup(lookup).results.first?.document,
            case .int64(let wanted)? = document.metadata["revision"],
            case .int64(let there)? = stored.metadata["revision"], there >= wanted
        else { return false }
        guard there == wanted, let time = document.eventTimeMillis else { return true }
        var request = SearchRequest(scope: HybridDocuments.scope)
        request.vector = VectorQuery(vector: document.vectors[HybridDocuments.vectorField] ?? [])
        request.timeRange = TimeRange(fromMillis: time, toMillis: time + 1)
        return try client.search(request).hits.contains { $0.id == document.id }
    }
}
