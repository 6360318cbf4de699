// All pairs of int8 rows, and what is kept of them, on every variant against exact sums.
import CKernels
import Testing

/// Calls `body` with a pointer to each of `count` rows of `n` elements that lie in `elements` from
/// its second element on, so that most of them are not aligned.
func withRows<Element, Answer>(
    _ elements: [Element], count: Int, n: Int, _ body: ([UnsafePointer<Element>?]) -> Answer
) -> Answer {
    precondition(elements.count >= 1 + count * n, "\(elements.count) for \(count) rows of \(n)")
    return elements.withUnsafeBufferPointer { elements in
        body((0..<count).map { row in elements.baseAddress.map { $0 + 1 + row * n } })
    }
}

@Suite struct TileKernelTests {
    /// Shapes around the edges of registers (8 rows, 16 and 48 columns), of blocks (256 rows) and
    /// of the other variants' 2 × 4; large ones where rows are short.
    static func shape(_ n: Int, _ numbers: inout SeededNumbers) -> (rows: Int, columns: Int) {
        switch n {
        case 16: (300, 100)
        case 33: (257, 17)
        case 48: (1, 97)
        case ...130: (1 + numbers.below(20), 1 + numbers.below(110))
        default: (1 + numbers.below(9), 1 + numbers.below(35))
        }
    }

    @Test func tilesAreExactForAllShapesUpToTheExtremes() {
        let seed: UInt64 = 11
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions + [1_025, 1_536, 2_051] {
            let (rowCount, columnCount) = Self.shape(n, &numbers)
            let random = (0...(rowCount * n)).map { _ in numbers.code() }
            let other = (0...(columnCount * n)).map { _ in numbers.code() }
            let lowest = [Int8](repeating: -128, count: 1 + rowCount * n)
            let highest = [Int8](repeating: 127, count: 1 + rowCount * n)
            let lowestColumns = [Int8](repeating: -128, count: 1 + columnCount * n)
            for (a, b) in [
                (random, other), (lowest, other), (lowest, lowestColumns),
                (highest, lowestColumns), (random, lowestColumns),
            ] {
                let label = "seed \(seed), n \(n), \(rowCount) × \(columnCount)"
                checkTile(a, b, n: n, rowCount, columnCount, label)
            }
        }
    }

    private func checkTile(
        _ a: [Int8], _ b: [Int8], n: Int, _ rowCount: Int, _ columnCount: Int, _ label: String
    ) {
        let stride = columnCount + 3
        let untouched: Int32 = 77_777
        var expected = [Int32](repeating: untouched, count: rowCount * stride)
        for row in 0..<rowCount {
            for column in 0..<columnCount {
                var sum: Int32 = 0
                for d in 1...n {
                    sum += Int32(a[row * n + d]) * Int32(b[column * n + d])
                }
                expected[row * stride + column] = sum
            }
        }
        for kernels in KernelTests.variants {
            var out = [Int32](repeating: untouched, count: rowCount * stride)
            withRows(a, count: rowCount, n: n) { a in
                withRows(b, count: columnCount, n: n) { b in
                    kernels.dot_i8_tile(a, rowCount, b, columnCount, n, &out, stride)
                }
            }
            #expect(out == expected, "\(String(cString: kernels.name)), \(label)")
        }
    }

    @Test func anEmptyTileWritesNothing() {
        let row = [Int8](repeating: 1, count: 65)
        for kernels in KernelTests.variants {
            var out: [Int32] = [5]
            withRows(row, count: 1, n: 64) { rows in
                kernels.dot_i8_tile(rows, 0, rows, 1, 64, &out, 1)
                kernels.dot_i8_tile(rows, 1, rows, 0, 64, &out, 1)
                #expect(out == [5])
                kernels.dot_i8_tile(rows, 1, rows, 1, 0, &out, 1)
                #expect(out == [0])
            }
        }
    }

    @Test func whatReachesTheLeastScoreIsKeptInOrder() {
        let seed: UInt64 = 12
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            let dots = (0..<n).map { _ in Int32(truncatingIfNeeded: numbers.next()) }
            let factors = (0..<n).map { _ in numbers.float() }
            let biases = (0..<n).map { _ in numbers.float() * 1e9 }
            let factor = numbers.float()
            let scores = (0..<n).map { i in
                let scaled = Float(dots[i]) * (factor * factors[i])
                return scaled + biases[i]
            }
            for least in [-Float.infinity, scores.sorted()[n / 2], scores.max()!, .infinity] {
                let expected = (0..<n).filter { scores[$0] >= least }
                for kernels in KernelTests.variants {
                    var columns = [UInt32](repeating: .max, count: n)
                    var found = [Float](repeating: .nan, count: n)
                    let kept = kernels.keep_i32(
                        dots, factors, biases, n, factor, least, &columns, &found)
                    let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                    #expect(columns[0..<kept].map(Int.init) == expected, "\(label)")
                    #expect(found[0..<kept].elementsEqual(expected.map { scores[$0] }), "\(label)")
                }
            }
        }
    }
}
