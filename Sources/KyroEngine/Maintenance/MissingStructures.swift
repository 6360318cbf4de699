// Which structures of a collection's part are being made again from its documents.
import KyroModel

/// What a snapshot could not give back. Documents are whole, and whatever needs none of these is
/// answered as ever. Vectors are never missing: without their graph they are scanned.
struct MissingStructures: Equatable, Sendable {
    var metadata = false
    /// By field name; the values say nothing.
    var sparse = FieldMap<Bool>()
    var texts = FieldMap<Bool>()

    var isEmpty: Bool { !metadata && sparse.isEmpty && texts.isEmpty }

    var count: Int { (metadata ? 1 : 0) + sparse.count + texts.count }

    var names: [String] {
        (metadata ? ["metadata"] : []) + sparse.names.map { "sparse vectors \"\($0)\"" }
            + texts.names.map { "text \"\($0)\"" }
    }

    static func rebuilding(_ what: String) -> KyroError {
        KyroError(
            .rebuilding,
            "\(what): the index was damaged and is being rebuilt from the documents; try again soon",
            retryAfterMillis: 1_000)
    }
}

extension CollectionShard {
    /// Filters, time ranges and decay read the metadata.
    func requireMetadata() throws(KyroError) {
        if isMissingAnything, missing.metadata { throw MissingStructures.rebuilding("metadata") }
    }

    func requireSparse(_ field: String) throws(KyroError) {
        if isMissingAnything, missing.sparse[field] != nil {
            throw MissingStructures.rebuilding("sparse vectors \"\(field)\"")
        }
    }

    func requireText(_ field: String) throws(KyroError) {
        if isMissingAnything, missing.texts[field] != nil {
            throw MissingStructures.rebuilding("text \"\(field)\"")
        }
    }

    /// A snapshot of half an index would pass for a whole one.
    func requireWhole() throws(KyroError) {
        guard isMissingAnything else { return }
        throw MissingStructures.rebuilding(
            "collection \"\(fields.scope.namespace)\": \(missing.names.joined(separator: ", "))")
    }
}
