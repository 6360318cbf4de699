// Rows stay where they were written while the columns grow.
import KyroBytes
import Testing

@Suite struct ColumnTests {
    @Test func rowsKeepTheirValuesAcrossChunks() {
        let column = Column<UInt32>(baseShift: 2)
        for row in 0..<1_000 { column.append(UInt32(row) &* 2_654_435_761, at: row) }
        for row in 0..<1_000 { #expect(column[row] == UInt32(row) &* 2_654_435_761) }
    }

    @Test(arguments: [1, 3, 15, 16, 17, 384]) func wideRowsComeBackWhole(width: Int) {
        let column = Column<Float>(width: width, baseShift: 1)
        for row in 0..<40 {
            column.append((0..<width).map { Float(row * width + $0) }, at: row)
        }
        for row in 0..<40 {
            #expect(column.row(row) == (0..<width).map { Float(row * width + $0) })
        }
        // Rows of 64 bytes and more begin at multiples of 64.
        #expect(width * 4 < 64 || column.rowBytes % 64 == 0)
    }

    @Test func neighboursLieSideBySideAsFarAsTheColumnSays() {
        let column = Column<UInt64>(baseShift: 3)
        column.reserve(row: 0)
        #expect(column.contiguousRows(from: 0) == 8)
        #expect(column.contiguousRows(from: 7) == 1)
        #expect(column.contiguousRows(from: 8) == 16)
        #expect(column.contiguousRows(from: 23) == 1)
    }

    @Test func cellsAreZeroUntilTheyAreStored() {
        let cells = AtomicColumn32(width: 3, baseShift: 1)
        let words = AtomicColumn64(baseShift: 1)
        for row in 0..<50 {
            cells.reserve(row: row)
            words.reserve(row: row)
            #expect(cells.load(row, 2) == 0 && words.load(row) == 0)
            cells.store(UInt32(row) + 1, row, 2)
            words.store(UInt64(row) << 40, row)
        }
        for row in 0..<50 {
            #expect(cells.load(row, 0) == 0)
            #expect(cells.load(row, 2) == UInt32(row) + 1)
            #expect(words.load(row) == UInt64(row) << 40)
        }
    }

    @Test func aColumnOwnsUpToItsRows() {
        let column = Column<UInt64>(baseShift: 4)
        #expect(column.residentBytes(rowCount: 0) == 0)
        #expect(column.residentBytes(rowCount: 1) == 16 * 8)
        #expect(column.residentBytes(rowCount: 17) == (16 + 32) * 8)
    }
}

@Suite struct ByteArenaTests {
    @Test func stringsOfEverySizeComeBack() {
        let arena = ByteArena(baseShift: 4)
        var places: [(offset: Int, bytes: [UInt8])] = []
        for size in [0, 1, 15, 16, 17, 100, 3, 1_000, 0, 31] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
            places.append((arena.append(bytes), bytes))
        }
        for (offset, bytes) in places {
            #expect(arena.bytes(at: offset, count: bytes.count) == bytes)
            #expect(arena.equals(bytes, at: offset, count: bytes.count))
            #expect(!arena.equals(bytes + [0], at: offset, count: bytes.count))
        }
    }

    @Test func stringsAreOrderedByTheirBytes() {
        let arena = ByteArena()
        let texts: [[UInt8]] = [[], [0], [0, 0], [1], [1, 255], [2], [255]]
        let offsets = texts.map { arena.append($0) }
        for a in texts.indices {
            for b in texts.indices {
                let isBefore = arena.precedes(
                    offsets[a], count: texts[a].count, offsets[b], count: texts[b].count)
                #expect(isBefore == (a < b), "\(texts[a]) and \(texts[b])")
            }
        }
    }
}
