// Scans: every row of a range or of a mask, in full precision or by codes.
import CKernels
import KyroBytes
import KyroModel

/// Which rows one search may return.
struct Admission {
    let rows: VectorRows
    let visibility: Visibility
    let mask: SlotMask?

    @inline(__always) func admits(_ row: Int) -> Bool {
        let slot = Int(rows.slots[row])
        if let mask, !mask.contains(slot) { return false }
        return visibility.isVisible(slot)
    }
}

extension VectorRows {
    /// The score that leaves the index: accumulated in double, rounded once.
    @inline(__always)
    func exactScore(_ query: EncodedQuery, row: Int) -> Float {
        let value = unsafe values.pointer(row)
        switch metric {
        case .cosine:
            let dot = unsafe kyro_dot_f32(query.values, value, dimension)
            return unsafe Float(dot * query.inverseNorm * inverseNorms[row])
        case .innerProduct: return unsafe Float(kyro_dot_f32(query.values, value, dimension))
        case .l2: return unsafe Float(-kyro_l2sq_f32(query.values, value, dimension))
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
            let contiguous = min(range.upperBound - row, values.contiguousRows(from: row))
            let count = min(64, contiguous)
            let first = unsafe values.pointer(row)
            if metric == .l2 {
                unsafe kyro_l2sq_f32_rows(
                    query.values, first, values.rowBytes, count, dimension, scores)
            } else {
                unsafe kyro_dot_f32_rows(
                    query.values, first, values.rowBytes, count, dimension, scores)
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
        into top: inout TopK, cancellation: Cancellation
    ) throws(KyroError) -> Int {
        var scored = 0
        mask.forEach { slot in
            guard let row = row(ofSlot: slot, rowCount: rowCount) else { return true }
            scored += 1
            let score = unsafe exactScore(query, row: row)
            if score >= top.threshold, admission.visibility.isVisible(slot) {
                top.insert(ScoredSlot(slot: slot, score: score))
            }
            return scored & 255 != 0 || !cancellation.isCancelled
        }
        try cancellation.check()
        return scored
    }

    /// Codes, rows in `range`; what the pool keeps is admitted.
    func scanCodes(
        _ query: EncodedQuery, range: Range<Int>, admission: Admission, memory: ScratchMemory,
        into pool: inout CandidatePool, cancellation: Cancellation
    ) throws(KyroError) {
        let dots = unsafe memory.batchDots
        var row = range.lowerBound
        while row < range.upperBound {
            try cancellation.check()
            let contiguous = min(range.upperBound - row, codes.contiguousRows(from: row))
            let count = min(64, contiguous)
            unsafe kyro_dot_i8_rows(
                query.codes, codes.pointer(row), codes.rowBytes, count, dimension, dots)
            for i in 0..<count {
                unsafe offer(
                    row + i, dot: dots[i], factor: query.factor, admission: admission, to: &pool)
            }
            row += count
        }
    }

    /// Codes, rows of a mask. Returns rows scored.
    func scanCodes(
        _ query: EncodedQuery, mask: SlotMask, rowCount: Int, admission: Admission,
        memory: ScratchMemory, into pool: inout CandidatePool, cancellation: Cancellation
    ) throws(KyroError) -> Int {
        var scored = 0
        var pending = 0
        mask.forEach { slot in
            guard let row = row(ofSlot: slot, rowCount: rowCount) else { return true }
            unsafe memory.batchRows[pending] = UInt32(row)
            unsafe memory.batchCodes[pending] = UnsafePointer(codes.pointer(row))
            pending += 1
            guard pending == 64 else { return true }
            unsafe offerBatch(pending, query, admission: admission, memory: memory, to: &pool)
            scored += pending
            pending = 0
            return !cancellation.isCancelled
        }
        try cancellation.check()
        unsafe offerBatch(pending, query, admission: admission, memory: memory, to: &pool)
        return scored + pending
    }

    private func offerBatch(
        _ count: Int, _ query: EncodedQuery, admission: Admission, memory: ScratchMemory,
        to pool: inout CandidatePool
    ) {
        let dots = unsafe memory.batchDots
        unsafe kyro_dot_i8_list(query.codes, memory.batchCodes, count, dimension, dots)
        for i in 0..<count {
            unsafe offer(
                Int(memory.batchRows[i]), dot: dots[i], factor: query.factor,
                admission: admission, to: &pool)
        }
    }

    @inline(__always)
    private func offer(
        _ row: Int, dot: Int32, factor: Float, admission: Admission, to pool: inout CandidatePool
    ) {
        let term = unsafe terms.pointer(row)
        let score = unsafe Float(dot) * (factor * term[0]) + term[1]
        let key = unsafe CandidatePool.key(score: score, row: UInt32(row), isAdmitted: true)
        guard unsafe key > pool.threshold, admission.admits(row) else { return }
        _ = unsafe pool.insert(key)
    }
}
