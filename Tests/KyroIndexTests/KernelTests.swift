// Every variant of every kernel against a plain double reference.
import CKernels
import Testing

/// SplitMix64: the tests' seeded source of numbers.
struct SeededNumbers {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// Any int8.
    mutating func code() -> Int8 { Int8(truncatingIfNeeded: next()) }

    /// Uniform in [-1, 1).
    mutating func float() -> Float { Float(Int64(next() >> 40)) / Float(1 << 23) - 1 }

    /// Roughly normal: the sum of four uniform numbers.
    mutating func normal() -> Float { (float() + float() + float() + float()) * 0.866 }
}

@Suite struct KernelTests {
    static var variants: [kyro_kernels] {
        var found: [kyro_kernels] = []
        while let variant = kyro_kernels_variant(found.count) { found.append(variant.pointee) }
        return found
    }

    static let dimensions = Array(1...130) + [384, 768, 1_000, 1_023, 16_384]

    @Test func theBestVariantIsInUseAndThePortableOneIsAlwaysThere() throws {
        let names = Self.variants.map { String(cString: $0.name) }
        #expect(names.first == String(cString: kyro_kernels_name()))
        #expect(names.last == "portable")
        print("kernels: \(names.joined(separator: ", "))")
    }

    @Test func rangesHaveTheBitsOfTheirValues() {
        var numbers = SeededNumbers(seed: 9)
        let edges: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
        let values = (0..<(64 * 7)).map { i in
            i % 5 == 0 ? edges[i % edges.count] : Int64(truncatingIfNeeded: numbers.next()) >> 40
        }
        let bounds = edges + values.prefix(20)
        for low in bounds {
            for high in bounds where low <= high {
                let expected = (0..<7).map { word in
                    (0..<64).reduce(UInt64(0)) { bits, bit in
                        (low...high).contains(values[64 * word + bit]) ? bits | 1 << bit : bits
                    }
                }
                for kernels in Self.variants {
                    var words = [UInt64](repeating: 0x5555, count: 7)
                    kernels.in_range_i64(values, 7, low, high, &words)
                    let name = String(cString: kernels.name)
                    #expect(words == expected, "\(name) \(low)...\(high)")
                }
            }
        }
    }

    @Test func floatKernelsAgreeWithTheReference() {
        var numbers = SeededNumbers(seed: 1)
        for n in Self.dimensions {
            // One float in front, so that no pointer is aligned.
            let a = (0...n).map { _ in numbers.float() * 100 }
            let b = (0...n).map { _ in numbers.float() * 100 }
            var dot = 0.0
            var square = 0.0
            var magnitude = 0.0
            for i in 1...n {
                dot += Double(a[i]) * Double(b[i])
                magnitude += abs(Double(a[i]) * Double(b[i]))
                square += (Double(a[i]) - Double(b[i])) * (Double(a[i]) - Double(b[i]))
            }
            a.withUnsafeBufferPointer { a in
                b.withUnsafeBufferPointer { b in
                    for kernels in Self.variants {
                        let name = String(cString: kernels.name)
                        let x = a.baseAddress! + 1
                        let y = b.baseAddress! + 1
                        let dotError = abs(kernels.dot_f32(x, y, n) - dot)
                        #expect(dotError <= 1e-12 * magnitude, "\(name) \(n)")
                        let squareError = abs(kernels.l2sq_f32(x, y, n) - square)
                        #expect(squareError <= 1e-12 * square, "\(name) \(n)")
                    }
                }
            }
        }
    }

    @Test func batchesOfRowsEqualSingleRowsBitForBit() {
        var numbers = SeededNumbers(seed: 2)
        for n in [1, 7, 8, 31, 33, 100, 384, 1_000] {
            let stride = n + 3
            let query = (0..<n).map { _ in numbers.float() }
            let rows = (0..<(stride * 9)).map { _ in numbers.float() }
            let codes = (0..<(stride * 9)).map { _ in Int8(numbers.below(255) - 127) }
            let queryCodes = (0..<n).map { _ in Int8(numbers.below(255) - 127) }
            for kernels in Self.variants {
                var dots = [Double](repeating: 0, count: 9)
                var squares = dots
                var ints = [Int32](repeating: 0, count: 9)
                var listed = ints
                kernels.dot_f32_rows(query, rows, stride * 4, 9, n, &dots)
                kernels.l2sq_f32_rows(query, rows, stride * 4, 9, n, &squares)
                kernels.dot_i8_rows(queryCodes, codes, stride, 9, n, &ints)
                codes.withUnsafeBufferPointer { codes in
                    let pointers = (0..<9).map { Optional(codes.baseAddress! + $0 * stride) }
                    kernels.dot_i8_list(queryCodes, pointers, 9, n, &listed)
                }
                for row in 0..<9 {
                    let range = (row * stride)..<(row * stride + n)
                    #expect(dots[row] == kernels.dot_f32(query, Array(rows[range]), n))
                    #expect(squares[row] == kernels.l2sq_f32(query, Array(rows[range]), n))
                    #expect(ints[row] == kernels.dot_i8(queryCodes, Array(codes[range]), n))
                }
                #expect(ints == listed)
            }
        }
    }

