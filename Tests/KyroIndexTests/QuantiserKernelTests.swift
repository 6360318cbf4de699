// Rotations, 4-bit codes around zero and tables of product quantisation, on every variant against
// sums in double.
import CKernels
import Testing

@Suite struct QuantiserKernelTests {
    @Test func rotationsKeepLengthsAndComeBackOnAllVariants() {
        let seed: UInt64 = 91
        var numbers = SeededNumbers(seed: seed)
        for n in [1, 2, 3, 17, 31, 32, 33, 127, 128, 129, 384, 769] {
            let row = (0..<n).map { _ in numbers.normal() }
            let other = (0..<n).map { _ in numbers.normal() }
            let signs = (0..<(n * kyro_rotation_steps)).map { _ in
                numbers.below(2) == 0 ? Float(-1) : 1
            }
            var reference: [Float]?
            for kernels in KernelTests.variants {
                let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                var spare = [Float](repeating: 0, count: n)
                var (a, b) = (row, other)
                kernels.rotate(&a, &spare, signs, n, 0)
                kernels.rotate(&b, &spare, signs, n, 0)
                let (before, after) = (dot(row, other), dot(a, b))
                #expect(abs(before - after) <= 1e-5 * (dot(row, row) + 1), "\(label)")
                #expect(abs(dot(a, a) - dot(row, row)) <= 1e-5 * dot(row, row), "\(label)")
                if let reference { #expect(reference == a, "\(label)") }
                reference = a
                kernels.rotate(&a, &spare, signs, n, 1)
                for i in 0..<n { #expect(abs(a[i] - row[i]) <= 1e-5, "\(label)") }
            }
        }
    }

    @Test func oneDimensionSpreadsOverAll() {
        var numbers = SeededNumbers(seed: 92)
        for n in [127, 129, 384, 768, 769] {
            let signs = (0..<(n * kyro_rotation_steps)).map { _ in
                numbers.below(2) == 0 ? Float(-1) : 1
            }
            for place in [0, n / 2, n - 1] {
                var row = [Float](repeating: 0, count: n)
                var spare = row
                row[place] = 1
                kyro_rotate(&row, &spare, signs, n, 0)
                let largest = row.map(abs).max() ?? 1
                #expect(Double(largest) < 6 / Double(n).squareRoot(), "\(place) of \(n)")
            }
        }
    }

    @Test func codesAroundZeroAreTheNearestAndEqualOnAllVariants() {
        let seed: UInt64 = 93
        var numbers = SeededNumbers(seed: seed)
        for n in KernelTests.dimensions {
            let row = (0..<n).map { _ in numbers.normal() }
            let step: Float = 0.3
            var reference: ([UInt8], Float)?
            for kernels in KernelTests.variants {
                let label = "\(String(cString: kernels.name)), seed \(seed), n \(n)"
                var codes = [UInt8](repeating: 0xEE, count: (n + 1) / 2 + 1)
                let product = kernels.encode_s4(row, n, step, &codes)
                #expect(codes.removeLast() == 0xEE, "\(label)")
                var odd = [Int8](repeating: 99, count: n + 1)
                let sum = kernels.expand_s4(codes, n, &odd)
                #expect(odd.removeLast() == 99, "\(label)")
                #expect(Int(sum) == odd.reduce(0) { $0 + Int($1) }, "\(label)")
                var exact = 0.0
                for d in 0..<n {
                    #expect(Int(odd[d]) == 2 * nibble(codes[...], d, of: n) - 15, "\(label)")
                    let decoded = Float(odd[d]) * step / 2
                    let cut = min(max(row[d], -7.5 * step), 7.5 * step)
                    #expect(abs(cut - decoded) <= 0.5001 * step, "\(label), \(d)")
                    exact += Double(row[d]) * Double(odd[d])
                }
                #expect(abs(exact - Double(product)) <= 1e-5 * Double(15 * n), "\(label)")
                if let reference { #expect(reference == (codes, product), "\(label)") }
                reference = (codes, product)
            }
        }
        for kernels in KernelTests.variants {
            var codes: [UInt8] = [0xEE, 0xEE]
            let product = kernels.encode_s4([0, 0, 0], 3, 0, &codes)
            #expect(product == 0 && codes == [0x88, 0x08])
            _ = kernels.encode_s4([1e38, -1e38, 0], 3, 1e-3, &codes)
            #expect((0..<3).map { nibble(codes[...], $0, of: 3) } == [15, 0, 8])
        }
    }

    @Test func tablesAndTheirSumsAreThoseOfTheCentroids() {
        let seed: UInt64 = 94
        var numbers = SeededNumbers(seed: seed)
        for dims in [1, 2, 3, 4, 5, 8] {
            let codebook = (0..<(256 * dims)).map { _ in numbers.normal() }
            let halves = (0..<256).map { c in
                (0..<dims).reduce(Float(0)) { sum, d in
                    let value: Float = codebook[256 * d + c]
                    return sum + value * value / 2
                }
            }
            let query = (0..<dims).map { _ in numbers.normal() }
            for kernels in KernelTests.variants {
                let label = "\(String(cString: kernels.name)), seed \(seed), dims \(dims)"
                var table = [Float](repeating: 9, count: 256)
                kernels.pq_table(query, codebook, dims, &table)
                var best = (distance: Double.infinity, centroid: 0)
                for c in 0..<256 {
                    var product = 0.0
                    var distance = 0.0
                    for d in 0..<dims {
                        let (q, x) = (Double(query[d]), Double(codebook[256 * d + c]))
                        product += q * x
                        distance += (q - x) * (q - x)
                    }
                    #expect(abs(product - Double(table[c])) <= 1e-4, "\(label), \(c)")
                    if distance < best.distance - 1e-5 { best = (distance, c) }
                }
                let nearest = kernels.pq_nearest(query, codebook, halves, dims)
                #expect(Int(nearest) == best.centroid, "\(label)")
            }
        }
    }

    @Test func rowsAreScoredByTheirNumbers() {
        var numbers = SeededNumbers(seed: 95)
        for m in [1, 3, 4, 17, 96, 193] {
            let tables = (0..<(256 * m)).map { _ in numbers.normal() }
            let rows = (0..<13).map { _ in (0..<m).map { _ in UInt8(numbers.below(256)) } }
            let flat = rows.flatMap { $0 }
            for kernels in KernelTests.variants {
                var scores = [Float](repeating: 0, count: rows.count)
                score(kernels, tables, flat, m, &scores)
                for (i, row) in rows.enumerated() {
                    let exact = row.enumerated().reduce(0.0) {
                        $0 + Double(tables[256 * $1.offset + Int($1.element)])
                    }
                    #expect(abs(exact - Double(scores[i])) <= 1e-4, "\(m)")
                }
            }
        }
    }

    private func score(
        _ kernels: kyro_kernels, _ tables: [Float], _ rows: [UInt8], _ m: Int,
        _ scores: inout [Float]
    ) {
        rows.withUnsafeBufferPointer { rows in
            let list = (0..<scores.count).map { rows.baseAddress?.advanced(by: $0 * m) }
            kernels.pq_scores(tables, list, scores.count, m, &scores)
        }
    }

    private func dot(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
}
