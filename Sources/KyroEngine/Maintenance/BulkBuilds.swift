// The graphs that are built at once, out of all rows of a field, beside readers and writers.
//
// A shard's maintenance process asks for one where so many rows wait in the tail that inserting them
// one by one would take longer. The engine builds one at a time, for all shards, on threads of
// background priority: a search that wakes takes the core from them at once. Nobody sees the graph
// before it is whole: it grows in a successor of the index, which shares the rows, and takes the
// index's place in the part's root.
import KyroIndex
import KyroModel
import KyroPlatform
import Synchronization

/// A graph to be built of the rows that a field of a part has when its turn comes.
final class BulkJob: Sendable {
    enum Outcome: Sendable {
        case open
        /// Of the same rows, most of them in its graph.
        case built(VectorIndex)
        /// No memory, no rows or cancelled: the rows are inserted one by one.
        case failed
    }

    private static let bytesWorthGivingBack = 1 << 20

    let collection: Collection
    let part: CollectionShard
    let name: String
    let index: VectorIndex
    private let cancellation = Cancellation()
    private let state = Locked(Outcome.open)
    /// Opened at the end.
    private let gate: Gate

    init(
        _ collection: Collection, _ part: CollectionShard, _ name: String, _ index: VectorIndex,
        gate: Gate
    ) {
        self.collection = collection
        self.part = part
        self.name = name
        self.index = index
        self.gate = gate
    }

    var outcome: Outcome { state.withLock { $0 } }
    var isOpen: Bool { if case .open = outcome { true } else { false } }

    func cancel() { cancellation.cancel() }

    fileprivate func end(_ outcome: Outcome) {
        state.withLock { $0 = outcome }
        gate.open()
    }

    fileprivate func run(_ budget: MemoryBudget, _ workers: any BulkWorkers) {
        let byteCount = index.bulkBytes()
        guard !cancellation.isCancelled, budget.hasRoom(for: byteCount) else {
            return end(.failed)
        }
        let successor = VectorIndex(successorOf: index)
        let isBuilt = build(successor, workers)
        // Giving back looks through the whole heap.
        if byteCount >= Self.bytesWorthGivingBack { budget.freed() }
        end(isBuilt ? .built(successor) : .failed)
    }

    private func build(_ successor: VectorIndex, _ workers: any BulkWorkers) -> Bool {
        let view = part.view(seq: .zero, nowMillis: .min)
        guard
            let graph = successor.bulkGraph(
                visibility: view.visibility, workers: workers, cancellation: cancellation)
        else { return false }
        return successor.install(graph, workers: workers, cancellation: cancellation)
    }
}

/// Any thread, but for the turns.
final class BulkBuilds: Sendable {
    private struct State {
        var waiting: [BulkJob] = []
        var current: BulkJob?
        var isStopped = false
    }

    /// Nothing is built twice in a rebuild, so that a smaller graph pays.
    private static let carriedShare = 4

    private let rowsMin: Int
    private let budget: MemoryBudget
    private let team: BulkTeam
    private let state = Locked(State())
    private let gate = Gate()

    /// - Parameters:
    ///   - rowsMin: fewer rows in a tail are inserted one by one.
    ///   - threads: that work on a graph, at least one.
    init(rowsMin: Int, threads: Int, budget: MemoryBudget) {
        self.rowsMin = rowsMin
        self.budget = budget
        team = BulkTeam(helpers: max(1, threads) - 1)
    }

    /// Whether a graph built at once pays for so long a tail: a row costs a third of what inserting
    /// it costs, but those that are in the graph are built once more.
    func isWanted(for index: VectorIndex, _ visibility: Visibility) -> Bool {
        func isLong(_ tail: Int) -> Bool {
            tail > 0 && tail >= rowsMin && tail >= index.graphCount / 2
        }
        guard index.buildsGraph else { return false }
        // The first tells most of them.
        return isLong(index.tailCount) && isLong(index.unfoldedCount(visibility))
    }

    /// Whether a rebuild builds the graph at once that it could carry over, too: 15 µs of processor
    /// a row for 4, as soon as the old one has lost so much that searches pay for it.
    ///
    /// - Parameters:
    ///   - target: has the rows, none of them in its graph.
    ///   - slotCount: slots of `source` below were mapped.
    func isWanted(
        for target: VectorIndex, inPlaceOf source: VectorIndex, below slotCount: Int, map: SlotMap
    ) -> Bool {
        target.rowCount >= rowsMin / Self.carriedShare
            && target.isBetterBuilt(thanCarriedFrom: source, below: slotCount, map: map)
    }

    func add(_ job: BulkJob) {
        let isTaken = state.withLock { state in
            if !state.isStopped { state.waiting.append(job) }
            return !state.isStopped
        }
        if isTaken { gate.open() } else { job.end(.failed) }
    }

    /// What is under way is given up.
    func stop() {
        let jobs = state.withLock { state in
            state.isStopped = true
            let jobs = state.waiting + (state.current.map { [$0] } ?? [])
            state.waiting = []
            return jobs
        }
        for job in jobs { job.cancel() }
        gate.open()
    }

    // MARK: Processes

    func start(_ scheduler: any Scheduler) -> [any ScheduledProcess] {
        // Joined in this order: helpers end after the one who calls them.
        var processes = [
            scheduler.start(name: "kyro-bulk", priority: .background) { mayWait in
                self.turn(mayWait: mayWait)
            }
        ]
        for number in 1..<team.count {
            processes.append(
                scheduler.start(name: "kyro-bulk-\(number)", priority: .background) { mayWait in
                    self.team.helperTurn(number, mayWait: mayWait)
                })
        }
        return processes
    }

    /// One graph. Where turns may not wait for other processes it is this one that builds it.
    private func turn(mayWait: Bool) -> Turn {
        if mayWait, state.withLock({ $0.waiting.isEmpty && !$0.isStopped }) {
            _ = gate.wait(timeoutNanos: 1_000_000_000)
        }
        let (job, isStopped) = state.withLock { state -> (BulkJob?, Bool) in
            state.current = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
            return (state.current, state.isStopped)
        }
        guard let job else {
            guard isStopped else { return .idle }
            team.end()
            return .finished
        }
        job.run(budget, mayWait ? team : SingleWorker())
        state.withLock { $0.current = nil }
        return .again
    }
}

/// The thread that calls, and helpers of its own.
private final class BulkTeam: BulkWorkers {
    private final class Helper: Sendable {
        let begin = Gate()
        let done = Gate()
        let body = Locked<(@Sendable (Int) -> Void)?>(nil)
    }

    private let helpers: [Helper]
    private let isOver = Atomic<Bool>(false)

    init(helpers count: Int) { helpers = (0..<count).map { _ in Helper() } }

    var count: Int { helpers.count + 1 }

    func run(_ body: @escaping @Sendable (Int) -> Void) {
        for helper in helpers {
            helper.body.withLock { $0 = body }
            helper.begin.open()
        }
        body(0)
        for helper in helpers { helper.done.wait() }
    }

    /// No `run` comes after it.
    func end() {
        isOver.store(true, ordering: .sequentiallyConsistent)
        for helper in helpers { helper.begin.open() }
    }

    func helperTurn(_ number: Int, mayWait: Bool) -> Turn {
        let helper = helpers[number - 1]
        if mayWait { helper.begin.wait() }
        let body = helper.body.withLock { body in
            defer { body = nil }
            return body
        }
        if let body {
            body(number)
            helper.done.open()
            return .again
        }
        return isOver.load(ordering: .sequentiallyConsistent) ? .finished : .idle
    }
}
