// Exact scores: those of the stored rows against the query as it was given.
import CKernels
import KyroBytes
import KyroModel

extension VectorRows {
    /// The score that leaves the index: accumulated in double, rounded once.
    ///
    /// - Parameter value: the floats of the row.
    @inline(__always)
    func exactScore(_ query: EncodedQuery, _ value: UnsafePointer<Float>, row: Int) -> Float {
        switch metric {
        case .cosine:
            let dot = unsafe kyro_dot_f32(query.values, value, dimension)
            return unsafe Float(dot * query.inverseNorm * inverseNorms[row])
        case .innerProduct: return unsafe Float(kyro_dot_f32(query.values, value, dimension))
        case .l2: return unsafe Float(-kyro_l2sq_f32(query.values, value, dimension))
        }
    }

    /// Scores of the rows of a list, `RowScratch.rowsMax` at most.
    @unsafe func exactScores(
        _ query: EncodedQuery, _ list: UnsafePointer<UInt32>, count: Int, scratch: RowScratch,
        into scores: UnsafeMutablePointer<Float>
    ) throws(KyroError) {
        precondition(count <= RowScratch.rowsMax, "\(count) rows at once")
        if case .floats(let column) = store.place {
            for i in 0..<count {
                let row = Int(unsafe list[i])
                unsafe scores[i] = exactScore(query, column.pointer(row), row: row)
            }
            return
        }
        let batch = RowScratch.batch(dimension: dimension)
        scratch.reserve(rowCount: min(batch, count), dimension: dimension)
        var done = 0
        while done < count {
            let step = min(batch, count - done)
            try unsafe load(list + done, count: step, into: scratch.floats, scratch: scratch)
            for i in 0..<step {
                let row = Int(unsafe list[done + i])
                unsafe scores[done + i] = exactScore(
                    query, scratch.floats + i * dimension, row: row)
            }
            done += step
        }
    }

    /// Full precision, rows in `range`.
    func scanValues(
        _ query: EncodedQuery, range: Range<Int>, admission: Admission, memory: ScratchMemory,
        into top: inout TopK, cancellation: Cancellation
    ) throws(KyroError) {
        let scores = unsafe memory.batchScores
        var row = range.lowerBound
        while row < range.upperBound {
            try cancellation.check()
            let piece = try unsafe piece(
                from: row, max: min(64, range.upperBound - row), scratch: memory.rows)
            let count = unsafe piece.count
            if metric == .l2 {
                unsafe kyro_l2sq_f32_rows(
                    query.values, piece.first, piece.stride, count, dimension, scores)
            } else {
                unsafe kyro_dot_f32_rows(
                    query.values, piece.first, piece.stride, count, dimension, scores)
            }
            for i in 0..<count {
                let raw = unsafe scores[i]
                let score =
                    switch metric {
                    case .cosine: unsafe Float(raw * query.inverseNorm * inverseNorms[row + i])
                    case .innerProduct: Float(raw)
                    case .l2: Float(-raw)
                    }
                guard score >= top.threshold, admission.admits(row + i) else { continue }
                top.insert(ScoredSlot(slot: Int(slots[row + i]), score: score))
            }
            row += count
        }
    }

    /// Full precision, rows of the admission's mask. Returns rows scored.
    func scanValues(
        _ query: EncodedQuery, mask: SlotMask, rowCount: Int, admission: Admission,
        memory: ScratchMemory, into top: inout TopK, cancellation: Cancellation
    ) throws(KyroError) -> Int {
        let list = unsafe memory.batchRows
        var scored = 0
        var count = 0
        var failure: KyroError?
        mask.forEach { slot in
            guard let row = row(ofSlot: slot, rowCount: rowCount) else { return true }
            unsafe list[count] = UInt32(row)
            count += 1
            guard count == RowScratch.rowsMax else { return true }
            do throws(KyroError) {
                try unsafe offer(query, count, admission.visibility, memory, into: &top)
            } catch {
                failure = error
                return false
            }
            scored += count
            count = 0
            return !cancellation.isCancelled
        }
        if let failure { throw failure }
        try cancellation.check()
        try unsafe offer(query, count, admission.visibility, memory, into: &top)
        return scored + count
    }

    /// Scores the first `count` rows of the batch, and keeps those that can be seen.
    private func offer(
        _ query: EncodedQuery, _ count: Int, _ visibility: Visibility, _ memory: ScratchMemory,
        into top: inout TopK
    ) throws(KyroError) {
        let (list, scores) = unsafe (memory.batchRows, memory.rows.scores)
        try unsafe exactScores(query, list, count: count, scratch: memory.rows, into: scores)
        for i in 0..<count {
            let score = unsafe scores[i]
            let slot = Int(slots[Int(unsafe list[i])])
            if score >= top.threshold, visibility.isVisible(slot) {
                top.insert(ScoredSlot(slot: slot, score: score))
            }
        }
    }
}
