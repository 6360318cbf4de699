// Recall and work on real embeddings, where `KYRODB_DATA` says where they lie.
import Foundation
import KyroIndex
import KyroModel
import Testing

/// A NumPy array of two dimensions: float16 or float32, C order.
struct NumPyArray {
    let rows: Int
    let columns: Int
    let values: [Float]

    init?(path: String) {
        guard let data = FileManager.default.contents(atPath: path), data.count > 10 else {
            return nil
        }
        let bytes = [UInt8](data)
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        let header = String(decoding: bytes[10..<start], as: UTF8.self)
        guard let open = header.range(of: "'shape': ("),
            let close = header.range(of: ")", range: open.upperBound..<header.endIndex)
        else { return nil }
        let shape = header[open.upperBound..<close.lowerBound].split(separator: ",").compactMap {
            Int($0.trimmingCharacters(in: .whitespaces))
        }
        guard shape.count == 2 else { return nil }
        (rows, columns) = (shape[0], shape[1])
        let total = rows * columns
        values = bytes.withUnsafeBytes { raw in
            if header.contains("<f2") {
                return (0..<total).map {
                    Float(raw.loadUnaligned(fromByteOffset: start + 2 * $0, as: Float16.self))
                }
            }
            return (0..<total).map {
                raw.loadUnaligned(fromByteOffset: start + 4 * $0, as: Float.self)
            }
        }
    }

    func row(_ row: Int) -> [Float] { Array(values[(row * columns)..<((row + 1) * columns)]) }
}

@Suite(.serialized) struct WordnetTests {
    static let folder = ProcessInfo.processInfo.environment["KYRODB_DATA"].map { $0 + "/wordnet" }

    static func load() -> (corpus: NumPyArray, queries: NumPyArray)? {
        guard let folder, let corpus = NumPyArray(path: folder + "/corpus.npy"),
            let queries = NumPyArray(path: folder + "/queries.npy")
        else {
            print("wordnet test skipped: KYRODB_DATA is not set or has no wordnet")
            return nil
        }
        return (corpus, queries)
    }

    /// Two indexes as in a server of two shards; rows in random order.
    static func build(_ corpus: NumPyArray) -> [VectorFixture] {
        let field = VectorField(dimension: corpus.columns, metric: .cosine)
        var shards = [VectorFixture(field: field), VectorFixture(field: field)]
        var numbers = SeededNumbers(seed: 11)
        var order = Array(0..<corpus.rows)
        for i in stride(from: order.count - 1, to: 0, by: -1) {
            order.swapAt(i, numbers.below(i + 1))
        }
        for (i, row) in order.enumerated() { shards[i & 1].insert(corpus.row(row)) }
        return shards
    }

    @Test func recallAndWorkOnRealEmbeddings() throws {
        guard let (corpus, queries) = Self.load() else { return }
        let shards = Self.build(corpus)
        try checkDefaultSettings(corpus, queries, shards)
        try checkFiltersAndDeletes(queries, shards)
    }

    private func checkDefaultSettings(
        _ corpus: NumPyArray, _ queries: NumPyArray, _ shards: [VectorFixture]
    ) throws {
        let clock = ContinuousClock()
        let folding = clock.measure { for shard in shards { shard.fold() } }
        let folded = shards.reduce(0) { $0 + $1.index.graphCount }
        #expect(folded == corpus.rows)
        print("fold: \(Int(Double(folded) / seconds(folding))) rows/s on one thread")
        let bytes = shards.reduce(0) { $0 + $1.index.residentBytes }
        print("resident: \(bytes / corpus.rows) bytes a row of \(corpus.columns * 4)")

        var scratch = VectorScratch()
        let asked = min(queries.rows, 300)
        var truth: [[Float]] = []
        for q in 0..<asked {
            truth.append(try top(queries.row(q), shards, k: 10, exact: true, &scratch).scores)
        }
        for (k, ef) in [(10, 0), (10, 48), (10, 64), (10, 128), (100, 0)] {
            var found = 0
            var scored = 0
            var times: [Double] = []
            for q in 0..<asked {
                let query = queries.row(q)
                var answer: (scores: [Float], scored: Int) = ([], 0)
                let time = try clock.measure {
                    answer = try top(query, shards, k: k, ef: ef, exact: false, &scratch)
                }
                times.append(seconds(time) / Double(shards.count) * 1e6)
                scored += answer.scored
                let worst = truth[q].last ?? 0
                found += min(10, answer.scores.count { $0 >= worst })
            }
            times.sort()
            let recall = Double(found) / Double(10 * asked)
            let share = Double(scored) / Double(asked * corpus.rows)
            print(
                "k \(k), ef \(ef == 0 ? "default" : String(ef)): recall@10 \(recall),",
                "rows scored \(scored / asked) = \((share * 1e5).rounded() / 1e3) %,",
                "p50 \(Int(times[asked / 2])) µs, p99 \(Int(times[asked * 99 / 100])) µs an index")
            if ef == 0 {
                #expect(recall >= 0.97)
                #expect(share <= 0.05)
            }
        }
    }

