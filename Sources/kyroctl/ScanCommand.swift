// kyroctl scan.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    private static let tableRows = 100

    static let scan = Command(
        name: "scan", summary: "Go through documents in the order of their ids, or of fields.",
        details: """
            The documents are shown as they were when the scan began. A scan that breaks off says
            how to go on by --resume. With --order-by, documents without a value come last; of a
            list counts the element that comes first.

            \(ReadOptions.filterHelp)
            """,
        options: [
            ReadOptions.filter, ReadOptions.sqlNot, ReadOptions.since, ReadOptions.until,
            Option(
                "order-by", value: "FIELDS",
                "such as files:desc,\(eventTimeName); FIELD:first puts those without it first"),
            Option(
                "limit", short: "k", value: "N",
                "at most so many; 0 for all (default: all with --json, else \(tableRows))"),
            Option("resume", value: "TOKEN", "go on behind a token that was printed before"),
            ReadOptions.fields, ReadOptions.minSeq, ReadOptions.asOf,
        ],
        examples: [
            ("scan -n commits --filter 'exists release' -k 20", "the first twenty that match"),
            ("scan -n commits --order-by @time:desc -k 10", "the ten newest"),
            ("scan -n commits --json --fields all > commits.jsonl", "everything, vectors too"),
        ],
        run: runScan)

    fileprivate static var tableRowsDefault: Int { tableRows }
}

private func runScan(_ session: Session) throws -> ExitCode {
    let arguments = session.arguments
    _ = try arguments.positionals(exactly: [])
    let scope = try session.scope()
    var request = ScanRequest(scope: scope)
    request.filter = try ReadOptions.filter(session)
    request.asOf = try ReadOptions.asOf(session)
    request.timeRange = try ReadOptions.timeRange(session)
    request.minSeq = try ReadOptions.minSeq(session)
    if let order = arguments.string("order-by") {
        request.orderBy = try SortKey.list(parsing: order)
    }
    let limit =
        try arguments.integer("limit", in: 0...Int.max)
        ?? (session.isJSON ? 0 : Command.tableRowsDefault)
    request.limit = UInt64(limit)
    if let token = arguments.string("resume") {
        guard let bytes = Hex.bytes(token), !bytes.isEmpty else {
            throw UsageError("--resume: \"\(token)\" is no token of a scan")
        }
        request.resumeToken = bytes
    }
    request.projection = try ReadOptions.projection(session, scope: scope)

    let cursor = try SearchClient(session.connection()).scan(request)
    var output = ScanOutput(session: session, names: ReadOptions.columns(session))
    do {
        while let answer = try cursor.next() {
            guard output.take(answer.documents) else {
                cursor.cancel()
                return .done
            }
        }
    } catch {
        output.finish()
        if !cursor.resumeToken.isEmpty {
            session.note("go on by --resume \(Hex.text(cursor.resumeToken))")
        }
        throw error
    }
    output.finish()
    if !session.isJSON, limit > 0, output.count == limit {
        session.write("…go on by --resume \(Hex.text(cursor.resumeToken)), or take --limit 0\n")
    }
    return .done
}

/// JSON goes out at once; a table needs its rows first, so it is written in parts.
private struct ScanOutput {
    let session: Session
    let names: [String]?
    var count = 0
    private var waiting: [Document] = []

    private static let rowsOfPart = 1_000

    init(session: Session, names: [String]?) {
        self.session = session
        self.names = names
    }

    /// False when nobody reads any more.
    mutating func take(_ documents: [Document]) -> Bool {
        count += documents.count
        if session.isJSON {
            return Terminal.write(documents.map { JSON($0).text + "\n" }.joined())
        }
        waiting += documents
        return waiting.count < Self.rowsOfPart || writePart()
    }

    mutating func finish() {
        guard !session.isJSON else { return }
        _ = writePart()
        session.write("\(countText(UInt64(count))) documents\n")
    }

    private mutating func writePart() -> Bool {
        guard !waiting.isEmpty else { return true }
        let hasTime = waiting.contains { $0.eventTimeMillis != nil }
        var columns: [Table.Column] = [.init("id", widthMin: 16)]
        if hasTime { columns.append(.init("time")) }
        columns += (names ?? ["document"]).map { .init($0, widthMin: 8) }
        var table = Table(columns)
        for document in waiting {
            var row = [document.id.argument]
            if hasTime { row.append(document.timeCell) }
            row += names.map { $0.map { document.cell($0) } } ?? [document.gist]
            table.append(row)
        }
        waiting = []
        return Terminal.write(table.text(width: Terminal.width()))
    }
}
