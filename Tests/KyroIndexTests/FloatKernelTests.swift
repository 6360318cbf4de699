// The float forms that rerank and the kernels on bf16, on every variant against double sums.
import CKernels
import Testing

@Suite struct FloatKernelTests {
    static let rowCount = 9

    /// Sums of products and of squared differences, and of the products' magnitudes.
    struct Reference {
        var dot = 0.0
        var magnitude = 0.0
        var square = 0.0

        init(_ query: ArraySlice<Float>, _ row: ArraySlice<Float>) {
            for (x, y) in zip(query, row) {
                dot += Double(x) * Double(y)
                magnitude += abs(Double(x) * Double(y))
                square += (Double(x) - Double(y)) * (Double(x) - Double(y))
            }
        }
    }

    static func float(bf16 code: UInt16) -> Float { Float(bitPattern: UInt32(code) << 16) }

    /// Of the same answers at all places of lists of 1 to 9, within the header's bound.
    private func check(
        _ label: String, _ references: [Reference], n: Int,
        dot: (Int, Int) -> [Float], square: (Int, Int) -> [Float]
    ) {
        let dots = dot(0, Self.rowCount)
        let squares = square(0, Self.rowCount)
        let share = Double(n) / Double(1 << 23)
        for row in 0..<Self.rowCount {
            let reference = references[row]
            let dotError = abs(Double(dots[row]) - reference.dot)
            #expect(dotError <= share * reference.magnitude, "\(label), dot of \(row)")
            let squareError = abs(Double(squares[row]) - reference.square)
            // The difference is rounded, too, once.
            #expect(squareError <= (share + 3e-7) * reference.square, "\(label), square of \(row)")
            #expect(dot(row, 1) == [dots[row]], "\(label), alone")
            #expect(square(row, 1) == [squares[row]], "\(label), alone")
            let rest = Self.rowCount - row
            #expect(dot(row, rest) == Array(dots[row...]), "\(label), from \(row)")
            #expect(square(row, rest) == Array(squares[row...]), "\(label), from \(row)")
        }
    }

    @Test func listsInFloatAgreeWithTheReferenceAtEveryPlace() {
        let seed: UInt64 = 31
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            let query = (0...n).map { _ in numbers.float() * 100 }
            let elements = (0...(Self.rowCount * n)).map { _ in numbers.float() * 100 }
            let references = (0..<Self.rowCount).map { row in
                Reference(query[1...], elements[(1 + row * n)...])
            }
            for kernels in KernelTests.variants {
                withRows(query, count: 1, n: n) { query in
                    withRows(elements, count: Self.rowCount, n: n) { rows in
                        check(
                            "\(String(cString: kernels.name)), seed \(seed), n \(n)", references,
                            n: n,
                            dot: { first, count in
                                var out = [Float](repeating: .nan, count: count)
                                let list = Array(rows[first...])
                                kernels.dot_f32_fast_list(query[0], list, count, n, &out)
                                return out
                            },
                            square: { first, count in
                                var out = [Float](repeating: .nan, count: count)
                                let list = Array(rows[first...])
                                kernels.l2sq_f32_fast_list(query[0], list, count, n, &out)
                                return out
                            })
                    }
                }
            }
        }
    }

    @Test func bf16ListsAgreeWithTheReferenceAtEveryPlace() {
        let seed: UInt64 = 32
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            let query = (0...n).map { _ in numbers.float() * 100 }
            var codes = [UInt16](repeating: 0, count: 1 + Self.rowCount * n)
            let elements = (0...(Self.rowCount * n)).map { _ in numbers.float() * 100 }
            kyro_encode_bf16(elements, codes.count, &codes)
            let decoded = codes.map(Self.float(bf16:))
            let references = (0..<Self.rowCount).map { row in
                Reference(query[1...], decoded[(1 + row * n)...])
            }
            for kernels in KernelTests.variants {
                let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                withRows(query, count: 1, n: n) { query in
                    withRows(codes, count: Self.rowCount, n: n) { rows in
                        check(
                            label, references, n: n,
                            dot: { first, count in
                                var out = [Float](repeating: .nan, count: count)
                                let list = Array(rows[first...])
                                kernels.dot_bf16_list(query[0], list, count, n, &out)
                                let single = kernels.dot_bf16(query[0], rows[first], n)
                                #expect(single == out[0], "\(label), single")
                                return out
                            },
                            square: { first, count in
                                var out = [Float](repeating: .nan, count: count)
                                let list = Array(rows[first...])
                                kernels.l2sq_bf16_list(query[0], list, count, n, &out)
                                let single = kernels.l2sq_bf16(query[0], rows[first], n)
                                #expect(single == out[0], "\(label), single")
                                return out
                            })
                    }
                }
            }
        }
    }

    /// Every finite bf16 and what lies up to the next one, against the nearer of the two in double.
    @Test func bf16IsTheNearestAndTheEvenOneOfTwo() {
        var floats: [Float] = []
        var expected: [UInt16] = []
        for upper in UInt32(0)..<0x7F80 {
            // What rounds to infinity is what lies beyond the middle of the last step.
            let below = Double(Float(bitPattern: upper << 16))
            let above =
                upper == 0x7F7F ? 0x1p128 : Double(Float(bitPattern: (upper + 1) << 16))
            for lower: UInt32 in [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
                let float = Float(bitPattern: upper << 16 | lower)
                let toBelow = Double(float) - below
                let toAbove = above - Double(float)
                let isUp = toAbove < toBelow || (toAbove == toBelow && upper % 2 == 1)
                let code = UInt16(isUp ? upper + 1 : upper)
                floats += [float, -float]
                expected += [code, code | 0x8000]
            }
        }
        for kernels in KernelTests.variants {
            var codes = [UInt16](repeating: 0, count: floats.count)
            kernels.encode_bf16(floats, floats.count, &codes)
            #expect(codes == expected, "\(String(cString: kernels.name))")
            let odd: [Float] = [.nan, Float(bitPattern: 0x7F80_0001), .infinity, -.infinity]
            kernels.encode_bf16(odd, 4, &codes)
            #expect(Self.float(bf16: codes[0]).isNaN && Self.float(bf16: codes[1]).isNaN)
            #expect(codes[2] == 0x7F80 && codes[3] == 0xFF80)
        }
    }

    @Test func bf16EncodingEndsWithItsRow() {
        let seed: UInt64 = 33
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            let row = (0..<n).map { _ in numbers.normal() }
            for kernels in KernelTests.variants {
                var codes = [UInt16](repeating: 0xEEEE, count: n + 1)
                kernels.encode_bf16(row, n, &codes)
                let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                #expect(codes[n] == 0xEEEE, "\(label)")
                for d in 0..<n {
                    let error = abs(Self.float(bf16: codes[d]) - row[d])
                    #expect(error <= abs(row[d]) / 256, "\(label), \(d)")
                }
            }
        }
    }
}
