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
        var rest = arguments
        while let name = rest.popFirst() {
            switch name {
            case "--help", "-h": wantsHelp = true
            case "--strict": isStrict = true
            case "--tiny":
                isTiny = true
                names = ["clusters"]
                rowsMax = 6_000
                queryCount = 100
                liveCount = 10_000
            default:
                guard let value = rest.popFirst() else {
                    throw BenchError("\(name) needs a value, or is unknown; see --help")
                }
                try take(name, value)
            }
        }
    }

    private mutating func take(_ name: String, _ value: String) throws {
        switch name {
        case "--data": dataFolder = value
        case "--folder": folder = value
        case "--json": jsonPath = value
        case "--only":
            names = value.split(separator: ",").map(String.init)
            for name in names where !Self.collections.contains(name) {
                throw BenchError("--only names \"\(name)\"; known are \(Self.collections)")
            }
        case "--rows": rowsMax = try Self.number(name, value, in: 1_000...10_000_000)
        case "--queries": queryCount = try Self.number(name, value, in: 10...10_000)
        case "--live": liveCount = try Self.number(name, value, in: 0...10_000_000)
        case "--shards": shardCount = try Self.number(name, value, in: 1...16)
        case "--seed": seed = UInt64(try Self.number(name, value, in: 0...Int.max))
        default: throw BenchError("unknown option \"\(name)\"; see --help")
        }
    }

    private static func number(
        _ name: String, _ value: String, in range: ClosedRange<Int>
    ) throws -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw BenchError("\(name) is \"\(value)\"; it must be a number in \(range)")
        }
        return number
    }
}
