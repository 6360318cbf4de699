// Random documents, changes and questions over a small world, so that everything is met often.
import KyroBytes
import KyroModel

struct Workload {
    static let idCount = 20
    static let scopes = ["a", "b", "c"].map { Scope(tenant: "t", namespace: $0) }
    static let producers = ["p", "q"]
    static let dimension = 6
    /// Where the wall clock of the simulated machine begins, Unix milliseconds.
    static let bornMillis: Int64 = 1_700_000_000_000
    static let yearMillis: Int64 = 365 * 86_400_000
    /// Some documents of this one have expired when they are written.
    static let expiringScope = 2
    static let tags = ["red", "green", "blue"]
    /// Each has a stem of its own, which its first letter names.
    static let words = [
        "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india",
        "juliet", "kilo", "lima",
    ]

    static let indexings = [
        .default, VectorIndexing(kind: .graph, m: 4), VectorIndexing(kind: .graph, m: 5),
        VectorIndexing(kind: .flat), VectorIndexing(efSearch: 7), VectorIndexing(codes: .sq8),
    ]

    static let schema: Schema = {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: dimension, metric: .l2)
        schema.texts["t"] = TextField()
        schema.metadata["n"] = .int64
        schema.metadata["tag"] = .string
        return schema
    }()

    static let ids: [DocumentID] = (0..<idCount).map {
        $0 % 3 == 0 ? .text("id-\($0)") : .number(UInt64($0))
    }

    /// The shard of each id: the placement is part of the format of a data directory.
    static func homes(shardCount: Int) -> [Int] {
        ids.map { id in
            let hash =
                switch id {
                case .number(let value): mix64(value ^ mix64(0))
                case .text(let value): xxh3(Array(value.utf8), seed: 0)
                }
            return Int(hash % UInt64(shardCount))
        }
    }

    var dice: Dice
    /// Every mutation carries another number, so that no two states of a document are equal.
    private var counter: Int64 = 0
    /// Metadata fields beyond the schema that may occur so far.
    private var extraFields = 0

    init(dice: Dice) { self.dice = dice }

    mutating func vector() -> [Float] {
        (0..<Self.dimension).map { _ in Float(dice.fraction() * 2 - 1) }
    }

    mutating func text() -> String {
        var text = ""
        for _ in 0..<(1 + dice.below(4)) {
            if !text.isEmpty { text += " " }
            text += dice.pick(Self.words)
        }
        return text
    }

    private mutating func document(_ id: Int, _ scope: Int, share: Int) -> Document {
        var document = Document(id: Self.ids[id])
        counter += 1
        document.metadata["n"] = .int64(counter)
        if dice.chance(share) { document.vectors["v"] = vector() }
        if dice.chance(share) { document.texts["t"] = text() }
        if dice.chance(share) { document.metadata["tag"] = .string(dice.pick(Self.tags)) }
        if extraFields > 0, dice.chance(share / 4) {
            document.metadata["extra\(dice.below(extraFields))"] = .bool(dice.chance(50))
        }
        if dice.chance(share / 8) { document.eventTimeMillis = Int64(dice.below(1_000)) }
        if dice.chance(share / 8) {
            // Long ago, or in a year that the clock reaches by a wrong jump alone.
            let hasExpired = scope == Self.expiringScope && dice.chance(30)
            document.expiresAtMillis =
                Self.bornMillis + (hasExpired ? -3_600_000 : 5 * Self.yearMillis)
        }
        return document
    }

    /// Another field may occur from now on.
    mutating func learnField() { extraFields = min(6, extraFields + 1) }

    /// A change of document number `id` in a collection.
    mutating func mutation(_ id: Int, _ scope: Int) -> Mutation {
        switch dice.below(100) {
        case ..<55: return .upsert(document(id, scope, share: 75))
        case ..<80:
            var update = PartialUpdate(set: document(id, scope, share: 30))
            if dice.chance(10) { update.removedTexts = ["t"] }
            if dice.chance(10) { update.removedVectors = ["v"] }
            if dice.chance(10) { update.removedMetadata = ["tag"] }
            if dice.chance(10) { update.clearsEventTime = true }
            if dice.chance(10) { update.clearsExpiry = true }
            return .update(update)
        default: return .remove(Self.ids[id])
        }
    }
}

extension Document {
    /// Whether it is there and cannot be seen.
    var isExpired: Bool { (expiresAtMillis ?? .max) <= Workload.bornMillis }

    /// What the protocol says of a partial update.
    mutating func apply(_ update: PartialUpdate) {
        for name in update.removedVectors { vectors[name] = nil }
        for name in update.removedSparseVectors { sparseVectors[name] = nil }
        for name in update.removedMultiVectors { multiVectors[name] = nil }
        for name in update.removedTexts { texts[name] = nil }
        for name in update.removedMetadata { metadata[name] = nil }
        if update.clearsEventTime { eventTimeMillis = nil }
        if update.clearsExpiry { expiresAtMillis = nil }
        for entry in update.set.vectors { vectors[entry.name] = entry.value }
        for entry in update.set.sparseVectors { sparseVectors[entry.name] = entry.value }
        for entry in update.set.multiVectors { multiVectors[entry.name] = entry.value }
        for entry in update.set.texts { texts[entry.name] = entry.value }
        for entry in update.set.metadata { metadata[entry.name] = entry.value }
        eventTimeMillis = update.set.eventTimeMillis ?? eventTimeMillis
        expiresAtMillis = update.set.expiresAtMillis ?? expiresAtMillis
    }
}
