// A data set in a folder: corpus.jsonl and corpus.npy, queries.jsonl and queries.npy, and, where they
// are there, the exact answers (gt_queries_ids.npy, filtered_gt.jsonl) and judgements (qrels.tsv).
import KyroCommands
import KyroModel

struct BenchError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Vectors of one dimension, row-major.
struct Matrix: Sendable {
    let dimension: Int
    let values: [Float]

    var rowCount: Int { values.count / dimension }

    init(path: String, rowsMax: Int = .max) throws {
        let file = try NPYFile(path: path)
        let rowCount = min(rowsMax, file.header.rowCount)
        dimension = file.header.dimension
        var values: [Float] = []
        values.reserveCapacity(rowCount * dimension)
        for row in 0..<rowCount { values.append(contentsOf: try file.row(row)) }
        self.values = values
    }

    func row(_ index: Int) -> [Float] {
        Array(values[(index * dimension)..<((index + 1) * dimension)])
    }
}

struct CorpusRow: Sendable {
    var id: DocumentID
    var title: String
    var text: String
    var metadata: FieldMap<MetadataValue>
    /// Unix milliseconds.
    var eventTimeMillis: Int64
}

struct QueryRow: Sendable {
    var id: String
    var text: String
}

/// The exact best rows for one query under one filter.
struct FilteredTruth: Sendable {
    var query: Int
    var filter: Filter
    /// Best first.
    var rows: [Int]
}

struct DataSet: Sendable {
    let name: String
    let corpus: [CorpusRow]
    let vectors: Matrix
    let queries: [QueryRow]
    let queryVectors: Matrix
    /// For each query the exact best rows, best first.
    let truth: [[Int]]?
    let filteredTruth: [FilteredTruth]
    /// Relevance by document, by query.
    let judgements: [String: [DocumentID: Double]]

    /// Documents without a time of their own get one a minute from here (September 2020).
    static let firstEventMillis: Int64 = 1_600_000_000_000
    static let eventStepMillis: Int64 = 60_000

    init(folder: String) throws {
        name = folder.split(separator: "/").last.map(String.init) ?? folder
        corpus = try Self.lines(of: folder + "/corpus.jsonl") { line, row in
            try CorpusRow(line, row: row)
        }
        vectors = try Matrix(path: folder + "/corpus.npy")
        queries = try Self.lines(of: folder + "/queries.jsonl") { line, _ in
            guard let id = line["id"]?.plainText, case .string(let text)? = line["text"] else {
                throw BenchError("\(folder)/queries.jsonl: a line lacks id or text")
            }
            return QueryRow(id: id, text: text)
        }
        queryVectors = try Matrix(path: folder + "/queries.npy")
        guard corpus.count == vectors.rowCount, queries.count == queryVectors.rowCount,
            vectors.dimension == queryVectors.dimension
        else {
            throw BenchError("\(folder): texts and vectors differ in number or dimension")
        }
        truth = try Self.truth(folder + "/gt_queries_ids.npy", queryCount: queries.count)
        filteredTruth = try Self.filteredTruth(folder + "/filtered_gt.jsonl", queries)
        judgements = try Self.judgements(folder + "/qrels.tsv")
    }

    static func lines<Value>(
        of path: String, _ convert: (JSON, Int) throws -> Value
    ) throws -> [Value] {
        var reader = LineReader(try InputFile(path: path))
        var values: [Value] = []
        while let line = try reader.next() {
            values.append(try convert(try JSON(parsing: line), values.count))
        }
        return values
    }

