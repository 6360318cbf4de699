// kyrobench: measures a server over gRPC, on real data, vector indexes, recall, and kernels. `--help`
// tells how.
import Glibc
import KyroModel
import KyroPlatform

func note(_ text: String) {
    let bytes = Array(("kyrobench: " + text + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

func writeFile(_ text: String, to path: String) throws {
    let file = try PosixFileSystem().open(path, .createEmpty)
    try file.write(Array(text.utf8), at: 0)
}

func benchmark(_ options: Options) throws -> Int32 {
    var report = Report(seed: options.seed, requestCount: options.requestCount)
    let benchmark = Benchmark(options: options)
    let loadAverage = Machine.loadAverage
    if options.isAccept {
        report.dataSets = try benchmark.accept(root: options.folder)
    } else {
        report.dataSets = [
            try benchmark.run(
                folder: options.folder, layout: options.layout,
                measuresLatency: options.measuresLatency)
        ]
    }
    let server = report.dataSets[0].loading.server
    print(
        "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), "
            + "kyrodb \(server.version), kernels \(server.kernels), \(server.shards.count) shards, "
            + "seed \(options.seed), load average \(loadAverage) at the start")
    print(report.figureTable)
    if let path = options.jsonPath { try writeFile(report.json.text + "\n", to: path) }
    return report.allCountsPass ? 0 : 1
}

func snapshotBenchmark(_ words: [String]) throws -> Int32 {
    let options = try SnapshotOptions(words)
    if options.wantsHelp {
        print(SnapshotOptions.usage)
        return 0
    }
    return try SnapshotBenchmark(options: options).run()
}

func writes(_ options: Options) throws -> Int32 {
    let server = options.endpoint == nil ? try ServerProcess(binary: options.binary) : nil
    defer { _ = server?.stop() }
    guard let endpoint = options.endpoint ?? server?.endpoint else { return 2 }
    let load = WriteLoad(endpoint: endpoint, requestCount: options.requestCount)
    print(
        "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), "
            + "load average \(Machine.loadAverage) at the start")
    print(WriteLoad.table(try load.run()).text())
    return 0
}

/// A benchmark that has a word and a command line of its own.
protocol NamedBenchmark {
    static var word: String { get }
    static var usage: String { get }
    var wantsHelp: Bool { get }
    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws
    /// Answers the exit status.
    func run() throws -> Int32
}

let benchmarks: [any NamedBenchmark.Type] = [
    KernelOptions.self, VectorOptions.self, FilterOptions.self, ChurnOptions.self,
    RecallOptions.self, MixedOptions.self, MemoryOptions.self, HybridOptions.self,
    RelevanceOptions.self, TextOptions.self, CostOptions.self,
]

extension KernelOptions: NamedBenchmark {
    func run() throws -> Int32 { try KernelBenchmark(options: self).run() }
}

extension VectorOptions: NamedBenchmark {
    func run() throws -> Int32 { try VectorBenchmark(options: self).run() }
}

extension FilterOptions: NamedBenchmark {
    func run() throws -> Int32 { try FilterBenchmark(options: self).run() }
}

extension ChurnOptions: NamedBenchmark {
    func run() throws -> Int32 { try ChurnBenchmark(options: self).run() }
}

extension RecallOptions: NamedBenchmark {
    func run() throws -> Int32 { try RecallBenchmark(options: self).run() }
}

extension MixedOptions: NamedBenchmark {
    func run() throws -> Int32 { try MixedBenchmark(options: self).run() }
}

extension HybridOptions: NamedBenchmark {
    func run() throws -> Int32 { try HybridBenchmark(options: self).run() }
}

extension TextOptions: NamedBenchmark {
    func run() throws -> Int32 { try TextBenchmark(options: self).run() }
}

extension CostOptions: NamedBenchmark {
    func run() throws -> Int32 { try CostBenchmark(options: self).run() }
}

extension MemoryOptions: NamedBenchmark {
    func run() throws -> Int32 { try MemoryBenchmark(options: self).run() }
}

extension RelevanceOptions: NamedBenchmark {
    func run() throws -> Int32 { try RelevanceBenchmark(options: self).run() }
}

do {
    let words = Array(CommandLine.arguments.dropFirst())
    if let word = words.first, SnapshotOptions.words.contains(word) {
        exit(try snapshotBenchmark(words))
    }
    for kind in benchmarks where words.first == kind.word {
        let benchmark = try kind.init(words.dropFirst())
        if benchmark.wantsHelp {
            print(kind.usage)
            exit(0)
        }
        exit(try benchmark.run())
    }
    let options = try Options(words)
    if options.wantsHelp {
        print(Options.usage)
    } else if options.isWrites {
        exit(try writes(options))
    } else {
        exit(try benchmark(options))
    }
} catch let error as KyroError {
    note(error.message)
    exit(2)
} catch {
    note("\(error)")
    exit(2)
}
