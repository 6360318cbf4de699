// Every kind of index over every kind of codes and rows, searched while it is written, folded,
// repaired and snapshotted, against brute force over what each search sees. For the sanitizers too.
import Foundation
import KyroIndex
import KyroModel
import TestSupport
import Testing

/// What a field may ask for: kind, codes, what reranks and where that is.
struct IndexCombination: Sendable, CustomStringConvertible {
    let seed: UInt64
    let metric: Metric
    let indexing: VectorIndexing

    var description: String {
        "\(indexing.kind) \(indexing.codes) \(indexing.rerank) \(indexing.storage) \(metric),"
            + " seed \(seed)"
    }

    /// Each kind has each of its codes and rows, under the metrics by turns: a pair of codes and
    /// rows meets all of them.
    static let all: [IndexCombination] = {
        var all: [IndexCombination] = []
        for (turn, kind) in [VectorIndexKind.graph, .ivf, .flat].enumerated() {
            for codes in CodeKindTests.kinds {
                for (rerank, storage) in kept(codes) {
                    let metric = VectorIndexTests.metrics[(all.count + turn) % 3]
                    all.append(
                        IndexCombination(
                            seed: UInt64(all.count + 1), metric: metric,
                            indexing: VectorIndexing(
                                kind: kind, codes: codes, rerank: rerank, storage: storage)))
                }
            }
        }
        return all
    }()

    /// Codes that rows can be told from do without them.
    private static func kept(_ codes: VectorCodes) -> [(VectorRerank, VectorStorage)] {
        let rows: [(VectorRerank, VectorStorage)] = [
            (.f32, .memory), (.f32, .disk), (.bf16, .memory), (.bf16, .disk),
        ]
        return codes == .sq8 || codes == .sq4 ? rows + [(.none, .memory)] : rows
    }

    /// Recall@10 by default.
    var stated: Double {
        switch (indexing.rerank, indexing.codes) {
        // Nothing sets right what 16 steps a dimension cannot tell apart.
        case (.none, .sq4): 0.88
        default: CodeRecallTests.stated(indexing.codes)
        }
    }

    /// An index without rows, its codes trained on others of the same kind.
    func index() -> VectorIndex {
        var parameters = GraphParameters(flatRowsMax: 100)
        if seed % 2 == 0 { parameters.efConstruction = 40 }
        let field = VectorField(
            dimension: StressRows.dimension, metric: metric, indexing: indexing)
        return VectorIndex(
            field: field, parameters: parameters,
            codesOf: StressRows.trained(indexing.codes, metric))
    }
}

@Suite(.serialized) struct VectorStressTests {
    @Test(
        "Every index agrees with brute force while it changes", arguments: IndexCombination.all)
    func agreesWithBruteForce(combination: IndexCombination) {
        let shared = ConcurrentIndex(combination, rowCount: max(600, scaled(3_000)))
        #expect(shared.index.codes == combination.indexing.codes)
        let threads = [
            Self.start { shared.write() }, Self.start { shared.maintain() },
            Self.start { shared.snapshot() },
            Self.start { shared.search(seed: combination.seed << 8) },
            Self.start { shared.search(seed: combination.seed << 8 | 1) },
        ]
        for thread in threads { thread.wait() }
        let failures = shared.failures.withLock { $0 }
        #expect(failures.isEmpty, "\(combination): \(failures.prefix(5))")
        let outcome = shared.outcome.withLock { $0 }
        print("stress \(combination): \(outcome), \(shared.index.goneCount) gone")
        for (part, tally) in [("all", outcome.unfiltered), ("filtered", outcome.filtered)] {
            #expect(tally.recall >= combination.stated, "\(combination), \(part): \(tally)")
        }
        #expect(outcome.snapshots > 0 && outcome.filtered.wanted >= 100)
        let scans: Set<VectorStrategy> = [.flat, .filteredFlat, .none]
        #expect(outcome.strategies.subtracting(scans) == shared.walks)
        #expect(combination.indexing.kind != .flat || shared.index.indexedCount == 0)
    }

    private static func start(_ body: @escaping @Sendable () -> Void) -> DispatchSemaphore {
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            body()
            done.signal()
        }
        return done
    }
}
