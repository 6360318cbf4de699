// What the engine should hold: a map from ids to documents for every collection, and for every
// shard the writes that are not yet beyond doubt, in the order in which its log takes them.
//
// A write's parts enter the shards' queues in one moment, which the engine tells, so that order is
// known even while nothing was answered. The durable state is what survives whatever happens; the
// current one is what readers see. Between the two lie parts that were answered and may be lost
// (under a policy that does not sync every write), that failed and may be found after a restart,
// and that were not answered.
import KyroModel
import KyroStore

/// Passed on far more often than made, and never changed: a reference costs less than the fields.
final class ModelDocument {
    let document: Document
    /// The version's sequence; zero until it is known.
    let seq: UInt64

    init(document: Document, seq: UInt64) {
        self.document = document
        self.seq = seq
    }

    /// Nil for what has expired.
    var visible: ModelDocument? { document.isExpired ? nil : self }
}

/// A collection from its creation until it is dropped.
final class CollectionLife {
    enum Existence {
        /// Asked for, or asked for in vain by a failure that may have reached the disk.
        case perhaps
        case present
        /// A drop was asked for: present or gone.
        case perhapsGone
        case gone
    }

    let number: Int
    let scope: Int
    var existence = Existence.perhaps
    /// Whether the running engine must show it; nil while a change is under way.
    var isShown: Bool? = false
    var durability: Durability
    /// One of these, which the catalog's disk decides where a change was not answered.
    var indexings = [VectorIndexing.default]
    var current: [ModelDocument?] = Array(repeating: nil, count: Workload.idCount)
    var durable: [ModelDocument?] = Array(repeating: nil, count: Workload.idCount)
    /// By producer: the last batch sent, and the last few for sending again.
    var sent: [UInt64] = Array(repeating: 0, count: Workload.producers.count)
    var batches: [[(sequence: UInt64, items: [WriteItem])]] = Array(
        repeating: [], count: Workload.producers.count)

    init(number: Int, scope: Int, durability: Durability) {
        self.number = number
        self.scope = scope
        self.durability = durability
    }
}

struct WriteItem {
    var id: Int
    var mutation: Mutation
}

/// One call of `Engine.write`.
///
/// `@unchecked Sendable`: the simulator is one thread.
final class SimulatedWrite: @unchecked Sendable {
    let number: Int
    let life: CollectionLife
    let items: [WriteItem]
    let producer: (index: Int, sequence: UInt64)?
    var result: Result<WriteResponse, KyroError>?
    var isQueued = false
    /// A call of the file system has failed while this was open: parts of it may have failed alone.
    var mayHaveFailed = false

    init(
        number: Int, life: CollectionLife, items: [WriteItem],
        producer: (index: Int, sequence: UInt64)?
    ) {
        self.number = number
        self.life = life
        self.items = items
        self.producer = producer
    }
}

/// How far a producer has got in one shard: somewhere from `low` to `high`.
struct ProducerRange: Hashable {
    var low: UInt64 = 0
    var high: UInt64 = 0

    mutating func raise(to sequence: UInt64) {
        low = max(low, sequence)
        high = max(high, sequence)
    }
}

/// A write's share in one shard.
final class Part {
    let write: SimulatedWrite
    /// Positions of its items in the write.
    let positions: [Int]

    init(write: SimulatedWrite, positions: [Int]) {
        self.write = write
        self.positions = positions
    }

    enum Fate {
        case unknown
        /// Answered; nothing of it is in the log.
        case void
        /// Answered as failed; the log may hold it all the same, until something follows.
        case failed
        case applied
    }

    var fate: Fate {
        guard case .success(let response)? = write.result else {
            return write.result == nil ? .unknown : .void
        }
        if positions.isEmpty {
            guard write.producer != nil else { return .void }
            return write.mayHaveFailed ? .failed : .applied
        }
        var isApplied = false
        for position in positions {
            switch response.outcomes[position] {
            case .applied: isApplied = true
            case .failed(let error):
                let isDropped = error.reason == KyroError.Reason.collectionNotFound.rawValue
                return isDropped ? .void : .failed
            case .duplicate: return .void
            case .notFound: continue
            }
        }
        return isApplied || write.producer != nil ? .applied : .void
    }
}

extension Part {
    /// Whether its answer meant that it is durable.
    var wasSynced: Bool {
        fate == .applied && !positions.isEmpty && write.life.durability == .always
    }
}

/// One shard of the model.
final class ShardModel {
    let index: Int
    /// Not part of the durable state, in the log's order.
    var parts: [Part] = []
    /// So many of them are part of the current state, or will never be.
    var settledCount = 0 {
        didSet { syncedCount = min(syncedCount, settledCount) }
    }
    /// Settled parts up to the last one that was synced before its answer, and with it all before.
    private(set) var syncedCount = 0
    /// By life and producer.
    var currentProducers: [Int: ProducerRange] = [:]
    var durableProducers: [Int: ProducerRange] = [:]
    /// Rows that the shard may have at most: those at the last start, and one for every upsert and
    /// update since.
    var rowsMax = 0
    /// The highest sequence acknowledged here.
    var lastSeq: UInt64 = 0

