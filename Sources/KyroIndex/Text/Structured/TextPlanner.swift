// From a structured text query to terms and weights.
import KyroModel

/// Analyses, expands and weighs, over all shards of a collection.
///
/// - A text without terms in any of its fields, such as one of stop words alone, is left out of the
///   query. Fields that have no terms of a text, though others have, find nothing by it.
/// - A phrase scores as a term does, whose inverse document frequency is the sum of its terms' and
///   whose frequency is that of the phrase (as in Lucene's PhraseQuery).
/// - Each expansion of a prefix scores by its own BM25, and of a misspelt word by its own BM25 divided
///   by one more than the edits.
public struct TextPlanner {
    public struct Field {
        public let name: String
        /// Whose analyser reads the query.
        let model: TextIndex
        /// Of every shard that has the field: statistics are of all of them.
        let shards: [Shard]
        /// Scores of the field are multiplied by it.
        fileprivate let boost: Double
        fileprivate let documentCount: Int
        fileprivate let averageLength: Double

        struct Shard {
            let index: TextIndex
            /// When statistics are of the past.
            let past: Visibility?
        }

        /// Under the statistics of now.
        public init(name: String, model: TextIndex, shards: [TextIndex], boost: Double = 1) {
            self.init(
                name, model, shards.map { Shard(index: $0, past: nil) }, boost,
                shards.map { $0.statistics(of: []) })
        }

        /// Under the statistics of what the views see.
        public init(
            name: String, model: TextIndex, past: [(index: TextIndex, visibility: Visibility)],
            boost: Double = 1, cancellation: Cancellation
        ) throws(KyroError) {
            var statistics: [TextIndex.Statistics] = []
            for (index, visibility) in past {
                statistics.append(
                    try index.statistics(of: [], at: visibility, cancellation: cancellation))
            }
            self.init(
                name, model, past.map { Shard(index: $0.index, past: $0.visibility) }, boost,
                statistics)
        }

        private init(
            _ name: String, _ model: TextIndex, _ shards: [Shard], _ boost: Double,
            _ statistics: [TextIndex.Statistics]
        ) {
            self.name = name
            self.model = model
            self.shards = shards
            self.boost = boost
            let sum = statistics.reduce(TextIndex.Statistics()) { $0 + $1 }
            documentCount = sum.documentCount
            averageLength = sum.averageLength
        }

        fileprivate func liveFrequency(
            _ term: [UInt8], _ cancellation: Cancellation
        ) throws(KyroError) -> Int {
            var sum = 0
            for shard in shards {
                guard let number = shard.index.dictionary.find(term) else { continue }
                sum += try shard.index.liveFrequency(number, at: shard.past, cancellation)
            }
            return sum
        }

        fileprivate func weight(
            _ term: [UInt8], _ cancellation: Cancellation
        ) throws(KyroError) -> Double {
            weight(frequency: try liveFrequency(term, cancellation))
        }

        fileprivate func weight(frequency: Int) -> Double {
            TextIndex.Statistics(
                documentCount: documentCount, totalLength: 0, documentFrequency: [frequency]
            ).inverseDocumentFrequency(0)
        }
    }

    private let fields: [Field]
    private let cancellation: Cancellation
    private var termCount = 0

    /// - Parameter fields: sorted by name, each once.
    public init(fields: [Field], cancellation: Cancellation) {
        self.fields = fields
        self.cancellation = cancellation
    }

    /// - Parameters:
    ///   - node: has passed `TextNodeValidation`.
    ///   - path: of the node, for errors.
    public mutating func plan(
        _ node: TextNode, path: String = "text.node"
    ) throws(KyroError) -> TextPlan {
        termCount = 0
        let root = try compile(node, fields: Array(fields.indices), path: path)
        return TextPlan(
            root: root,
            fields: fields.map {
                TextPlan.Field(
                    name: $0.name, k1: $0.model.field.bm25.k1, b: $0.model.field.bm25.b,
                    averageLength: $0.averageLength)
            })
    }

    /// Nil for a node that is left out.
    private mutating func compile(
        _ node: TextNode, fields inherited: [Int], path: String
    ) throws(KyroError) -> TextPlan.Node? {
        try cancellation.check()
        var wanted = inherited
        if !node.fields.isEmpty {
            wanted = fields.indices.filter { field in
                node.fields.contains { $0.utf8.elementsEqual(fields[field].name.utf8) }
            }
        }
        if case .boolean(let must, let should, let mustNot, let minimum) = node.kind {
            let path = path + ".boolean"
            let all = try compile(must, fields: wanted, path: path + ".must")
            let some = try compile(should, fields: wanted, path: path + ".should")
            let none = try compile(mustNot, fields: wanted, path: path + ".must_not")
            if all.isEmpty, some.isEmpty { return nil }
            let least = minimum == 0 ? (all.isEmpty ? 1 : 0) : min(Int(minimum), some.count)
            return .boolean(
                must: all, should: some, mustNot: none, minimum: least, boost: node.boost)
        }
        var nodes: [TextPlan.Node] = []
        for field in wanted {
            if let leaf = try compile(leaf: node, field: field, path: path) { nodes.append(leaf) }
        }
        guard termCount <= Limits.planTermsMax else {
            throw .overLimit(
                path, "brings the query to \(termCount) terms; the limit is \(Limits.planTermsMax)")
        }
        if nodes.count <= 1 { return nodes.first }
        return .boolean(must: [], should: nodes, mustNot: [], minimum: 1, boost: 1)
    }