    /// Masks of 1 to 90 % of the rows at random, then every second row dead.
    private func checkFiltersAndDeletes(
        _ queries: NumPyArray, _ folded: [VectorFixture]
    ) throws {
        var shards = folded
        var numbers = SeededNumbers(seed: 12)
        for percent in [1, 5, 10, 20, 30, 50, 90] {
            let masks = shards.map { shard in
                var mask = SlotMask(slotCount: shard.slotCount)
                for slot in 0..<shard.slotCount where numbers.below(100) < percent {
                    mask.insert(slot)
                }
                return mask
            }
            let recall = try measure("filter of \(percent) %", shards, queries, masks: masks)
            #expect(recall >= 0.97, "\(percent) %")
        }
        for percent in [10, 50, 90] {
            for i in shards.indices {
                let wanted = shards[i].slotCount * (100 - percent) / 100
                while shards[i].alive.count > wanted {
                    let slot = numbers.below(shards[i].slotCount)
                    if shards[i].alive.contains(slot) { shards[i].remove(slot) }
                }
            }
            let recall = try measure("\(percent) % dead", shards, queries, masks: [nil, nil])
            #expect(recall >= 0.97, "\(percent) % dead")
        }
    }

    private func measure(
        _ name: String, _ shards: [VectorFixture], _ queries: NumPyArray, masks: [SlotMask?]
    ) throws -> Double {
        var scratch = VectorScratch()
        let clock = ContinuousClock()
        let asked = 50
        var found = 0
        var scored = 0
        var times: [Double] = []
        var strategy = VectorStrategy.none
        for q in 0..<asked {
            let query = queries.row(queries.rows - 1 - q)
            var truth: [ScoredSlot] = []
            var hits: [ScoredSlot] = []
            for (i, shard) in shards.enumerated() {
                var counters = SearchCounters()
                truth += try shard.search(
                    query, k: 10, exact: true, mask: masks[i], scratch: &scratch,
                    counters: &counters
                ).hits
                counters = SearchCounters()
                let time = try clock.measure {
                    let answer = try shard.search(
                        query, k: 10, mask: masks[i], scratch: &scratch, counters: &counters)
                    hits += answer.hits
                    strategy = answer.plan.strategy
                }
                times.append(seconds(time) * 1e6)
                scored += counters.rowsScored
            }
            truth.sort { $0.score > $1.score }
            hits.sort { $0.score > $1.score }
            found += hits.prefix(10).count { $0.score >= truth[9].score }
        }
        times.sort()
        let recall = Double(found) / Double(10 * asked)
        print(
            "\(name): \(strategy), recall@10 \(recall), \(scored / asked) rows scored,",
            "p50 \(Int(times[times.count / 2])) µs, p99 \(Int(times[times.count * 99 / 100])) µs")
        return recall
    }

    /// Merged over the shards, best first.
    private func top(
        _ query: [Float], _ shards: [VectorFixture], k: Int, ef: Int = 0, exact: Bool,
        _ scratch: inout VectorScratch
    ) throws -> (scores: [Float], scored: Int) {
        var counters = SearchCounters()
        var scores: [Float] = []
        for shard in shards {
            scores += try shard.search(
                query, k: k, efSearch: ef, exact: exact, scratch: &scratch, counters: &counters
            ).hits.map(\.score)
        }
        scores.sort(by: >)
        return (Array(scores.prefix(k)), counters.rowsScored)
    }

    private func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}
