// Codes side by side, scored in the order of their rows.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

extension CodeColumn {
    /// Scores the rows from `first` on whose bits are set and leaves number less `first`, and score,
    /// of those that reach `least` in the memory's `scanRows` and `scanScores`, in the order of rows.
    /// Returns how many.
    ///
    /// - Parameters:
    ///   - first: a multiple of 64, from which the rows of all words lie side by side.
    ///   - wordCount: at most `ScratchMemory.scanWordsMax`.
    func scan(
        _ query: CodeQuery, from first: Int, words: UnsafePointer<UInt64>, wordCount: Int,
        least: Float, memory: ScratchMemory
    ) -> Int {
        let found = unsafe memory.scanRows
        let scores = unsafe memory.scanScores
        if unsafe query.form == .int8 {
            return unsafe kyro_scan_i8(
                query.int8, pointer(first), rowBytes, terms.pointer(first), words, wordCount,
                dimension, query.factor, least, found, scores)
        }
        let rows = unsafe memory.batchRows
        let own = unsafe memory.coding.scores
        var kept = 0
        for word in 0..<wordCount {
            var bits = unsafe words[word]
            var count = 0
            while bits != 0 {
                unsafe rows[count] = UInt32(first + 64 * word + bits.trailingZeroBitCount)
                count += 1
                bits &= bits - 1
            }
            guard count > 0 else { continue }
            unsafe self.scores(query, rows: rows, count: count, into: own, memory: memory)
            for i in 0..<count where unsafe !(own[i] < least) {
                unsafe found[kept] = rows[i] - UInt32(first)
                unsafe scores[kept] = own[i]
                kept += 1
            }
        }
        return kept
    }
}

/// Whether some worker could not read its rows.
private final class ReadingState: Sendable {
    private let flag = Atomic<Bool>(false)

    var hasFailed: Bool { flag.load(ordering: .relaxed) }
    func fail() { flag.store(true, ordering: .relaxed) }
}

extension VectorRows {
    /// int8 codes of the first rows for the time of a build, made by all workers where the rows have
    /// codes of another kind; nil when cancelled, or when rows are in a file that cannot be read.
    func int8Codes(
        _ rowCount: Int, workers: any BulkWorkers, cancellation: Cancellation
    ) -> CodeColumn? {
        if codes.model.kind == .sq8 { return codes }
        let field = VectorField(dimension: dimension, metric: metric)
        let made = CodeColumn(
            model: CodeModel(kind: .sq8, field: field), values: Column(width: dimension))
        guard made.tryReserve(rows: 0..<rowCount) else { return nil }
        let cursor = BulkCursor(count: rowCount, block: 256)
        let reading = ReadingState()
        workers.run { _ in
            let (scratch, rows) = (CodeScratch(), RowScratch())
            while let block = cursor.take(), !cancellation.isCancelled {
                if !self.encode(block, as: made, scratch, rows) { reading.fail() }
            }
        }
        return cancellation.isCancelled || reading.hasFailed ? nil : made
    }

    /// False where rows are in a file that cannot be read.
    private func encode(
        _ block: Range<Int>, as made: CodeColumn, _ scratch: CodeScratch, _ reading: RowScratch
    ) -> Bool {
        var row = block.lowerBound
        while row < block.upperBound {
            do throws(KyroError) {
                let piece = try unsafe piece(
                    from: row, max: block.upperBound - row, scratch: reading)
                for i in unsafe 0..<piece.count {
                    let from = unsafe piece.row(i)
                    let square = unsafe kyro_dot_f32(from, from, dimension)
                    unsafe made.encode(row: row + i, from: from, square: square, scratch: scratch)
                }
                row += unsafe piece.count
            } catch {
                return false
            }
        }
        return true
    }

    /// What those take beside the rows.
    func int8CodeBytes(_ rowCount: Int) -> Int {
        codes.model.kind == .sq8 ? 0 : rowCount * (((dimension + 63) & ~63) + 8)
    }
}
