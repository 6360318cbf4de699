// What is found must be what the model says, in every way that one can ask.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

extension Simulation {
    // MARK: After a start

    /// Finds out which of the allowed states the engine has come up with.
    func adoptWhatIsThere() throws(Violation) {
        guard let engine else { return }
        let observations = try observe(engine)
        for scope in lives.indices {
            let isThere = observations.contains { $0.life.scope == scope }
            if !isThere { lives[scope] = nil }
            lives[scope]?.existence = .present
            lives[scope]?.isShown = true
        }
        for shard in shards {
            let match = try ShardMatch(
                shard, observations, homes: homes,
                keepsAnswered: !hadPowerCut
            ).run()
            trace("shard \(shard.index) has \(match.partCount) of \(shard.parts.count) parts")
            disk.note(UInt64(match.partCount))
            for (index, observation) in observations.enumerated() {
                for id in homes.indices where homes[id] == shard.index {
                    // With the sequence that was found; what has expired is not found.
                    let known = observation.documents[id] ?? match.states[index][id]
                    observation.life.durable[id] = known
                    observation.life.current[id] = known
                }
            }
            shard.parts.removeAll()
            shard.settledCount = 0
            shard.durableProducers = match.producers
            shard.currentProducers = match.producers
            shard.lastSeq = 0
        }
        try checkRows(engine)
        // Everybody's next sequence lies above everything that was found.
        let last = observations.reduce(0) { highest, observation in
            observation.documents.reduce(highest) { max($0, $1?.seq ?? 0) }
        }
        for shard in shards { shard.lastSeq = last }
        hadPowerCut = false
    }

    func observe(_ engine: Engine) throws(Violation) -> [Observation] {
        var observations: [Observation] = []
        for scope in lives.indices {
            if let life = try find(scope, engine) {
                observations.append(
                    Observation(life: life, documents: try documents(of: life, engine)))
            }
        }
        return observations
    }

    /// A record that is applied twice leaves a row too many, though nobody can see it.
    private func checkRows(_ engine: Engine) throws(Violation) {
        for (shard, status) in zip(shards, engine.status().shards) {
            let rows = Int(status.documents + status.deadRows)
            guard rows <= shard.rowsMax else {
                throw Violation(
                    "shard \(shard.index) has \(rows) rows, more than \(shard.rowsMax)")
            }
            shard.rowsMax = rows
        }
    }

    /// The collection of a scope, if it is there and may be.
    private func find(_ scope: Int, _ engine: Engine) throws(Violation) -> CollectionLife? {
        let life = lives[scope]
        let description: CollectionDescription
        do throws(KyroError) {
            description = try engine.describeCollection(
                DescribeCollectionRequest(scope: Workload.scopes[scope])
            ).collection
        } catch {
            guard error.reason == KyroError.Reason.collectionNotFound.rawValue else {
                throw Violation("describe failed: \(error)")
            }
            if let life, life.existence == .present {
                throw Violation("collection \(life.scope) is missing")
            }
            return nil
        }
        guard let life else {
            throw Violation("collection \(scope) is there, which was dropped or never created")
        }
        highestCollectionID = max(highestCollectionID, description.id.raw)
        life.durability = description.durability ?? settings.policy
        return life
    }

    private func documents(
        of life: CollectionLife, _ engine: Engine
    ) throws(Violation) -> [ModelDocument?] {
        do throws(KyroError) {
            let response = try engine.lookup(
                LookupRequest(scope: Workload.scopes[life.scope], ids: Workload.ids),
                cancellation: Cancellation())
            return response.results.map { result in
                result.document.map { ModelDocument(document: $0, seq: result.seq.raw) }
            }
        } catch {
            throw Violation("look-up failed: \(error)")
        }
    }

    func checkEverything() throws(Violation) {
        for scope in lives.indices {
            try checkCounts(scope)
            for _ in 0..<2 { try checkSearches(scope) }
            try checkScan(scope)
            try checkProducers(scope)
        }
    }

    private func checkCounts(_ scope: Int) throws(Violation) {
        guard let engine, let life = lives[scope] else { return }
        let description: CollectionDescription
        do throws(KyroError) {
            description = try engine.describeCollection(
                DescribeCollectionRequest(scope: Workload.scopes[scope])
            ).collection
        } catch {
            throw Violation("describe failed: \(error)")
        }
        let count = description.documentCount
        guard let indexing = description.schema.vectors["v"]?.indexing,
            life.indexings.contains(indexing)
        else { throw Violation("collection \(scope) has options that nobody asked for last") }
        // What has expired counts until a rebuild drops it, and nobody sees whether it was there.
        let expected = life.current.count { $0?.visible != nil }
        let isExact = scope != Workload.expiringScope
        guard count == expected || (!isExact && count >= expected) else {
            throw Violation("collection \(scope) counts \(count) documents, not \(expected)")
        }
    }

    /// What a producer is told lies between what every shard has for certain and what it may have.
    private func checkProducers(_ scope: Int) throws(Violation) {
        guard let engine, let life = lives[scope], life.isShown == true, !disk.isDown else {
            return
        }
        for (index, name) in Workload.producers.enumerated() where life.sent[index] > 0 {
            let open = StreamOpen(scope: Workload.scopes[scope], producer: name)
            let answer: Result<UInt64, KyroError>? = try ask {
                engine.openStream(open, completion: $0)
            }
            guard let answer else { return }
            let found: UInt64
            do throws(KyroError) {
                found = try answer.get()
            } catch {
                try expectFault(error, "opening a stream")
                continue
            }
            let key = ShardModel.producerKey(life, index)
            let ranges = shards.map { $0.currentProducers[key] ?? ProducerRange() }
            let low = ranges.reduce(.max) { min($0, $1.low) }
            let high = ranges.reduce(.max) { min($0, $1.high) }
            guard found >= low, found <= high else {
                throw Violation("producer \(name) of \(scope) is at \(found), not \(low)…\(high)")
            }
        }
    }

