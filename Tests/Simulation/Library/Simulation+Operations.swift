// What the simulated machine's users do.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

extension Simulation {
    func operation() throws(Violation) {
        let scope = dice.below(lives.count)
        switch dice.below(100) {
        case ..<38: try write(scope)
        case ..<54: try stream(scope)
        case ..<58: try create(scope)
        case ..<60: try drop(scope)
        case ..<62: try snapshot()
        case ..<66: try flush()
        case ..<72: try advance()
        case ..<73: jump()
        case ..<74: workload.learnField()
        case ..<75: planFault()
        case ..<77: try claimDurable()
        case ..<79: try rebuild(scope)
        default: try read(scope)
        }
        if dice.chance(5) {
            try runUntilQuiet()
        } else {
            try turn(dice.below(5))
        }
    }

    func planFault() {
        guard disk.fault == nil, dice.chance(35) else { return }
        let isFull = dice.chance(50)
        let chosen: [Set<FileOperation>] =
            isFull
            ? [[.write], [.create, .allocate], [.write, .create, .allocate]]
            : [
                [.sync], [.write], [.create], [.rename], [.unlink], [.syncDirectory], [.read],
                [.write, .sync, .create, .rename, .unlink, .syncDirectory, .read, .list, .open],
            ]
        disk.fault = SimulatedDisk.Fault(
            operations: dice.pick(chosen), skip: dice.below(8),
            count: 1 + dice.below(isFull ? 12 : 3), errno: isFull ? .noSpace : .inputOutput)
        trace("PLAN \(disk.fault.map { "\($0)" } ?? "")")
    }

    // MARK: Writing

    /// The collection that a write to this scope goes to, made with it when there is none.
    private func life(_ scope: Int) -> (life: CollectionLife, creates: Bool)? {
        if let life = lives[scope] {
            switch life.isShown {
            case nil: return nil
            case true?: return (life, dice.chance(20))
            case false?: return (life, true)
            }
        }
        let life = CollectionLife(
            number: lifeCount, scope: scope, durability: settings.policy)
        lifeCount += 1
        lives[scope] = life
        return (life, true)
    }

    /// Whether a write to this scope has not got its place in the queues yet: another could
    /// overtake it.
    private func isWaiting(_ scope: Int) -> Bool {
        openWrites.contains { $0.life.scope == scope && !$0.isQueued }
    }

    private func items(_ scope: Int) -> [WriteItem] {
        (0..<(1 + dice.below(3))).map { _ in
            let id = dice.below(Workload.idCount)
            return WriteItem(id: id, mutation: workload.mutation(id, scope))
        }
    }

    private func write(_ scope: Int) throws(Violation) {
        if isWaiting(scope) { return try turn(3) }
        guard let (life, creates) = life(scope) else { return try turn(3) }
        submit(items(scope), to: life, creates: creates, producer: nil)
    }

    /// The next batch of a producer, or one of the last few again.
    private func stream(_ scope: Int) throws(Violation) {
        guard let life = lives[scope], life.isShown == true, !isWaiting(scope) else {
            return try turn(3)
        }
        let producer = dice.below(Workload.producers.count)
        if dice.chance(25), !life.batches[producer].isEmpty {
            let batch = dice.pick(life.batches[producer])
            return submit(
                batch.items, to: life, creates: false, producer: (producer, batch.sequence))
        }
        life.sent[producer] += UInt64(1 + (dice.chance(10) ? dice.below(3) : 0))
        let batch = (sequence: life.sent[producer], items: items(scope))
        life.batches[producer].append(batch)
        if life.batches[producer].count > 3 { life.batches[producer].removeFirst() }
        submit(batch.items, to: life, creates: false, producer: (producer, batch.sequence))
    }

    private func submit(
        _ items: [WriteItem], to life: CollectionLife, creates: Bool,
        producer: (index: Int, sequence: UInt64)?
    ) {
        guard let engine else { return }
        let write = SimulatedWrite(
            number: writeCount, life: life, items: items, producer: producer)
        writeCount += 1
        report.writes += 1
        openWrites.append(write)
        if life.durability == .never { mayStayDirty = true }
        trace(
            "WRITE \(write.number) to \(life.scope)\(creates ? " or create" : "") "
                + "\(producer.map { "\($0)" } ?? "") \(items.map { Workload.ids[$0.id] })")
        let request = WriteRequest(
            scope: Workload.scopes[life.scope], mutations: items.map { .success($0.mutation) },
            createIfMissing: creates ? Workload.schema : nil)
        let mark = producer.map {
            ProducerMark(id: Workload.producers[$0.index], clientSequence: $0.sequence)
        }
        let wasShown = life.isShown
        if creates, wasShown == false { life.isShown = nil }
        let place = Placement(simulation: self)
        let disk = disk
        engine.write(
            request, producer: mark, byteCount: 400,
            onQueued: { if !disk.isDown { place.queued(write) } },
            completion: { if !disk.isDown { write.result = $0 } })
    }

