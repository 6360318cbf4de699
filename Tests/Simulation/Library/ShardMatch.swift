// After a crash: which of a shard's allowed states is the one that was found?
import KyroBytes
import KyroModel

/// What a look-up found of every document of a collection.
struct Observation {
    var life: CollectionLife
    var documents: [ModelDocument?]
}

/// Walks the parts that are in doubt. The log keeps their order, so that a shard holds what is
/// durable and then the first so many of them, less those that failed alone.
final class ShardMatch {
    private static let visitsMax = 1_000_000
    /// From here on places that were reached before, in the same state, are not gone on from again.
    private static let visitsUntilMemory = 500

    private let shard: ShardModel
    private let observations: [Observation]
    private let homes: [Int]
    /// Parts below were answered, and this crash may not have taken them.
    private let lower: Int
    /// From here on everything was answered as failed.
    private let firstOfFailedOnly: Int
    private var states: [[ModelDocument?]]
    private var producers: [Int: ProducerRange]
    private var mismatches = 0
    private var visits = 0
    /// Of `states`, whatever the order of the changes.
    private var stateHash: UInt64 = 0
    private var visited: Set<UInt64> = []

    /// Of what failed, one run may be there, the parts of one attempt, when nothing that was written
    /// in its place has reached the disk.
    private enum FailedRun: UInt64 { case before, inside, behind }

    struct Match {
        var partCount: Int
        var states: [[ModelDocument?]]
        var producers: [Int: ProducerRange]
    }

    private(set) var match: Match?

    init(_ shard: ShardModel, _ observations: [Observation], homes: [Int], keepsAnswered: Bool) {
        self.shard = shard
        self.observations = observations
        self.homes = homes
        let lastApplied = (shard.parts.lastIndex { $0.fate == .applied } ?? -1) + 1
        firstOfFailedOnly =
            (shard.parts.lastIndex { $0.fate == .applied || $0.fate == .unknown } ?? -1) + 1
        lower =
            keepsAnswered
            ? lastApplied : (shard.parts.lastIndex { $0.wasSynced } ?? -1) + 1
        states = observations.map(\.life.durable)
        producers = shard.durableProducers
        for index in observations.indices {
            for id in homes.indices where homes[id] == shard.index && differs(index, id) {
                mismatches += 1
            }
        }
    }

    /// Finds every allowed state that equals what was found; keeps the one with most parts.
    func run() throws(Violation) -> Match {
        try visit(0, .before)
        guard let match else { throw Violation(description) }
        return match
    }

    private func differs(_ index: Int, _ id: Int) -> Bool {
        switch (states[index][id]?.visible, observations[index].documents[id]) {
        case (nil, nil): return false
        case (let expected?, let found?):
            return expected.document != found.document
                || (expected.seq != 0 && expected.seq != found.seq)
        default: return true
        }
    }

    private func visit(_ position: Int, _ run: FailedRun) throws(Violation) {
        visits += 1
        guard visits < Self.visitsMax else {
            throw Violation("shard \(shard.index) has more allowed states than can be visited")
        }
        if visits > Self.visitsUntilMemory {
            guard visited.insert(place(position, run)).inserted else { return }
        }
        if position >= lower, mismatches == 0 { record(position) }
        guard position < shard.parts.count else { return }
        if run == .behind, position >= firstOfFailedOnly { return }
        let part = shard.parts[position]
        let write = part.write
        guard let index = observations.firstIndex(where: { $0.life === write.life }) else {
            return try visit(position + 1, run)
        }
        switch part.fate {
        case .void: try visit(position + 1, run)
        case .applied:
            // It lies where the failed attempt lay.
            if run == .before { try visit(position, run, applying: part, index) }
        case .failed:
            if part.positions.isEmpty {
                return try visit(position, run, applying: part, index)
            }
            if position >= lower, run != .behind {
                try visit(position, .inside, applying: part, index)
            }
            try visit(position + 1, run == .inside ? .behind : run)
        case .unknown:
            try visit(position, run, applying: part, index)
            if write.mayHaveFailed { try visit(position + 1, run) }
        }
    }

    /// All that the rest of the walk depends on, as one word.
    private func place(_ position: Int, _ run: FailedRun) -> UInt64 {
        var word = mix64(stateHash ^ mix64(UInt64(position) << 2 | run.rawValue))
        // Whatever the order of the keys.
        for (key, range) in producers {
            word ^= mix64(range.low ^ mix64(range.high ^ mix64(UInt64(key))))
        }
        return word
    }

