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
