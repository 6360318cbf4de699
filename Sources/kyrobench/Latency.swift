// Latencies and throughput of one kind of request, with or without documents written meanwhile.
import KyroClient
import KyroModel
import KyroPlatform
import KyroWire
import Synchronization

struct LatencyResult: Sendable {
    var kind: RequestKind
    var clients: Int
    var isDuringIngest: Bool
    var histogram: Histogram
    var seconds: Double
    /// Of the ids of all answers in order; of one idle client alone, where nothing changes them.
    var hash: UInt64?
    /// Answers without a hit, or with a missing document.
    var emptyAnswers = 0
    /// Requests sent before those measured.
    var warmUps = 0
    /// Processor time of the server, writes meanwhile included; nil for another's server.
    var serverCPUSeconds: Double?
    /// Documents written per second meanwhile.
    var writesPerSecond: Double?

    var perSecond: Double { Double(histogram.count) / seconds }
    /// Warm-up counts in both.
    var serverMillisPerRequest: Double? {
        serverCPUSeconds.map { $0 * 1_000 / Double(histogram.count + UInt64(warmUps)) }
    }
    func millis(_ fraction: Double) -> Double { Double(histogram.quantile(fraction)) / 1e6 }
}

struct LatencyRun {
    let workload: Workload
    let endpoint: Endpoint
    /// Measured, of each run; as many different ones.
    let requestCount: Int
    let warmUpCount: Int

    /// What a client thread hands back.
    private struct ClientResult: Sendable {
        var histogram = Histogram()
        var answers: [[UInt8]] = []
        var emptyAnswers = 0
        var seconds = 0.0
    }

    func measure(_ kind: RequestKind, clients: Int) throws -> LatencyResult {
        let perClient = (requestCount + clients - 1) / clients
        let results = SharedBox(Mutex<[Result<ClientResult, BenchError>]>([]))
        let keepsAnswers = clients == 1
        let run = self
        let threads = (0..<clients).map { client in
            let requests = workload.requests(
                kind, count: perClient + warmUpCount, stream: UInt64(client))
            return KyroThread(name: "client-\(client)") {
                let result: Result<ClientResult, BenchError>
                do {
                    result = .success(
                        try run.send(requests, to: kind.path, keepsAnswers: keepsAnswers))
                } catch {
                    result = .failure(BenchError("\(kind.rawValue): \(error)"))
                }
                results.value.withLock { $0.append(result) }
            }
        }
        for thread in threads { thread.join() }
        var total = LatencyResult(
            kind: kind, clients: clients, isDuringIngest: false, histogram: Histogram(), seconds: 0)
        total.warmUps = warmUpCount * clients
        for result in results.value.withLock({ $0 }) {
            let result = try result.get()
            total.histogram.merge(result.histogram)
            total.seconds = max(total.seconds, result.seconds)
            total.emptyAnswers += result.emptyAnswers
            if keepsAnswers {
                var hash = ResultHash()
                for answer in result.answers {
                    if try !hash.add(answer, of: kind) { total.emptyAnswers += 1 }
                }
                total.hash = hash.value
            }
        }
        return total
    }

    private func send(
        _ requests: [[UInt8]], to path: String, keepsAnswers: Bool
    ) throws -> ClientResult {
        let connection = try Connection(to: endpoint)
        defer { connection.close() }
        for request in requests.prefix(warmUpCount) { _ = try connection.unary(path, request) }
        var result = ClientResult()
        if keepsAnswers { result.answers.reserveCapacity(requests.count) }
        let start = clock.monotonicNanos()
        for request in requests.dropFirst(warmUpCount) {
            let sent = clock.monotonicNanos()
            let answer = try connection.unary(path, request)
            result.histogram.record(clock.monotonicNanos() - sent)
            if answer.isEmpty { result.emptyAnswers += 1 }
            if keepsAnswers { result.answers.append(answer) }
        }
        result.seconds = secondsSince(start)
        return result
    }
}

/// A mutex that a thread's body may hold.
final class SharedBox<Value: ~Copyable & Sendable>: Sendable {
    let value: Value

    init(_ value: consuming Value) { self.value = value }
}

/// FNV-1a over the ids of answers, in order.
struct ResultHash {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ id: DocumentID) {
        for byte in "\(id)\n".utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    /// False where an answer has no hit or lacks a document.
    mutating func add(_ answer: [UInt8], of kind: RequestKind) throws -> Bool {
        if kind == .lookup {
            let results = try LookupResponse.decode(wire: answer).results
            for result in results { add(result.id) }
            return results.allSatisfy { $0.document != nil }
        }
        let hits = try SearchResponse.decode(wire: answer).hits
        for hit in hits { add(hit.id) }
        return !hits.isEmpty
    }
}

/// Writes documents at a steady pace over a stream of its own until it is stopped.
final class PacedWriter: Sendable {
    /// Small batches, as a producer sends that has a document every other millisecond.
    static let batchDocuments = 10

    private struct State {
        var isStopping = false
        var written = 0
        var seconds = 0.0
        var problem: String?
    }

    private let state = Mutex(State())
    private let thread = Mutex<KyroThread?>(nil)

    init(_ workload: Workload, to endpoint: Endpoint, perSecond: Int) {
        let thread = KyroThread(name: "writer") { [self] in
            do {
                try write(workload, to: endpoint, perSecond: perSecond)
            } catch {
                state.withLock { $0.problem = "\(error)" }
            }
        }
        self.thread.withLock { $0 = thread }
    }

    private func write(_ workload: Workload, to endpoint: Endpoint, perSecond: Int) throws {
        let connection = try Connection(to: endpoint)
        defer { connection.close() }
        let start = clock.monotonicNanos()
        let stream = try IngestClient(connection).stream(
            StreamOpen(scope: workload.scope, producer: "paced-\(start)"))
        let random = SeededRandomSource(seed: workload.seed ^ 0x5EED)
        var batch: UInt64 = 0
        var written = 0
        while !state.withLock({ $0.isStopping }) {
            let due = Double(written) / Double(perSecond) - secondsSince(start)
            if due > 0 { pause(seconds: min(due, 0.5)) }
            batch += 1
            try stream.send(
                StreamBatch(
                    clientSequence: batch,
                    mutations: (0..<Self.batchDocuments).map {
                        .success(.upsert(workload.writtenDocument(written + $0, random)))
                    }))
            written += Self.batchDocuments
            try refuseErrors(stream.takeAcks())
        }
        try stream.finish()
        try refuseErrors(stream.takeAcks())
        state.withLock { [written] in
            $0.written = written
            $0.seconds = secondsSince(start)
        }
    }

    /// Documents per second, acknowledged all of them.
    func stop() throws -> Double {
        state.withLock { $0.isStopping = true }
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        return try state.withLock { state in
            if let problem = state.problem { throw BenchError("the writer failed: \(problem)") }
            return Double(state.written) / state.seconds
        }
    }
}

func refuseErrors(_ acks: [StreamAck]) throws {
    for ack in acks {
        if let first = ack.errors.first {
            throw BenchError("document \(first.index) was refused: \(first.error.message)")
        }
    }
}
