// Inverted lists in a snapshot, in the place of a graph. They follow from the rows, but training
// takes long.
//
//   4                 "KVLS"
//   4                 version, 1
//   4, 4              lists L, dimension
//   8                 rows in the lists G
//   8, 8              rows, and Σ length², when they were trained
//   L × 4, L × 4      factor and bias of each centroid, f32
//   L × dimension     codes of the centroids
//   L × 4             length of each list; together G
//   G × 4             rows below G, each once, list after list, ascending in each
//
// With L = 0 nothing follows the header: there are no lists yet, or far fewer rows than those that
// they were trained for.
import KyroBytes
import KyroModel

extension VectorSnapshot {
    static let listsMagic: UInt32 = 0x534C_564B
    static let listsVersion: UInt32 = 1
    static let listsHeaderBytes = 40
}

extension InvertedLists {
    /// Writes the lists over the first `rowCount` rows, as far as they have got; maintenance goes on
    /// meanwhile.
    func write(to sink: any SnapshotSink, rowCount: Int) throws(KyroError) {
        let count = min(self.count, rowCount)
        let (trainedRows, trainedSquares) = trained
        guard count >= max(listCount, trainedRows / ListParameters.growthMax) else {
            return try Self.writeNone(to: sink, dimension: centroids.dimension)
        }
        try sink.write(
            Self.header(
                lists: listCount, dimension: centroids.dimension, count: count,
                trained: (trainedRows, trainedSquares)))
        try centroids.write(to: sink)
        var lengths = ByteWriter(capacity: listCount * 4)
        for list in 0..<listCount {
            lengths.writeFixed32(UInt32(try entries.count(list, below: count)))
        }
        try sink.write(lengths.bytes)
        var block: [UInt32] = []
        for list in 0..<listCount {
            try entries.forEachEntry(list) { row throws(KyroError) in
                guard row < count else { return false }
                block.append(row)
                return true
            }
            guard block.count * 4 >= VectorSnapshot.blockBytes || list == listCount - 1 else {
                continue
            }
            var writer = ByteWriter(capacity: block.count * 4)
            writer.writeFixed32s(block)
            try sink.write(writer.bytes)
            block.removeAll(keepingCapacity: true)
        }
    }

    static func writeNone(to sink: any SnapshotSink, dimension: Int) throws(KyroError) {
        try sink.write(header(lists: 0, dimension: dimension, count: 0, trained: (0, 0)))
    }

    private static func header(
        lists: Int, dimension: Int, count: Int, trained: (rows: Int, squares: Int)
    ) -> [UInt8] {
        var header = ByteWriter(capacity: VectorSnapshot.listsHeaderBytes)
        header.writeFixed32s([
            VectorSnapshot.listsMagic, VectorSnapshot.listsVersion, UInt32(lists),
            UInt32(dimension),
        ])
        header.writeFixed64(UInt64(count))
        header.writeFixed64(UInt64(trained.rows))
        header.writeFixed64(UInt64(trained.squares))
        return header.bytes
    }

    /// Restores what `write` wrote; nil where it wrote that there are none.
    ///
    /// - Throws: `internal` when the bytes are not lists of these rows, and what `source` throws.
    static func read(
        from source: any SnapshotSource, rows: VectorRows
    ) throws(KyroError) -> InvertedLists? {
        let header = try ListsHeader(from: source, rows: rows)
        guard header.listCount > 0 else { return nil }
        let centroids = Centroids(count: header.listCount, dimension: rows.dimension)
        try centroids.read(from: source)
        let lists = InvertedLists(centroids)
        var lengths: [Int] = []
        var rest = header.rowCount
        for length in try readNumbers(header.listCount, from: source) {
            guard Int(length) <= rest else { throw damaged("their lengths are not their rows'") }
            lengths.append(Int(length))
            rest -= Int(length)
        }
        guard rest == 0 else { throw damaged("their lengths are not their rows'") }
        var isListed = [Bool](repeating: false, count: header.rowCount)
        guard lists.tryReserve(rows: header.rowCount) else {
            throw KyroError(.outOfMemory, "no memory for \(header.rowCount) rows in lists")
        }
        for (list, length) in lengths.enumerated() {
            var previous = -1
            for row in try readNumbers(length, from: source) {
                guard Int(row) < header.rowCount, Int(row) > previous, !isListed[Int(row)] else {
                    throw damaged("a row is not in one list")
                }
                previous = Int(row)
                isListed[Int(row)] = true
                lists.append(Int(row), to: list)
            }
        }
        lists.publish(count: header.rowCount)
        lists.setTrained(rows: header.trainedRows, squares: header.trainedSquares)
        return lists
    }

