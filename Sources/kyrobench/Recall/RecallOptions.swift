// The command line of the benchmark of wanted recalls.
import Glibc

struct RecallOptions {
    static let word = "recall"
    static let usage = """
        Usage: kyrobench recall [options]

        Asks an engine in this process for recalls of 0.90, 0.95, 0.97 and 0.99 of the ten nearest, on
        four collections, and compares what it does with the cheapest fixed efSearch that reaches the
        same on the same queries. The engine learns from its own rows, and from one of a hundred of the
        live queries that are asked first; the queries that are measured then are others.

          wordnet   definitions, asked with usage examples
          scifact   abstracts, asked with claims: the training ones live, the test ones measured
          strangers definitions, asked with commit messages: no row is like them
          clusters  synthetic: clusters in a latent space of few dimensions, plus noise

          --data FOLDER     that has wordnet, scifact and commits-dev (default: $KYRODB_DATA)
          --only LIST       of these collections
          --rows N          of each at most (default: all of real ones, 100000 synthetic ones)
          --queries N       measured, of each collection at most (default 500)
          --live N          live queries asked before, the same ones over and over where there are
                            fewer (default 50000)
          --shards N        (default 1)
          --seed N          of the order of rows and queries (default 1)
          --folder DIR      where the engine's data are written, and removed (default $TMPDIR or /tmp)
          --tiny            clusters alone, 6000 rows: every code path, in seconds
          --json FILE       everything measured: one JSON object a line
          --strict          exit status 1 when a target is missed

        A target is met when the mean recall is at most 0.005 below it, and the distances a query are
        at most 1.5 times those of the cheapest fixed efSearch, of numbers 5 % apart.

        Exit status: 0; 1 see --strict; 2 for a wrong command line or a data set that is missing.
        """
    static let collections = ["wordnet", "scifact", "strangers", "clusters"]
    static let targets = [0.90, 0.95, 0.97, 0.99]

    var dataFolder = getenv("KYRODB_DATA").map { String(cString: $0) } ?? ""
    var names = RecallOptions.collections
    var rowsMax = Int.max
    var queryCount = 500
    var liveCount = 50_000
    var shardCount = 1
    var seed: UInt64 = 1
    var folder: String?
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
        if isTiny { (names, rowsMax, queryCount, liveCount) = (["clusters"], 6_000, 100, 10_000) }
        names = try words.names("--only", of: Self.collections) ?? names
        words.take("--data", &dataFolder)
        folder = words.text("--folder")
        jsonPath = words.text("--json")
        try words.take("--rows", in: 1_000...10_000_000, &rowsMax)
        try words.take("--queries", in: 10...10_000, &queryCount)
        try words.take("--live", in: 0...10_000_000, &liveCount)
        try words.take("--shards", in: 1...16, &shardCount)
        try words.takeSeed(&seed)
        try words.end()
    }
}
