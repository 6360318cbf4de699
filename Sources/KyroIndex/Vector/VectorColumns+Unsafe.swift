// Columns of a vector index as bytes of a snapshot and back. Hosts are little-endian, as the format is.
import KyroBytes
import KyroModel
import Synchronization

extension Column {
    /// Row after row, without the padding between them.
    func write(rowCount: Int, to sink: any SnapshotSink) throws(KyroError) {
        let rowsPerBlock = max(1, VectorSnapshot.blockBytes / plainRowBytes)
        var row = 0
        while row < rowCount {
            let end = min(rowCount, row + rowsPerBlock)
            var block = ByteWriter(capacity: (end - row) * plainRowBytes)
            append(rows: row..<end, to: &block)
            try sink.write(block.bytes)
            row = end
        }
    }

    /// Writer only.
    func read(rows: Range<Int>, from source: any SnapshotSource) throws(KyroError) {
        try fill(rows: rows) { (piece: inout MutableRawSpan) throws(KyroError) in
            try source.read(into: &piece)
        }
    }
}

extension AtomicColumn32 {
    /// Cells of `lists`; what is above `bound` (row + 1 of a row not below it) is left out and the
    /// cells behind it move up.
    func write(lists: Range<Int>, bound: Int, to sink: any SnapshotSink) throws(KyroError) {
        let listsPerBlock = max(1, VectorSnapshot.blockBytes / (width * 4))
        var list = lists.lowerBound
        while list < lists.upperBound {
            let end = min(lists.upperBound, list + listsPerBlock)
            var block = [UInt32](repeating: 0, count: (end - list) * width)
            for next in list..<end {
                var position = (next - list) * width
                let cells = unsafe cells(next)
                for i in 0..<width {
                    let cell = unsafe cells[i].load(ordering: .acquiring)
                    guard cell != 0, Int(cell) <= bound else { continue }
                    block[position] = cell
                    position += 1
                }
            }
            var writer = ByteWriter(capacity: block.count * 4)
            writer.writeFixed32s(block)
            try sink.write(writer.bytes)
            list = end
        }
    }

    /// - Precondition: no reader has learnt of the lists.
    func read(listCount: Int, bound: Int, from source: any SnapshotSource) throws(KyroError) {
        try fill(rows: 0..<listCount) { (piece: inout MutableRawSpan) throws(KyroError) in
            try source.read(into: &piece)
        }
        guard Int(maximum(rows: 0..<listCount)) <= bound else {
            throw VectorSnapshot.damaged("a neighbour list leads outside")
        }
    }
}

extension VectorRows {
    static var rowsMax: Int { unsafe CandidatePool.rowsMax }
}

extension VectorGraph {
    /// A list of a layer may lead only to rows that are in the layer.
    func checkHeights(rowCount: Int) throws(KyroError) {
        for row in 0..<rowCount {
            let height = height(UInt32(row))
            guard height > 0 else { continue }
            for layer in 1...height {
                for i in 0..<upper.width {
                    let cell = upper.load(Int(upperList[row]) + layer - 1, i)
                    if cell == 0 { break }
                    guard self.height(cell - 1) >= layer else {
                        throw VectorSnapshot.damaged("a neighbour is not in its layer")
                    }
                }
            }
        }
    }
}
