// How a vector field is indexed, as words on a command line: `codes=sq4,rerank=bf16,m=24`.
import KyroModel

extension VectorIndexKind {
    public var text: String {
        switch self {
        case .automatic: "automatic"
        case .graph: "graph"
        case .ivf: "ivf"
        case .flat: "flat"
        }
    }
}

extension VectorCodes {
    public var text: String {
        switch self {
        case .automatic: "automatic"
        case .none: "none"
        case .sq8: "sq8"
        case .sq4: "sq4"
        case .bq: "bq"
        case .pq: "pq"
        }
    }
}

extension VectorRerank {
    public var text: String {
        switch self {
        case .f32: "f32"
        case .bf16: "bf16"
        case .none: "none"
        }
    }
}

extension VectorStorage {
    public var text: String {
        switch self {
        case .memory: "memory"
        case .disk: "disk"
        }
    }
}

extension VectorIndexing {
    /// `NAME=VALUE[,NAME=VALUE]…`; what is not named is as it is by default. Ranges are the server's
    /// affair.
    public init(parsing text: String) throws(UsageError) {
        self = .default
        try apply(text)
    }

    /// The same over what is there; `automatic` and 0 go back to the defaults.
    public mutating func apply(_ text: String) throws(UsageError) {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard words.count == 2 else {
                throw UsageError(
                    "\"\(part)\" is no option of a vector field; write NAME=VALUE with one of "
                        + Self.names.joined(separator: ", "))
            }
            try set(words[0], to: words[1])
        }
    }

    private static let names = [
        "kind", "codes", "rerank", "storage", "m", "ef_construction", "ef_search", "lists",
        "probes",
    ]

    private mutating func set(_ name: String, to value: String) throws(UsageError) {
        switch name {
        case "kind":
            kind = try choice(value, of: VectorIndexKind.allCases, called: name, text: \.text)
        case "codes":
            codes = try choice(value, of: VectorCodes.allCases, called: name, text: \.text)
        case "rerank":
            rerank = try choice(value, of: VectorRerank.allCases, called: name, text: \.text)
        case "storage":
            storage = try choice(value, of: VectorStorage.allCases, called: name, text: \.text)
        case "m": m = try Self.number(value, name)
        case "ef_construction": efConstruction = try Self.number(value, name)
        case "ef_search": efSearch = try Self.number(value, name)
        case "lists": lists = try Self.number(value, name)
        case "probes": probes = try Self.number(value, name)
        default:
            throw UsageError(
                "\"\(name)\" is no option of a vector field; choose one of "
                    + Self.names.joined(separator: ", "))
        }
    }

    private static func number(_ text: String, _ name: String) throws(UsageError) -> UInt32 {
        guard let number = UInt32(text) else {
            throw UsageError("\(name) is \"\(text)\"; it must be a number")
        }
        return number
    }

    /// What is not as it is by default, as `init(parsing:)` reads it; empty for the defaults.
    public var text: String {
        let plain = VectorIndexing.default
        var parts: [String] = []
        if kind != plain.kind { parts.append("kind=\(kind.text)") }
        if codes != plain.codes { parts.append("codes=\(codes.text)") }
        if rerank != plain.rerank { parts.append("rerank=\(rerank.text)") }
        if storage != plain.storage { parts.append("storage=\(storage.text)") }
        for (name, number) in numbers where number != 0 { parts.append("\(name)=\(number)") }
        return parts.joined(separator: ",")
    }

    private var numbers: [(String, UInt32)] {
        [
            ("m", m), ("ef_construction", efConstruction), ("ef_search", efSearch),
            ("lists", lists), ("probes", probes),
        ]
    }

    /// All options as members of an object; zeros stand for the defaults.
    public var json: JSON {
        .object(
            [
                JSON.Member("kind", .string(kind.text)), JSON.Member("codes", .string(codes.text)),
                JSON.Member("rerank", .string(rerank.text)),
                JSON.Member("storage", .string(storage.text)),
            ] + numbers.map { JSON.Member($0.0, .int(Int64($0.1))) })
    }
}

/// One of a few words.
func choice<T>(
    _ word: String, of all: [T], called what: String, text: (T) -> String
) throws(UsageError) -> T {
    if let found = all.first(where: { text($0) == word }) { return found }
    throw UsageError(
        "\"\(word)\" is no \(what); choose one of "
            + all.map { text($0) }.joined(separator: ", "))
}

extension JSON {
    /// What serves a vector field.
    public init(_ status: VectorIndexStatus) {
        self = .object([
            Member("field", .string(status.field)),
            Member("kind", .string(status.kind.text)),
            Member("codes", .string(status.codes.text)),
            Member("rerank", .string(status.rerank.text)),
            Member("storage", .string(status.storage.text)),
            Member("rows", JSON(status.rows)),
            Member("indexed_rows", JSON(status.indexedRows)),
            Member("dead_rows", JSON(status.deadRows)),
            Member("row_bytes", JSON(status.rowBytes)),
            Member("code_bytes", JSON(status.codeBytes)),
            Member("link_bytes", JSON(status.linkBytes)),
            Member("codes_version", .int(Int64(status.codesVersion))),
            Member("rebuild_rows_done", JSON(status.rebuildRowsDone)),
            Member("rebuild_rows_total", JSON(status.rebuildRowsTotal)),
            Member("recall_samples", .int(Int64(status.recallSamples))),
        ])
    }

    /// How far a change of a text field's analyser is.
    public init(_ status: TextIndexStatus) {
        self = .object([
            Member("field", .string(status.field)),
            Member("rebuild_rows_done", JSON(status.rebuildRowsDone)),
            Member("rebuild_rows_total", JSON(status.rebuildRowsTotal)),
        ])
    }

    /// A collection with what serves its fields.
    public init(_ description: DescribeCollectionResponse) {
        guard case .object(let members) = JSON(description.collection) else {
            preconditionFailure("a collection is an object")
        }
        self = .object(
            members + [
                Member("vector_indexes", .array(description.vectors.map { JSON($0) })),
                Member("metadata_statistics", .array(description.metadata.map { JSON($0) })),
                Member("text_indexes", .array(description.texts.map { JSON($0) })),
            ])
    }
}
