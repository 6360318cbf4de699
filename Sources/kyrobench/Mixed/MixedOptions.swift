// The command line of the benchmark of searches beside writes and beside a rebuild.

struct MixedOptions {
    static let word = "mixed"
    static let usage = """
        Usage: kyrobench mixed [options]

        Loads four fifths of a data set's vectors into a server of its own, waits until they are in the
        graph, and measures searches for the ten nearest, 200 a second over gRPC,

          alone
          beside writes    1,000 inserts a second in batches of ten; behind each acknowledgement one of
                           its rows is searched for by its own vector, and must be there
          beside a rebuild of the index with other codes (sq4, or what --codes says)

        Every answer is checked: ten hits, none twice, best first, each with the score that its vector
        has. Rows that were acknowledged before a search was sent count for its recall.

          --data-set, --data, --rows, --dimension, --seed, --folder, --binary
                         as of kyrobench vectors
          --seconds N    of each measurement (default 20)
          --codes NAME   that the rebuild changes to (default sq4)
          --json FILE    write everything measured there
          --strict       times must meet their targets, too

        Exit status: 0; 1 when a count misses its target, with --strict also when a time does; 2 for
        a wrong command line, or a server that fails.
        """

    var vectors: VectorOptions
    var seconds = 20.0
    var codes = "sq4"
    var isStrict: Bool { vectors.isStrict }
    var wantsHelp: Bool { vectors.wantsHelp }

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(arguments, of: Self.word, flags: VectorOptions.flags)
        try words.takeSeconds(&seconds)
        words.take("--codes", &codes)
        vectors = try VectorOptions(&words)
        try words.end()
    }
}