    // MARK: At any time

    func read(_ scope: Int) throws(Violation) {
        if isUnderWay(scope) {
            if dice.chance(50) { return try turn(3) }
            try runUntilQuiet()
        }
        if disk.isDown { return }
        guard let life = lives[scope], life.isShown == true else {
            return try checkAbsence(scope)
        }
        switch dice.below(4) {
        case 0: try checkLookup(life)
        case 1: try checkScan(scope)
        default: try checkSearches(scope)
        }
    }

    /// Whether some write to the collection is open, or was answered before one ahead of it in the
    /// log.
    private func isUnderWay(_ scope: Int) -> Bool {
        openWrites.contains { $0.life.scope == scope }
            || shards.contains { shard in
                shard.parts.dropFirst(shard.settledCount).contains {
                    $0.write.life.scope == scope
                }
            }
    }

    private func checkAbsence(_ scope: Int) throws(Violation) {
        guard let engine, lives[scope].map({ $0.isShown == false }) ?? true else { return }
        do throws(KyroError) {
            _ = try engine.lookup(
                LookupRequest(scope: Workload.scopes[scope], ids: [Workload.ids[0]]),
                cancellation: Cancellation())
        } catch {
            guard error.reason == KyroError.Reason.collectionNotFound.rawValue else {
                throw Violation("look-up failed: \(error)")
            }
            return
        }
        throw Violation("collection \(scope) should not be there")
    }

    private func checkLookup(_ life: CollectionLife) throws(Violation) {
        guard let engine else { return }
        let found = try documents(of: life, engine)
        for (id, document) in found.enumerated() {
            let expected = life.current[id]?.visible
            guard document?.document == expected?.document, document?.seq == expected?.seq else {
                throw Violation(
                    "\(Workload.ids[id]) of \(life.scope) is \(String(describing: document)), not "
                        + "\(String(describing: expected))")
            }
        }
    }

    private func filter() -> Filter {
        switch dice.below(4) {
        case 0: return .equals(field: "tag", .string(dice.pick(Workload.tags)))
        case 1: return .not(.exists(field: "tag"))
        case 2:
            let bound = Filter.Bound(
                .int64(Int64(dice.below(writeCount * 2 + 1))), isInclusive: true)
            return .range(field: "n", lower: bound, upper: nil)
        default:
            return .all([
                .exists(field: "tag"),
                .not(.isIn(field: "tag", [.string(dice.pick(Workload.tags))])),
            ])
        }
    }

    func checkScan(_ scope: Int) throws(Violation) {
        guard let engine, let life = lives[scope], life.isShown == true else { return }
        var request = ScanRequest(scope: Workload.scopes[scope])
        if dice.chance(60) { request.filter = filter() }
        let filter = request.filter ?? .all([])
        let expected = life.current.compactMap { $0?.visible?.document }
            .filter { Oracle.matches($0, filter) }.sorted { $0.id < $1.id }
        var found: [Document] = []
        do throws(KyroError) {
            let cursor = try engine.scan(request, cancellation: Cancellation())
            while let page = try cursor.next(bytesMax: 1_000) { found += page.documents }
        } catch {
            throw Violation("scan failed: \(error)")
        }
        guard found == expected else {
            throw Violation(
                "scan of \(scope) found \(found.map(\.id)), not \(expected.map(\.id))")
        }
    }

    func checkSearches(_ scope: Int) throws(Violation) {
        guard let engine, let life = lives[scope], life.isShown == true else { return }
        var request = SearchRequest(scope: Workload.scopes[scope])
        request.exact = dice.chance(80)
        request.limit = UInt32(1 + dice.below(8))
        var documents = life.current.map { $0?.visible }
        if dice.chance(40) {
            let filter = filter()
            request.filter = filter
            documents = documents.map { document in
                document.flatMap { Oracle.matches($0.document, filter) ? $0 : nil }
            }
        }
        let scores: [Double?]
        // Documents that have expired count in the statistics of texts until they are dropped.
        if dice.chance(50) || scope == Workload.expiringScope {
            let own = documents.compactMap { $0?.document.vectors["v"] }
            let query = own.isEmpty || dice.chance(20) ? workload.vector() : dice.pick(own)
            request.vector = VectorQuery(field: "v", vector: query)
            scores = Oracle.vectorScores(documents, query)
        } else {
            let words = Array(
                Set(
                    (0..<(1 + dice.below(3))).map { _ in
                        dice.below(Workload.words.count)
                    })
            ).sorted()
            request.text = TextQuery(
                query: words.map { Workload.words[$0] }.joined(separator: " "))
            let all = Oracle.textScores(
                life.current, words.map { Workload.words[$0].utf8.first ?? 0 })
            scores = zip(documents, all).map { $0 == nil ? nil : $1 }
        }
        do throws(KyroError) {
            let hits = try engine.search(request, cancellation: Cancellation()).hits
            disk.note(UInt64(hits.count))
            do throws(Violation) {
                try Oracle.check(
                    hits, against: scores, limit: Int(request.limit), Workload.ids)
            } catch {
                throw KyroError(.internal, error.message)
            }
        } catch {
            let legs = request.vector == nil ? "text" : "vector"
            throw Violation(
                "search of \(scope) by \(legs)\(request.filter == nil ? "" : " and filter"): "
                    + error.message)
        }
    }
}
