// The process ends at every operation on the disk in turn, in its life and in its recovery.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct CrashPointTests {
    private enum Act {
        case create(Scope)
        case drop(Scope)
        case write(Scope, [Mutation])
        case snapshot
    }

    private typealias State = [Scope: Model]

    private static let scopes = [Scope(namespace: "one"), Scope(namespace: "two")]
    private static let settings = EngineSettings(logSegmentBytes: 2_048)

    private static func script(seed: UInt64) -> [Act] {
        var world = World(seed: seed)
        world.idsMax = 12
        var acts: [Act] = [.create(scopes[0])]
        for round in 0..<6 {
            for _ in 0..<3 {
                let changes = (0..<(1 + world.dice.below(5))).map { _ in world.mutation() }
                acts.append(.write(scopes[0], changes.filter(\.isValid).map(\.0)))
            }
            switch round {
            case 0: acts.append(.create(scopes[1]))
            case 1, 3, 4: acts.append(.snapshot)
            case 2:
                acts += [.write(scopes[1], [.upsert(world.document(.number(1)))]), .snapshot]
                acts += [.drop(scopes[1]), .create(scopes[1])]
            default: continue
            }
        }
        return acts
    }

    /// What an act makes of a state.
    private static func after(_ act: Act, _ state: State) -> State {
        var state = state
        switch act {
        case .create(let scope): state[scope] = Model()
        case .drop(let scope): state[scope] = nil
        case .write(let scope, let changes):
            for change in changes { _ = state[scope]?.apply(change) }
        case .snapshot: break
        }
        return state
    }

    /// Whether the act was acknowledged.
    private static func perform(_ act: Act, on test: TestEngine) -> Bool {
        do {
            switch act {
            case .create(let scope): try test.create(scope, World.schema)
            case .drop(let scope): try test.drop(scope)
            case .write(let scope, let changes):
                return try test.write(changes, to: scope).outcomes.allSatisfy { $0.error == nil }
            case .snapshot: try test.snapshot()
            }
            return true
        } catch {
            return false
        }
    }

    /// Until an act fails: what is acknowledged then, and what may be there besides.
    private static func run(
        _ acts: [Act], on files: any FileSystem
    ) -> (acknowledged: State, possible: State) {
        guard let test = try? TestEngine(files, settings) else { return ([:], [:]) }
        defer { test.close() }
        var state: State = [:]
        for act in acts {
            let next = after(act, state)
            guard perform(act, on: test) else { return (state, next) }
            state = next
        }
        return (state, state)
    }

    private static func contents(_ test: TestEngine) throws -> [Scope: [Document]] {
        var found: [Scope: [Document]] = [:]
        for scope in scopes {
            if let documents = try? test.scan(scope) { found[scope] = documents }
        }
        return found
    }

    private static func visible(_ state: State) -> [Scope: [Document]] {
        state.mapValues { $0.visible(nowMillis: 1_000_000) }
    }

    /// Opens what is left; it serves, holds one of the two states, and takes the next write.
    private static func check(
        _ left: MemoryFileSystem, _ states: (acknowledged: State, possible: State),
        _ context: String
    ) throws {
        let test = try TestEngine(left, settings)
        defer { test.close() }
        let shard = test.engine.status().shards[0]
        try #require(shard.state == .serving, "\(shard.problem), \(context)")
        let found = try contents(test)
        try #require(
            found == visible(states.acknowledged) || found == visible(states.possible),
            "\(context)")
        let state = found == visible(states.acknowledged) ? states.acknowledged : states.possible
        if let model = state[scopes[0]] {
            let described = try test.describe(scopes[0])
            try #require(described.documentCount == UInt64(model.documents.count), "\(context)")
            var world = World(seed: 1)
            let oracle = SearchOracle(
                model.documents, schema: World.schema, nowMillis: 1_000_000)
            for _ in 0..<3 {
                let request = world.question(scopes[0])
                let answer = oracle.answer(request, schema: World.schema)
                if answer.isDelicate { continue }
                let page = answer.rows.dropFirst(Int(request.offset))
                    .prefix(Int(request.limit))
                try #require(
                    try test.search(request).hits.map(\.id) == page.map(\.id), "\(context)")
            }
        }
        let extra = Document(id: .text("afterwards"))
        if state[scopes[0]] == nil { try test.create(scopes[0], World.schema) }
        try #require(
            try test.write([.upsert(extra)], to: scopes[0]).outcomes[0].isApplied, "\(context)")
    }

    @Test(arguments: [11, 12] as [UInt64])
    func everyOperationCanBeTheLast(seed: UInt64) throws {
        let acts = Self.script(seed: seed)
        let whole = FaultyFileSystem(MemoryFileSystem(), stoppingAtMutation: .max)
        let final = Self.run(acts, on: whole)
        #expect(final.acknowledged.count == 2)
        #expect(whole.mutationCount > 100)
        let count = whole.mutationCount
        for index in stride(from: 0, to: count, by: max(1, count / scaled(count))) {
            let disk = MemoryFileSystem()
            let states = Self.run(
                acts, on: FaultyFileSystem(disk, stoppingAtMutation: index))
            let context = "operation \(index), seed \(seed)"
            try Self.check(disk.copy(), states, "killed at \(context)")
            for cut in 0..<2 as Range<UInt64> {
                let random = SeededRandomSource(seed: seed + cut)
                try Self.check(
                    disk.afterPowerCut(random), states, "power lost at \(context), cut \(cut)")
            }
        }
    }

    /// A recovery that ends half-way, by kill or power loss, is followed by one that does not.
    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func everyOperationOfARecoveryCanBeTheLast(seed: UInt64) throws {
        let acts = Self.script(seed: seed)
        let disk = MemoryFileSystem()
        // Stops in the middle of a write, so that there is a tear to cut.
        let stopped = FaultyFileSystem(disk) { event, mutations in
            event.operation == .write && SyncOrder.isSegment(event.path)
                && mutations > 60 + 20 * Int(seed % 4) ? .stop : nil
        }
        let states = Self.run(acts, on: stopped)
        for index in 0..<40 {
            let first =
                index % 2 == 0 ? disk.copy() : disk.afterPowerCut(SeededRandomSource(seed: seed))
            let recovering = FaultyFileSystem(first, stoppingAtMutation: index / 2)
            if let test = try? TestEngine(recovering, Self.settings) { test.close() }
            let context = "recovery's operation \(index / 2), seed \(seed)"
            try Self.check(first.copy(), states, context)
            try Self.check(
                first.afterPowerCut(SeededRandomSource(seed: UInt64(index))), states,
                "\(context), power lost")
        }
    }
}
