// Writing: check, place, hand to the shards' writers.
import KyroModel
import KyroPlatform
import KyroStore

extension Engine {
    public typealias WriteCompletion = @Sendable (Result<WriteResponse, KyroError>) -> Void

    /// Checks a batch and queues it. The completion comes once, from a thread of the engine or from
    /// the caller's own.
    ///
    /// - Parameters:
    ///   - producer: set by ingest streams; makes a batch that is sent again apply once.
    ///   - byteCount: what the batch takes in memory, for the bound of the queues.
    ///   - onQueued: called when the batch has its place in the shards' queues (or has failed): a
    ///     stream's next batch may be written from then on without overtaking this one.
    public func write(
        _ request: WriteRequest, producer: ProducerMark? = nil, byteCount: Int,
        onQueued: @escaping @Sendable () -> Void = {}, completion: @escaping WriteCompletion
    ) {
        do throws(KyroError) {
            if try admit(
                request, producer: producer, byteCount: byteCount, mayChangeCatalog: false,
                completion: completion)
            {
                return onQueued()
            }
        } catch {
            // First the answer, so that a stream that ends by it sends nothing after.
            completion(.failure(error))
            return onQueued()
        }
        // The catalog has to change first, which waits for a disk.
        let isRunning = control.run(weight: byteCount) { [self] in
            defer { onQueued() }
            do throws(KyroError) {
                _ = try admit(
                    request, producer: producer, byteCount: byteCount, mayChangeCatalog: true,
                    completion: completion)
            } catch {
                completion(.failure(error))
            }
        }
        if !isRunning {
            completion(.failure(Self.busy("the catalog's queue is full")))
            onQueued()
        }
    }

    /// Queues the batch; false when the catalog has to change for it and may not here.
    private func admit(
        _ request: WriteRequest, producer: ProducerMark?, byteCount: Int, mayChangeCatalog: Bool,
        completion: @escaping WriteCompletion
    ) throws(KyroError) -> Bool {
        try ensureServing()
        try refuseIfStopped()
        try NameValidation.check(request.scope)
        guard request.mutations.count <= Limits.batchMutationsMax else {
            throw .overLimit(
                "mutations",
                "has \(request.mutations.count) entries; the limit is \(Limits.batchMutationsMax)")
        }
        if let schema = request.createIfMissing { try SchemaValidation.check(schema) }
        let shortage = refusalForMemory(isStream: producer != nil)
        // A batch of a stream is taken as a whole, so that its producer's mark says what it says.
        if let shortage, producer != nil || !request.mutations.contains(where: \.isRemoval),
            !request.mutations.allSatisfy(\.isRemoval)
        {
            throw shortage
        }
        let collection: Collection
        if let known = catalog.find(request.scope) {
            collection = known
        } else {
            guard let schema = request.createIfMissing else { throw Self.notFound(request.scope) }
            guard mayChangeCatalog else { return false }
            collection = try catalog.findOrCreate(request.scope, schema: schema)
        }

        var validation = DocumentValidation(schema: collection.schema)
        var outcomes: [WriteOutcome?] = Array(repeating: nil, count: request.mutations.count)
        var parts: [[WriteCommand.Item]] = Array(repeating: [], count: shards.count)
        for (position, decoded) in request.mutations.enumerated() {
            do throws(KyroError) {
                if let shortage, !decoded.isRemoval { throw shortage }
                let mutation = try Self.checked(decoded, position, &validation)
                parts[router.home(of: mutation.id)].append(
                    WriteCommand.Item(position: position, mutation: mutation))
            } catch {
                outcomes[position] = .failed(error)
            }
        }
        if validation.addsFields {
            guard mayChangeCatalog else { return false }
            try catalog.change(collection, to: validation.schema)
        }
        queue(
            parts, of: collection, outcomes: outcomes, producer: producer, byteCount: byteCount,
            completion: completion)
        return true
    }

    private static func checked(
        _ decoded: DecodedMutation, _ position: Int, _ validation: inout DocumentValidation
    ) throws(KyroError) -> Mutation {
        switch try decoded.get() {
        case .upsert(var document):
            try validation.check(&document, path: "mutations[\(position)].upsert")
            return .upsert(document)
        case .update(var update):
            try validation.check(&update.set, path: "mutations[\(position)].update.set")
            return .update(update)
        case .remove(let id):
            try NameValidation.check(id, field: "mutations[\(position)].remove")
            return .remove(id)
        }
    }

