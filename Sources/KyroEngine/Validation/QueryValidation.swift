// Whether a query can be answered, and which fields it means.
import KyroIndex
import KyroModel

/// A search request with its defaults filled in and its fields found.
struct CheckedQuery {
    struct VectorLeg {
        var field: String
        var vector: [Float]
        var efSearch: Int
        var probes: Int
        /// In (0, 1); zero for none asked.
        var recall: Double
    }

    struct SparseLeg {
        var field: String
        var vector: SparseVector
    }

    struct TextLeg {
        var query: String
        /// Sorted by name, each once.
        var fields: [String]
        /// Instead of `query`; of it where a document needs more than one of its terms.
        var node: TextNode?
        /// Whether the caller gave the node.
        var isStructured = false
        var highlight: HighlightQuery?
        /// Of each field; finite and not negative.
        var boosts: [Double]
        var scoring: TextScoring
    }

    var vector: VectorLeg?
    var sparse: SparseLeg?
    var text: TextLeg?
    var filter: Filter?
    var timeRange: TimeRange?
    var decay: TimeDecay?
    var fusion: Fusion?
    var limit: Int
    var offset: Int
    /// Of each leg, before fusion, where `legCandidates` says nothing else.
    var candidates: Int
    var legCandidates: LegCandidates
    var exact: Bool
    var explains: Bool
    /// Whether more candidates change no score: a leg alone may be asked for as many as its pages
    /// need.
    var candidatesGrow: Bool
    var aggregations: [Aggregation]
    /// Of the schema, where there is something to aggregate.
    var metadataTypes: FieldMap<ValueType> = [:]
    /// Where the answer is one of several pages.
    var page: SearchPage?
    /// Whether it is about a sequence that may lie behind.
    var isOfThePast = false
    /// What happens to the fused scores; nil for nothing.
    var ranking: CheckedRanking?

    var legCount: Int {
        (vector == nil ? 0 : 1) + (sparse == nil ? 0 : 1) + (text == nil ? 0 : 1)
    }

    func candidates(of kind: Ranking.Leg.Kind) -> Int {
        let own =
            switch kind {
            case .vector: legCandidates.vector
            case .sparse: legCandidates.sparse
            case .text: legCandidates.text
            }
        return own == 0 ? candidates : Int(own)
    }

    init(_ request: SearchRequest, schema: Schema) throws(KyroError) {
        limit = Int(request.limit)
        // Later pages are counted from the first one's beginning.
        offset = request.pageToken.isEmpty ? Int(request.offset) : 0
        exact = request.exact
        explains = request.explain
        candidatesGrow = request.hasOneBareLeg
        aggregations = request.aggregations
        let limitMin = aggregations.isEmpty ? 1 : 0
        guard (limitMin...Limits.hitsMax).contains(limit) else {
            throw .overLimit("limit", "is \(limit); it must lie in 1...\(Limits.hitsMax)")
        }
        guard offset + limit <= Limits.hitsMax else {
            throw .overLimit(
                "offset", "+ limit is \(offset + limit); the limit is \(Limits.hitsMax)")
        }
        guard request.candidates <= Limits.hitsMax else {
            throw .overLimit(
                "candidates", "is \(request.candidates); the limit is \(Limits.hitsMax)")
        }
        // A page can not be longer than the legs that fill it.
        candidates = max(
            request.candidates == 0 ? Limits.candidatesDefault : Int(request.candidates),
            offset + limit)
        legCandidates = request.fusion?.candidates ?? LegCandidates()
        guard
            request.vector != nil || request.sparse != nil || request.text != nil
                || !aggregations.isEmpty
        else {
            throw .invalid(
                "vector", "is missing, as are sparse and text: a search needs at least one of them")
        }
        if !aggregations.isEmpty {
            try AggregationValidation.check(request, schema)
            metadataTypes = schema.metadata
        }
        if let query = request.vector { vector = try Self.check(query, schema: schema) }
        if let query = request.sparse { sparse = try Self.check(query, schema: schema) }
        if let query = request.text { text = try Self.check(query, schema: schema) }
        if let filter = request.filter {
            try FilterValidation.check(filter, schema)
            self.filter = filter
        }
        timeRange = try Self.check(request.timeRange)
        if let decay = request.timeDecay {
            try RankingValidation.check(decay)
            self.decay = decay
        }
        if let fusion = request.fusion {
            try RankingValidation.check(fusion)
            self.fusion = fusion
        }
        ranking = try CheckedRanking(request, schema: schema)
        if request.isPage, ranking?.grouping != nil || ranking?.diversity != nil {
            throw .invalid(
                request.paged ? "paged" : "page_token",
                "stands beside ranking.grouping or ranking.diversity, whose order is not that of "
                    + "scores; use offset")
        }
        // Nothing is fused: what lies behind the page is of no use.
        if request.candidates == 0, request.hasOneBareLeg,
            !aggregations.contains(where: { $0.over == .candidates })
        {
            candidates = max(1, offset + limit)
        }
    }

