// The command line of the churn benchmark.

struct ChurnOptions {
    static let word = "churn"
    static let usage = """
        Usage: kyrobench churn [options]

        Replaces every row of a vector index in this process, in random order and cluster by cluster,
        a hundredth at a time, while its maintenance links the new rows and takes the dead ones out of
        the graph; then deletes a quarter of such an index. Prints recall, distances, latency and memory
        before and after, against graphs that were built of the same rows afresh.

        What is measured
          --data-set NAME, --data FOLDER, --rows N, --dimension N, --queries N, --passes N, --threads N,
          --seed N, --folder DIR, --tiny   as of kyrobench vectors; one half of the rows is indexed, the
                            other replaces it
          --steps N         pieces of the replacement (default 100)
          --orders LIST     of random, clustered (default: both)
          --no-repair       dead rows stay in the graph, and walks pass over them

          --strict          times must meet their targets, too

        Exit status: 0; 1 when a count misses its target, with --strict also when a time does; 2 for a
        wrong command line.
        """

    enum Order: String, CaseIterable {
        case random
        case clustered
    }

    /// What there is to index and to ask.
    var vectors: VectorOptions
    var steps = 100
    var orders = Order.allCases
    let repairs: Bool
    var wantsHelp: Bool { vectors.wantsHelp }

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(
            arguments, of: Self.word, flags: VectorOptions.flags.union(["--no-repair"]))
        repairs = !words.flag("--no-repair")
        try words.take("--steps", in: 1...1_000_000, &steps)
        if let names = try words.names("--orders", of: Order.allCases.map(\.rawValue)) {
            orders = names.compactMap(Order.init(rawValue:))
        }
        vectors = try VectorOptions(&words, syntheticRows: 200_000)
        if vectors.isTiny { vectors.rowsMax = 20_000 }
        try words.end()
    }
}
