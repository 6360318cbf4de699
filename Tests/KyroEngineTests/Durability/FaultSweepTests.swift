// One call of the file system fails, whichever it is, during a fixed life of an engine: starts,
// writes, rotations, snapshots, a drop, clean stops. Every case ends as promised: what was
// acknowledged is there afterwards and nothing else, a write is refused with its reason, reads go
// on; and what lacked room only goes on by itself.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

/// What a document may be, by what was acknowledged and what was tried since.
private struct Expectation {
    /// By id; nil is absent. The first is what was acknowledged.
    private var allowed: [UInt64: [String?]] = [:]
    var isDropped = false
    /// Whether the drop is in doubt.
    var mayBeDropped = false

    mutating func acknowledge(_ id: UInt64, _ word: String?) { allowed[id] = [word] }
    mutating func attempt(_ id: UInt64, _ word: String?) {
        allowed[id, default: [nil]].append(word)
    }

    var acknowledged: [UInt64: String] {
        allowed.compactMapValues { $0.first.flatMap { $0 } }
    }

    /// What contradicts it; empty when nothing does.
    func problems(_ found: [UInt64: String]) -> String {
        var text = ""
        for (id, words) in allowed where !words.contains(found[id]) {
            text += " document \(id) is \(found[id] ?? "absent"), not \(words)"
        }
        for id in found.keys where allowed[id] == nil { text += " document \(id) is there" }
        return text
    }
}

/// The life of an engine, over files of which one call fails.
private final class Life {
    static let scope = Scope(namespace: "life")
    static let other = Scope(namespace: "other")
    private let disk: MemoryFileSystem
    private let files: FaultyFileSystem
    private let isTemporary: Bool
    private var expectation = Expectation()
    private var version = 0
    private var engine: TurnedEngine?
    /// What went wrong, for the test to report.
    private(set) var problems: [String] = []

    init(_ disk: MemoryFileSystem, _ files: FaultyFileSystem, isTemporary: Bool) {
        self.disk = disk
        self.files = files
        self.isTemporary = isTemporary
    }

    /// - Parameter rounds: each starts, writes, takes a snapshot and stops.
    func run(rounds: Int) {
        for round in 0..<rounds {
            open()
            write(1...3)
            if round == 0 {
                _ = try? engine?.write([upsert(1)], to: Self.other, creating: Schema())
            }
            for first in stride(from: 4, to: 20, by: 4) as StrideTo<UInt64> {
                write(first...(first + 3))
            }
            remove(2)
            read("while open")
            snapshot()
            write(20...24)
            if round == 1 { drop() }
            snapshot()
            write(1...2)
            read("before the stop")
            checkImage(
                disk.afterPowerCut(SeededRandomSource(seed: UInt64(round))), "after a power cut")
            engine?.close()
            engine = nil
        }
        checkImage(disk.copy(), "after the stop")
    }

    /// One fault at most: the second attempt succeeds.
    private func open() {
        for attempt in 0..<3 {
            do throws(KyroError) {
                let opened = try TurnedEngine(files) {
                    $0.reserve = ReserveSize(bytes: 512, bytesPerShard: 0)
                }
                if opened.engine.status().shards[0].state != .stopped {
                    engine = opened
                    return
                }
                // With the reason; an operator starts it again.
                if opened.engine.status().shards[0].problem.isEmpty {
                    problems.append("stopped without a reason")
                }
                opened.close()
            } catch {
                if error.message.isEmpty || attempt > 1 { problems.append("open: \(error)") }
            }
        }
        problems.append("it did not open")
    }

    private func upsert(_ id: UInt64) -> Mutation {
        var document = Document(id: .number(id))
        document.texts["t"] = "v\(version)"
        document.vectors["v"] = [Float(id), 1]
        return .upsert(document)
    }

    private func write(_ ids: ClosedRange<UInt64>) {
        version += 1
        change(ids.map { ($0, "v\(version)") }, ids.map { upsert($0) })
    }

    private func remove(_ id: UInt64) {
        guard expectation.acknowledged[id] != nil else { return }
        change([(id, nil)], [.remove(.number(id))])
    }

    private func change(_ effects: [(UInt64, String?)], _ mutations: [Mutation]) {
        guard let engine else { return }
        let isReadOnly = engine.engine.status().shards[0].state == .readOnly
        do throws(KyroError) {
            let outcomes = try engine.write(mutations, to: Self.scope, creating: Schema())
            for (effect, outcome) in zip(effects, outcomes) {
                switch outcome {
                case .applied: expectation.acknowledge(effect.0, effect.1)
                case .notFound, .duplicate: problems.append("\(outcome) for \(effect.0)")
                case .failed(let error):
                    check(error)
                    // Refused without being tried is not there afterwards.
                    if !isReadOnly { expectation.attempt(effect.0, effect.1) }
                }
            }
        } catch {
            check(error)
        }
    }

    private func check(_ error: KyroError) {
        let isTold = error.code == .resourceExhausted || error.code == .unavailable
        if !isTold || error.message.isEmpty { problems.append("refused with \(error)") }
        if error.code == .resourceExhausted, error.retryAfterMillis == nil {
            problems.append("no time to try again: \(error)")
        }
        if isTemporary, error.reason == "SHARD_READ_ONLY" { problems.append("\(error)") }
    }

