// The command line of the benchmark of hybrid searches beside PostgreSQL and Redis.
import Glibc

struct HybridOptions {
    static let word = "hybrid"
    static let usage = """
        Usage: kyrobench hybrid [options]

        Repeats the documents of scifact, commits-dev and wordnet until there are enough: the first time
        as they are, then with words dropped, swapped and replaced by others of the same data set, and
        with noise on the vectors. Loads them into a server of its own, waits until they are in the
        graph, and asks the data sets' queries one after the other over gRPC, each with text, vector, a
        filter on metadata, a range of time, 100 candidates a leg, and the metadata of ten hits back:

          idle
          beside writes    1,000 upserts a second over an ingest stream, every other one of a document
                           that is there; behind acknowledgements documents are looked up and searched
                           for, and must be there as written

        and then the same on PostgreSQL as one stitches it there: full text search, then the best by
        vector among the rows that pass filter and time, fused in the client, then the metadata; with
        Redis in front, which answers what it has been asked before. Vectors are compared exactly, in
        the client, as the extension pgvector is not in Debian 12; --peer pgvector takes PostgreSQL 16 with it
        from PyPI.

          --data FOLDER  with the data sets, or one data set (default: $KYRODB_DATA)
          --rows N       (default 1000000)
          --mix NAME     repeat: all documents equally often, nine of ten are then WordNet's short ones;
                         even: as many of each data set (default repeat)
          --queries N    measured each time (default 2000)
          --seconds N    at least, beside writes (default 20)
          --threads N    that make documents (default 2)
          --seed N       of everything (default 1)
          --peer NAME    postgres, pgvector or none (default postgres; with --tiny none)
          --peer-seconds N  at most, of each way to ask PostgreSQL (default 120)
          --peer-script FILE  (default Tests/Bench/hybrid_peer.sh, from the repository's root)
          --tiny         3000 documents, 100 queries: every code path, in seconds
          --folder DIR   where files and data are made, and removed (default $TMPDIR or /tmp); takes 12
                         KB a document
          --binary FILE  the server's program (default: kyrodb beside this program)
          --json FILE    write everything measured there
          --strict       times must meet their targets, too

        Exit status: 0; 1 when a count misses its target, with --strict also when a time does; 2 for
        a wrong command line, a server or a peer that fails.
        """

    enum Peer: String {
        case none
        case postgres
        case pgvector
    }

    enum Mix: String {
        case `repeat`
        case even
    }

    var dataFolder = ""
    var rowCount = 1_000_000
    var mix = Mix.repeat
    var queryCount = 2_000
    var seconds = 20.0
    var threads = 2
    var seed: UInt64 = 1
    var peer = Peer.postgres
    var peerSeconds = 120
    var peerScript = "Tests/Bench/hybrid_peer.sh"
    var isTiny = false
    var folder: String?
    var binary: String
    var jsonPath: String?
    var isStrict = false
    var wantsHelp = false

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(arguments, of: Self.word, flags: ["--tiny", "--strict"])
        wantsHelp = words.wantsHelp
        isTiny = words.flag("--tiny")
        isStrict = words.flag("--strict")
        binary = words.text("--binary") ?? Options.ownFolder() + "/kyrodb"
        folder = words.text("--folder")
        jsonPath = words.text("--json")
        if let root = getenv("KYRODB_DATA") { dataFolder = String(cString: root) }
        words.take("--data", &dataFolder)
        if isTiny { (rowCount, queryCount, seconds) = (3_000, 100, 1) }
        try words.take("--rows", in: 100...100_000_000, &rowCount)
        try words.take("--queries", in: 10...1_000_000, &queryCount)
        try words.take("--threads", in: 1...256, &threads)
        try words.takeSeconds(&seconds)
        try words.takeSeed(&seed)
        try setNames(&words)
        try words.end()
        guard wantsHelp || !dataFolder.isEmpty else {
            throw BenchError("KYRODB_DATA names no folder with data sets; give --data FOLDER")
        }
    }

    private mutating func setNames(_ words: inout OptionWords) throws {
        try words.take("--peer-seconds", in: 1...86_400, &peerSeconds)
        words.take("--peer-script", &peerScript)
        if isTiny { peer = .none }
        if let name = words.text("--peer") {
            guard let peer = Peer(rawValue: name) else {
                throw BenchError("--peer is \"\(name)\"; it must be postgres, pgvector or none")
            }
            self.peer = peer
        }
        if let name = words.text("--mix") {
            guard let mix = Mix(rawValue: name) else {
                throw BenchError("--mix is \"\(name)\"; it must be repeat or even")
            }
            self.mix = mix
        }
    }
}
