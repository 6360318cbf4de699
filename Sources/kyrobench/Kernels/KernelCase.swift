// Every kernel as the benchmark calls it.
import CKernels

/// Where answers go; large enough for a tile of 256 × 256.
struct KernelOutput {
    static let byteCount = 256 * 256 * 8
    let memory: UnsafeMutableRawPointer

    func array<Element>(of type: Element.Type) -> UnsafeMutablePointer<Element> {
        memory.assumingMemoryBound(to: Element.self)
    }
}

/// The rows of one call.
struct KernelRows {
    let pointers: UnsafePointer<UnsafeRawPointer?>
    let count: Int

    /// The list as the C functions take it.
    func list<Element>(of type: Element.Type) -> UnsafePointer<UnsafePointer<Element>?> {
        UnsafeRawPointer(pointers).assumingMemoryBound(to: UnsafePointer<Element>?.self)
    }

    /// One row after the other.
    func each<Element>(of type: Element.Type, _ body: (UnsafePointer<Element>, Int) -> Void) {
        for index in 0..<count {
            guard let row = pointers[index] else { continue }
            body(row.assumingMemoryBound(to: Element.self), index)
        }
    }
}

struct KernelCase {
    static let listCount = 32
    static let tileCount = 256

    let name: String
    /// Of one row.
    let rowBytes: Int
    var rowCount = Self.listCount
    /// Distances, or rows encoded or copied, of one call.
    var unitCount = Self.listCount
    /// What the rows in cache take: half of a usual first-level cache.
    var cacheBytes = 24 << 10
    /// Bytes read behind the place of a row; nil for the row alone.
    var span: Int?
    /// The first pointer is the query, the rows are the others.
    let run: (UnsafeRawPointer, KernelRows, KernelOutput) -> Void

    static func all(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        floats(kernels, n: n) + codes(kernels, n: n) + scans(kernels, n: n)
            + tiles(kernels, n: n) + encoders(kernels, n: n) + quantisers(kernels, n: n)
            + chains(kernels, n: n)
    }

    private static func floats(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        typealias List = (
            UnsafePointer<Float>?, UnsafePointer<UnsafePointer<Float>?>?, Int, Int,
            UnsafeMutablePointer<Float>?
        ) -> Void
        typealias CodeList = (
            UnsafePointer<Float>?, UnsafePointer<UnsafePointer<UInt16>?>?, Int, Int,
            UnsafeMutablePointer<Float>?
        ) -> Void
        func exact(
            _ name: String,
            _ kernel: @escaping (UnsafePointer<Float>?, UnsafePointer<Float>?, Int) -> Double
        ) -> KernelCase {
            KernelCase(name: name, rowBytes: 4 * n) { query, rows, out in
                let query = query.assumingMemoryBound(to: Float.self)
                let out = out.array(of: Double.self)
                rows.each(of: Float.self) { row, index in out[index] = kernel(query, row, n) }
            }
        }
        func list(_ name: String, _ kernel: @escaping List) -> KernelCase {
            KernelCase(name: name, rowBytes: 4 * n) { query, rows, out in
                kernel(
                    query.assumingMemoryBound(to: Float.self), rows.list(of: Float.self),
                    rows.count, n, out.array(of: Float.self))
            }
        }
        func codes(_ name: String, _ kernel: @escaping CodeList) -> KernelCase {
            KernelCase(name: name, rowBytes: 2 * n) { query, rows, out in
                kernel(
                    query.assumingMemoryBound(to: Float.self), rows.list(of: UInt16.self),
                    rows.count, n, out.array(of: Float.self))
            }
        }
        return [
            exact("f32 dot, in double", kernels.dot_f32),
            exact("f32 l2sq, in double", kernels.l2sq_f32),
            list("f32 dot, list", kernels.dot_f32_fast_list),
            list("f32 l2sq, list", kernels.l2sq_f32_fast_list),
            codes("bf16 dot, list", kernels.dot_bf16_list),
            codes("bf16 l2sq, list", kernels.l2sq_bf16_list),
        ]
    }

