// All pairs of int8 rows, and the best of them, on every variant against exact sums.
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

    @Test func pairsOfOneListAreThoseOfItsTile() {
        let seed: UInt64 = 13
        var numbers = SeededNumbers(seed: seed)
        // Around a panel of 48 columns, a block of 256 rows, and a block of 1,024 dimensions.
        for (count, n) in [
            (0, 7), (1, 5), (15, 64), (16, 70), (17, 33), (49, 48), (100, 0), (255, 16), (257, 24),
            (300, 9), (560, 5), (35, 384), (20, 1_025), (50, 2_051),
        ] {
            let codes = (0...(count * n)).map { _ in numbers.code() }
            let stride = count + 3
            var expected = [Int32](repeating: 77_777, count: max(1, count * stride))
            var out = expected
            for kernels in KernelTests.variants {
                out = [Int32](repeating: 77_777, count: out.count)
                expected = out
                withRows(codes, count: count, n: n) { rows in
                    kernels.dot_i8_tile(rows, count, rows, count, n, &expected, stride)
                    kernels.dot_i8_pairs(rows, count, n, &out, stride)
                }
                let name = String(cString: kernels.name)
                #expect(out == expected, "\(name), seed \(seed), \(count) rows of \(n)")
            }
        }
    }

    /// What kyro_best_i32 says, by sorting all.
    private static func best(
        _ scores: [Float], first: UInt32, own: UInt32, wanted: Int, before: [UInt64]
    ) -> [UInt64] {
        var keys = before
        for (i, score) in scores.enumerated() where first + UInt32(i) != own {
            let bits = (score.isNaN ? -.infinity : score).bitPattern
            let ascending = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
            keys.append(UInt64(ascending) << 32 | UInt64(~(first &+ UInt32(i) &- own)))
        }
        return Array(keys.sorted(by: >).prefix(wanted))
    }

    @Test func theBestAreFoundInOrderAndAddedToThoseBefore() {
        let seed: UInt64 = 12
        var numbers = SeededNumbers(seed: seed)
        for n in [1, 2, 15, 16, 17, 48, 100, 550, 1_000] {
            for wanted in [1, 3, 8, 16, 17, 32] {
                // Few values, so that many scores are equal; ends that give infinities, and products
                // of them with zero.
                let width = numbers.below(2) == 0 ? 7 : 1_000_000
                let dots = (0..<n).map { _ in Int32(numbers.below(2 * width + 1) - width) }
                let factors = (0..<n).map { _ in
                    numbers.below(50) == 0 ? Float.infinity : numbers.float()
                }
                let biases = (0..<n).map { _ in numbers.float() * Float(width) }
                let factor = numbers.float()
                let scores = (0..<n).map { i in
                    let scaled = Float(dots[i]) * (factor * factors[i])
                    return scaled + biases[i]
                }
                let owns = [UInt32.max, 1_000 + UInt32(n / 2)]
                for own in owns {
                    let early = Self.best(
                        scores, first: 1_000, own: own, wanted: wanted, before: [])
                    let late = Self.best(
                        scores.reversed(), first: 50_000, own: own, wanted: wanted, before: early)
                    for kernels in KernelTests.variants {
                        var keys = [UInt64](repeating: 0, count: wanted)
                        var found = kernels.best_i32(
                            dots, factors, biases, n, factor, 1_000, own, wanted, &keys, 0)
                        let name = String(cString: kernels.name)
                        let label = "\(name), seed \(seed), \(wanted) of \(n), own \(own)"
                        #expect(Array(keys.prefix(found)) == early, "\(label)")
                        found = kernels.best_i32(
                            dots.reversed(), factors.reversed(), biases.reversed(), n, factor,
                            50_000, own, wanted, &keys, found)
                        #expect(Array(keys.prefix(found)) == late, "\(label)")
                    }
                }
            }
        }
    }

    /// What is left of candidates, as the header says it.
    @Test func candidatesAreLeftOutWhoseScoreReachesTheirBound() {
        let seed: UInt64 = 13
        var numbers = SeededNumbers(seed: seed)
        for count in [0, 1, 2, 7, 8, 9, 15, 16, 17, 33, 128, 300] {
            let dots = (0..<count).map { _ in Int32(numbers.below(9)) - 4 }
            let factors = (0..<count).map { _ in
                numbers.below(20) == 0 ? Float.nan : numbers.float()
            }
            let biases = (0..<count).map { _ in numbers.float() - 0.5 }
            let (pairFactor, factor) = (Float(2), numbers.float())
            let bias = numbers.float()
            let scores = (0..<count).map { i in
                let product = Float(dots[i]) * (pairFactor * (factor * factors[i]))
                return product + (bias + biases[i])
            }
            // Every third bound is met exactly.
            let bounds = (0..<count).map { $0 % 3 == 0 ? scores[$0] : numbers.float() * 4 - 2 }
            let keys = (0..<count).map { UInt64(numbers.below(1 << 40)) << 20 | UInt64($0 + 1) }
            let codes = (0..<count).map { UnsafePointer<Int8>(bitPattern: 64 + $0) }
            let stay = (0..<count).filter { !(scores[$0] >= bounds[$0]) }
            let best = stay.indices.max { keys[stay[$0]] < keys[stay[$1]] } ?? 0
            for kernels in KernelTests.variants {
                let label = "\(String(cString: kernels.name)), seed \(seed), \(count)"
                let room = [Float](repeating: 7, count: 16)
                var (keys, codes) = (keys + Array(repeating: 0, count: 16), codes + [])
                codes += Array(repeating: nil, count: 16)
                var (ownFactors, ownBiases) = (factors + room, biases + room)
                var ownBounds = bounds + room
                var nearest = 99
                let expectedKeys = stay.map { keys[$0] }
                let expectedCodes = stay.map { codes[$0] }
                let left = keys.withUnsafeMutableBufferPointer { keys in
                    codes.withUnsafeMutableBufferPointer { codes in
                        ownFactors.withUnsafeMutableBufferPointer { factors in
                            ownBiases.withUnsafeMutableBufferPointer { biases in
                                ownBounds.withUnsafeMutableBufferPointer { bounds in
                                    var candidates = kyro_candidates(
                                        keys: keys.baseAddress, codes: codes.baseAddress,
                                        factors: factors.baseAddress, biases: biases.baseAddress,
                                        bounds: bounds.baseAddress)
                                    return kernels.leave_out(
                                        dots, count, pairFactor, factor, bias, &candidates,
                                        &nearest)
                                }
                            }
                        }
                    }
                }
                #expect(left == stay.count && nearest == best, "\(label)")
                #expect(Array(keys.prefix(left)) == expectedKeys, "\(label)")
                #expect(Array(codes.prefix(left)) == expectedCodes, "\(label)")
                let bits = { (values: [Float]) in values.map(\.bitPattern) }
                #expect(
                    bits(Array(ownFactors.prefix(left))) == bits(stay.map { factors[$0] }),
                    "\(label)")
                #expect(Array(ownBiases.prefix(left)) == stay.map { biases[$0] }, "\(label)")
                #expect(
                    bits(Array(ownBounds.prefix(left))) == bits(stay.map { bounds[$0] }),
                    "\(label)")
            }
        }
    }
}
