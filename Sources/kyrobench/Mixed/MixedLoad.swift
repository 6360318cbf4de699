// Searches at a steady pace, checked answer by answer, and what goes on beside them.
import KyroClient
import KyroModel
import KyroPlatform
import KyroWire
import Synchronization

/// Which rows the server has acknowledged: all below a number that the writer raises.
final class Acknowledged: Sendable {
    private let end: Atomic<Int>

    init(_ rowCount: Int) { end = Atomic(rowCount) }
    var rowCount: Int { end.load(ordering: .acquiring) }
    func raise(to rowCount: Int) { end.store(rowCount, ordering: .releasing) }
}

/// What one measurement found.
struct MixedResult: Sendable {
    var histogram = Histogram()
    /// Exact rows that the answers had, of those that they could have had.
    var found = 0
    var expected = 0
    /// The first few, in words.
    var wrong: [String] = []
    var wrongCount = 0

    mutating func report(_ problem: String) {
        wrongCount += 1
        if wrong.count < 5 { wrong.append(problem) }
    }

    func millis(_ fraction: Double) -> Double { Double(histogram.quantile(fraction)) / 1e6 }
    var recall: Double { expected == 0 ? 1 : Double(found) / Double(expected) }
}

struct MixedLoad: Sendable {
    let data: VectorData
    let endpoint: Endpoint
    let acknowledged: Acknowledged

    static let scope = Scope(namespace: "mixed")
    static let field = "embedding"
    static let searchesPerSecond = 200
    static let writesPerSecond = 1_000
    static let batchRows = 10
    private static let scoreTolerance = 1e-4

    /// - Parameter beside: runs meanwhile; the searches go on for as long as it does, and for
    ///   `seconds` at least.
    func measure(seconds: Double, beside: @escaping @Sendable () throws -> Void) throws
        -> MixedResult
    {
        let isStopping = SharedBox(Atomic<Bool>(false))
        let result = Locked<Result<MixedResult, BenchError>>(.success(MixedResult()))
        let load = self
        let searcher = KyroThread(name: "searcher") {
            let outcome: Result<MixedResult, BenchError>
            do {
                outcome = .success(try load.search(until: isStopping))
            } catch {
                outcome = .failure(BenchError("a search failed: \(error)"))
            }
            result.withLock { $0 = outcome }
        }
        let start = clock.monotonicNanos()
        let outcome = Result { try beside() }
        while secondsSince(start) < seconds { pause(seconds: 0.01) }
        isStopping.value.store(true, ordering: .relaxed)
        searcher.join()
        try outcome.get()
        return try result.withLock { try $0.get() }
    }

    private func search(until isStopping: SharedBox<Atomic<Bool>>) throws -> MixedResult {
        let connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
        defer { connection.close() }
        let requests = (0..<data.queries.rowCount).map { query in
            request(data.queries.floats(query)).encodeWire()
        }
        for request in requests.prefix(50) {
            _ = try connection.unary(RequestKind.vector.path, request)
        }
        var result = MixedResult()
        let start = clock.monotonicNanos()
        var number = 0
        while !isStopping.value.load(ordering: .relaxed) {
            let due = Double(number) / Double(Self.searchesPerSecond) - secondsSince(start)
            if due > 0 { pause(seconds: due) }
            let query = number % requests.count
            let rowCount = acknowledged.rowCount
            let sent = clock.monotonicNanos()
            let answer = try connection.unary(RequestKind.vector.path, requests[query])
            result.histogram.record(clock.monotonicNanos() - sent)
            check(try SearchResponse.decode(wire: answer), query, rowCount, &result)
            number += 1
        }
        return result
    }

    func request(_ vector: [Float]) -> SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(vector: vector)
        request.limit = UInt32(ExactTruth.depth)
        return request
    }

    /// - Parameter rowCount: rows acknowledged before the request was sent.
    private func check(
        _ answer: SearchResponse, _ query: Int, _ rowCount: Int, _ result: inout MixedResult
    ) {
        let rows = answer.hits.map { hit in
            if case .number(let row) = hit.id { Int(row) } else { -1 }
        }
        guard rows.count == ExactTruth.depth, Set(rows).count == rows.count,
            rows.allSatisfy({ $0 >= 0 && $0 < data.corpus.rowCount })
        else { return result.report("query \(query) was answered with rows \(rows)") }
        for (place, hit) in answer.hits.enumerated() {
            let score = Self.dot(data.queries.row(query), data.corpus.row(rows[place]), data)
            if abs(score - hit.score) > Self.scoreTolerance {
                result.report("query \(query): row \(rows[place]) has \(score), not \(hit.score)")
            }
            if place > 0, hit.score > answer.hits[place - 1].score {
                result.report("query \(query): hit \(place) is better than the one before")
            }
        }
        let known = data.truth.rows[query].filter { $0 < rowCount }
        let expected = min(known.count, ExactTruth.depth)
        result.expected += expected
        result.found += min(expected, known.count { rows.contains(Int($0)) })
    }

    private static func dot(
        _ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ data: VectorData
    ) -> Double {
        var sum = 0.0
        for i in 0..<data.corpus.dimension { sum += Double(a[i]) * Double(b[i]) }
        return sum
    }

    // MARK: writes

    /// Inserts rows at `writesPerSecond` until `seconds` are over or no row is left, and searches
    /// for one of each batch behind its acknowledgement. Returns rows written and those not found.
    func write(seconds: Double) throws -> (written: Int, missing: Int) {
        let connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
        defer { connection.close() }
        let ingest = IngestClient(connection)
        let client = SearchClient(connection)
        let start = clock.monotonicNanos()
        let first = acknowledged.rowCount
        var written = 0
        var missing = 0
        while secondsSince(start) < seconds,
            first + written + Self.batchRows <= data.corpus.rowCount
        {
            let due = Double(written) / Double(Self.writesPerSecond) - secondsSince(start)
            if due > 0 { pause(seconds: due) }
            let rows = (first + written)..<(first + written + Self.batchRows)
            for outcome in try ingest.upsert(rows.map(document), in: Self.scope).outcomes {
                guard case .applied = outcome else { throw BenchError("\(outcome)") }
            }
            acknowledged.raise(to: rows.upperBound)
            let row = rows.lowerBound + written / Self.batchRows % Self.batchRows
            let hits = try client.search(request(data.corpus.floats(row))).hits
            // Rows that are alike to the bit may fill the ten places.
            let isThere = hits.contains { $0.id == .number(UInt64(row)) }
            if !isThere, (hits.last?.score ?? 0) < 1 - Self.scoreTolerance { missing += 1 }
            written += Self.batchRows
        }
        return (written, missing)
    }

    func document(_ row: Int) -> Document {
        var document = Document(id: .number(UInt64(row)))
        document.vectors[Self.field] = data.corpus.floats(row)
        return document
    }
}
