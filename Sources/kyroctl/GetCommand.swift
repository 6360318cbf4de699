// kyroctl get.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let idHelp = """
        An ID is a text as it stands, also when it looks like a number; #7 is the number 7 (quote it
        for the shell); a JSON string in double quotes is the text it spells.
        """

    static let get = Command(
        name: "get", summary: "Show documents by their ids.", positionals: "ID…",
        details: idHelp,
        options: [ReadOptions.fields, ReadOptions.minSeq, ReadOptions.asOf],
        examples: [
            ("get -n commits grpc-go-4d88514f0a0f", "one document"),
            ("get -n commits '#7' 7", "the number 7 and the text \"7\""),
            ("get -n commits a b --fields all --json", "with vectors, one object a line"),
        ],
        run: runGet)
}

private func runGet(_ session: Session) throws -> ExitCode {
    let ids = session.arguments.positionals.map { DocumentID(argument: $0) }
    guard !ids.isEmpty else { throw UsageError("which documents? Name their ids") }
    let scope = try session.scope()
    var request = LookupRequest(
        scope: scope, ids: ids, projection: try ReadOptions.projection(session, scope: scope),
        minSeq: try ReadOptions.minSeq(session))
    request.asOf = try ReadOptions.asOf(session)
    let answer = try SearchClient(session.connection()).lookup(request)
    var isFirst = true
    for result in answer.results {
        guard let document = result.document else {
            if session.isJSON {
                session.write(
                    .object([
                        JSON.Member("id", JSON(result.id)), JSON.Member("found", .bool(false)),
                    ]))
            } else {
                session.note("\(scope.namespace) has no document \(result.id.argument)")
            }
            continue
        }
        if session.isJSON {
            session.write(
                .object(
                    [
                        JSON.Member("id", JSON(result.id)), JSON.Member("found", .bool(true)),
                        JSON.Member("seq", JSON(result.seq)),
                    ] + JSON.parts(of: document)))
        } else {
            if !isFirst { session.write("\n") }
            isFirst = false
            show(document, seq: result.seq, session)
        }
    }
    return answer.results.contains { $0.document == nil } ? .notFound : .done
}

/// One field a line, and texts as they are below.
private func show(_ document: Document, seq: KyroModel.Sequence, _ session: Session) {
    var rows: [(String, String)] = [("id", document.id.argument), ("seq", String(seq.raw))]
    if document.eventTimeMillis != nil { rows.append(("event time", document.timeCell)) }
    if let millis = document.expiresAtMillis {
        rows.append(("expires at", Timestamp.text(millis: millis)))
    }
    rows += document.metadata.map { ($0.name, singleLine($0.value.cell)) }
    rows += document.vectors.map { vector in
        let start = vector.value.prefix(4).map { decimal(Double($0), places: 4) }
        return (vector.name, "[\(start.joined(separator: ", ")), …] \(vector.value.count) floats")
    }
    rows += document.sparseVectors.map { ($0.name, "\($0.value.indices.count) entries") }
    rows += document.multiVectors.map {
        ($0.name, "\($0.value.values.count) floats in rows of \($0.value.dimension)")
    }
    rows += document.texts.map { ($0.name, $0.value) }
    let width = rows.reduce(0) { max($0, displayWidth($1.0)) }
    let indent = String(repeating: " ", count: width + 2)
    for (name, value) in rows {
        let padding = String(repeating: " ", count: width - displayWidth(name))
        let lines = value.split(separator: "\n", omittingEmptySubsequences: false)
            .map { singleLine(String($0)) }
        session.write("\(name)\(padding)  \(lines.joined(separator: "\n" + indent))\n")
    }
}
