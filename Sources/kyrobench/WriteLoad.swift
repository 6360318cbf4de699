// Small single writes, each acknowledged before its caller sends the next: what a commit costs.
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform
import Synchronization

struct WriteLoad {
    let endpoint: Endpoint
    /// Of each number of connections.
    let requestCount: Int

    static let clientCounts = [1, 2, 4, 16]

    struct Row {
        var clients: Int
        var histogram: Histogram
        var seconds: Double
    }

    func run() throws -> [Row] {
        let scope = Scope(namespace: "kyrobench-writes")
        let connection = try Connection(to: endpoint)
        defer { connection.close() }
        _ = try CollectionsClient(connection).create(scope)
        var rows: [Row] = []
        for clients in Self.clientCounts { rows.append(try measure(clients, scope)) }
        _ = try CollectionsClient(connection).drop(scope)
        return rows
    }

    private func measure(_ clients: Int, _ scope: Scope) throws -> Row {
        let results = SharedBox(Mutex<[Result<Histogram, BenchError>]>([]))
        let load = self
        let start = clock.monotonicNanos()
        let threads = (0..<clients).map { client in
            KyroThread(name: "client-\(client)") {
                let result: Result<Histogram, BenchError>
                do {
                    let count = load.requestCount / clients
                    result = .success(try load.write(count, client, scope))
                } catch {
                    result = .failure(BenchError("a write failed: \(error)"))
                }
                results.value.withLock { $0.append(result) }
            }
        }
        for thread in threads { thread.join() }
        var row = Row(clients: clients, histogram: Histogram(), seconds: secondsSince(start))
        for result in results.value.withLock({ $0 }) { row.histogram.merge(try result.get()) }
        return row
    }

    private func write(_ count: Int, _ client: Int, _ scope: Scope) throws -> Histogram {
        let connection = try Connection(to: endpoint)
        defer { connection.close() }
        let ingest = IngestClient(connection)
        var histogram = Histogram()
        for number in 0..<count {
            var document = Document(id: .number(UInt64(client * count + number)))
            document.metadata["n"] = .int64(Int64(number))
            let sent = clock.monotonicNanos()
            let response = try ingest.upsert([document], in: scope)
            histogram.record(clock.monotonicNanos() - sent)
            guard case .applied = response.outcomes.first else {
                throw BenchError("\(response.outcomes)")
            }
        }
        return histogram
    }

    static func table(_ rows: [Row]) -> Table {
        var table = Table([
            .init("connections", isRightAligned: true), .init("writes/s", isRightAligned: true),
            .init("p50 ms", isRightAligned: true), .init("p99 ms", isRightAligned: true),
        ])
        for row in rows {
            table.append([
                String(row.clients), fixed(Double(row.histogram.count) / row.seconds, 0),
                fixed(Double(row.histogram.quantile(0.5)) / 1e6, 3),
                fixed(Double(row.histogram.quantile(0.99)) / 1e6, 3),
            ])
        }
        return table
    }
}
