// kyroctl ingest: its options, and what they ask for.
import KyroBytes
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let ingest = Command(
        name: "ingest", summary: "Write documents from JSON Lines.", positionals: "FILE",
        details: """
            One JSON object a line; "-" is standard input. A line is a whole document: an id that
            exists is replaced. The field "id" is the document's id: a text, or a number from 0;
            7 and "7" are different. "title" and "text" become texts to search by words. Every other
            field becomes metadata: texts, numbers, true and false, and lists of one of them; null
            and [] are left out. A number without point and exponent is an int64, any other a
            double; the first value of a field fixes its type for the collection, so declare a
            field as double by "collections create --field" where it may begin with 1.

            A line that is no document is reported with its number and left out; the others go in.
            A run that was broken off is taken up where it stopped by the same command: the server
            remembers which lines of the file it has. A file that was changed begins anew.
            """,
        options: [
            Option("create", "create the collection when it is not there"),
            Option("id-field", value: "NAME", "the document's id (default \"id\")"),
            Option(
                "text-field", value: "NAME", isRepeatable: true,
                "a text to search by words (default: title and text)"),
            Option("vector-field", value: "NAME", isRepeatable: true, "a list of numbers"),
            Option(
                "sparse-field", value: "NAME", isRepeatable: true,
                "an object with indices and values"),
            Option(
                "multi-vector-field", value: "NAME", isRepeatable: true,
                "a list of lists of numbers, all of one length, for search --rescore"),
            Option(
                "vectors", value: "FILE.npy",
                "vectors beside the lines, f16, f32 or f64: row k (from 0) belongs to line k + 1"),
            Option("vectors-as", value: "NAME", "field for them (default \"vector\")"),
            Option("time-field", value: "NAME", "the event time; it is no metadata then"),
            Option("expiry-field", value: "NAME", "when the document disappears"),
            Option(
                "timestamp-field", value: "NAME", isRepeatable: true,
                "metadata of the type timestamp"),
            Option(
                "time-unit", value: "s|ms",
                "of numbers in the three above (default s); texts there are RFC 3339"),
            Option("skip-field", value: "NAME", isRepeatable: true, "leave this field out"),
            Option("batch", value: "N", "documents in a batch (default 500)"),
            Option(
                "producer", value: "NAME",
                "under which the server remembers what it has (default: made from the file's path, "
                    + "size and time of change; for input, a new one)"),
            Option("restart", "send every line again, whatever the server has"),
            Option("errors", value: "N", "report at most so many bad lines (default 20)"),
            Option("quiet", short: "q", "no progress and no summary"),
        ],
        examples: [
            (
                "ingest commits.jsonl --vectors commits.npy -n commits --create "
                    + "--time-field ts --time-unit s", "documents with vectors beside them"
            ),
            (
                "ingest docs.jsonl -n docs --vector-field embedding --skip-field raw",
                "vectors inside the lines"
            ),
            ("ingest - -n docs --producer nightly < docs.jsonl", "input that can be taken up"),
        ],
        run: runIngest)
}

/// What to read and how to send it.
struct IngestPlan {
    var path: String
    var scope: Scope
    var mapping: LineMapping
    var vectorsPath: String?
    var batchDocuments: Int
    var errorsShown: Int
    var isQuiet: Bool
    var creates: Bool
    var producer: String?
    var restarts: Bool

    init(_ session: Session) throws {
        let arguments = session.arguments
        path = try arguments.positionals(exactly: ["the file (or - for standard input)"])[0]
        scope = try session.scope()
        mapping = LineMapping()
        mapping.idField = arguments.string("id-field") ?? "id"
        let texts = arguments.strings("text-field")
        mapping.textFields = texts.isEmpty ? nil : texts
        mapping.vectorFields = arguments.strings("vector-field")
        mapping.sparseFields = arguments.strings("sparse-field")
        mapping.multiVectorFields = arguments.strings("multi-vector-field")
        mapping.timeField = arguments.string("time-field")
        mapping.expiryField = arguments.string("expiry-field")
        mapping.timestampFields = arguments.strings("timestamp-field")
        mapping.skippedFields = Set(arguments.strings("skip-field"))
        mapping.timeUnit = try arguments.choice("time-unit", of: TimeUnit.self) ?? .seconds
        mapping.rowVectorField = arguments.string("vectors-as") ?? "vector"
        vectorsPath = arguments.string("vectors")
        if vectorsPath == nil, arguments.string("vectors-as") != nil {
            throw UsageError("--vectors-as needs --vectors")
        }
        batchDocuments =
            try arguments.integer("batch", in: 1...Limits.batchMutationsMax) ?? 500
        errorsShown = try arguments.integer("errors", in: 0...Int.max) ?? 20
        isQuiet = arguments.flag("quiet")
        creates = arguments.flag("create")
        producer = arguments.string("producer")
        restarts = arguments.flag("restart")
        if producer != nil, restarts {
            throw UsageError(
                "--restart forgets the producer; name a new --producer to send every line again")
        }
    }

    /// The name under which the server remembers how far this file has come. Two things must give
    /// a new one: a file that was changed, and a collection that was dropped and made again.
    func producer(for file: InputFile, collection: CollectionDescription) throws -> String {
        if let producer { return producer }
        let identity = try file.identity()
        var what = "\(scope.tenant)/\(scope.namespace)/\(collection.id.raw)/\(path)"
        what += "/\(identity.byteCount)/\(identity.modifiedNanos)"
        if restarts || !identity.isRegular { what += "/\(UInt64.random(in: .min ... .max))" }
        return "kyroctl-" + String(xxh3(Array(what.utf8)), radix: 16)
    }
}

private func runIngest(_ session: Session) throws -> ExitCode {
    let plan = try IngestPlan(session)
    let file = try InputFile(path: plan.path)
    let rows = try plan.vectorsPath.map { path throws(InputError) in try NPYFile(path: path) }
    let connection = try session.connection()
    let collection = try openCollection(plan, connection)
    let opening = StreamOpen(
        scope: plan.scope, producer: try plan.producer(for: file, collection: collection))
    var run = IngestRun(
        plan: plan, session: session, file: file, rows: rows,
        stream: try IngestClient(connection).stream(opening))
    return try run.all()
}

private func openCollection(
    _ plan: IngestPlan, _ connection: Connection
) throws(KyroError) -> CollectionDescription {
    let client = CollectionsClient(connection)
    do {
        return try client.describe(plan.scope).collection
    } catch {
        guard error.code == .notFound, plan.creates else { throw error }
    }
    do {
        return try client.create(plan.scope)
    } catch {
        // Somebody else was quicker.
        guard error.code == .alreadyExists else { throw error }
        return try client.describe(plan.scope).collection
    }
}
