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
    var repairs = true
    var wantsHelp = false

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var others: [String] = []
        var rest = arguments
        while let word = rest.popFirst() {
            switch word {
            case "--help", "-h": wantsHelp = true
            case "--no-repair": repairs = false
            case "--steps":
                guard let text = rest.popFirst(), let number = Int(text), number > 0 else {
                    throw BenchError("--steps must be a positive number")
                }
                steps = number
            case "--orders":
                orders = try (rest.popFirst() ?? "").split(separator: ",").map { name in
                    guard let order = Order(rawValue: String(name)) else {
                        throw BenchError("\"\(name)\" is none of random, clustered")
                    }
                    return order
                }
            default: others.append(word)
            }
        }
        if wantsHelp { others.append("--help") }
        vectors = try VectorOptions(others[...])
        if vectors.isSynthetic, !vectors.isTiny, !others.contains("--rows") {
            vectors.rowsMax = 200_000
        }
        if vectors.isTiny { vectors.rowsMax = 20_000 }
    }
}
