// The command line of the benchmark of relevance.
import Glibc

struct RelevanceOptions {
    static let word = "quality"
    static let usage = """
        Usage: kyrobench quality [options]

        Measures nDCG@10 over judged queries, through a server: of words alone (BM25, k1 1.2, b 0.75),
        of vectors alone, of both as they are fused by default, and as they are fused after the
        collection was tuned. What is tuned is measured on queries that it was not tuned on.

          scifact           abstracts; tuned on the training queries, measured on the test queries
          wordnet           definitions; tuned and measured by cross-validation, in 5 folds
          no-text           scifact with the texts of other documents: only vectors tell
          no-vectors        scifact with the vectors of other documents: only words tell
          random            scifact tuned on judgements of other documents, measured on true ones

          --data FOLDER     that has scifact and wordnet (default: $KYRODB_DATA)
          --only LIST       of these collections
          --server HOST:PORT  a server that runs (default: one of its own for each collection)
          --binary FILE     that server's program (default: kyrodb beside this program)
          --seed N          of folds and of what is exchanged (default 1)
          --queries N       at most, for tuning and for measuring each (default: all)
          --tiny            the data set in the folder itself, 60 of its documents looked for: every
                            code path, in seconds
          --json FILE       write everything measured there
          --strict          exit status 1 when a figure misses its target

        Exit status: 0; 1 see --strict; 2 for a wrong command line or a data set that is missing.
        """
    static let collections = ["scifact", "wordnet", "no-text", "no-vectors", "random"]

    var dataFolder = getenv("KYRODB_DATA").map { String(cString: $0) } ?? ""
    var names = RelevanceOptions.collections
    var binary: String
    var endpoint: String?
    var seed: UInt64 = 1
    var queriesMax = Int.max
    var jsonPath: String?
    var isTiny = false
    var isStrict = false
    var wantsHelp = false

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(arguments, of: Self.word, flags: ["--strict", "--tiny"])
        wantsHelp = words.wantsHelp
        isStrict = words.flag("--strict")
        isTiny = words.flag("--tiny")
        if isTiny { names = ["tiny"] }
        names = try words.names("--only", of: Self.collections) ?? names
        words.take("--data", &dataFolder)
        binary = words.text("--binary") ?? Options.ownFolder() + "/kyrodb"
        endpoint = words.text("--server")
        jsonPath = words.text("--json")
        try words.take("--queries", in: 20...10_000, &queriesMax)
        try words.takeSeed(&seed)
        try words.end()
    }
}
