// The benchmark's command line.
import Glibc
import KyroClient

struct Options {
    static let usage = """
        Usage: kyrobench --data FOLDER [options]
               kyrobench --accept --data FOLDER [options]
               kyrobench restart | snapshot-load | snapshots [options]    (see restart --help)
               kyrobench vectors | filters | text | churn | recall | mixed | memory | hybrid
                         | quality [options]
                                                                          (see vectors --help, ...)
               kyrobench kernels [options]                                (see kernels --help)
               kyrobench --writes [options]

        Loads a data set into a server over gRPC and measures what comes back: ingest, memory, recall,
        relevance, latencies with and without writes meanwhile.

          --data FOLDER        corpus.jsonl, corpus.npy, queries.jsonl, queries.npy and, where there
                               are some, gt_queries_ids.npy, filtered_gt.jsonl, qrels.tsv; with
                               --accept the folder of the data sets wordnet and scifact
          --accept             measure the figures that the README claims, and hold them against
                               their targets
          --writes             measure small single writes at 1, 2, 4 and 16 connections, and no more
          --tiny               few requests, every code path: for tests
          --joined             title and text as one text field
          --quality            no latencies
          --server HOST:PORT   a server that runs (default: one of its own, on an empty directory)
          --binary FILE        that server's program (default: kyrodb beside this program)
          --requests N         measured in each latency run (default 10000)
          --seed N             of all requests (default 1)
          --json FILE          write everything measured there

        Exit status: 0; 1 when a count (recall, rows scored, nDCG, hits) misses its target, never for
        a time; 2 for a wrong command line or a server that fails.
        """

    var folder = ""
    var isAccept = false
    var isTiny = false
    var isWrites = false
    var layout = TextLayout.separate
    var measuresLatency = true
    var endpoint: Endpoint?
    var binary: String
    var requestCount = 10_000
    var seed: UInt64 = 1
    var jsonPath: String?
    var wantsHelp = false

    init(_ arguments: [String]) throws {
        var words = try OptionWords(
            arguments, flags: ["--accept", "--tiny", "--writes", "--joined", "--quality"])
        wantsHelp = words.wantsHelp
        isAccept = words.flag("--accept")
        isTiny = words.flag("--tiny")
        isWrites = words.flag("--writes")
        if words.flag("--joined") { layout = .joined }
        measuresLatency = !words.flag("--quality")
        words.take("--data", &folder)
        binary = words.text("--binary") ?? Self.ownFolder() + "/kyrodb"
        jsonPath = words.text("--json")
        endpoint = try words.text("--server").map { try Endpoint(parsing: $0) }
        try words.take("--requests", in: 1...Int.max, &requestCount)
        try words.takeSeed(&seed)
        try words.end()
        guard wantsHelp || isWrites || !folder.isEmpty else {
            throw BenchError("--data FOLDER is missing")
        }
        while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
        if isTiny { requestCount = min(requestCount, 200) }
    }

    /// Where this program lies.
    static func ownFolder() -> String {
        var bytes = [CChar](repeating: 0, count: 4_096)
        let count = max(0, readlink("/proc/self/exe", &bytes, bytes.count))
        let path = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }
}
