// Look-ups, searches and acknowledged writes beside a steady ingest, without and with a snapshot being
// taken.
import KyroClient
import KyroModel
import KyroPlatform
import KyroWire
import Synchronization

struct SnapshotLoadRun {
    let options: SnapshotOptions
    let documents: SyntheticDocuments
    let endpoint: Endpoint

    static let readsPerSecond = 200
    static let writesPerSecond = 1_000
    static let documentsPerWrite = 10
    static let factorMax = 3.0
    static let millisMin = 3.0

    enum Kind: String, CaseIterable, Sendable {
        case lookup
        case search
        case write
    }

    /// What one client thread found.
    private struct Measured: Sendable {
        var kind: Kind
        var histogram = Histogram()
        var seconds = 0.0
        var problem: String?
    }

    func measure(_ report: FigureReport) throws {
        note("load without a snapshot")
        _ = try load(seconds: min(3, options.seconds), numbersFrom: 0) { nil }
        let idle = try load(seconds: options.seconds, numbersFrom: 1 << 20) { nil }
        note("load with a snapshot")
        let snapshots = Locked<[Result<SnapshotResponse, KyroError>]>([])
        let busy = try load(seconds: options.seconds, numbersFrom: 2 << 20) {
            KyroThread(name: "snapshots") { snapshot(into: snapshots) }
        }
        let taken = try snapshots.withLock({ $0 }).map { try $0.get() }
        let seconds = taken.reduce(0) { $0 + Double($1.micros) / 1e6 }
        report.fact("under load: snapshot taken in", seconds, "s")
        report.fact(
            "under load: snapshot written at",
            Double(taken.reduce(0) { $0 + $1.bytes }) / 1e6 / max(seconds, 1e-6), "MB/s")
        for kind in Kind.allCases {
            guard let without = idle[kind], let with = busy[kind] else { continue }
            let p99 = Double(without.quantile(0.99)) / 1e6
            let name = "under load: \(kind.rawValue)"
            report.fact("\(name) p50 without a snapshot", Double(without.quantile(0.5)) / 1e6, "ms")
            report.fact("\(name) p50 with it", Double(with.quantile(0.5)) / 1e6, "ms")
            report.fact("\(name) p99 without a snapshot", p99, "ms")
            report.fact("\(name) maximum with it", Double(with.maximum) / 1e6, "ms")
            report.add(
                .atMost(
                    max(Self.factorMax * p99, Self.millisMin), "\(name) p99 with a snapshot",
                    Double(with.quantile(0.99)) / 1e6, "ms", isCount: false))
        }
    }

    private func snapshot(into answers: Locked<[Result<SnapshotResponse, KyroError>]>) {
        do throws(KyroError) {
            let connection = try Connection(
                to: endpoint, timeouts: Timeouts(callMillis: 600_000))
            defer { connection.close() }
            let answer = try OperationsClient(connection).snapshot()
            answers.withLock { $0.append(.success(answer)) }
        } catch {
            answers.withLock { $0.append(.failure(error)) }
        }
    }

    /// - Parameter beside: started with the load; the load goes on for as long as it runs, and for
    ///   `seconds` where there is none.
    private func load(
        seconds: Double, numbersFrom first: Int, beside: () -> KyroThread?
    ) throws -> [Kind: Histogram] {
        let isStopping = SharedBox(Atomic<Bool>(false))
        let results = Locked<[Measured]>([])
        let run = self
        let threads = Kind.allCases.map { kind in
            KyroThread(name: kind.rawValue) {
                let measured = run.client(kind, firstNumber: first, isStopping)
                results.withLock { $0.append(measured) }
            }
        }
        // Connections are made, caches warm.
        pause(seconds: 0.5)
        if let other = beside() { other.join() } else { pause(seconds: seconds) }
        isStopping.value.store(true, ordering: .relaxed)
        for thread in threads { thread.join() }
        var histograms: [Kind: Histogram] = [:]
        for measured in results.withLock({ $0 }) {
            if let problem = measured.problem {
                throw BenchError("\(measured.kind.rawValue): \(problem)")
            }
            histograms[measured.kind] = measured.histogram
        }
        return histograms
    }

    private func client(
        _ kind: Kind, firstNumber: Int, _ isStopping: SharedBox<Atomic<Bool>>
    ) -> Measured {
        var measured = Measured(kind: kind)
        do {
            let connection = try Connection(
                to: endpoint, timeouts: Timeouts(callMillis: 60_000))
            defer { connection.close() }
            let perSecond =
                kind == .write
                ? Self.writesPerSecond / Self.documentsPerWrite : Self.readsPerSecond
            let start = clock.monotonicNanos()
            var number = 0
            while !isStopping.value.load(ordering: .relaxed) {
                let due = Double(number) / Double(perSecond) - secondsSince(start)
                if due > 0 { pause(seconds: due) }
                let (path, bytes) = request(kind, firstNumber + number)
                let sent = clock.monotonicNanos()
                let answer = try connection.unary(path, bytes)
                measured.histogram.record(clock.monotonicNanos() - sent)
                try check(answer, kind)
                number += 1
            }
            measured.seconds = secondsSince(start)
        } catch {
            measured.problem = "\(error)"
        }
        return measured
    }

    private func request(_ kind: Kind, _ number: Int) -> (path: String, bytes: [UInt8]) {
        let count = options.documentCount
        switch kind {
        case .lookup:
            var chance = Chance(UInt64(number))
            let id = documents.id(chance.below(count))
            return (
                RequestKind.lookup.path,
                LookupRequest(scope: documents.scope, ids: [id]).encodeWire()
            )
        case .search:
            return (
                RequestKind.vector.path,
                documents.vectorRequest(number, among: count).encodeWire()
            )
        case .write:
            // Under ids of their own: what the first ones hold is compared later.
            let mutations = (0..<Self.documentsPerWrite).map { place -> DecodedMutation in
                var document = documents.document((number * 31 + place) % count)
                document.id = .text("load-\(number)-\(place)")
                return .success(.upsert(document))
            }
            return (
                "/kyrodb.v2.Ingest/Write",
                WriteRequest(scope: documents.scope, mutations: mutations).encodeWire()
            )
        }
    }

    private func check(_ answer: [UInt8], _ kind: Kind) throws {
        switch kind {
        case .lookup:
            guard try LookupResponse.decode(wire: answer).results.first?.document != nil else {
                throw BenchError("a document is missing")
            }
        case .search:
            guard try !SearchResponse.decode(wire: answer).hits.isEmpty else {
                throw BenchError("a search found nothing")
            }
        case .write:
            for outcome in try WriteResponse.decode(wire: answer).outcomes {
                guard case .applied = outcome else { throw BenchError("\(outcome)") }
            }
        }
    }
}
