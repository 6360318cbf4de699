// Whether a wanted recall can be had.
import KyroModel

enum RecallValidation {
    /// Below it nobody would call the answer one.
    static let least = 0.5

    /// - Throws: for `vector.recall`. Zero stands for none asked, 1 for an exact answer.
    static func check(_ query: VectorQuery) throws(KyroError) {
        guard query.recall != 0 else { return }
        guard query.recall >= least, query.recall <= 1 else {
            throw .invalid(
                "vector.recall",
                "is \(query.recall); it must be at least \(least), and at most 1, which is exact")
        }
        guard query.efSearch == 0, query.probes == 0 else {
            throw .invalid(
                "vector.recall",
                "is given with \(query.efSearch == 0 ? "probes" : "ef_search"), which it finds by "
                    + "itself; give only one of them")
        }
    }
}
