// kyroctl rebuild.
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform

extension Command {
    static let rebuild = Command(
        name: "rebuild", summary: "Change how vectors and texts are indexed, while they serve.",
        positionals: "NAME",
        details: """
            The collection is searched and written to as ever while the server builds the new
            indexes beside the old ones. The change is durable at once: it goes on after a restart,
            and when this command is interrupted. Another one takes its place.

            Options that are not named stay as they are; automatic, or 0, gives one back to the
            server. \(vectorOptionsHelp)

            Options of text fields: analyzer=standard|code|raw, language=NAME (of a Snowball
            algorithm), fold=yes|no (letters lose their marks), stop=standard|none|WORD+WORD…,
            stem=yes|no, k1=NUMBER, b=NUMBER. Each shard answers by its old analyser until it has
            made the new index from the stored documents.
            """,
        options: [
            Option(
                "vector", value: "FIELD:OPTION=VALUE[,OPTION=VALUE]", isRepeatable: true,
                "a vector field and what changes about it"),
            Option(
                "text", value: "FIELD:OPTION=VALUE[,OPTION=VALUE]", isRepeatable: true,
                "a text field and what changes about it"),
            Option("no-wait", "do not wait until it is done"),
            Option("quiet", short: "q", "no progress line"),
        ],
        examples: [
            ("rebuild commits --vector embedding:codes=sq4", "codes of half the size"),
            (
                "rebuild commits --vector embedding:kind=graph,m=24,ef_construction=300 --no-wait",
                "a denser graph; see how far it is with: kyroctl collections describe commits"
            ),
            ("rebuild commits --text body:language=german,fold=yes", "another analyser"),
        ],
        run: runRebuild)
}

private func runRebuild(_ session: Session) throws -> ExitCode {
    let scope = try session.scopeOfCommand()
    let changes = session.arguments.strings("vector")
    let textChanges = session.arguments.strings("text")
    guard !changes.isEmpty || !textChanges.isEmpty else {
        throw UsageError(
            "what is to change? Name it by --vector FIELD:OPTION=VALUE or --text FIELD:OPTION=VALUE"
        )
    }
    let client = CollectionsClient(try session.connection())
    let before = try client.describe(scope).collection
    var vectors: FieldMap<VectorIndexing> = [:]
    for text in changes {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex else {
            throw UsageError(
                "--vector is \"\(text)\"; write FIELD:OPTION=VALUE, such as embedding:codes=sq4")
        }
        let name = String(text[..<colon])
        // A field that is not there is for the server to refuse.
        var indexing = vectors[name] ?? before.schema.vectors[name]?.indexing ?? .default
        try indexing.apply(String(text[text.index(after: colon)...]))
        vectors[name] = indexing
    }
    var texts: FieldMap<TextField> = [:]
    for text in textChanges {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
            throw UsageError(
                "--text is \"\(text)\"; write FIELD:OPTION=VALUE, such as body:language=german")
        }
        let name = String(text[..<colon])
        var field = texts[name] ?? before.schema.texts[name] ?? TextField()
        try field.apply(String(text[text.index(after: colon)...]))
        texts[name] = field
    }
    let startNanos = Now.monotonicNanos
    let after = try client.rebuild(scope, vectors: vectors, texts: texts)
    if !session.arguments.flag("no-wait") {
        try wait(client, scope, vectors.names, texts.names, session)
    }
    if session.isJSON {
        session.write(JSON(try client.describe(scope)))
        return .done
    }
    let micros = (Now.monotonicNanos - startNanos) / 1_000
    let took =
        session.arguments.flag("no-wait")
        ? "under way" : "done in \(TimeSpan.text(micros: micros))"
    for name in vectors.names {
        let text = after.schema.vectors[name]?.indexing.text ?? ""
        session.write("\(name): \(text.isEmpty ? "the server's choice" : text)\n")
    }
    for name in texts.names {
        session.write("\(name): \(after.schema.texts[name]?.text ?? "")\n")
    }
    session.write(
        after.schemaVersion == before.schemaVersion
            ? "nothing changes\n" : "rebuild of \(scope.namespace) \(took)\n")
    return .done
}

/// Until what serves these fields is what was asked for.
private func wait(
    _ client: CollectionsClient, _ scope: Scope, _ vectors: [String], _ texts: [String],
    _ session: Session
) throws {
    var line = Progress(
        isShown: Terminal.isErrorTerminal && !session.arguments.flag("quiet") && !session.isJSON,
        width: Terminal.width(of: 2), nowNanos: Now.monotonicNanos, unit: .rows)
    defer { line.clear() }
    while true {
        let status = try client.describe(scope)
        let rows =
            status.vectors.filter { vectors.contains($0.field) }
            .map { (done: $0.rebuildRowsDone, total: $0.rebuildRowsTotal) }
            + status.texts.filter { texts.contains($0.field) }
            .map { (done: $0.rebuildRowsDone, total: $0.rebuildRowsTotal) }
        let total = rows.reduce(0) { $0 + $1.total }
        if total == 0 { return }
        let done = rows.reduce(0) { $0 + min($1.done, $1.total) }
        line.update(
            count: done, fraction: Double(done) / Double(total), nowNanos: Now.monotonicNanos)
        _ = Gate().wait(timeoutNanos: 100_000_000)
    }
}
