// The command line of the benchmark of processor time per request.

struct CostOptions {
    static let word = "cost"
    static let usage = """
        Usage: kyrobench cost [options]

        Measures the processor time (user and system) that a server uses for a request, each server
        under the same load in turn, round by round, and compares medians:

          bare     nghttp2 in C, the least that returns the same bytes
          echo     KyroDB's transport, returning what it was sent: 64 B and 3 KiB
          grpc     a C++ gRPC server on Debian's libgrpc++, threaded and with callbacks: the cheaper
          lookup   kyrodb, one document by its id

        once with many calls in flight on a few connections, once with one call at a time. An answer
        counts only when every byte of its message is right and its status is OK. Bounds: echo at
        most a third of grpc and 1.5 times bare, lookup at most 2.5 times bare.

          --binary FILE     of kyrodb (default: kyrodb beside this program); kyro-echo beside it
          --without FILE    a kyrodb built with KYRODB_WITHOUT_METRICS=1: look-ups may cost at most
                            1 % more with metrics than without
          --peers-script F  builds the others (default Tests/Bench/cost_peers.sh)
          --no-grpc         without the C++ server, which takes some packages and a minute to build
          --rounds N        of which the median counts (default 9)
          --requests N      a round and server (default 40000; a tenth of it one at a time)
          --connections N, --streams N
                            of the load with many in flight (default 4 and 32)
          --server-option W a word more of kyrodb's command line; several by commas
          --tiny            few requests, no C++ server
          --json FILE       write everything measured there
          --strict          times must meet their bounds, too

        Exit status: 0; 1 when an answer was wrong, with --strict also when a bound is missed; 2 for
        a wrong command line, or a server that fails.
        """

    var binary = Options.ownFolder() + "/kyrodb"
    /// Where `binary` lies, too.
    var echoBinary: String {
        let folder = binary.lastIndex(of: "/").map { binary[...$0] } ?? ""
        return folder + "kyro-echo"
    }
    var without: String?
    var peersScript = "Tests/Bench/cost_peers.sh"
    var hasGRPC: Bool
    var rounds = 9
    var requestCount = 40_000
    var connections = 4
    var streams = 32
    var serverOptions: [String] = []
    var jsonPath: String?
    let isStrict: Bool
    let wantsHelp: Bool

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var words = try OptionWords(
            arguments, of: Self.word, flags: ["--no-grpc", "--tiny", "--strict"])
        wantsHelp = words.wantsHelp
        isStrict = words.flag("--strict")
        hasGRPC = !words.flag("--no-grpc")
        if words.flag("--tiny") {
            hasGRPC = false
            rounds = 2
            requestCount = 1_000
        }
        words.take("--binary", &binary)
        without = words.text("--without")
        words.take("--peers-script", &peersScript)
        try words.take("--rounds", in: 1...1_000, &rounds)
        try words.take("--requests", in: 100...10_000_000, &requestCount)
        try words.take("--connections", in: 1...64, &connections)
        try words.take("--streams", in: 1...1_000, &streams)
        if let list = words.text("--server-option") {
            serverOptions = list.split(separator: ",").map(String.init)
        }
        jsonPath = words.text("--json")
        try words.end()
    }
}
