// Whether a vector field's options are in their ranges and go together.
import KyroModel

enum IndexingValidation {
    /// - Parameter field: path of the options, such as `schema.vectors["e"].indexing`.
    static func check(
        _ indexing: VectorIndexing, field: @autoclosure () -> String
    ) throws(KyroError) {
        guard indexing != .default else { return }
        try checkNumbers(indexing, field: field())
        try checkKind(indexing, field: field())
        if indexing.rerank == .none {
            switch indexing.codes {
            case .automatic, .sq8, .sq4: break
            case .none, .bq, .pq:
                throw .invalid(
                    field() + ".rerank",
                    "is NONE, which needs codes SQ8, SQ4 or AUTOMATIC; take F32 or BF16 with "
                        + "codes \(indexing.codes.name)")
            }
            if indexing.storage == .disk {
                throw .invalid(
                    field() + ".storage",
                    "is DISK, which holds the rows that rerank; take rerank F32 or BF16")
            }
        }
    }

    private static func checkNumbers(
        _ indexing: VectorIndexing, field: @autoclosure () -> String
    ) throws(KyroError) {
        func check(
            _ number: UInt32, _ name: String, _ range: ClosedRange<UInt32>
        ) throws(KyroError) {
            guard number == 0 || range.contains(number) else {
                throw .overLimit(
                    "\(field()).\(name)",
                    "is \(number); it must lie in \(range.lowerBound)...\(range.upperBound), or be "
                        + "0 for the default")
            }
        }
        try check(indexing.m, "m", Limits.graphMRange)
        let m = indexing.m == 0 ? Limits.graphMDefault : indexing.m
        try check(indexing.efConstruction, "ef_construction", m...Limits.efConstructionMax)
        try check(indexing.efSearch, "ef_search", 1...UInt32(Limits.efSearchMax))
        try check(indexing.lists, "lists", 1...Limits.ivfListsMax)
        let lists = indexing.lists == 0 ? Limits.ivfListsMax : indexing.lists
        try check(indexing.probes, "probes", 1...lists)
    }

    /// A parameter of an index that the field will not have is a misunderstanding.
    private static func checkKind(
        _ indexing: VectorIndexing, field: @autoclosure () -> String
    ) throws(KyroError) {
        let ofGraph = [
            ("m", indexing.m), ("ef_construction", indexing.efConstruction),
            ("ef_search", indexing.efSearch),
        ]
        let ofLists = [("lists", indexing.lists), ("probes", indexing.probes)]
        let foreign: [(String, UInt32)]
        let owner: String
        switch indexing.kind {
        case .automatic, .graph: (foreign, owner) = (ofLists, "inverted lists; take kind IVF")
        case .ivf: (foreign, owner) = (ofGraph, "a graph; take kind GRAPH or AUTOMATIC")
        case .flat: (foreign, owner) = (ofGraph + ofLists, "another kind than FLAT")
        }
        for (name, number) in foreign where number != 0 {
            throw .invalid(
                "\(field()).\(name)", "is \(number), but belongs to \(owner), or leave it out")
        }
    }
}

extension VectorCodes {
    /// As the API has it.
    fileprivate var name: String {
        switch self {
        case .automatic: "AUTOMATIC"
        case .none: "NONE"
        case .sq8: "SQ8"
        case .sq4: "SQ4"
        case .bq: "BQ"
        case .pq: "PQ"
        }
    }
}
