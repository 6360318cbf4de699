// kyroctl collections tune.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let collectionsTune = Command(
        name: "collections tune",
        summary: "Learn from judged queries how searches fuse their legs.", positionals: "NAME",
        details: """
            Searches the queries, fits the weights of their legs, and measures the fit on queries
            that it was not made from, as nDCG@10. The weights are kept only where they do not fall
            below the best single leg and gain more than chance does; otherwise the best leg or the
            defaults are, whichever the figures speak for. Searches with these legs that give no
            weights and no --rrf go by what is kept, from then on and after a restart.

            A line of the queries has "id" and what it asks: "text", a list "vector", an object
            "sparse"; at least two of them, the same ones in every line. A line of the judgements is
            query, document and grade; or query, anything, document and grade, as trec_eval has it.
            Queries without a grade above 0 are left out.
            """,
        options: [
            Option("queries", value: "FILE", "JSON Lines; \"-\" is standard input"),
            Option("qrels", value: "FILE", "judgements; a document #7 has the number 7 as its id"),
            Option("vectors", value: "FILE.npy", "of the queries: row k belongs to line k + 1"),
            Option("vector-field", value: "NAME", "which vector field (default: the only one)"),
            Option("sparse-field", value: "NAME", "which sparse field (default: the only one)"),
            Option("text-fields", value: "NAMES", "only these text fields"),
            Option("folds", value: "N", "parts that the queries are divided into (default 5)"),
            Option("candidates", value: "N", "of each leg, as searches will have them (100)"),
            Option("dry-run", "measure, and keep nothing"),
            Option("list", "show the versions that there are, and learn nothing"),
            Option("roll-back", value: "VERSION", "go by this version again; 0 for none"),
            Option("quiet", short: "q", "no progress line"),
        ],
        examples: [
            (
                "collections tune papers --queries train.jsonl --vectors train.npy "
                    + "--qrels train.tsv", "learn and keep"
            ),
            ("collections tune papers --list", "what was learnt so far"),
            ("collections tune papers --roll-back 0", "fuse as if nothing had been learnt"),
        ],
        run: runTune)
}

private func runTune(_ session: Session) throws -> ExitCode {
    let arguments = session.arguments
    let scope = try session.scopeOfCommand()
    let client = CollectionsClient(try session.connection())
    if arguments.flag("list") {
        TuneOutput.showHistory(try client.describe(scope).collection, session)
        return .done
    }
    if let version = try arguments.integer("roll-back", in: 0...Int(UInt32.max)) {
        let answer = try client.rollBackTuning(scope, to: UInt32(version))
        if session.isJSON {
            session.write(.object([JSON.Member("version", .int(Int64(answer.version)))]))
        } else {
            session.write(
                answer.version == 0
                    ? "searches of \(scope.namespace) are fused by the defaults\n"
                    : "searches of \(scope.namespace) go by version \(answer.version)\n")
        }
        return .done
    }
    guard let queries = arguments.string("queries"), let qrels = arguments.string("qrels") else {
        throw UsageError("what to learn from? Give --queries FILE and --qrels FILE")
    }
    var start = TuneStart(scope: scope)
    start.folds = UInt32(
        try arguments.integer(
            "folds", in: Int(Limits.foldsRange.lowerBound)...Int(Limits.foldsRange.upperBound))
            ?? 0)
    start.candidates = UInt32(
        try arguments.integer("candidates", in: 10...Limits.tuneCandidatesMax) ?? 0)
    start.isDryRun = arguments.flag("dry-run")
    var reader = try JudgedQueryReader(
        path: queries, vectors: arguments.string("vectors"),
        judgements: Judgements(path: qrels))
    reader.vectorField = arguments.string("vector-field") ?? ""
    reader.sparseField = arguments.string("sparse-field") ?? ""
    reader.textFields =
        arguments.string("text-fields")?.split(separator: ",").map(String.init) ?? []
    let outcome = try learn(client, start, &reader, session)
    if session.isJSON {
        session.write(TuneOutput.json(of: outcome))
        return .done
    }
    if reader.skipped > 0 {
        session.note("\(countText(reader.skipped)) queries have no grade above 0: left out")
    }
    TuneOutput.show(outcome, session)
    return .done
}

/// Half of the bar are the queries, the other half is the fit.
private func learn(
    _ client: CollectionsClient, _ start: TuneStart, _ reader: inout JudgedQueryReader,
    _ session: Session
) throws -> TuneOutcome {
    var line = Progress(
        isShown: Terminal.isErrorTerminal && !session.arguments.flag("quiet") && !session.isJSON,
        width: Terminal.width(of: 2), nowNanos: Now.monotonicNanos, unit: .queries)
    defer { line.clear() }
    let stream = try client.tune(start)
    while let query = try reader.next() {
        try stream.send(query)
        let bytes = Double(reader.bytesRead)
        line.update(
            count: stream.progress.queries,
            fraction: reader.byteCount.map { 0.5 * bytes / Double(max(1, $0)) },
            nowNanos: Now.monotonicNanos)
    }
    return try stream.finish { progress in
        line.update(
            count: progress.queries, fraction: 0.5 + 0.005 * Double(progress.fitPercent),
            nowNanos: Now.monotonicNanos)
    }
}
