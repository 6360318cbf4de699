// Options that commands share which read documents: which ones, and what of them.
import KyroClient
import KyroCommands
import KyroModel

enum ReadOptions {
    static let filter = Option(
        "filter", value: "FILTER",
        "only documents whose metadata matches, such as 'repo = \"apple/swift-nio\" and files < 10'"
    )
    static let sqlNot = Option(
        "sql-not", "\"not\", \"!=\" and \"not in\" of --filter leave out what lacks the field")
    static let since = Option(
        "since", value: "TIME",
        "event time from here on: 2024-01-31, 2024-01-31T10:00:00Z, or 30d for thirty days ago")
    static let until = Option("until", value: "TIME", "event time before this")
    static let fields = Option(
        "fields", value: "NAMES",
        "which fields to return, with commas between; \"none\", or \"all\" with the vectors "
            + "(default: texts and metadata)")
    static let minSeq = Option(
        "min-seq", value: "N", "the answer must have seen this sequence")

    static let asOf = Option(
        "as-of", value: "MOMENT",
        "as it was: a sequence such as 4711, or a time: 2024-01-31T10:00:00Z, or 30m for thirty "
            + "minutes ago")

    static func asOf(_ session: Session) throws -> AsOf? {
        guard let text = session.arguments.string("as-of") else { return nil }
        if let seq = UInt64(text) { return .seq(Sequence(seq)) }
        return try session.arguments.time("as-of", nowMillis: Now.wallMillis).map { .time($0) }
    }

    static let filterHelp = """
        FILTERS
          field = value    !=  <  <=  >  >=     compare
          field in (1, 2)  field not in ("a")   one of these, or none of them
          field ^= "abc"   field prefix "abc"   texts that start so
          exists field                          the document has the field
          field contains any (1, 2)  contains all ("a", "b")       lists that have them
          field within 2 km of (48.85, 2.35)    geo points near a latitude and a longitude
          field within box (48, 2, 49, 3)       south, west, north and east in degrees
          and  or  not  ( )                     combine; "and" binds closer than "or"
          Values are "texts" in quotes, 7 (int64), 7.5 (double), true, false, and times such as
          @2024-01-31 or @2024-01-31T10:00:00Z. Quote a field whose name holds other characters
          than letters, digits, "_", "." and "-". On a list, one matching element is enough. A
          comparison is unknown where the field is missing, and "not" of the unknown is true; with
          --sql-not it stays unknown, as in SQL, and such documents are left out.
        """

    static func filter(_ session: Session) throws -> Filter? {
        let negation: FilterNegation = session.arguments.flag("sql-not") ? .sql : .twoValued
        return try session.arguments.string("filter").map {
            try Filter(parsing: $0, negation: negation)
        }
    }

    static func timeRange(_ session: Session) throws -> TimeRange? {
        let now = Now.wallMillis
        let from = try session.arguments.time("since", nowMillis: now)
        let to = try session.arguments.time("until", nowMillis: now)
        if let from, let to, from >= to { throw UsageError("--since is not before --until") }
        return from == nil && to == nil ? nil : TimeRange(fromMillis: from, toMillis: to)
    }

    static func minSeq(_ session: Session) throws -> KyroModel.Sequence {
        let seq = try session.arguments.integer("min-seq", in: 0...Int.max)
        return Sequence(UInt64(seq ?? 0))
    }

    /// Texts and metadata unless `--fields` says otherwise; its names are looked up in the schema.
    static func projection(_ session: Session, scope: Scope) throws -> Projection {
        switch session.arguments.string("fields") {
        case nil: return Projection(metadata: .all, texts: .all)
        case "none": return Projection()
        case "all": return packed(.everything)
        case let names?:
            let schema = try CollectionsClient(session.connection()).describe(scope).collection
                .schema
            var projection = packed(Projection())
            for name in names.split(separator: ",").map(String.init) {
                try add(name, of: schema, to: &projection)
            }
            return projection
        }
    }

    /// `--fields a,b` as columns of a table; nil without a list of names.
    static func columns(_ session: Session) -> [String]? {
        switch session.arguments.string("fields") {
        case nil, "none", "all": nil
        case let names?: names.split(separator: ",").map(String.init)
        }
    }

    private static func packed(_ projection: Projection) -> Projection {
        var projection = projection
        projection.vectorEncoding = .packedF32
        return projection
    }

    private static func add(
        _ name: String, of schema: Schema, to projection: inout Projection
    ) throws(UsageError) {
        var isKnown = false
        if schema.metadata[name] != nil {
            projection.metadata.names.append(name)
            isKnown = true
        }
        if schema.texts[name] != nil {
            projection.texts.names.append(name)
            isKnown = true
        }
        if schema.vectors[name] != nil {
            projection.vectors.names.append(name)
            isKnown = true
        }
        if schema.sparseVectors[name] != nil {
            projection.sparseVectors.names.append(name)
            isKnown = true
        }
        if schema.multiVectors[name] != nil {
            projection.multiVectors.names.append(name)
            isKnown = true
        }
        guard !isKnown else { return }
        let all =
            schema.texts.names + schema.metadata.names + schema.vectors.names
            + schema.sparseVectors.names + schema.multiVectors.names
        let advice =
            nearest(to: name, among: all).map { "did you mean \($0)?" }
            ?? "there are \(all.joined(separator: ", "))"
        throw UsageError("--fields: the collection has no field \(name); \(advice)")
    }
}

extension Document {
    /// What a table shows of one field.
    func cell(_ name: String) -> String {
        if let text = texts[name] { return text }
        if let value = metadata[name] { return value.cell }
        if let vector = vectors[name] { return "[\(vector.count) floats]" }
        if let vector = sparseVectors[name] { return "[\(vector.indices.count) entries]" }
        if let vector = multiVectors[name], vector.dimension > 0 {
            return "[\(vector.rowCount) × \(vector.dimension) floats]"
        }
        return ""
    }

    /// What tells people best what it is: its first text, or else its metadata.
    var gist: String {
        if let title = texts["title"], !title.isEmpty { return title }
        if let text = texts.first(where: { !$0.value.isEmpty }) { return text.value }
        return metadata.map { "\($0.name)=\($0.value.cell)" }.joined(separator: " ")
    }

    var timeCell: String { eventTimeMillis.map { Timestamp.text(millis: $0) } ?? "" }
}