    /// `@unchecked Sendable`: the simulator is one thread.
    private final class Placement: @unchecked Sendable {
        private unowned let simulation: Simulation

        init(simulation: Simulation) { self.simulation = simulation }

        func queued(_ write: SimulatedWrite) { simulation.queued(write) }
    }

    /// The write has its place in every queue, or was refused.
    private func queued(_ write: SimulatedWrite) {
        write.isQueued = true
        if case .failure? = write.result {
            if write.life.isShown == nil, write.life.existence == .perhaps {
                look(for: write.life)
            }
            return
        }
        if write.life.existence == .perhaps {
            write.life.existence = .present
            write.life.isShown = true
        }
        for shard in shards {
            let positions = write.items.indices.filter {
                homes[write.items[$0].id] == shard.index
            }
            if positions.isEmpty, write.producer == nil { continue }
            shard.parts.append(Part(write: write, positions: positions))
            shard.rowsMax += positions.count
        }
    }

    // MARK: The catalog

    /// A write that was to make its collection failed, perhaps behind that.
    private func look(for life: CollectionLife) {
        let request = DescribeCollectionRequest(scope: Workload.scopes[life.scope])
        if (try? engine?.describeCollection(request)) != nil {
            life.existence = .present
            life.isShown = true
        } else {
            life.isShown = false
        }
    }

    private func create(_ scope: Int) throws(Violation) {
        guard let engine, !isWaiting(scope) else { return try turn(3) }
        guard let (life, _) = life(scope) else { return try turn(3) }
        let wasThere = life.isShown == true
        if !wasThere { life.isShown = nil }
        trace("CREATE \(scope)")
        let own: [Durability?] = [nil, nil, .always, .interval(millis: 100), .never]
        let durability = dice.pick(own)
        let request = CreateCollectionRequest(
            scope: Workload.scopes[scope], schema: Workload.schema, durability: durability)
        let answer: Result<CollectionDescription, KyroError>? = try ask {
            engine.createCollection(request, completion: $0)
        }
        guard let answer else { return }
        switch answer {
        case .success(let description):
            if wasThere { throw Violation("a collection was created twice") }
            guard description.id.raw > highestCollectionID else {
                throw Violation("collection id \(description.id.raw) was given out again")
            }
            life.existence = .present
            life.isShown = true
            life.durability = durability ?? settings.policy
        case .failure(let error):
            let exists = error.reason == KyroError.Reason.collectionExists.rawValue
            if !wasThere { life.isShown = false }
            if !(exists && wasThere) { try expectFault(error, "create") }
        }
    }

    private func drop(_ scope: Int) throws(Violation) {
        guard let engine, let life = lives[scope], life.isShown == true, !isWaiting(scope) else {
            return try turn(3)
        }
        trace("DROP \(scope)")
        life.isShown = nil
        life.existence = .perhapsGone
        let answer: Result<DropCollectionResponse, KyroError>? = try ask {
            engine.dropCollection(
                DropCollectionRequest(scope: Workload.scopes[scope]), completion: $0)
        }
        guard let answer else { return }
        switch answer {
        case .success:
            life.existence = .gone
            lives[scope] = nil
        case .failure(let error):
            life.isShown = true
            try expectFault(error, "drop")
        }
    }

    /// Other options for the vectors, carried out while everything else goes on.
    private func rebuild(_ scope: Int) throws(Violation) {
        guard let engine, let life = lives[scope], life.isShown == true, !isWaiting(scope) else {
            return try turn(3)
        }
        let indexing = dice.pick(Workload.indexings)
        trace("REBUILD \(scope) as \(indexing)")
        if !life.indexings.contains(indexing) { life.indexings.append(indexing) }
        let request = RebuildRequest(
            scope: Workload.scopes[scope], vectors: ["v": indexing])
        let answer: Result<CollectionDescription, KyroError>? = try ask {
            engine.rebuild(request, completion: $0)
        }
        switch answer {
        case nil: return
        case .success(let description)?:
            guard description.schema.vectors["v"]?.indexing == indexing else {
                throw Violation("a rebuild answered with other options: \(description)")
            }
            life.indexings = [indexing]
        case .failure(let error)?: try expectFault(error, "rebuild")
        }
    }

