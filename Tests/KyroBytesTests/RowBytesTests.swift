// Rows leave columns as plain bytes and come back, across chunks and whatever their padding.
import KyroBytes
import Testing

@Suite struct RowBytesTests {
    @Test("rows of any width come back", arguments: [1, 3, 16, 17, 100])
    func columns(width: Int) {
        let rowCount = 1_500
        let column = Column<Float>(width: width, baseShift: 4)
        for row in 0..<rowCount {
            column.append((0..<width).map { Float(row * width + $0) }, at: row)
        }
        var writer = ByteWriter()
        column.append(rows: 0..<700, to: &writer)
        column.append(rows: 700..<rowCount, to: &writer)
        #expect(writer.count == rowCount * column.plainRowBytes)

        let copied = Column<Float>(width: width, baseShift: 4)
        copied.fill(rows: 0..<rowCount, from: writer.bytes, at: 0)
        let read = Column<Float>(width: width, baseShift: 4)
        var position = 0
        read.fill(rows: 0..<rowCount) { piece in
            let count = piece.byteCount
            piece.copy(writer.bytes, range: position..<(position + count), to: 0)
            position += count
        }
        #expect(position == writer.count)
        for row in 0..<rowCount {
            #expect(copied.row(row) == column.row(row) && read.row(row) == column.row(row))
        }
    }

    @Test("atomic cells are filled and their highest is found")
    func cells() {
        let cells = AtomicColumn32(width: 4, baseShift: 2)
        var writer = ByteWriter()
        writer.writeFixed32s((0..<400).map { UInt32($0 * 7 % 400) })
        var position = 0
        cells.fill(rows: 0..<100) { piece in
            let count = piece.byteCount
            piece.copy(writer.bytes, range: position..<(position + count), to: 0)
            position += count
        }
        #expect(cells.load(99, 3) == 399 * 7 % 400)
        #expect(cells.maximum(rows: 0..<100) == 399)
        #expect(cells.maximum(rows: 0..<0) == 0)
        let words = AtomicColumn64(baseShift: 2)
        writer = ByteWriter()
        writer.writeFixed64s((0..<50).map { UInt64($0) << 40 })
        words.fill(rows: 0..<50, from: writer.bytes, at: 0)
        #expect(words.load(49) == 49 << 40)
    }

    @Test("strings of an arena are hashed, compared and copied in place")
    func arena() {
        let arena = ByteArena(baseShift: 4)
        let texts = ["", "a", "stone", "a longer text than one chunk of sixteen bytes", "stone"]
        let bytes = texts.map { Array($0.utf8) }
        let whole = bytes.flatMap { $0 }
        var position = 0
        var offsets: [Int] = []
        for text in bytes {
            offsets.append(arena.append(whole, range: position..<(position + text.count)))
            position += text.count
        }
        var writer = ByteWriter()
        for (text, offset) in zip(bytes, offsets) {
            #expect(arena.bytes(at: offset, count: text.count) == text)
            #expect(arena.xxh3(at: offset, count: text.count, seed: 5) == xxh3(text, seed: 5))
            arena.append(at: offset, count: text.count, to: &writer)
        }
        #expect(writer.bytes == whole)
        #expect(arena.areEqual(offsets[2], offsets[4], count: 5))
        #expect(!arena.areEqual(offsets[2], offsets[3], count: 5))
    }
}