    static func check(_ range: TimeRange?) throws(KyroError) -> TimeRange? {
        guard let range else { return nil }
        if let from = range.fromMillis, let to = range.toMillis, from > to {
            throw .invalid(
                "time_range", "is reversed: from_ms \(from) lies behind to_ms \(to)")
        }
        if range.fromMillis == nil, range.toMillis == nil { return nil }
        return range
    }

    private static func check(_ query: VectorQuery, schema: Schema) throws(KyroError) -> VectorLeg {
        guard query.efSearch <= Limits.efSearchMax else {
            throw .overLimit(
                "vector.ef_search", "is \(query.efSearch); the limit is \(Limits.efSearchMax)")
        }
        guard query.probes <= Limits.ivfListsMax else {
            throw .overLimit(
                "vector.probes", "is \(query.probes); the limit is \(Limits.ivfListsMax)")
        }
        let name = try only(
            query.field, of: schema.vectors.names, path: "vector.field", kind: "vector")
        guard let field = schema.vectors[name] else {
            throw missing(name, path: "vector.field", kind: "vector", names: schema.vectors.names)
        }
        guard query.vector.count == field.dimension else {
            throw KyroError(
                .dimensionMismatch,
                "vector.vector has \(query.vector.count) dimensions; field \"\(name)\" has "
                    + "\(field.dimension)",
                field: "vector.vector")
        }
        try DocumentValidation.check(
            vector: query.vector, metric: field.metric, field: "vector.vector")
        try RecallValidation.check(query)
        return VectorLeg(
            field: name, vector: query.vector, efSearch: Int(query.efSearch),
            probes: Int(query.probes), recall: query.recall)
    }

    private static func check(_ query: SparseQuery, schema: Schema) throws(KyroError) -> SparseLeg {
        let name = try only(
            query.field, of: schema.sparseVectors.names, path: "sparse.field", kind: "sparse")
        guard schema.sparseVectors[name] != nil else {
            throw missing(
                name, path: "sparse.field", kind: "sparse", names: schema.sparseVectors.names)
        }
        guard !query.vector.indices.isEmpty else {
            throw .invalid("sparse.vector", "is empty; it needs at least one entry")
        }
        let vector = try DocumentValidation.normalised(query.vector, field: "sparse.vector")
        return SparseLeg(field: name, vector: vector)
    }

    static func only(
        _ name: String, of names: [String], path: String, kind: String
    ) throws(KyroError) -> String {
        if !name.isEmpty { return name }
        if let first = names.first, names.count == 1 { return first }
        if names.isEmpty {
            throw KyroError(
                .fieldNotFound, "the collection has no \(kind) field to search", field: path)
        }
        throw .invalid(
            path, "is empty; name one of \(names.joined(separator: ", "))")
    }

    static func missing(
        _ name: String, path: String, kind: String, names: [String]
    ) -> KyroError {
        let known = names.isEmpty ? "none" : names.joined(separator: ", ")
        return KyroError(
            .fieldNotFound,
            "\(path) names \"\(name)\", but the collection's \(kind) fields are: \(known)",
            field: path)
    }
}
