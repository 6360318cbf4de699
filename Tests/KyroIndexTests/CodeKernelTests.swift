// The kernels on 4-bit and 1-bit codes, on every variant against exact sums.
import CKernels
import Testing

/// The code of dimension `d` in a row of `n`, as `CKernels.h` draws the layout.
func nibble(_ codes: ArraySlice<UInt8>, _ d: Int, of n: Int) -> Int {
    let block = d / 128 * 128
    let half = (min(128, n - block) + 1) / 2
    let first = codes.startIndex + block / 2
    let offset = d - block
    return offset < half ? Int(codes[first + offset] & 15) : Int(codes[first + offset - half] >> 4)
}

@Suite struct CodeKernelTests {
    static let rowCount = 9

    @Test func fourBitCodesAreWithinHalfAStepAndEqualOnAllVariants() {
        let seed: UInt64 = 21
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            // Far from zero and wide by turns.
            let middle: Float = n % 2 == 0 ? 1_000 : 0.3
            let row = (0..<n).map { _ in numbers.normal() * 3 + middle }
            var reference: [UInt8]?
            for kernels in KernelTests.variants {
                let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                var codes = [UInt8](repeating: 0xEE, count: (n + 1) / 2 + 1)
                var step: Float = -1
                var low: Float = -1
                kernels.encode_u4(row, n, &codes, &step, &low)
                #expect(codes.removeLast() == 0xEE, "\(label)")
                #expect(low == row.min()!, "\(label)")
                let spread = row.max()! - low
                #expect(abs(step * 15 - spread) <= 1e-6 * (middle + spread), "\(label)")
                for d in 0..<n {
                    let decoded = low + step * Float(nibble(codes[...], d, of: n))
                    let rounding = 4 * row[d].ulp
                    #expect(abs(row[d] - decoded) <= step * 0.5001 + rounding, "\(label), \(d)")
                }
                if n % 2 == 1 { #expect(codes.last! >> 4 == 0, "\(label)") }
                if let reference { #expect(codes == reference, "\(label)") }
                reference = codes
            }
        }
    }

    @Test func fourBitCodesOfExtremesAreFinite() {
        let most = Float.greatestFiniteMagnitude
        for kernels in KernelTests.variants {
            var codes = [UInt8](repeating: 0xEE, count: 2)
            var step: Float = -1
            var low: Float = -1
            kernels.encode_u4([most, -most, most / 4], 3, &codes, &step, &low)
            #expect((0..<3).map { nibble(codes[...], $0, of: 3) } == [15, 0, 9])
            #expect(low == -most && step.isFinite && step > most / 8)
            for constant in [0, -2.5, most, Float.leastNonzeroMagnitude] {
                kernels.encode_u4([constant, constant, constant], 3, &codes, &step, &low)
                #expect(codes == [0, 0] && step == 0 && low == constant)
            }
            kernels.encode_u4([0, Float.leastNonzeroMagnitude], 2, &codes, &step, &low)
            #expect(codes[0] == 0 && step == 0 && low == 0)
        }
    }

    @Test func fourBitDotsAreExactUpToTheExtremes() {
        let seed: UInt64 = 22
        var numbers = SeededNumbers(seed: seed)
        let count = Self.rowCount
        for n in KernelTests.dimensions {
            let byteCount = (n + 1) / 2
            let random = (0...(count * byteCount)).map { _ in
                UInt8(truncatingIfNeeded: numbers.next())
            }
            let highest = [UInt8](repeating: 0xFF, count: count * byteCount + 1)
            let queries = [
                (0...n).map { _ in numbers.code() }, [Int8](repeating: -128, count: n + 1),
                [Int8](repeating: 127, count: n + 1),
            ]
            for (codes, query) in queries.flatMap({ [(random, $0), (highest, $0)] }) {
                let expected = (0..<count).map { row in
                    let own = codes[(1 + row * byteCount)...]
                    return (0..<n).reduce(0) { $0 + Int(query[1 + $1]) * nibble(own, $1, of: n) }
                }
                for kernels in KernelTests.variants {
                    let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                    var listed = [Int32](repeating: 0, count: count)
                    var single = listed
                    withRows(codes, count: count, n: byteCount) { rows in
                        withRows(query, count: 1, n: n) { query in
                            kernels.dot_u4_list(query[0], rows, count, n, &listed)
                            for row in 0..<count {
                                single[row] = kernels.dot_u4(query[0], rows[row], n)
                            }
                        }
                    }
                    #expect(listed.map(Int.init) == expected, "\(label)")
                    #expect(single.map(Int.init) == expected, "\(label)")
                }
            }
        }
    }

    @Test func fourBitScansPassOnWhatReachesTheLeastScore() {
        let seed: UInt64 = 23
        var numbers = SeededNumbers(seed: seed)
        let room = Int(kyro_scan_rows_max)
        for (n, wordCount) in [(1, 1), (63, 2), (128, 3), (130, 4), (384, 16), (1_001, 2)] {
            let stride = (n + 1) / 2 + 5
            let query = (0..<n).map { _ in numbers.code() }
            let codes = (0..<(stride * 64 * wordCount)).map { _ in
                UInt8(truncatingIfNeeded: numbers.next())
            }
            let terms = (0..<(192 * wordCount)).map { _ in numbers.float() }
            let words = (0..<wordCount).map { i in
                i == 1 ? 0 : i == 2 ? .max : numbers.next() & numbers.next()
            }
            let factor = numbers.float()
            let shift = numbers.float() * 100
            var all: [(row: UInt32, score: Float)] = []
            for row in 0..<(64 * wordCount) where words[row / 64] >> UInt64(row % 64) & 1 == 1 {
                let own = codes[(row * stride)...]
                let dot = (0..<n).reduce(0) { $0 + Int(query[$1]) * nibble(own, $1, of: n) }
                let scaled = Float(dot) * (factor * terms[3 * row])
                let shifted = shift * terms[3 * row + 1]
                all.append((UInt32(row), scaled + (shifted + terms[3 * row + 2])))
            }
            let middle = all.map(\.score).sorted()[all.count / 2]
            for least in [-Float.infinity, middle, .infinity] {
                let expected = all.filter { $0.score >= least }
                for kernels in KernelTests.variants {
                    var rows = [UInt32](repeating: 0, count: room)
                    var scores = [Float](repeating: 0, count: room)
                    let kept = kernels.scan_u4(
                        query, codes, stride, terms, words, wordCount, n, factor, shift, least,
                        &rows, &scores)
                    let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                    #expect(Array(rows[0..<kept]) == expected.map(\.row), "\(label)")
                    #expect(Array(scores[0..<kept]) == expected.map(\.score), "\(label)")
                }
            }
        }
    }

    /// The terms that the header names give the inner product of the decoded vectors.
    @Test func fourBitScoresAreInnerProductsOfWhatTheCodesStandFor() {
        let seed: UInt64 = 24
        var numbers = SeededNumbers(seed: seed)
        let n = 200
        let row = (0..<n).map { _ in numbers.normal() + 0.2 }
        let query = (0..<n).map { _ in numbers.normal() - 0.1 }
        var queryCodes = [Int8](repeating: 0, count: n)
        let scale = kyro_encode_i8(query, n, &queryCodes)
        let sum = queryCodes.reduce(0) { $0 + Int($1) }
        var codes = [UInt8](repeating: 0, count: 64 * (n + 1) / 2)
        var terms = [Float](repeating: 0, count: 192)
        var step: Float = 0
        var low: Float = 0
        kyro_encode_u4(row, n, &codes, &step, &low)
        terms[0] = step
        terms[1] = low
        let expected = (0..<n).reduce(0.0) {
            let decoded = Double(low) + Double(step) * Double(nibble(codes[...], $1, of: n))
            return $0 + Double(scale) * Double(queryCodes[$1]) * decoded
        }
        var rows = [UInt32](repeating: 0, count: Int(kyro_scan_rows_max))
        var scores = [Float](repeating: 0, count: Int(kyro_scan_rows_max))
        let kept = kyro_scan_u4(
            queryCodes, codes, (n + 1) / 2, terms, [1], 1, n, scale, scale * Float(sum),
            -.infinity, &rows, &scores)
        #expect(kept == 1)
        #expect(abs(Double(scores[0]) - expected) < 1e-3, "seed \(seed)")
    }

    @Test func bitsAreSetAboveTheThresholdAndNowhereElse() {
        let seed: UInt64 = 25
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            let row = (0..<n).map { _ in numbers.float() }
            let thresholds = row.enumerated().map { $0 % 5 == 0 ? $1 : numbers.float() }
            let byteCount = (n + 7) / 8
            var expected = [UInt8](repeating: 0, count: byteCount) + [0xEE]
            for d in 0..<n where row[d] > thresholds[d] {
                expected[d / 8] |= 1 << UInt8(d % 8)
            }
            for kernels in KernelTests.variants {
                var codes = [UInt8](repeating: 0xEE, count: byteCount + 1)
                kernels.encode_bits(row, thresholds, n, &codes)
                let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                #expect(codes == expected, "\(label)")
            }
        }
    }

