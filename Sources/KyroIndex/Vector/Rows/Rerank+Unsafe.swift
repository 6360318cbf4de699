// Exact scores of the candidates that codes have found.
import KyroBytes
import KyroModel

extension SearchRun {
    /// Rows behind the first ones that are read from a file together, before it is known whether
    /// all of them are needed: one wait instead of many.
    private static let diskDoubtBatch = 16

    /// Exact scores of the best `needed` candidates that may be returned, and of further ones as
    /// long as a code's error could hide a row that belongs among the best `k`: where many rows
    /// score nearly alike, as in the far corner that a filter leaves, codes order them less well.
    /// Returns how many were scored, and how many were looked at.
    mutating func rerank(
        _ query: EncodedQuery, _ pool: CandidatePool, needed: Int, isAdmitted: Bool
    ) throws(KyroError) -> (found: Int, met: Int) {
        let rows = index.rows
        let (list, estimates) = unsafe (memory.batchRows, memory.scanScores)
        // How many had been looked at when a candidate was.
        let (scores, places) = unsafe (memory.rows.scores, memory.scanRows)
        let doubtBatch = if case .disk = rows.store.place { Self.diskDoubtBatch } else { 1 }
        var (found, met) = (0, 0)
        var error: Float = 0
        var next = 0
        while unsafe next < pool.count {
            let isDoubt = found >= needed
            let max = isDoubt ? doubtBatch : min(RowScratch.rowsMax, needed - found)
            var count = 0
            while unsafe count < max && next < pool.count {
                let key = unsafe pool.keys[next]
                next += 1
                guard unsafe key & CandidatePool.admitted != 0 else { continue }
                let estimate = unsafe CandidatePool.score(key) + query.code.bias
                if isDoubt, estimate + error < top.threshold {
                    next = unsafe pool.count
                    break
                }
                met += 1
                unsafe places[count] = UInt32(met)
                let row = unsafe CandidatePool.row(key)
                guard isAdmitted || admission.admits(Int(row)) else { continue }
                unsafe list[count] = row
                unsafe estimates[count] = estimate
                count += 1
            }
            try unsafe rows.exactScores(
                query, list, count: count, scratch: memory.rows, into: scores)
            for i in 0..<count {
                let (estimate, score) = unsafe (estimates[i], scores[i])
                // An earlier one of the batch may have settled it.
                if isDoubt, estimate + error < top.threshold {
                    met = Int(unsafe places[i]) - 1
                    break
                }
                found += 1
                if found <= needed { error = Swift.max(error, abs(score - estimate)) }
                top.insert(ScoredSlot(slot: Int(rows.slots[Int(unsafe list[i])]), score: score))
            }
        }
        scored += found
        return (found, met)
    }
}
