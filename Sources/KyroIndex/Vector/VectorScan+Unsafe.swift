// Scans by codes: every row of a range, or of a mask.
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
    /// Codes of the rows in `range`, and of those alone that are in `rowMask` where there is one.
    /// Returns rows scored.
    ///
    /// - Parameters:
    ///   - rowMask: bits of rows, not of slots, see `rowMask(_:rowCount:)`.
    ///   - least: a score below this need not be offered.
    ///   - offer: takes the key of a visible row and returns the new `least`.
    @inline(__always)
    func scanCodes(
        _ query: EncodedQuery, range: Range<Int>, rowMask: SlotMask?, visibility: Visibility,
        memory: ScratchMemory, least: Float, cancellation: Cancellation,
        offer: (UInt64) -> Float
    ) throws(KyroError) -> Int {
        let words = unsafe memory.scanWords
        let found = unsafe memory.scanRows
        let scores = unsafe memory.scanScores
        let wordEnd = (range.upperBound + 63) >> 6
        var least = least
        var scored = 0
        var word = range.lowerBound >> 6
        while word < wordEnd {
            try cancellation.check()
            let first = word << 6
            // A chunk holds a multiple of 64 rows.
            let contiguous = codes.contiguousRows(from: first) >> 6
            let wordCount = min(ScratchMemory.scanWordsMax, wordEnd - word, contiguous)
            for i in 0..<wordCount {
                let bits = Self.bits(of: range, word: word + i)
                let masked = rowMask.map { bits & $0.word(word + i) } ?? bits
                unsafe words[i] = masked
                scored += masked.nonzeroBitCount
            }
            let kept = unsafe codes.scan(
                query.code, from: first, words: words, wordCount: wordCount, least: least,
                memory: memory)
            for i in 0..<kept {
                let row = unsafe first + Int(found[i])
                let score = unsafe scores[i]
                guard score >= least || score.isNaN, visibility.isVisible(Int(slots[row]))
                else { continue }
                least = offer(
                    unsafe CandidatePool.key(score: score, row: UInt32(row), isAdmitted: true))
            }
            word += wordCount
        }
        return scored
    }

    /// The rows of a mask's slots, as bits; the mask itself where every slot has a row.
    func rowMask(_ mask: SlotMask?, rowCount: Int) -> SlotMask? {
        guard let mask, rowCount > 0, Int(slots[rowCount - 1]) != rowCount - 1 else {
            return mask
        }
        var rowMask = SlotMask(slotCount: rowCount)
        mask.forEach { slot in
            if let row = row(ofSlot: slot, rowCount: rowCount) { rowMask.insert(row) }
            return true
        }
        return rowMask
    }

    /// Of the 64 rows from 64 × `word` on, those in `range`.
    @inline(__always) private static func bits(of range: Range<Int>, word: Int) -> UInt64 {
        let first = word << 6
        var bits = UInt64.max
        if range.lowerBound > first { bits &= .max << UInt64(range.lowerBound - first) }
        if range.upperBound < first + 64 { bits &= ~(.max << UInt64(range.upperBound - first)) }
        return bits
    }
}

extension SlotMask {
    /// The bits from 64 × `index` on; zero behind the last.
    @inline(__always) fileprivate func word(_ index: Int) -> UInt64 {
        index < words.count ? words[index] : 0
    }
}
