// Rows as floats, wherever and however they are kept.
import CKernels
import KyroBytes
import KyroModel

/// Rows side by side: in their place, or in scratch memory until that is used again.
@unsafe struct RowPiece {
    let first: UnsafePointer<Float>
    /// Bytes from one row to the next.
    let stride: Int
    let count: Int

    @inline(__always) func row(_ i: Int) -> UnsafePointer<Float> {
        unsafe UnsafeRawPointer(first).advanced(by: i * stride)
            .assumingMemoryBound(to: Float.self)
    }
}

extension VectorRows {
    /// The rows from `row` on: `max` of them, or fewer.
    func piece(from row: Int, max: Int, scratch: RowScratch) throws(KyroError) -> RowPiece {
        if case .floats(let column) = store.place {
            return unsafe RowPiece(
                first: UnsafePointer(column.pointer(row)), stride: column.rowBytes,
                count: min(max, column.contiguousRows(from: row)))
        }
        let count = min(max, RowScratch.batch(dimension: dimension))
        scratch.reserve(rowCount: count, dimension: dimension)
        try unsafe load(row..<(row + count), into: scratch.floats, scratch: scratch)
        return unsafe RowPiece(
            first: UnsafePointer(scratch.floats), stride: dimension * MemoryLayout<Float>.stride,
            count: count)
    }

    /// Fills `floats` with rows, one behind the other.
    @unsafe func load(
        _ range: Range<Int>, into floats: UnsafeMutablePointer<Float>, scratch: RowScratch
    ) throws(KyroError) {
        switch store.place {
        case .floats(let column):
            for (i, row) in range.enumerated() {
                unsafe kyro_copy_row(
                    floats + i * dimension, column.pointer(row),
                    dimension * MemoryLayout<Float>.stride)
            }
        case .halves(let column):
            for (i, row) in range.enumerated() {
                unsafe RowFormat.bf16.decode(
                    column.pointer(row), count: dimension, into: floats + i * dimension)
            }
        case .disk(let rows): try unsafe rows.load(range, into: floats, scratch: scratch)
        case .absent:
            for (i, row) in range.enumerated() {
                unsafe decode(row: row, into: floats + i * dimension, scratch: scratch)
            }
        }
    }

    /// Fills `floats` with the rows of a list, `RowScratch.rowsMax` at most.
    @unsafe func load(
        _ list: UnsafePointer<UInt32>, count: Int, into floats: UnsafeMutablePointer<Float>,
        scratch: RowScratch
    ) throws(KyroError) {
        if case .disk(let rows) = store.place {
            try unsafe rows.load(list, count: count, into: floats, scratch: scratch)
            return
        }
        for i in 0..<count {
            let row = Int(unsafe list[i])
            try unsafe load(row..<(row + 1), into: floats + i * dimension, scratch: scratch)
        }
    }

    /// The same for rows in an array.
    @unsafe func load(
        _ list: [UInt32], into floats: UnsafeMutablePointer<Float>, scratch: RowScratch
    ) throws(KyroError) {
        try unsafe list.withUnsafeBufferPointer { (list) throws(KyroError) in
            guard let first = list.baseAddress else { return }
            try unsafe load(first, count: list.count, into: floats, scratch: scratch)
        }
    }

    /// One row as it is stored.
    func floats(of row: Int) throws(KyroError) -> [Float] {
        if case .floats(let column) = store.place { return column.row(row) }
        let scratch = RowScratch()
        scratch.reserve(rowCount: 1, dimension: dimension)
        try unsafe load(row..<(row + 1), into: scratch.floats, scratch: scratch)
        return unsafe Array(UnsafeBufferPointer(start: scratch.floats, count: dimension))
    }

    /// What a row's code stands for.
    @unsafe func decode(
        row: Int, into floats: UnsafeMutablePointer<Float>, scratch: RowScratch
    ) {
        if copiesRows {
            unsafe kyro_copy_row(
                floats, codes.values.pointer(row), dimension * MemoryLayout<Float>.stride)
            return
        }
        unsafe codes.decode(row, into: floats, scratch: scratch.coding)
        // Of a cosine, codes have the direction alone.
        guard metric == .cosine else { return }
        let inverse = inverseNorms[row]
        let norm = inverse > 0 ? 1 / inverse : 0
        for i in 0..<dimension { unsafe floats[i] = unsafe finite(Double(floats[i]) * norm) }
    }
}