    private mutating func compile(
        _ nodes: [TextNode], fields: [Int], path: String
    ) throws(KyroError) -> [TextPlan.Node] {
        var compiled: [TextPlan.Node] = []
        for (index, node) in nodes.enumerated() {
            let child = try compile(node, fields: fields, path: "\(path)[\(index)]")
            if let child { compiled.append(child) }
        }
        return compiled
    }

    private mutating func compile(
        leaf node: TextNode, field number: Int, path: String
    ) throws(KyroError) -> TextPlan.Node? {
        let field = fields[number]
        switch node.kind {
        case .terms(let terms):
            let distinct = Set(terms.map { Array($0.utf8) }).sorted {
                $0.lexicographicallyPrecedes($1)
            }
            return .terms(
                field: number, try weighed(distinct, field), minimum: 1,
                boost: node.boost * field.boost)
        case .match(let text, let operation, let minimum):
            let terms = field.model.analyze(text).map { Array($0.utf8) }
            if terms.isEmpty { return nil }
            let least =
                operation == .all ? terms.count : min(max(Int(minimum), 1), terms.count)
            return .terms(
                field: number, try weighed(terms, field), minimum: least,
                boost: node.boost * field.boost)
        case .phrase(let text, let slop):
            return try phrase(
                text, Int(slop), number, boost: node.boost * field.boost, path: path)
        case .prefix(let text, let expansions):
            guard let word = try oneWord(text, field, path: path + ".prefix") else { return nil }
            var expansion = TextExpansion()
            for shard in field.shards {
                try shard.index.expand(
                    prefix: word, at: shard.past, into: &expansion, cancellation: cancellation)
            }
            return expanded(expansion, expansions, number, boost: node.boost * field.boost)
        case .fuzzy(let text, let edits, let prefixLength, let expansions):
            guard
                let word = try oneWord(text, field, isStemmed: true, path: path + ".fuzzy")
            else { return nil }
            var expansion = TextExpansion()
            for shard in field.shards {
                try shard.index.expand(
                    similarTo: word, edits: Int(edits), prefixLength: Int(prefixLength),
                    at: shard.past, into: &expansion, cancellation: cancellation)
            }
            return expanded(expansion, expansions, number, boost: node.boost * field.boost)
        case .boolean: preconditionFailure("a boolean node at \(path) is no leaf")
        }
    }

    private mutating func weighed(
        _ terms: [[UInt8]], _ field: Field
    ) throws(KyroError) -> [TextPlan.Term] {
        termCount += terms.count
        var weighed: [TextPlan.Term] = []
        for term in terms {
            weighed.append(
                TextPlan.Term(bytes: term, weight: try field.weight(term, cancellation)))
        }
        return weighed
    }

    private mutating func expanded(
        _ expansion: TextExpansion, _ count: UInt32, _ number: Int, boost: Double
    ) -> TextPlan.Node {
        let most = Int(count == 0 ? Limits.expansionsDefault : count)
        let field = fields[number]
        // By their bytes: contributions add up in an order that nothing else decides.
        let best = expansion.best(most).sorted { $0.term.lexicographicallyPrecedes($1.term) }
        termCount += best.count
        let terms = best.map {
            TextPlan.Term(
                bytes: $0.term,
                weight: $0.closeness * field.weight(frequency: $0.liveFrequency))
        }
        return .terms(field: number, terms, minimum: 1, boost: boost)
    }

    /// What a prefix or misspelt word is compared by; nil where the field has no term of it. A prefix
    /// is neither stemmed nor a stop word; a misspelt word is stemmed as the terms were.
    private func oneWord(
        _ text: String, _ field: Field, isStemmed: Bool = false, path: String
    ) throws(KyroError) -> [UInt8]? {
        var options = field.model.field
        if !isStemmed {
            options.stems = false
            options.stopWords = .none
        }
        var analyzer =
            isStemmed
            ? Analyzer(options, stopWords: field.model.stopWords) : Analyzer(options)
        let words = analyzer.words(text)
        guard words.count <= 1 else {
            throw .invalid(
                path + ".text",
                "is \(words.count) words in field \"\(field.name)\"; it must be one")
        }
        return words.first
    }

    private mutating func phrase(
        _ text: String, _ slop: Int, _ number: Int, boost: Double, path: String
    ) throws(KyroError) -> TextPlan.Node? {
        let field = fields[number]
        var analyzer = Analyzer(field.model.field, stopWords: field.model.stopWords)
        var terms: [TextPlan.PhraseTerm] = []
        analyzer.forEachToken(text) { term, token in
            terms.append(TextPlan.PhraseTerm(bytes: term, offset: token.position))
        }
        guard let first = terms.first else { return nil }
        guard terms.count <= Limits.phraseTermsMax else {
            throw .overLimit(
                path + ".phrase.text",
                "has \(terms.count) terms; the limit is \(Limits.phraseTermsMax)")
        }
        guard field.shards.allSatisfy(\.index.hasPositions) else {
            throw KyroError(
                .rebuilding,
                "text \"\(field.name)\": positions are being made from the documents; "
                    + "try the phrase again soon", field: path, retryAfterMillis: 1_000)
        }
        for i in terms.indices { terms[i].offset -= first.offset }
        termCount += terms.count
        var weight = 0.0
        for term in terms { weight += try field.weight(term.bytes, cancellation) }
        return .phrase(field: number, terms, slop: slop, weight: weight, boost: boost)
    }
}