    init(index: Int) { self.index = index }

    static func producerKey(_ life: CollectionLife, _ producer: Int) -> Int {
        life.number * Workload.producers.count + producer
    }
}

struct Violation: Error {
    var message: String

    init(_ message: String) { self.message = message }
}

extension ShardModel {
    /// Takes over what was answered, as far as the log's order allows, and compares it with what
    /// the state before makes of it.
    func settle(isFaulty: Bool) throws(Violation) {
        while settledCount < parts.count, parts[settledCount].write.result != nil {
            let part = parts[settledCount]
            try settle(part, isFaulty: isFaulty)
            settledCount += 1
            if part.wasSynced { syncedCount = settledCount }
        }
    }

    private func settle(_ part: Part, isFaulty: Bool) throws(Violation) {
        let write = part.write
        let life = write.life
        guard case .success(let response)? = write.result else { return }
        let key = write.producer.map { Self.producerKey(life, $0.index) }
        if let producer = write.producer, let key, part.positions.isEmpty {
            if part.fate == .applied {
                currentProducers[key, default: ProducerRange()].raise(to: producer.sequence)
            } else {
                var range = currentProducers[key] ?? ProducerRange()
                range.high = max(range.high, producer.sequence)
                currentProducers[key] = range
            }
            return
        }
        let known = key.flatMap { currentProducers[$0] } ?? ProducerRange()
        for position in part.positions {
            let outcome = response.outcomes[position]
            let item = write.items[position]
            let state = life.current[item.id]
            switch outcome {
            case .failed(let error):
                let isDropped = error.reason == KyroError.Reason.collectionNotFound.rawValue
                let isExpected = isDropped ? life.existence != .present : isFaulty
                if !isExpected {
                    throw Violation("write \(write.number) failed without a cause: \(error)")
                }
            case .duplicate:
                guard let producer = write.producer, producer.sequence <= known.high else {
                    throw Violation("write \(write.number) is no duplicate (\(known))")
                }
            case .notFound:
                if case .upsert = item.mutation {
                    throw Violation("write \(write.number): an upsert found nothing")
                }
                if state?.visible != nil {
                    throw Violation(
                        "write \(write.number) did not find \(Workload.ids[item.id])")
                }
            case .applied(let seq):
                if let producer = write.producer, producer.sequence <= known.low {
                    throw Violation("write \(write.number) was applied twice (\(known))")
                }
                if seq.raw <= lastSeq {
                    throw Violation(
                        "write \(write.number) has sequence \(seq.raw) behind \(lastSeq)")
                }
                lastSeq = seq.raw
                try life.current.apply(item, seq: seq.raw, write.number)
            }
        }
        if let key, let producer = write.producer, part.fate == .applied {
            currentProducers[key, default: ProducerRange()].raise(to: producer.sequence)
        }
    }

    /// The first `count` parts are durable: what of them was answered as applied.
    ///
    /// - Precondition: they are settled.
    func fold(_ count: Int) throws(Violation) {
        for part in parts.prefix(count) {
            let write = part.write
            if let producer = write.producer, part.positions.isEmpty, part.fate == .failed {
                let key = Self.producerKey(write.life, producer.index)
                var range = durableProducers[key] ?? ProducerRange()
                range.high = max(range.high, producer.sequence)
                durableProducers[key] = range
            }
            guard part.fate == .applied, case .success(let response)? = write.result else {
                continue
            }
            for position in part.positions {
                if case .applied(let seq) = response.outcomes[position] {
                    try write.life.durable.apply(
                        write.items[position], seq: seq.raw, write.number)
                }
            }
            if let producer = write.producer {
                let key = Self.producerKey(write.life, producer.index)
                durableProducers[key, default: ProducerRange()].raise(to: producer.sequence)
            }
        }
        parts.removeFirst(count)
        settledCount -= count
        syncedCount = max(0, syncedCount - count)
    }

}

extension [ModelDocument?] {
    /// Does to a document what the engine has said it did.
    mutating func apply(_ item: WriteItem, seq: UInt64, _ number: Int) throws(Violation) {
        switch item.mutation {
        case .upsert(let document):
            self[item.id] = ModelDocument(document: document, seq: seq)
        case .update(let update):
            guard var document = self[item.id]?.visible?.document else {
                throw Violation("write \(number) updated \(Workload.ids[item.id]), not there")
            }
            document.apply(update)
            self[item.id] = ModelDocument(document: document, seq: seq)
        case .remove:
            guard self[item.id]?.visible != nil else {
                throw Violation("write \(number) removed \(Workload.ids[item.id]), not there")
            }
            self[item.id] = nil
        }
    }
}
