// What a collection should hold: a map.
import KyroModel

/// Documents by id, changed as the protocol says.
struct Model {
    enum Outcome { case applied, notFound, failed }

    private(set) var documents: [DocumentID: Document] = [:]

    /// - Parameters:
    ///   - isValid: whether the engine has to take it.
    ///   - nowMillis: what has expired by then cannot be updated or removed.
    mutating func apply(
        _ mutation: Mutation, isValid: Bool = true, nowMillis: Int64 = 1_000_000
    ) -> Outcome {
        guard isValid else { return .failed }
        switch mutation {
        case .upsert(let document):
            documents[document.id] = document
            return .applied
        case .remove(let id):
            guard let known = documents[id], (known.expiresAtMillis ?? .max) > nowMillis else {
                return .notFound
            }
            documents[id] = nil
            return .applied
        case .update(let update):
            guard var document = documents[update.set.id],
                (document.expiresAtMillis ?? .max) > nowMillis
            else { return .notFound }
            update.removedVectors.forEach { document.vectors[$0] = nil }
            update.removedSparseVectors.forEach { document.sparseVectors[$0] = nil }
            update.removedMultiVectors.forEach { document.multiVectors[$0] = nil }
            update.removedTexts.forEach { document.texts[$0] = nil }
            update.removedMetadata.forEach { document.metadata[$0] = nil }
            if update.clearsEventTime { document.eventTimeMillis = nil }
            if update.clearsExpiry { document.expiresAtMillis = nil }
            for entry in update.set.vectors { document.vectors[entry.name] = entry.value }
            for entry in update.set.multiVectors {
                document.multiVectors[entry.name] = entry.value
            }
            for entry in update.set.sparseVectors {
                document.sparseVectors[entry.name] = entry.value
            }
            for entry in update.set.texts { document.texts[entry.name] = entry.value }
            for entry in update.set.metadata { document.metadata[entry.name] = entry.value }
            document.eventTimeMillis = update.set.eventTimeMillis ?? document.eventTimeMillis
            document.expiresAtMillis = update.set.expiresAtMillis ?? document.expiresAtMillis
            documents[document.id] = document
            return .applied
        }
    }

    /// What a scan returns.
    func visible(nowMillis: Int64) -> [Document] {
        documents.values.filter { ($0.expiresAtMillis ?? .max) > nowMillis }
            .sorted { $0.id < $1.id }
    }
}

extension WriteOutcome {
    func matches(_ expected: Model.Outcome) -> Bool {
        switch (self, expected) {
        case (.applied, .applied), (.notFound, .notFound), (.failed, .failed): true
        default: false
        }
    }
}
