// The requests that are measured, encoded beforehand, and the documents written meanwhile. All follow
// from the data set and a seed.
import KyroModel
import KyroPlatform
import KyroWire

enum RequestKind: String, CaseIterable, Sendable {
    case lookup
    case vector
    case filtered
    case hybrid

    var path: String {
        self == .lookup ? "/kyrodb.v2.Search/Lookup" : "/kyrodb.v2.Search/Search"
    }
}

/// How the texts of a data set become fields.
enum TextLayout: String, Sendable {
    /// `title` and `text`.
    case separate
    /// One field, `text`: title, a space, text. Published BM25 figures are over such a field.
    case joined
}

extension SeededRandomSource {
    func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// Uniform in [-1, 1).
    func signedUnit() -> Float { Float(Int64(bitPattern: next()) >> 40) / Float(1 << 23) }
}

struct Workload: Sendable {
    static let vectorField = "embedding"
    /// Uniform noise on each component of a unit vector: with 384 of them, of length 0.34.
    static let noise: Float = 0.03
    static let decayHalfLifeMillis: Int64 = 30 * 86_400_000
    static let hybridCandidates: UInt32 = 100

    let data: DataSet
    let layout: TextLayout
    let scope: Scope
    let seed: UInt64
    /// Each matches 10 to 50 % of the documents.
    private let filters: [Filter]
    private let lastEventMillis: Int64

    init(_ data: DataSet, layout: TextLayout, seed: UInt64) throws {
        self.data = data
        self.layout = layout
        self.seed = seed
        scope = Scope(namespace: data.name)
        lastEventMillis = data.corpus.reduce(0) { max($0, $1.eventTimeMillis) }
        filters = Self.selectiveFilters(data, seed: seed)
    }

    var schema: Schema {
        var schema = Schema()
        schema.vectors[Self.vectorField] = VectorField(dimension: data.vectors.dimension)
        schema.texts["text"] = TextField()
        if layout == .separate { schema.texts["title"] = TextField() }
        return schema
    }

    func document(_ row: Int) -> Document {
        let source = data.corpus[row]
        var document = Document(id: source.id)
        document.vectors[Self.vectorField] = data.vectors.row(row)
        switch layout {
        case .separate:
            document.texts["title"] = source.title
            document.texts["text"] = source.text
        case .joined: document.texts["text"] = source.title + " " + source.text
        }
        document.metadata = source.metadata
        document.eventTimeMillis = source.eventTimeMillis
        return document
    }

    /// Document `number` of those written while searches run: every other one replaces a document
    /// of the corpus, the rest are new. Vectors are those of the corpus with noise.
    func writtenDocument(_ number: Int, _ random: SeededRandomSource) -> Document {
        let row = random.below(data.corpus.count)
        var document = document(row)
        if number % 2 == 1 { document.id = .text("written-\(number)") }
        document.vectors[Self.vectorField] = noisyVector(row, random)
        return document
    }

    // MARK: requests

    /// `count` encoded requests; `stream` sets apart those of two clients.
    func requests(_ kind: RequestKind, count: Int, stream: UInt64) -> [[UInt8]] {
        let kindNumber = UInt64(RequestKind.allCases.firstIndex(of: kind) ?? 0)
        let random = SeededRandomSource(seed: seed &+ kindNumber &* 1_000_003 &+ stream &* 7_919)
        return (0..<count).map { _ in
            switch kind {
            case .lookup:
                let id = data.corpus[random.below(data.corpus.count)].id
                return LookupRequest(scope: scope, ids: [id], projection: Self.metadataAlone)
                    .encodeWire()
            case .vector, .filtered, .hybrid: return search(kind, random).encodeWire()
            }
        }
    }

    static let metadataAlone = Projection(metadata: .all)

    private func search(_ kind: RequestKind, _ random: SeededRandomSource) -> SearchRequest {
        var request = SearchRequest(scope: scope)
        request.vector = VectorQuery(vector: noisyVector(random.below(data.corpus.count), random))
        if kind == .vector { return request }
        request.filter = filters[random.below(filters.count)]
        if kind == .filtered { return request }
        request.text = TextQuery(query: queryText(random))
        request.timeDecay = TimeDecay(
            halfLifeMillis: Self.decayHalfLifeMillis, originMillis: lastEventMillis)
        request.candidates = Self.hybridCandidates
        request.projection = Self.metadataAlone
        return request
    }

    private func noisyVector(_ row: Int, _ random: SeededRandomSource) -> [Float] {
        data.vectors.row(row).map { $0 + Self.noise * random.signedUnit() }
    }

    /// Three to six words of a document that has at least three.
    private func queryText(_ random: SeededRandomSource) -> String {
        while true {
            let row = data.corpus[random.below(data.corpus.count)]
            var words = Self.words(row.title + " " + row.text)
            guard words.count >= 3 else { continue }
            var chosen: [String] = []
            let wanted = min(words.count, 3 + random.below(4))
            while chosen.count < wanted {
                chosen.append(words.remove(at: random.below(words.count)))
            }
            return chosen.joined(separator: " ")
        }
    }

    /// Words of four letters or more that differ in their first four, so that neither stop words
    /// nor stemming leave fewer terms.
    private static func words(_ text: String) -> [String] {
        let stopped: Set<String> = [
            "into", "such", "that", "their", "then", "there", "these", "they", "this", "will",
            "with",
        ]
        var starts: Set<Substring> = []
        var words: [String] = []
        for word in text.lowercased().split(whereSeparator: { !("a"..."z").contains($0) })
        where word.count >= 4 && !stopped.contains(String(word)) {
            if starts.insert(word.prefix(4)).inserted { words.append(String(word)) }
        }
        return words
    }

    // MARK: filters

    /// Sets of values of one metadata field that hold 10 to 50 % of the documents.
    private static func selectiveFilters(_ data: DataSet, seed: UInt64) -> [Filter] {
        var counts: [String: [String: Int]] = [:]
        for row in data.corpus {
            for entry in row.metadata {
                guard case .string(let value) = entry.value else { continue }
                counts[entry.name, default: [:]][value, default: 0] += 1
            }
        }
        // A field of many values, such as a hash, needs lists that nobody writes.
        let fields = counts.filter { (2...200).contains($0.value.count) }
            .sorted { $0.key < $1.key }
        guard !fields.isEmpty else { return [.not(.exists(field: "absent"))] }
        let random = SeededRandomSource(seed: seed ^ 0xF117E5)
        let target = data.corpus.count / 10...data.corpus.count / 2
        var filters: [Filter] = []
        for _ in 0..<10_000 where filters.count < 64 {
            let field = fields[random.below(fields.count)]
            var values = field.value.sorted { $0.key < $1.key }
            var chosen: [String] = []
            var matching = 0
            while matching < target.lowerBound, !values.isEmpty {
                let value = values.remove(at: random.below(values.count))
                chosen.append(value.key)
                matching += value.value
            }
            guard target.contains(matching) else { continue }
            filters.append(
                chosen.count == 1
                    ? .equals(field: field.key, .string(chosen[0]))
                    : .isIn(field: field.key, chosen.map { .string($0) }))
        }
        return filters.isEmpty ? [.not(.exists(field: "absent"))] : filters
    }
}