    func expectFault(_ error: KyroError, _ what: String) throws(Violation) {
        trace("\(what) failed: \(error)")
        if disk.faultCount == 0 { throw Violation("\(what) failed without a cause: \(error)") }
    }

    /// Asks and gives turns until the answer is there; nil when the process ended first.
    func ask<Answer: Sendable>(
        _ start: (@escaping @Sendable (Answer) -> Void) -> Void
    ) throws(Violation) -> Answer? {
        let box = Box<Answer?>(nil)
        let disk = disk
        start { if !disk.isDown { box.value = $0 } }
        if !disk.isDown, box.value == nil {
            scheduler.runUntilQuiet { disk.isDown || box.value != nil }
        }
        try collect()
        if disk.isDown { return nil }
        guard let answer = box.value else { throw Violation("a question was never answered") }
        return answer
    }

    // MARK: Durability

    /// Parts that have their place now are durable when the answer comes.
    private func whenDurable(
        _ isDone: () throws(Violation) -> Bool
    ) throws(Violation) {
        let last = shards.map { $0.parts.last }
        guard try isDone() else { return }
        for (shard, part) in zip(shards, last) {
            guard let part, let index = shard.parts.firstIndex(where: { $0 === part }) else {
                continue
            }
            var count = min(index + 1, shard.settledCount)
            while count > 0, shard.parts[count - 1].fate != .applied { count -= 1 }
            try shard.fold(count)
        }
    }

    private func flush() throws(Violation) {
        guard let engine else { return }
        trace("FLUSH")
        try whenDurable { () throws(Violation) -> Bool in
            let answer: Result<FlushResponse, KyroError>? = try ask {
                engine.flush(completion: $0)
            }
            switch answer {
            case nil: return false
            case .success?: return true
            case .failure(let error)?:
                try expectFault(error, "flush")
                return false
            }
        }
    }

    private func snapshot() throws(Violation) {
        guard let engine else { return }
        trace("SNAPSHOT")
        report.snapshots += 1
        if dice.chance(40) {
            engine.snapshot { _ in }
            return
        }
        try whenDurable { () throws(Violation) -> Bool in
            let answer: Result<SnapshotResponse, KyroError>? = try ask {
                engine.snapshot(completion: $0)
            }
            switch answer {
            case nil: return false
            case .success?: return true
            case .failure(let error)?:
                try expectFault(error, "snapshot")
                return false
            }
        }
    }

    /// What the engine says is durable, is.
    private func claimDurable() throws(Violation) {
        guard let engine else { return }
        try collect()
        let durable = engine.durable.raw
        trace("DURABLE up to \(durable)")
        for shard in shards {
            let index = shard.parts.prefix(shard.settledCount).lastIndex { part in
                guard case .success(let response)? = part.write.result else { return false }
                return part.positions.contains {
                    if case .applied(let seq) = response.outcomes[$0] {
                        return seq.raw <= durable
                    }
                    return false
                }
            }
            if let index { try shard.fold(index + 1) }
        }
    }

    /// The wall clock is set wrong by ten years, or right. Nothing expires by that: there must be a
    /// time in some log to hold against it.
    private func jump() {
        let hasTime = lives.contains { life in
            life?.durable.contains { $0 != nil } ?? false
        }
        guard hasTime else { return }
        let years = Int64(dice.pick([-10, 10, 0]))
        trace("JUMP by \(years) years")
        let passed = Int64(clock.monotonicNanos() / 1_000_000)
        clock.setWall(millis: Workload.bornMillis + passed + years * Workload.yearMillis)
    }

    private func advance() throws(Violation) {
        let millis = Int64(1 + dice.below(400))
        trace("ADVANCE \(millis) ms")
        try collect()
        // What is written in the meantime may wait for the next sync.
        let last = openWrites.isEmpty ? shards.reduce(0) { max($0, $1.lastSeq) } : 0
        clock.advance(millis: millis)
        guard millis >= 100, !mayStayDirty, disk.faultCount == 0 else { return }
        try runUntilQuiet()
        guard !disk.isDown, disk.faultCount == 0, let engine else { return }
        guard engine.durable.raw >= last else {
            throw Violation(
                "sequence \(last) is not durable \(millis) ms later: \(engine.durable.raw)")
        }
        try claimDurable()
    }
}