    fileprivate static func readNumbers(
        _ count: Int, from source: any SnapshotSource
    ) throws(KyroError) -> [UInt32] {
        var numbers: [UInt32] = []
        while numbers.count < count {
            let step = min(VectorSnapshot.blockBytes / 4, count - numbers.count)
            var reader = ByteReader(try source.read(count: step * 4))
            for _ in 0..<step {
                guard let number = try? reader.readFixed32() else {
                    throw damaged("they are short")
                }
                numbers.append(number)
            }
        }
        return numbers
    }

    static func damaged(_ problem: String) -> KyroError {
        VectorSnapshot.damaged("inverted lists: \(problem)")
    }
}

private struct ListsHeader {
    let listCount: Int
    let rowCount: Int
    let trainedRows: Int
    let trainedSquares: Int

    init(from source: any SnapshotSource, rows: VectorRows) throws(KyroError) {
        var reader = ByteReader(try source.read(count: VectorSnapshot.listsHeaderBytes))
        do throws(ByteError) {
            let (magic, version) = (try reader.readFixed32(), try reader.readFixed32())
            let (lists, dimension) = (try reader.readFixed32(), try reader.readFixed32())
            let count = try reader.readFixed64()
            let (trained, squares) = (try reader.readFixed64(), try reader.readFixed64())
            guard magic == VectorSnapshot.listsMagic, version == VectorSnapshot.listsVersion,
                Int(dimension) == rows.dimension, count <= UInt64(rows.count),
                UInt64(lists) <= count, trained < UInt64(VectorRows.rowsMax),
                squares <= trained * trained
            else { throw .truncated }
            listCount = Int(lists)
            rowCount = lists == 0 ? 0 : Int(count)
            trainedRows = Int(trained)
            trainedSquares = Int(squares)
        } catch {
            throw InvertedLists.damaged("their header does not hold")
        }
    }
}

extension Centroids {
    fileprivate func write(to sink: any SnapshotSink) throws(KyroError) {
        for numbers in [factors, biases] {
            var writer = ByteWriter(capacity: count * 4)
            for centroid in 0..<count { writer.writeFixed32(numbers[centroid].bitPattern) }
            try sink.write(writer.bytes)
        }
        for centroid in 0..<count {
            let first = centroid * stride
            try sink.write((first..<(first + dimension)).map { UInt8(bitPattern: codes[$0]) })
        }
    }

    fileprivate func read(from source: any SnapshotSource) throws(KyroError) {
        for numbers in [factors, biases] {
            for (centroid, bits) in try InvertedLists.readNumbers(count, from: source).enumerated()
            {
                numbers[centroid] = Float(bitPattern: bits)
            }
        }
        for centroid in 0..<count {
            for (d, code) in try source.read(count: dimension).enumerated() {
                codes[centroid * stride + d] = Int8(bitPattern: code)
            }
        }
    }
}

extension VectorIndex {
    /// Writes the lists over the rows of slots below `slotCount`.
    func writeLists(
        _ inverted: InvertedFile, to sink: any SnapshotSink, slotCount: Int
    ) throws(KyroError) {
        let rowCount = rows.rows(belowSlot: slotCount, rowCount: rows.count)
        try inverted.serving.read { lists throws(KyroError) in
            guard let lists else {
                return try InvertedLists.writeNone(to: sink, dimension: field.dimension)
            }
            try lists.write(to: sink, rowCount: rowCount)
        }
    }
}
