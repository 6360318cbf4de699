// Nanoseconds per distance of every kernel, in cache and at random places in memory.
import CKernels
import KyroCommands
import KyroPlatform

/// One kernel of one instruction set.
struct KernelResult {
    var kernel: String
    var variant: String
    var cacheNanos: [Double]
    var memoryNanos: [Double]

    /// - Parameter sorted: not empty.
    static func quantile(_ sorted: [Double], _ fraction: Double) -> Double {
        sorted[min(sorted.count - 1, Int(fraction * Double(sorted.count)))]
    }

    fileprivate var json: JSON {
        func times(_ sorted: [Double]) -> JSON {
            .object([
                .init("min_ns", .double(sorted[0])),
                .init("p50_ns", .double(Self.quantile(sorted, 0.5))),
                .init("p99_ns", .double(Self.quantile(sorted, 0.99))),
            ])
        }
        return .object([
            .init("kernel", .string(kernel)), .init("variant", .string(variant)),
            .init("in_cache", times(cacheNanos)), .init("random_in_memory", times(memoryNanos)),
        ])
    }
}

struct KernelBenchmark {
    /// Kernels are called at least as often for one sample.
    static let callsPerSample = 16

    let options: KernelOptions

    func run() throws -> Int32 {
        let load = Machine.loadAverage
        let memory = try KernelMemory(
            byteCount: options.memoryMiB << 20, seed: options.seed)
        var results: [KernelResult] = []
        var index = 0
        while let variant = kyro_kernels_variant(index), index == 0 || options.measuresAll {
            let name = String(cString: variant.pointee.name)
            note("measuring \(name)")
            for each in KernelCase.all(variant.pointee, n: options.dimension) {
                results.append(measure(each, variant: name, memory))
            }
            index += 1
        }
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), "
                + "load average \(load) at the start; \(options.dimension) dimensions, "
                + "\(options.memoryMiB) MiB, \(options.sampleCount) samples, seed \(options.seed); "
                + "ns per distance or row, least and median")
        print(Self.table(results).text())
        if let path = options.jsonPath {
            try writeFile(json(results, load: load).text + "\n", to: path)
        }
        return 0
    }

    private func measure(
        _ kernel: KernelCase, variant: String, _ memory: KernelMemory
    ) -> KernelResult {
        KernelResult(
            kernel: kernel.name, variant: variant,
            cacheNanos: samples(kernel, memory, withinCache: kernel.cacheBytes),
            memoryNanos: samples(kernel, memory, withinCache: nil))
    }

    /// Sorted, of one distance. One call more than those measured brings code and query into cache.
    private func samples(
        _ kernel: KernelCase, _ memory: KernelMemory, withinCache cacheBytes: Int?
    ) -> [Double] {
        // A tile is a sample by itself: 65,536 distances.
        let calls = kernel.unitCount > 1_000 ? 1 : Self.callsPerSample
        let span = kernel.span ?? kernel.rowBytes
        let query = memory.rows(
            count: 1, rowBytes: 4 * options.dimension, span: 4 * options.dimension,
            withinCache: 4 * options.dimension)
        let output = KernelOutput(
            memory: .allocate(byteCount: KernelOutput.byteCount, alignment: 64))
        defer { output.memory.deallocate() }
        guard let query = query[0] else { return [] }
        var nanos: [Double] = []
        for _ in 0..<options.sampleCount {
            let rows = memory.rows(
                count: kernel.rowCount * (calls + 1), rowBytes: kernel.rowBytes, span: span,
                withinCache: cacheBytes)
            let taken: UInt64 = rows.withUnsafeBufferPointer { rows in
                guard let first = rows.baseAddress else { return 0 }
                func call(_ index: Int) {
                    // In cache all calls are for the same rows.
                    let from = cacheBytes == nil ? index * kernel.rowCount : 0
                    kernel.run(
                        query, KernelRows(pointers: first + from, count: kernel.rowCount), output)
                }
                call(calls)
                let start = clock.monotonicNanos()
                for index in 0..<calls { call(index) }
                return clock.monotonicNanos() - start
            }
            nanos.append(Double(taken) / Double(calls * kernel.unitCount))
        }
        return nanos.sorted()
    }

    private static func table(_ results: [KernelResult]) -> Table {
        var table = Table([
            .init("kernel"), .init("variant"), .init("in cache", isRightAligned: true),
            .init("median", isRightAligned: true), .init("random", isRightAligned: true),
            .init("median", isRightAligned: true),
        ])
        for result in results {
            table.append(
                [result.kernel, result.variant]
                    + [result.cacheNanos, result.memoryNanos].flatMap { nanos in
                        [fixed(nanos[0], 2), fixed(KernelResult.quantile(nanos, 0.5), 2)]
                    })
        }
        return table
    }

    private func json(_ results: [KernelResult], load: Double) -> JSON {
        .object([
            .init("cpu", .string(Machine.cpu)),
            .init("cores", .int(Int64(ProcessMemory.coreCount))),
            .init("kernel", .string(Machine.kernel)),
            .init("load_average", .double(load)),
            .init("dimension", .int(Int64(options.dimension))),
            .init("memory_mib", .int(Int64(options.memoryMiB))),
            .init("samples", .int(Int64(options.sampleCount))),
            .init("seed", .int(Int64(options.seed))),
            .init("results", .array(results.map(\.json))),
        ])
    }
}