    private func snapshot() {
        guard let engine else { return }
        do throws(KyroError) {
            _ = try engine.answer { engine.engine.snapshot(completion: $0) }
        } catch {
            if error.message.isEmpty { problems.append("a snapshot failed without a reason") }
        }
    }

    private func drop() {
        guard let engine else { return }
        do throws(KyroError) {
            _ = try engine.answer {
                engine.engine.dropCollection(
                    DropCollectionRequest(scope: Self.other), completion: $0)
            }
            expectation.isDropped = true
        } catch {
            if error.code != .notFound { check(error) }
            expectation.mayBeDropped = true
        }
    }

    /// Reads tell exactly what was acknowledged, whatever failed.
    private func read(_ when: String) {
        guard let engine else { return }
        do throws(KyroError) {
            let found = try Self.words(engine)
            // What an earlier life left in doubt may be there.
            let text = expectation.problems(found)
            if !text.isEmpty { problems.append("\(when):\(text)") }
        } catch {
            if error.reason != "COLLECTION_NOT_FOUND" || !expectation.acknowledged.isEmpty {
                problems.append("\(when): \(error)")
            }
        }
    }

    private static func words(_ engine: TurnedEngine) throws(KyroError) -> [UInt64: String] {
        var found: [UInt64: String] = [:]
        for document in try engine.scan(scope) {
            if case .number(let id) = document.id { found[id] = document.texts["t"] }
        }
        return found
    }

    /// Without faults everything opens, holds what was acknowledged, and is written to.
    private func checkImage(_ image: MemoryFileSystem, _ when: String) {
        do throws(KyroError) {
            let opened = try TurnedEngine(image)
            defer { opened.close() }
            let status = opened.engine.status().shards[0]
            guard status.state == .serving else {
                problems.append("\(when): \(status.problem)")
                return
            }
            let found: [UInt64: String]
            do throws(KyroError) {
                found = try Self.words(opened)
            } catch {
                if error.reason != "COLLECTION_NOT_FOUND" { throw error }
                found = [:]
            }
            let text = expectation.problems(found)
            if !text.isEmpty { problems.append("\(when):\(text)") }
            if expectation.isDropped, (try? opened.scan(Self.other)) != nil {
                problems.append("\(when): the dropped collection is back")
            }
            let outcome = try opened.write([upsert(99)], to: Self.scope, creating: Schema())[0]
            if !outcome.isApplied { problems.append("\(when): \(outcome)") }
        } catch {
            problems.append("\(when): \(error)")
        }
    }
}

@Suite struct FaultSweepTests {
    private static let rounds = 3
    private static let callsMax = 200

    /// Counts calls of one kind and fails one of them.
    private final class Plan: Sendable {
        private let count = Locked(0)
        let operation: FileOperation
        let failing: Int?
        let errno: Errno

        init(_ operation: FileOperation, failing: Int?, _ errno: Errno) {
            self.operation = operation
            self.failing = failing
            self.errno = errno
        }

        var calls: Int { count.withLock { $0 } }

        func files(_ disk: MemoryFileSystem) -> FaultyFileSystem {
            FaultyFileSystem(disk) { [self] event, _ in
                guard event.operation == operation else { return nil }
                let call = count.withLock { count -> Int in
                    defer { count += 1 }
                    return count
                }
                guard call == failing else { return nil }
                return operation == .write ? .shortWrite(byteCount: call % 50, errno) : .fail(errno)
            }
        }
    }

    private func life(
        _ operation: FileOperation, failing: Int?, _ errno: Errno, isTemporary: Bool
    ) -> (calls: Int, problems: [String]) {
        let disk = MemoryFileSystem()
        let plan = Plan(operation, failing: failing, errno)
        let life = Life(disk, plan.files(disk), isTemporary: isTemporary)
        life.run(rounds: Self.rounds)
        return (plan.calls, life.problems)
    }

    private func sweep(_ operation: FileOperation, _ errno: Errno, isTemporary: Bool) {
        let whole = life(operation, failing: nil, errno, isTemporary: isTemporary)
        #expect(whole.problems.isEmpty, "without a fault: \(whole.problems)")
        let calls = min(whole.calls, Self.callsMax)
        for call in 0..<calls where scaled(calls) == calls || call % (calls / scaled(calls)) == 0 {
            let problems = life(operation, failing: call, errno, isTemporary: isTemporary).problems
            #expect(problems.isEmpty, "\(errno) at \(operation) \(call) of \(calls): \(problems)")
        }
    }

    @Test(arguments: FileOperation.allCases)
    func anInputErrorAtAnyCall(operation: FileOperation) {
        sweep(operation, .inputOutput, isTemporary: false)
    }

    /// No restart is needed after any of these.
    @Test(arguments: [FileOperation.write, .allocate, .create, .rename])
    func aFullVolumeAtAnyCall(operation: FileOperation) {
        sweep(operation, .noSpace, isTemporary: true)
    }

    @Test(arguments: [FileOperation.open, .create, .list, .syncDirectory])
    func noDescriptorAtAnyCall(operation: FileOperation) {
        sweep(operation, .processFilesFull, isTemporary: true)
    }
}