    /// Rows of an .npy file of integers; nil where it is missing.
    static func truth(_ path: String, queryCount: Int) throws -> [[Int]]? {
        guard fileExists(path) else { return nil }
        let bytes = try wholeFile(path)
        guard bytes.count > 10, bytes[6] == 1 else { throw BenchError("\(path) is no .npy file") }
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        let header = String(decoding: bytes[10..<start], as: UTF8.self)
        let width = header.contains("<i4") ? 4 : header.contains("<i8") ? 8 : 0
        guard width > 0, queryCount > 0, (bytes.count - start) % (queryCount * width) == 0 else {
            throw BenchError("\(path): \(header) does not fit \(queryCount) queries")
        }
        let columns = (bytes.count - start) / (queryCount * width)
        return (0..<queryCount).map { query in
            (0..<columns).map { column in
                let at = start + (query * columns + column) * width
                return (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
            }
        }
    }

    private static func filteredTruth(
        _ path: String, _ queries: [QueryRow]
    ) throws -> [FilteredTruth] {
        guard fileExists(path) else { return [] }
        var positions: [String: Int] = [:]
        for (index, query) in queries.enumerated() { positions[query.id] = index }
        return try lines(of: path) { line, _ in
            guard let id = line["query"]?.plainText, let query = positions[id],
                let filter = line["filter"], case .array(let rows)? = line["top_rows"]
            else { throw BenchError("\(path): a line lacks query, filter or top_rows") }
            return FilteredTruth(
                query: query, filter: try Filter(filter),
                rows: rows.compactMap { if case .int(let row) = $0 { Int(row) } else { nil } })
        }
    }

    static func judgements(_ path: String) throws -> [String: [DocumentID: Double]] {
        guard fileExists(path) else { return [:] }
        var judgements: [String: [DocumentID: Double]] = [:]
        let text = String(decoding: try wholeFile(path), as: UTF8.self)
        for line in text.split(whereSeparator: \.isNewline).dropFirst() {
            let cells = line.split(separator: "\t")
            guard cells.count == 3, let score = Double(cells[2]) else {
                throw BenchError("\(path): \"\(line)\" is not query, document, score")
            }
            judgements[String(cells[0]), default: [:]][.text(String(cells[1]))] = score
        }
        return judgements
    }
}

extension CorpusRow {
    init(_ line: JSON, row: Int) throws {
        guard case .object(let members) = line, let id = line["id"]?.plainText else {
            throw BenchError("corpus.jsonl: line \(row + 1) has no id")
        }
        self.id = .text(id)
        title = line["title"]?.plainText ?? ""
        text = line["text"]?.plainText ?? ""
        metadata = [:]
        for member in members where !["id", "title", "text"].contains(member.name) {
            metadata[member.name] = MetadataValue(member.value)
        }
        if case .int(let seconds)? = line["ts"] {
            eventTimeMillis = seconds * 1_000
        } else {
            eventTimeMillis = DataSet.firstEventMillis + Int64(row) * DataSet.eventStepMillis
        }
    }
}

extension MetadataValue {
    /// Nil where the value has no type: null, an object, an empty or mixed list.
    init?(_ value: JSON) {
        switch value {
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int64(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements):
            let texts = elements.compactMap(\.plainText)
            guard !texts.isEmpty, texts.count == elements.count else { return nil }
            self = .strings(texts)
        case .null, .object: return nil
        }
    }
}

extension Filter {
    /// From comparisons by field, all of which must hold; `not`, `and` and `or` hold filters.
    init(_ json: JSON) throws {
        guard case .object(let members) = json else {
            throw BenchError("filter \(json.text) is no object")
        }
        let parts: [Filter] = try members.map { member in
            switch (member.name, member.value) {
            case ("not", let part): .not(try Filter(part))
            case ("and", .array(let parts)): .all(try parts.map { try Filter($0) })
            case ("or", .array(let parts)): .any(try parts.map { try Filter($0) })
            default: try Filter(field: member.name, member.value)
            }
        }
        self = parts.count == 1 ? parts[0] : .all(parts)
    }

    /// From `{"eq": value}`, `{"in": [values]}` or `{"gte": a, "lt": b}`.
    init(field: String, _ condition: JSON) throws {
        func value(_ name: String) -> MetadataValue? {
            condition[name].flatMap { MetadataValue($0) }
        }
        if let equal = value("eq") {
            self = .equals(field: field, equal)
        } else if case .array(let values)? = condition["in"] {
            self = .isIn(field: field, values.compactMap { MetadataValue($0) })
        } else {
            let lower =
                value("gte").map { Bound($0, isInclusive: true) }
                ?? value("gt").map { Bound($0, isInclusive: false) }
            let upper =
                value("lte").map { Bound($0, isInclusive: true) }
                ?? value("lt").map { Bound($0, isInclusive: false) }
            guard lower != nil || upper != nil else {
                throw BenchError("filter \(condition.text) on \(field) is not understood")
            }
            self = .range(field: field, lower: lower, upper: upper)
        }
    }
}

extension JSON {
    var plainText: String? {
        if case .string(let text) = self { text } else { nil }
    }
}
