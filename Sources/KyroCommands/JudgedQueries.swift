// Judged queries from two files: JSON Lines of queries, and judgements as `trec_eval` and BEIR have
// them.
import KyroModel

/// Grades by document, by query.
public struct Judgements: Sendable {
    public private(set) var byQuery: [String: [Judgement]] = [:]
    public private(set) var count = 0

    public init() {}

    /// Lines of query, document and grade; or of query, anything, document and grade (trec_eval). The
    /// first line may be a header. A document's id is read as `kyroctl get` reads it.
    public init(path: String) throws(InputError) {
        var lines = LineReader(try InputFile(path: path))
        while let line = try lines.next() {
            let text = String(decoding: line, as: UTF8.self)
            let cells = text.split { $0 == "\t" || $0 == " " }.map(String.init)
            if cells.isEmpty { continue }
            guard (3...4).contains(cells.count), let grade = Double(cells[cells.count - 1]) else {
                if lines.lineNumber == 1 { continue }
                throw InputError(
                    "line \(lines.lineNumber) of \(path): \"\(text.prefix(80))\" is not query, "
                        + "document, grade")
            }
            add(cells[0], DocumentID(argument: cells[cells.count - 2]), max(0, grade))
        }
    }

    public mutating func add(_ query: String, _ id: DocumentID, _ grade: Double) {
        byQuery[query, default: []].append(Judgement(id: id, grade: grade))
        count += 1
    }
}

/// Queries that are judged, in the order of their lines.
public struct JudgedQueryReader {
    private let path: String
    private var lines: LineReader
    private let vectors: NPYFile?
    private let judgements: Judgements
    public var vectorField = ""
    public var sparseField = ""
    public var textFields: [String] = []
    /// Lines without a judgement above 0.
    public private(set) var skipped: UInt64 = 0
    /// Of the lines read, in [0, 1]; nil where the end is not known.
    public let byteCount: UInt64?

    /// - Parameter vectors: an .npy file whose row k belongs to line k + 1.
    public init(path: String, vectors: String?, judgements: Judgements) throws(InputError) {
        self.path = path
        let file = try InputFile(path: path)
        let identity = try file.identity()
        byteCount = identity.isRegular ? identity.byteCount : nil
        lines = LineReader(file)
        if let vectors {
            self.vectors = try NPYFile(path: vectors)
        } else {
            self.vectors = nil
        }
        self.judgements = judgements
    }

    public var bytesRead: UInt64 { lines.bytesRead }

    /// Each line has an `id`, and what it asks: `text`, a list `vector`, an object `sparse`. Nil at
    /// the end.
    public mutating func next() throws(InputError) -> JudgedQuery? {
        while let line = try lines.next() {
            let place = "line \(lines.lineNumber) of \(path)"
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { continue }
            let json: JSON
            do {
                json = try JSON(parsing: line)
            } catch {
                throw InputError("\(place): \(error)")
            }
            guard let id = Self.text(json["id"]) else {
                throw InputError("\(place): there is no \"id\"")
            }
            let judged = judgements.byQuery[id] ?? []
            guard judged.contains(where: { $0.grade > 0 }) else {
                skipped += 1
                continue
            }
            var query = JudgedQuery(judgements: judged)
            if case .string(let text)? = json["text"] {
                query.text = TextQuery(query: text, fields: textFields)
            }
            if let vectors {
                let row = Int(lines.lineNumber) - 1
                guard row < vectors.header.rowCount else {
                    throw InputError("\(place): the vectors have \(vectors.header.rowCount) rows")
                }
                query.vector = VectorQuery(field: vectorField, vector: try vectors.row(row))
            } else if let vector = json["vector"] {
                query.vector = VectorQuery(
                    field: vectorField, vector: try LineMapping.floats(vector, of: "vector"))
            }
            if let sparse = json["sparse"] {
                query.sparse = SparseQuery(
                    field: sparseField, vector: try LineMapping.sparse(sparse, of: "sparse"))
            }
            return query
        }
        return nil
    }

    private static func text(_ json: JSON?) -> String? {
        switch json {
        case .string(let text)?: text
        case .int(let number)?: "\(number)"
        default: nil
        }
    }
}