    @Test func hammingDistancesAreExact() {
        let seed: UInt64 = 26
        var numbers = SeededNumbers(seed: seed)
        let count = 21
        for byteCount in KernelTests.dimensions {
            let random = (0...(count * byteCount)).map { _ in
                UInt8(truncatingIfNeeded: numbers.next())
            }
            let full = [UInt8](repeating: 0xFF, count: count * byteCount + 1)
            let query = (0...byteCount).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
            let empty = [UInt8](repeating: 0, count: byteCount + 1)
            for (codes, query) in [(random, query), (full, query), (full, empty)] {
                let expected = (0..<count).map { row in
                    (1...byteCount).reduce(0) {
                        $0 + (query[$1] ^ codes[row * byteCount + $1]).nonzeroBitCount
                    }
                }
                for kernels in KernelTests.variants {
                    let label = "\(String(cString: kernels.name)), seed \(seed), \(byteCount)"
                    var listed = [UInt32](repeating: 0, count: count)
                    var single = listed
                    withRows(codes, count: count, n: byteCount) { rows in
                        withRows(query, count: 1, n: byteCount) { query in
                            kernels.hamming_list(query[0], rows, count, byteCount, &listed)
                            for row in 0..<count {
                                single[row] = kernels.hamming(query[0], rows[row], byteCount)
                            }
                        }
                    }
                    #expect(listed.map(Int.init) == expected, "\(label)")
                    #expect(single.map(Int.init) == expected, "\(label)")
                }
            }
        }
    }
}
