// An engine with a repository, and a record of everything that it acknowledged.
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

/// What an engine went through, so that its state at any sequence is known.
struct BackupHistory {
    enum Event {
        case created(Scope)
        case dropped(Scope)
        case mutation(Scope, Mutation)
    }

    private(set) var events: [(seq: Sequence, millis: Int64, event: Event)] = []

    mutating func add(_ event: Event, at seq: Sequence, _ millis: Int64) {
        events.append((seq, millis, event))
    }

    var last: Sequence { events.map(\.seq).max() ?? .zero }

    /// Collections as they were at `seq`, and no later than `millis`.
    func state(at seq: Sequence = .never, millis: Int64 = .max) -> [Scope: Model] {
        var models: [Scope: Model] = [:]
        let past = events.filter { $0.seq <= seq && $0.millis <= millis }
        for (_, millis, event) in past.sorted(by: { $0.seq < $1.seq }) {
            switch event {
            case .created(let scope): models[scope] = Model()
            case .dropped(let scope): models[scope] = nil
            case .mutation(let scope, let mutation):
                _ = models[scope]?.apply(mutation, nowMillis: millis)
            }
        }
        return models
    }
}

/// Random acts on an engine that is backed up.
struct BackupLife {
    static let repository = "/repo"
    static let scopes = ["a", "b"].map { Scope(tenant: "t", namespace: $0) }

    let seed: UInt64
    var settings: EngineSettings
    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    let disk: MemoryFileSystem
    let files: any FileSystem
    var world: World
    var test: TestEngine
    var history = BackupHistory()
    var backups: [BackupDescription] = []

    init(
        seed: UInt64, shardCount: Int, isArchiving: Bool, disk: MemoryFileSystem? = nil,
        files: (any FileSystem)? = nil, archiveLagBytesMax: UInt64 = 1 << 30
    ) throws {
        self.seed = seed
        world = World(seed: seed)
        world.idsMax = 40
        self.disk = disk ?? MemoryFileSystem()
        self.files = files ?? self.disk
        var settings = EngineSettings(shardCount: shardCount)
        settings.clock = clock
        settings.logSegmentBytes = 4_096
        settings.backupsPath = Self.repository
        settings.isArchiving = isArchiving
        settings.archiveLagBytesMax = archiveLagBytesMax
        if seed % 2 == 0 { settings.snapshotLogBytes = 16_384 }
        self.settings = settings
        test = try TestEngine(self.files, settings)
    }

    var context: Comment { "seed \(seed)" }

    mutating func step() throws {
        clock.advance(millis: Int64(1 + world.dice.below(50)))
        switch world.dice.below(100) {
        case ..<70: try write()
        case ..<76: try test.snapshot()
        case ..<80: world.learnField()
        case ..<83: try drop()
        case ..<86: backups.append(try test.backup())
        case ..<92:
            if !backups.isEmpty { try increment() }
        case ..<95: try restart()
        default: break
        }
    }

    mutating func write() throws {
        let scope = world.dice.pick(Self.scopes)
        if history.state()[scope] == nil {
            try test.create(scope, World.schema)
            history.add(.created(scope), at: test.engine.status().seq, clock.wallMillis())
        }
        var mutations: [Mutation] = []
        for _ in 0..<(1 + world.dice.below(6)) {
            let (mutation, isValid) = world.mutation()
            if isValid { mutations.append(mutation) }
        }
        guard !mutations.isEmpty else { return }
        let response = try test.write(mutations, to: scope)
        for (mutation, outcome) in zip(mutations, response.outcomes) {
            guard case .applied(let seq) = outcome else { continue }
            history.add(.mutation(scope, mutation), at: seq, clock.wallMillis())
        }
    }

    mutating func drop() throws {
        let scope = world.dice.pick(Self.scopes)
        guard history.state()[scope] != nil else { return }
        try test.drop(scope)
        history.add(.dropped(scope), at: test.engine.status().seq, clock.wallMillis())
    }

    /// The log may have been given up meanwhile, where no archive holds it.
    mutating func increment() throws {
        do {
            backups.append(try test.backup(isIncremental: true))
        } catch let error as KyroError {
            try #require(error.code == .failedPrecondition, "\(error), seed \(seed)")
            try #require(!settings.isArchiving, "\(error), seed \(seed)")
        }
    }

    mutating func restart() throws {
        test.close()
        test = try TestEngine(files, settings)
    }

    /// Lets time pass until the archive has done something about it; false when it does not.
    func wait(until isDone: (BackupStatus) -> Bool) -> Bool {
        eventually {
            if let status = test.engine.status().backup, isDone(status) { return true }
            clock.advance(millis: 1_000)
            return false
        }
    }

    // MARK: Restoring

    func restore(
        _ target: RestoreTarget?, to path: String, logFrom: String? = nil
    ) throws -> RestoreReport {
        var request = RestoreRequest(to: path)
        request.target = target
        request.logFrom = logFrom
        request.logSegmentBytes = 4_096
        let repository = try BackupRepository.open(Self.repository, fileSystem: disk)
        let random = SeededRandomSource(seed: seed)
        return try BackupRestore(repository, request, random: random).run()
    }

    /// Serves what was restored and compares every document.
    func check(_ path: String, _ expected: [Scope: Model], _ context: Comment) throws {
        var settings = settings
        settings.path = path
        settings.backupsPath = nil
        settings.isArchiving = false
        let restored = try TestEngine(disk, settings)
        defer { restored.close() }
        let notices = restored.notices.withLock { $0 }
        try #require(notices.isEmpty, "\(notices), \(context)")
        for scope in Self.scopes {
            guard let model = expected[scope] else {
                #expect(throws: KyroError.self, context) { try restored.describe(scope) }
                continue
            }
            let count = try restored.describe(scope).documentCount
            try #require(count == UInt64(model.documents.count), context)
            try #require(
                try restored.scan(scope) == model.visible(nowMillis: clock.wallMillis()), context)
        }
    }
}