    /// Goes on with the part in the log, and then takes it back.
    private func visit(
        _ position: Int, _ run: FailedRun, applying part: Part, _ index: Int
    ) throws(Violation) {
        let write = part.write
        let savedProducers = producers
        if let producer = write.producer {
            let key = ShardModel.producerKey(write.life, producer.index)
            var range = producers[key] ?? ProducerRange()
            if part.fate != .applied, producer.sequence <= range.low {
                return try visit(position + 1, run)
            }
            if part.fate == .unknown, producer.sequence <= range.high {
                try visit(position + 1, run)
            }
            if part.positions.isEmpty, part.fate == .failed {
                range.high = max(range.high, producer.sequence)
            } else {
                range.raise(to: producer.sequence)
            }
            producers[key] = range
        }
        var undo: [(id: Int, document: ModelDocument?)] = []
        for itemPosition in part.positions {
            let item = write.items[itemPosition]
            var seq: UInt64 = 0
            if part.fate == .applied, case .success(let response)? = write.result {
                guard case .applied(let applied) = response.outcomes[itemPosition] else { continue }
                seq = applied.raw
            }
            undo.append((item.id, states[index][item.id]))
            set(index, item.id, item.mutation.result(on: states[index][item.id], seq: seq))
        }
        try visit(position + 1, run)
        for (id, document) in undo.reversed() { set(index, id, document) }
        producers = savedProducers
    }

    private func set(_ index: Int, _ id: Int, _ document: ModelDocument?) {
        if differs(index, id) { mismatches -= 1 }
        stateHash ^= hash(index, id)
        states[index][id] = document
        stateHash ^= hash(index, id)
        if differs(index, id) { mismatches += 1 }
    }

    private func hash(_ index: Int, _ id: Int) -> UInt64 {
        guard let document = states[index][id] else { return 0 }
        var number: Int64 = 0
        if case .int64(let value)? = document.document.metadata["n"] { number = value }
        let place = UInt64(index * homes.count + id)
        return mix64(UInt64(bitPattern: number) ^ mix64(document.seq ^ mix64(place + 1)))
    }

    private func record(_ position: Int) {
        guard var known = match else {
            match = Match(partCount: position, states: states, producers: producers)
            return
        }
        for (key, range) in producers {
            let other = known.producers[key] ?? ProducerRange()
            known.producers[key] = ProducerRange(
                low: min(other.low, range.low), high: max(other.high, range.high))
        }
        for key in known.producers.keys where producers[key] == nil {
            known.producers[key]?.low = 0
        }
        if position > known.partCount {
            known.partCount = position
            known.states = states
        }
        match = known
    }

    /// Why nothing fits.
    private var description: String {
        var lines = [
            "shard \(shard.index) holds no allowed state; \(shard.parts.count) parts in doubt, "
                + "\(lower) of them answered"
        ]
        for (index, observation) in observations.enumerated() {
            for id in homes.indices where homes[id] == shard.index {
                let durable = observation.life.durable[id]
                let current = observation.life.current[id]
                states[index][id] = current
                if differs(index, id) {
                    lines.append(
                        "collection \(Workload.scopes[observation.life.scope].namespace), id "
                            + "\(Workload.ids[id]): found \(Self.text(observation.documents[id]))"
                            + ", durable \(Self.text(durable)), shown \(Self.text(current))")
                }
            }
        }
        for (position, part) in shard.parts.enumerated() {
            lines.append(
                "part \(position): write \(part.write.number) \(part.fate) "
                    + "\(part.positions.map { Workload.ids[part.write.items[$0].id] })")
        }
        return lines.joined(separator: "\n    ")
    }

    private static func text(_ document: ModelDocument?) -> String {
        guard let document else { return "nothing" }
        guard case .int64(let number)? = document.document.metadata["n"] else { return "?" }
        return "n=\(number) seq \(document.seq)"
    }
}

extension Mutation {
    /// What the document is afterwards.
    func result(on document: ModelDocument?, seq: UInt64) -> ModelDocument? {
        switch self {
        case .upsert(let document): return ModelDocument(document: document, seq: seq)
        case .remove: return document?.visible == nil ? document : nil
        case .update(let update):
            guard var changed = document?.visible?.document else { return document }
            changed.apply(update)
            return ModelDocument(document: changed, seq: seq)
        }
    }
}
