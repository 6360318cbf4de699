// The command line of the comparison of vector indexes.
import Glibc

struct VectorOptions {
    static let word = "vectors"
    static let usage = """
        Usage: kyrobench vectors [options]

        Builds vector indexes of the same rows, in the same random order, and asks them the same
        queries for the ten nearest: KyroDB in this process (built at once and row by row), KyroDB over
        gRPC through a server of its own, and hnswlib, faiss and usearch from PyPI. Prints build rates,
        memory over the raw rows, and latency over recall. M is 16 and efConstruction 100 everywhere.

        What is measured
          --data-set NAME   wordnet: corpus.npy, queries.npy and, to check against, gt_queries_ids.npy
                            of a folder; synthetic: clusters in a latent space of few dimensions, plus
                            noise (default: wordnet)
          --data FOLDER     that folder (default: $KYRODB_DATA/wordnet)
          --rows N          all of the data set, or 1000000 synthetic ones
          --dimension N     of synthetic rows (default 768)
          --queries N       (default 1000)
          --passes N        over the queries at each point of a curve (default 3)
          --threads N       that build, and of the throughput (default 2)
          --seed N          of order, rows and queries (default 1)
          --systems LIST    of bulk, incremental, grpc (default: all)
          --peers LIST      none, all, or of hnswlib, faiss, usearch, or single ones:
                            faiss-hnsw, faiss-hnsw-sq8, faiss-ivf, usearch-f32, usearch-bf16,
                            usearch-i8 (default: all; of synthetic rows hnswlib; with --tiny none)
          --tiny            10000 synthetic rows of 64 dimensions: every code path, in seconds

        Where things lie
          --folder DIR      where rows are written for the peers, and a server's data, and removed
                            (default $TMPDIR or /tmp); takes three times the raw rows
          --binary FILE     the server's program (default: kyrodb beside this program)
          --peers-script FILE  (default Tests/Bench/vectors_peers.sh, from the repository's root); it
                            installs what Tests/Bench/requirements.txt pins into .venv

        What comes out, besides tables
          --json FILE       everything measured: one JSON object a line
          --svg FILE        latency over recall, drawn
          --strict          times must meet their targets, too

        A latency at a recall lies on the straight line between the two neighbouring points of the
        curve (efSearch or nprobe) whose recall encloses it; where the first point is above it, it is
        the first point's, marked ≤. A peer's latency is given as its Python call takes, and less what
        the same call takes on an index of ten rows. Equal scores (within 1e-6) count as found, for
        everybody. Over gRPC there is a curve, with as many candidates as hits, and one point of a
        request that says nothing but its vector. A curve ends at recall 0.995, or where three points
        gain nothing.

        Examples
          kyrobench vectors --data-set wordnet --svg wordnet.svg --json wordnet.jsonl
          kyrobench vectors --data-set synthetic --rows 1000000 --dimension 768 --folder /var/tmp
          kyrobench vectors --data-set synthetic --rows 100000 --peers all --systems bulk
          kyrobench vectors --tiny

        Exit status: 0; 1 when a count misses its target, with --strict also when a time does; 2 for
        a wrong command line, a peer or a server that fails.
        """

    enum System: String, CaseIterable {
        case bulk
        case incremental
        case grpc
    }

    static let peerNames = [
        "hnswlib", "faiss-hnsw", "faiss-hnsw-sq8", "faiss-ivf", "usearch-f32", "usearch-bf16",
        "usearch-i8",
    ]

    var isSynthetic = false
    var dataFolder = ""
    /// Zero for all of the data set.
    var rowsMax = 0
    var dimension = 768
    var queryCount = 1_000
    var passes = 3
    var threads = 2
    var seed: UInt64 = 1
    var systems = System.allCases
    var peers: [String] = []
    var isTiny = false
    var folder: String?
    var binary: String
    var peersScript = "Tests/Bench/vectors_peers.sh"
    var jsonPath: String?
    var svgPath: String?
    var isStrict = false
    var wantsHelp = false

    static let flags: Set<String> = ["--tiny", "--strict"]

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(arguments, of: Self.word, flags: Self.flags)
        try self.init(&words)
        try words.end()
    }

    /// Takes what it knows from the words of another command that goes by the same data.
    ///
    /// - Parameters:
    ///   - dataSet: where none is named.
    ///   - syntheticRows: where no number is given.
    init(
        _ words: inout OptionWords, dataSet: String = "wordnet", syntheticRows: Int = 1_000_000
    ) throws {
        wantsHelp = words.wantsHelp
        isTiny = words.flag("--tiny")
        isStrict = words.flag("--strict")
        binary = words.text("--binary") ?? Options.ownFolder() + "/kyrodb"
        folder = words.text("--folder")
        jsonPath = words.text("--json")
        try setData(&words, dataSet: dataSet)
        try setRun(&words)
        if isSynthetic, rowsMax == 0 { rowsMax = syntheticRows }
        guard isSynthetic || !dataFolder.isEmpty || wantsHelp else {
            throw BenchError("KYRODB_DATA names no folder with wordnet; give --data FOLDER")
        }
    }

    private mutating func setData(_ words: inout OptionWords, dataSet: String) throws {
        if let root = getenv("KYRODB_DATA") { dataFolder = String(cString: root) + "/wordnet" }
        if isTiny { (rowsMax, dimension, queryCount, passes) = (10_000, 64, 100, 1) }
        switch words.text("--data-set") ?? (isTiny ? "synthetic" : dataSet) {
        case "wordnet": isSynthetic = false
        case "synthetic": isSynthetic = true
        case let name:
            throw BenchError("--data-set is \"\(name)\"; it must be wordnet or synthetic")
        }
        words.take("--data", &dataFolder)
        try words.take("--rows", in: 100...100_000_000, &rowsMax)
        try words.take("--dimension", in: 2...16_384, &dimension)
        try words.take("--queries", in: 10...100_000, &queryCount)
        try words.takeSeed(&seed)
    }

    private mutating func setRun(_ words: inout OptionWords) throws {
        try words.take("--passes", in: 1...1_000, &passes)
        try words.take("--threads", in: 1...256, &threads)
        if let names = try words.names("--systems", of: System.allCases.map(\.rawValue)) {
            systems = names.compactMap(System.init(rawValue:))
        }
        let usual = isTiny ? "none" : isSynthetic ? "hnswlib" : "all"
        peers = try Self.peers(words.text("--peers") ?? usual)
        words.take("--peers-script", &peersScript)
        svgPath = words.text("--svg")
    }

    /// In the order of `peerNames`, whatever the order of the list.
    static func peers(_ list: String) throws -> [String] {
        if list == "none" { return [] }
        if list == "all" { return peerNames }
        var chosen: Set<String> = []
        for word in list.split(separator: ",") {
            let named = peerNames.filter { $0 == word || $0.hasPrefix(word + "-") }
            let exact = named.filter { $0 == word }
            guard !named.isEmpty else {
                throw BenchError(
                    "\"\(word)\" is no peer; there are " + peerNames.joined(separator: ", "))
            }
            chosen.formUnion(exact.isEmpty ? named : exact)
        }
        return peerNames.filter(chosen.contains)
    }
}
