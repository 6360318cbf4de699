// What a vector index holds, for whoever asks how it is doing. Any thread.
import KyroModel

extension VectorIndex {
    /// Never `automatic`.
    public var servedKind: VectorIndexKind {
        switch field.indexing.kind {
        case .automatic: graphCount > 0 ? .graph : .flat
        case .ivf: indexedCount > 0 ? .ivf : .flat
        case .graph, .flat: field.indexing.kind
        }
    }

    /// Never `automatic`.
    public var servedCodes: VectorCodes {
        codes
    }

    /// Resident bytes of the rows that rerank; what of them is in a file takes none.
    public var rowBytes: Int { rows.store.residentBytes(rowCount: rows.count) }

    /// Resident bytes of codes and of what they are read with.
    public var codeBytes: Int {
        rows.codes.residentBytes(rowCount: rows.count)
    }

    /// Resident bytes of links or lists.
    public var linkBytes: Int { graph.residentBytes + (inverted?.residentBytes ?? 0) }
}
