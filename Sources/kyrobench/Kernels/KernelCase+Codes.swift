// The kernels behind quantised codes and those that follow each other row by row, as the benchmark
// calls them.
import CKernels

extension KernelCase {
    /// Of a field's dimensions that a code of product quantisation stands for.
    private static let subspaceDims = 8
    private static let centroids = 256

    static func quantisers(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        let signs = (0..<(Int(kyro_rotation_steps) * n)).map { Float($0 % 3 == 0 ? -1 : 1) }
        let halves = [Float](repeating: 1, count: centroids)
        let dims = min(subspaceDims, n)
        let codeBytes = max(1, n / dims)
        let tables = (0..<(codeBytes * centroids)).map { Float($0 % 1_000) }
        let codebookBytes = 4 * centroids * dims
        return [
            KernelCase(name: "rotation, and a copy", rowBytes: 4 * n) { _, rows, out in
                let turned = out.array(of: Float.self)
                rows.each(of: Float.self) { row, _ in
                    kernels.copy_row(turned, row, 4 * n)
                    kernels.rotate(turned, turned + n, signs, n, 0)
                }
            },
            KernelCase(name: "4-bit encode", rowBytes: 4 * n) { _, rows, out in
                rows.each(of: Float.self) { row, _ in
                    _ = kernels.encode_s4(row, n, 0.2, out.array(of: UInt8.self))
                }
            },
            KernelCase(name: "4-bit expand", rowBytes: (n + 1) / 2) { _, rows, out in
                rows.each(of: UInt8.self) { row, _ in
                    _ = kernels.expand_s4(row, n, out.array(of: Int8.self))
                }
            },
            KernelCase(
                name: "pq table of \(dims) dimensions", rowBytes: codebookBytes, rowCount: 1,
                unitCount: 1
            ) { query, rows, out in
                rows.each(of: Float.self) { codebook, _ in
                    kernels.pq_table(
                        query.assumingMemoryBound(to: Float.self), codebook, dims,
                        out.array(of: Float.self))
                }
            },
            KernelCase(
                name: "pq nearest of \(dims) dimensions", rowBytes: codebookBytes, rowCount: 1,
                unitCount: 1
            ) { query, rows, out in
                rows.each(of: Float.self) { codebook, index in
                    out.array(of: UInt32.self)[index] = kernels.pq_nearest(
                        query.assumingMemoryBound(to: Float.self), codebook, halves, dims)
                }
            },
            KernelCase(name: "pq scores of \(codeBytes) bytes", rowBytes: codeBytes) {
                _, rows, out in
                kernels.pq_scores(
                    tables, rows.list(of: UInt8.self), rows.count, codeBytes,
                    out.array(of: Float.self))
            },
        ]
    }

    /// Rows that lie side by side, and candidates that leave each other out.
    static func chains(_ kernels: kyro_kernels, n: Int) -> [KernelCase] {
        func floats(
            _ name: String,
            _ kernel:
                @escaping (
                    UnsafePointer<Float>?, UnsafePointer<Float>?, Int, Int, Int,
                    UnsafeMutablePointer<Double>?
                ) -> Void
        ) -> KernelCase {
            KernelCase(name: name, rowBytes: 4 * n, rowCount: 1, span: 4 * n * listCount) {
                query, rows, out in
                rows.each(of: Float.self) { first, _ in
                    kernel(
                        query.assumingMemoryBound(to: Float.self), first, 4 * n, listCount, n,
                        out.array(of: Double.self))
                }
            }
        }
        return [
            floats("f32 dot, side by side", kernels.dot_f32_rows),
            floats("f32 l2sq, side by side", kernels.l2sq_f32_rows),
            KernelCase(
                name: "int8 dot, side by side", rowBytes: n, rowCount: 1, span: n * listCount
            ) { query, rows, out in
                rows.each(of: Int8.self) { first, _ in
                    kernels.dot_i8_rows(
                        query.assumingMemoryBound(to: Int8.self), first, n, listCount, n,
                        out.array(of: Int32.self))
                }
            },
            single("bf16 dot, single", n: n, kernels.dot_bf16),
            single("bf16 l2sq, single", n: n, kernels.l2sq_bf16),
            leavingOut(kernels),
        ]
    }

    private static func single(
        _ name: String, n: Int,
        _ kernel: @escaping (UnsafePointer<Float>?, UnsafePointer<UInt16>?, Int) -> Float
    ) -> KernelCase {
        KernelCase(name: name, rowBytes: 2 * n) { query, rows, out in
            let out = out.array(of: Float.self)
            rows.each(of: UInt16.self) { row, index in
                out[index] = kernel(query.assumingMemoryBound(to: Float.self), row, n)
            }
        }
    }

    /// Every other candidate stays; what is read lies in cache, as it does in use.
    private static func leavingOut(_ kernels: kyro_kernels) -> KernelCase {
        let dots = (0..<listCount).map { Int32($0 % 2) }
        let room = listCount + 16
        return KernelCase(name: "candidates left out", rowBytes: 64, rowCount: 1) { _, _, out in
            let keys = out.array(of: UInt64.self)
            let floats = UnsafeMutableRawPointer(keys + 2 * room).assumingMemoryBound(
                to: Float.self)
            let codes = UnsafeMutableRawPointer(keys + room).assumingMemoryBound(
                to: UnsafePointer<Int8>?.self)
            for i in 0..<listCount {
                keys[i] = UInt64(i + 1)
                floats[i] = 1
                floats[room + i] = 0
                floats[2 * room + i] = 0.5
            }
            var candidates = kyro_candidates(
                keys: keys, codes: codes, factors: floats, biases: floats + room,
                bounds: floats + 2 * room)
            var nearest = 0
            _ = kernels.leave_out(dots, listCount, 1, 1, 0, &candidates, &nearest)
        }
    }
}
