// Other libraries, each in a Python process of its own that reads the same files.
import Glibc
import KyroCommands

struct PeerRun {
    let data: VectorData
    let options: VectorOptions
    /// Where what a peer prints is kept until it has ended.
    let folder: String

    /// Ready to run any peer; the first time that takes a minute.
    static func install(_ options: VectorOptions) throws {
        guard fileExists(options.peersScript) else {
            throw BenchError(
                "\(options.peersScript) is missing: run from the repository's root, or give "
                    + "--peers-script, or --peers none")
        }
        note("peers: \(options.peers.joined(separator: ", "))")
        try run(["bash", options.peersScript, "--install"], output: "/dev/null")
    }

    func measure(_ peer: String) throws -> SystemResult {
        let output = folder + "/" + peer + ".jsonl"
        let sweep = peer == "faiss-ivf" ? Sweep.probes : Sweep.efs
        try Self.run(
            [
                "bash", options.peersScript, "--peer", peer, "--corpus", data.corpus.path,
                "--queries", data.queries.path, "--truth", data.truthPath,
                "--threads", String(options.threads), "--passes", String(options.passes),
                "--sweep", sweep.map(String.init).joined(separator: ","),
                "--recall-max", String(Sweep.recallMax),
                "--flat-points-max", String(Sweep.flatPointsMax),
            ], output: output)
        let text = String(decoding: try wholeFile(output), as: UTF8.self)
        let lines = try text.split(separator: "\n").map { try JSON(parsing: String($0)) }
        return try SystemResult(peerLines: lines)
    }

    /// Waits for a program to end; its standard error is this one's.
    static func run(_ words: [String], output: String) throws {
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var process: pid_t = 0
        let status = posix_spawnp(&process, words[0], &actions, nil, &arguments, environ)
        guard status == 0 else { throw BenchError("\(words[0]): \(errnoText(status))") }
        var state: Int32 = 0
        while waitpid(process, &state, 0) < 0, errno == EINTR {}
        guard state == 0 else {
            throw BenchError("\(words.joined(separator: " ")) ended with state \(state)")
        }
    }
}
