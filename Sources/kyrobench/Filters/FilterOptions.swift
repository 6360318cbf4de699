// The command line of the measurement of filtered searches.
import Glibc

struct FilterOptions {
    static let word = "filters"
    static let usage = """
        Usage: kyrobench filters [options]

        Asks one vector index in this process for the ten nearest rows under filters that match 50,
        10, 5, 2, 1 and 0.1 % of the rows: drawn at random (independent), the rows nearest to a
        random one of the query's hundred nearest (correlated), and rows of the clusters farthest from
        the query (anti-correlated). Each query has filters of its own. Prints, for each, recall@10
        against the exact answer, and median times of the search as it is planned, of a scan of the
        matching codes, and of a search without a filter whose recall is as good.

        What is measured
          --data FOLDER     corpus.npy and queries.npy (default: $KYRODB_DATA/wordnet)
          --synthetic R,D   instead of that, R rows of D dimensions: clusters in a latent space of few
                            dimensions, plus noise
          --rows N          of the data set (default: all)
          --queries N       (default 200; of synthetic rows 100)
          --passes N        over the queries for each filter (default 3)
          --threads N       that build the index and look for the exact answers (default 2)
          --seed N          of order, rows and filters (default 1)
          --tiny            6000 synthetic rows of 32 dimensions: every code path, in seconds
          --folder DIR      where rows are written, and removed (default $TMPDIR or /tmp)

        What comes out, besides tables
          --json FILE       everything measured: one JSON object a line
          --strict          times must meet their targets, too

        Times are processor time of the searching thread, so that what else the machine does counts
        for little. The recall that the search without a filter has to reach is the filtered one's, at
        least 0.97 and at most 0.99, by the least efSearch of a row of them.

        Examples
          kyrobench filters --strict
          kyrobench filters --synthetic 1000000,768 --folder /var/tmp --strict

        Exit status: 0; 1 when a recall misses its target, with --strict also when a time does; 2 for a
        wrong command line or data that cannot be read.
        """

    var dataFolder = ""
    var synthetic: (rows: Int, dimension: Int)?
    var rowsMax = 0
    var queryCount = 0
    var passes = 3
    var threads = 2
    var seed: UInt64 = 1
    var folder: String?
    var jsonPath: String?
    var isStrict = false
    var wantsHelp = false

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        if let root = getenv("KYRODB_DATA") { dataFolder = String(cString: root) + "/wordnet" }
        var words = try OptionWords(arguments, of: Self.word, flags: ["--strict", "--tiny"])
        wantsHelp = words.wantsHelp
        isStrict = words.flag("--strict")
        if words.flag("--tiny") { (synthetic, queryCount, passes) = ((6_000, 32), 20, 1) }
        if let value = words.text("--synthetic") { synthetic = try Self.shape(value) }
        words.take("--data", &dataFolder)
        folder = words.text("--folder")
        jsonPath = words.text("--json")
        try words.take("--rows", in: 1_000...100_000_000, &rowsMax)
        try words.take("--queries", in: 10...100_000, &queryCount)
        try words.take("--passes", in: 1...1_000, &passes)
        try words.take("--threads", in: 1...256, &threads)
        try words.takeSeed(&seed)
        try words.end()
        if queryCount == 0 { queryCount = synthetic == nil ? 200 : 100 }
        guard synthetic != nil || !dataFolder.isEmpty || wantsHelp else {
            throw BenchError("KYRODB_DATA names no folder with wordnet; give --data FOLDER")
        }
    }

    private static func shape(_ text: String) throws -> (rows: Int, dimension: Int) {
        let parts = text.split(separator: ",").compactMap { Int($0) }
        guard parts.count == 2, (1_000...100_000_000).contains(parts[0]),
            (2...16_384).contains(parts[1])
        else { throw BenchError("--synthetic is \"\(text)\"; give rows,dimension: 1000000,768") }
        return (parts[0], parts[1])
    }

    /// The options of the data alone, as the comparison of indexes takes them.
    func data() throws -> VectorOptions {
        var options = try VectorOptions(
            synthetic == nil ? ["--data", dataFolder] : ["--data-set", "synthetic"])
        options.rowsMax = synthetic?.rows ?? rowsMax
        options.dimension = synthetic?.dimension ?? 0
        options.queryCount = queryCount
        options.threads = threads
        options.seed = seed
        return options
    }
}