    private static func codes(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        let bitBytes = (n + 7) / 8
        return [
            KernelCase(name: "int8 dot, single", rowBytes: n) { query, rows, out in
                let query = query.assumingMemoryBound(to: Int8.self)
                let out = out.array(of: Int32.self)
                rows.each(of: Int8.self) { out[$1] = kernels.dot_i8(query, $0, n) }
            },
            KernelCase(name: "int8 dot, list", rowBytes: n) { query, rows, out in
                kernels.dot_i8_list(
                    query.assumingMemoryBound(to: Int8.self), rows.list(of: Int8.self),
                    rows.count, n, out.array(of: Int32.self))
            },
            KernelCase(name: "4-bit dot, single", rowBytes: (n + 1) / 2) { query, rows, out in
                let query = query.assumingMemoryBound(to: Int8.self)
                let out = out.array(of: Int32.self)
                rows.each(of: UInt8.self) { out[$1] = kernels.dot_u4(query, $0, n) }
            },
            KernelCase(name: "4-bit dot, list", rowBytes: (n + 1) / 2) { query, rows, out in
                kernels.dot_u4_list(
                    query.assumingMemoryBound(to: Int8.self), rows.list(of: UInt8.self),
                    rows.count, n, out.array(of: Int32.self))
            },
            KernelCase(name: "1-bit Hamming, single", rowBytes: bitBytes) { query, rows, out in
                let query = query.assumingMemoryBound(to: UInt8.self)
                let out = out.array(of: UInt32.self)
                rows.each(of: UInt8.self) { out[$1] = kernels.hamming(query, $0, bitBytes) }
            },
            KernelCase(name: "1-bit Hamming, list", rowBytes: bitBytes) { query, rows, out in
                kernels.hamming_list(
                    query.assumingMemoryBound(to: UInt8.self), rows.list(of: UInt8.self),
                    rows.count, bitBytes, out.array(of: UInt32.self))
            },
        ]
    }

    /// Of rows that follow each other; none of them passes the bound.
    private static func scans(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        let words: [UInt64] = [(1 << UInt64(listCount)) - 1]
        let terms = [Float](repeating: 1, count: 2 * 64)
        let room = Int(kyro_scan_rows_max)
        func scan(
            _ name: String, rowBytes: Int,
            _ kernel:
                @escaping (
                    UnsafePointer<Int8>, UnsafeRawPointer, UnsafeMutablePointer<UInt32>,
                    UnsafeMutablePointer<Float>
                ) -> Void
        ) -> KernelCase {
            KernelCase(name: name, rowBytes: rowBytes, rowCount: 1, span: listCount * rowBytes) {
                query, rows, out in
                guard let first = rows.pointers[0] else { return }
                let scores = UnsafeMutableRawPointer(out.array(of: UInt32.self) + room)
                kernel(
                    query.assumingMemoryBound(to: Int8.self), first, out.array(of: UInt32.self),
                    scores.assumingMemoryBound(to: Float.self))
            }
        }
        return [
            scan("int8 scan", rowBytes: n) { query, codes, rows, scores in
                _ = kernels.scan_i8(
                    query, codes.assumingMemoryBound(to: Int8.self), n, terms, words, 1, n, 1,
                    .infinity, rows, scores)
            }
        ]
    }

    private static func tiles(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        let side = tileCount
        let ones = [Float](repeating: 1, count: side)
        let dots = (0..<side).map { Int32($0 &* 2_654_435_761 & 0xFFFFF) }
        return [
            KernelCase(
                name: "int8 all pairs, per pair", rowBytes: n, rowCount: 2 * side,
                unitCount: side * side, cacheBytes: 1 << 20
            ) { _, rows, out in
                let list = rows.list(of: Int8.self)
                kernels.dot_i8_tile(
                    list, side, list + side, side, n, out.array(of: Int32.self), side)
            },
            KernelCase(
                name: "int8 all pairs of one list, per pair", rowBytes: n, rowCount: side,
                unitCount: side * side, cacheBytes: 1 << 20
            ) { _, rows, out in
                kernels.dot_i8_pairs(
                    rows.list(of: Int8.self), side, n, out.array(of: Int32.self), side)
            },
            KernelCase(
                name: "best of a tile, per pair", rowBytes: 64, rowCount: 1, unitCount: side
            ) { _, _, out in
                _ = kernels.best_i32(
                    dots, ones, ones, side, 1, 0, .max, 8, out.array(of: UInt64.self), 0)
            },
        ]
    }

    private static func encoders(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        func encoder(
            _ name: String,
            _ kernel: @escaping (UnsafePointer<Float>, UnsafeRawPointer, KernelOutput) -> Void
        ) -> KernelCase {
            KernelCase(name: name, rowBytes: 4 * n) { query, rows, out in
                rows.each(of: Float.self) { row, _ in kernel(row, query, out) }
            }
        }
        return [
            encoder("int8 encode") { row, _, out in
                _ = kernels.encode_i8(row, n, out.array(of: Int8.self))
            },
            encoder("1-bit encode") { row, query, out in
                let thresholds = query.assumingMemoryBound(to: Float.self)
                kernels.encode_bits(row, thresholds, n, out.array(of: UInt8.self))
            },
            encoder("bf16 encode") { row, _, out in
                kernels.encode_bf16(row, n, out.array(of: UInt16.self))
            },
            encoder("row copy of f32") { row, _, out in kernels.copy_row(out.memory, row, 4 * n) },
        ]
    }
}