    private func queue(
        _ parts: [[WriteCommand.Item]], of collection: Collection, outcomes: [WriteOutcome?],
        producer: ProducerMark?, byteCount: Int, completion: @escaping WriteCompletion
    ) {
        // A stream's batch goes to every shard, so that each knows how far the producer has got.
        let involved = parts.indices.filter { producer != nil || !parts[$0].isEmpty }
        guard !involved.isEmpty else {
            let response = WriteResponse(outcomes: outcomes.compactMap { $0 }, seq: .zero)
            return completion(.success(response))
        }
        let ticket = WriteTicket(outcomes: outcomes, shardCount: involved.count) { response in
            completion(.success(response))
        }
        let itemCount = max(1, outcomes.count)
        for index in involved {
            let command = WriteCommand(
                collection: collection, items: parts[index], producer: producer, ticket: ticket)
            let weight = 64 + byteCount * parts[index].count / itemCount
            // What streams have in flight is bounded by their credits.
            switch shards[index].queue.push(
                .write(command), weight: weight, ignoresBound: producer != nil)
            {
            case .accepted: continue
            case .full:
                let error = Self.busy("the queue of shard \(index) is full")
                ticket.complete(parts[index].map { ($0.position, .failed(error)) })
            case .closed:
                let error = KyroError(
                    .draining, "the server is stopping; send the batch to its successor",
                    retryAfterMillis: 1_000)
                ticket.complete(parts[index].map { ($0.position, .failed(error)) })
            }
        }
    }

    static func busy(_ what: String) -> KyroError {
        KyroError(.queueFull, "\(what); try again", retryAfterMillis: 50)
    }

    /// Begins a producer's stream: makes the collection where asked to, and tells the highest batch
    /// that every shard has applied.
    public func openStream(
        _ open: StreamOpen, completion: @escaping @Sendable (Result<UInt64, KyroError>) -> Void
    ) {
        let isRunning = control.run { [self] in
            do throws(KyroError) {
                try ensureServing()
                try NameValidation.check(open.scope)
                try NameValidation.check(open.producer, field: "open.producer_id")
                let collection: Collection
                if let known = catalog.find(open.scope) {
                    collection = known
                } else {
                    guard let schema = open.createIfMissing else {
                        throw Self.notFound(open.scope)
                    }
                    try SchemaValidation.check(schema)
                    collection = try catalog.findOrCreate(open.scope, schema: schema)
                }
                askProducerSequence(
                    ProducerKey(collection: collection.id, producer: open.producer),
                    completion: completion)
            } catch {
                completion(.failure(error))
            }
        }
        if !isRunning { completion(.failure(Self.busy("the catalog's queue is full"))) }
    }

    private func askProducerSequence(
        _ key: ProducerKey, completion: @escaping @Sendable (Result<UInt64, KyroError>) -> Void
    ) {
        let lowest = LowestOf(count: shards.count) { completion(.success($0)) }
        for shard in shards {
            let command = ShardCommand.producerSequence(key) { lowest.add($0) }
            if case .accepted = shard.queue.push(command, weight: 0, ignoresBound: true) {
                continue
            }
            lowest.add(0)
        }
    }

    /// Below or at this, what was written survives power loss, whatever was promised for it.
    public var durable: Sequence {
        shards.reduce(clock.stable) { lowest, shard in
            let durable = shard.durable
            // A shard that has nothing unsynced holds nobody back.
            return durable == shard.published ? lowest : min(lowest, durable)
        }
    }

    /// Up to where writes to this collection that were acknowledged survive power loss, by one
    /// whose own writes go up to `acknowledged`.
    public func durable(of scope: Scope, acknowledged: Sequence) -> Sequence {
        let own = catalog.find(scope).flatMap(\.durability) ?? configuration.fsync
        return own == .always ? max(acknowledged, durable) : durable
    }

    /// Makes everything acknowledged so far durable, whatever the policy.
    public func flush(completion: @escaping @Sendable (Result<FlushResponse, KyroError>) -> Void) {
        let all = AllOf(count: shards.count) { [self] error in
            if let error { return completion(.failure(error)) }
            completion(.success(FlushResponse(durable: durable)))
        }
        for shard in shards {
            let command = ShardCommand.flush { result in
                switch result {
                case .success: all.add(nil)
                case .failure(let error): all.add(error)
                }
            }
            if case .accepted = shard.queue.push(command, weight: 0, ignoresBound: true) {
                continue
            }
            all.add(KyroError(.draining, "the server is stopping"))
        }
    }
}
