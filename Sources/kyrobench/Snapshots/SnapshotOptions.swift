// The command line of the benchmarks about snapshots and restarts.
import KyroModel

struct SnapshotOptions {
    static let usage = """
        Usage: kyrobench restart | snapshot-load | snapshots [options]

        Loads synthetic documents (a vector of 384, a text, two metadata fields) into a server of its
        own and waits until its graph has them. Then

          restart        takes a snapshot, stops the server, empties the page cache, starts it again
                         and measures the time to the first correct answer against the disk's own
                         read rate; then the same after a kill with 200,000 records behind the snapshot
          snapshot-load  measures lookups, searches and acknowledged writes beside an ingest of 1,000
                         documents a second, without and with a snapshot being taken
          snapshots      both, over one load

          --documents N  (default 1000000)
          --tail N       records behind the snapshot (default 200000)
          --dimension N  (default 384)
          --seconds N    of each measurement under load (default 20)
          --folder DIR   where the data directory is made, and removed (default $TMPDIR or /tmp)
          --binary FILE  the server's program (default: kyrodb beside this program)
          --seed N       of everything (default 1)
          --json FILE    write everything measured there
          --strict       times must meet their targets, too

        Exit status: 0; 1 when a count misses its target, with --strict also when a time does; 2 for
        a wrong command line, a wrong answer, or a server that fails.
        """

    var measuresRestart = false
    var measuresLoad = false
    var documentCount = 1_000_000
    var tailCount = 200_000
    var dimension = 384
    var seconds = 20.0
    var folder: String?
    var binary: String
    var seed: UInt64 = 1
    var jsonPath: String?
    var wantsHelp = false
    var isStrict = false

    static let words: Set<String> = ["restart", "snapshot-load", "snapshots"]

    init(_ arguments: [String]) throws {
        let word = arguments.first
        measuresRestart = word != "snapshot-load"
        measuresLoad = word != "restart"
        var words = try OptionWords(
            arguments.dropFirst(), of: word ?? "", flags: ["--strict"])
        wantsHelp = words.wantsHelp
        isStrict = words.flag("--strict")
        binary = words.text("--binary") ?? Options.ownFolder() + "/kyrodb"
        folder = words.text("--folder")
        jsonPath = words.text("--json")
        try words.take("--documents", in: 1...Int.max, &documentCount)
        try words.take("--tail", in: 1...Int.max, &tailCount)
        try words.take("--dimension", in: 1...Int.max, &dimension)
        try words.takeSeconds(&seconds)
        try words.takeSeed(&seed)
        try words.end()
    }
}