    @Test func codeKernelsAreExactUpToTheExtremes() {
        var numbers = SeededNumbers(seed: 3)
        for n in Self.dimensions {
            let random = (0...n).map { _ in Int8(truncatingIfNeeded: numbers.below(256) - 128) }
            let other = (0...n).map { _ in Int8(truncatingIfNeeded: numbers.below(256) - 128) }
            let lowest = [Int8](repeating: -128, count: n + 1)
            let highest = [Int8](repeating: 127, count: n + 1)
            for (a, b) in [(random, other), (lowest, lowest), (lowest, highest), (highest, random)]
            {
                let expected = (1...n).reduce(0) { $0 + Int(a[$1]) * Int(b[$1]) }
                for kernels in Self.variants {
                    let dot = a.withUnsafeBufferPointer { a in
                        b.withUnsafeBufferPointer { b in
                            kernels.dot_i8(a.baseAddress! + 1, b.baseAddress! + 1, n)
                        }
                    }
                    #expect(Int(dot) == expected, "\(String(cString: kernels.name)) \(n)")
                }
            }
        }
    }

    /// Against single rows and a score written out; every variant passes the same rows on.
    @Test func scansPassOnWhatReachesTheLeastScore() {
        var numbers = SeededNumbers(seed: 5)
        let rowCount = 64 * Int(kyro_scan_words_max)
        for (n, wordCount) in [(1, 1), (63, 2), (64, 3), (130, 4), (384, 16), (1_000, 2)] {
            let stride = n + 5
            let query = (0..<n).map { _ in Int8(truncatingIfNeeded: numbers.below(256) - 128) }
            let codes = (0..<(stride * 64 * wordCount)).map { _ in
                Int8(truncatingIfNeeded: numbers.below(256) - 128)
            }
            let terms = (0..<(128 * wordCount)).map { _ in numbers.float() }
            let words = (0..<wordCount).map { i in
                i == 1 ? 0 : i == 2 ? .max : numbers.next() & numbers.next()
            }
            let factor = numbers.float()
            var all: [(row: UInt32, score: Float)] = []
            for row in 0..<(64 * wordCount) where words[row / 64] >> UInt64(row % 64) & 1 == 1 {
                let from = row * stride
                let dot = (0..<n).reduce(0) { $0 + Int(query[$1]) * Int(codes[from + $1]) }
                let scaled = Float(dot) * (factor * terms[2 * row])
                all.append((UInt32(row), scaled + terms[2 * row + 1]))
            }
            let middle = all.map(\.score).sorted()[all.count / 2]
            for least in [-Float.infinity, middle, .infinity] {
                let expected = all.filter { $0.score >= least }
                for kernels in Self.variants {
                    var rows = [UInt32](repeating: 0, count: rowCount)
                    var scores = [Float](repeating: 0, count: rowCount)
                    let kept = kernels.scan_i8(
                        query, codes, stride, terms, words, wordCount, n, factor, least, &rows,
                        &scores)
                    let name = String(cString: kernels.name)
                    #expect(Array(rows[0..<kept]) == expected.map(\.row), "\(name) \(n)")
                    #expect(Array(scores[0..<kept]) == expected.map(\.score), "\(name) \(n)")
                }
            }
        }
    }

    @Test func extremeFloatsStayFiniteInDouble() {
        let n = 100
        let large = [Float](repeating: .greatestFiniteMagnitude, count: n)
        let small = [Float](repeating: .leastNonzeroMagnitude, count: n)
        for kernels in Self.variants {
            let expected = Double(n) * Double(large[0]) * Double(large[0])
            #expect(abs(kernels.dot_f32(large, large, n) / expected - 1) < 1e-12)
            let tiny = Double(n) * Double(small[0]) * Double(small[0])
            #expect(abs(kernels.dot_f32(small, small, n) / tiny - 1) < 1e-12)
        }
    }

    @Test func codesAreWithinHalfAStepAndEqualOnAllVariants() {
        var numbers = SeededNumbers(seed: 4)
        for n in Self.dimensions {
            let row = (0..<n).map { _ in numbers.normal() * 3 }
            var reference: [Int8]?
            for kernels in Self.variants {
                var codes = [Int8](repeating: 99, count: n)
                let scale = kernels.encode_i8(row, n, &codes)
                for i in 0..<n {
                    #expect(abs(row[i] - Float(codes[i]) * scale) <= scale * 0.5001)
                }
                if let reference { #expect(codes == reference) }
                reference = codes
            }
        }
        for kernels in Self.variants {
            var codes = [Int8](repeating: 99, count: 3)
            #expect(kernels.encode_i8([0, -0.0, 0], 3, &codes) == 0)
            #expect(codes == [0, 0, 0])
            let tiny = Float.leastNonzeroMagnitude
            #expect(kernels.encode_i8([tiny, 0, -tiny], 3, &codes) == 0)
            #expect(codes == [0, 0, 0])
            let most = Float.greatestFiniteMagnitude
            _ = kernels.encode_i8([most, -most, most / 2], 3, &codes)
            #expect(codes == [127, -127, 64])
            // Halves go away from zero, in the middle of a row as at its end.
            let halves = (0..<70).map { i in Float(i % 127) + 0.5 } + [127]
            let signed = halves + halves.map { -$0 }
            var rounded = [Int8](repeating: 99, count: signed.count)
            #expect(kernels.encode_i8(signed, signed.count, &rounded) == 1)
            #expect(rounded == signed.map { Int8($0.rounded(.toNearestOrAwayFromZero)) })
        }
    }

    @Test func copiesAreExactAndStayInside() {
        for kernels in Self.variants {
            for count in 0...200 {
                let from = (0..<(count + 1)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
                var to = [UInt8](repeating: 0xEE, count: count + 65)
                to.withUnsafeMutableBytes { to in
                    from.withUnsafeBytes { from in
                        kernels.copy_row(to.baseAddress! + 1, from.baseAddress! + 1, count)
                    }
                }
                #expect(to[0] == 0xEE)
                #expect(Array(to[1..<(count + 1)]) == Array(from[1...]))
                #expect(to[(count + 1)...].allSatisfy { $0 == 0xEE })
            }
        }
    }
}
