// The command line of the benchmark of what vectors take in memory.

struct MemoryOptions {
    static let word = "memory"
    static let usage = """
        Usage: kyrobench memory [options]

        Loads the same vectors into servers of their own, one for each way to keep them, waits until
        they are in the graph, takes a snapshot, and restarts the server. Prints the anonymous resident
        memory of the process over that of one with the same documents without vectors, as a share of
        the raw floats, and recall@10 of searches by default. With rows on disk the server is started
        once more in a control group whose limit leaves the vectors their share and no more (needs
        root), and asked again.

          --ways LIST    of default, sq8, bf16, disk (rows on disk), disk-sq8 (default: all)
          --data-set, --data, --rows, --dimension, --queries, --seed, --folder, --binary
                         as of kyrobench vectors (default: synthetic, 300000 rows of 768)
          --json FILE    write everything measured there

        Exit status: 0; 1 when a figure misses its target; 2 for a wrong command line, or a server that
        fails.
        """

    var vectors: VectorOptions
    var ways: [String]
    var wantsHelp: Bool { vectors.wantsHelp }

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(arguments, of: Self.word, flags: VectorOptions.flags)
        vectors = try VectorOptions(&words, dataSet: "synthetic", syntheticRows: 300_000)
        let known = MemoryBenchmark.ways.map(\.name)
        ways = try words.names("--ways", of: known) ?? known
        try words.end()
    }
}
