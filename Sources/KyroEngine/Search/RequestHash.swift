// What tells whether a page token belongs to a request: a hash of all that decides the ranking.
//
// Of bytes that two requests share exactly when they ask the same: fields in a fixed order, absent
// ones marked, lists and texts behind their counts, numbers by their bits. They are written nowhere
// and may change with any version of the server.
import KyroBytes
import KyroModel

extension SearchRequest {
    /// Left out is what may differ from page to page: limit, offset, projection, aggregations,
    /// min_seq, explain, paged, and the token itself.
    var pageHash: UInt64 {
        var hash = RequestHash(floats: vector?.vector.count ?? 0)
        hash.add(scope.tenant)
        hash.add(scope.namespace)
        hash.add(vector) { hash, vector in
            hash.add(vector.field)
            hash.add(vector.vector)
            hash.add(vector.efSearch)
            hash.add(vector.probes)
            hash.add(vector.recall)
        }
        hash.add(sparse) { hash, sparse in
            hash.add(sparse.field)
            hash.add(all: sparse.vector.indices) { $0.add($1) }
            hash.add(sparse.vector.values)
        }
        hash.add(text) { $0.add($1) }
        hash.add(filter) { $0.add($1) }
        hash.add(timeRange) { hash, range in
            hash.add(range.fromMillis) { $0.add($1) }
            hash.add(range.toMillis) { $0.add($1) }
        }
        hash.add(timeDecay) { hash, decay in
            hash.add(decay.halfLifeMillis)
            hash.add(decay.originMillis) { $0.add($1) }
            hash.add(decay.shape.rawValue)
            hash.add(decay.offsetMillis)
            hash.add(decay.floor)
        }
        hash.add(fusion) { $0.add($1) }
        hash.add(candidates)
        hash.add(exact)
        hash.add(ranking) { $0.add($1) }
        hash.add(asOf) { hash, moment in
            switch moment {
            case .seq(let seq): hash.add(0, seq.raw)
            case .time(let millis): hash.add(1, UInt64(bitPattern: millis))
            }
        }
        return hash.value
    }
}

private struct RequestHash {
    private var writer: ByteWriter

    init(floats: Int) { writer = ByteWriter(capacity: 256 + 4 * floats) }

    var value: UInt64 { xxh3(writer.bytes) }

    mutating func add(_ value: UInt8) { writer.writeByte(value) }
    mutating func add(_ value: Bool) { writer.writeByte(value ? 1 : 0) }
    mutating func add(_ value: UInt32) { writer.writeFixed32(value) }
    mutating func add(_ value: Int64) { writer.writeFixed64(UInt64(bitPattern: value)) }
    mutating func add(_ value: Double) { writer.writeFixed64(value.bitPattern) }

    mutating func add(_ kind: UInt8, _ value: UInt64) {
        writer.writeByte(kind)
        writer.writeFixed64(value)
    }

    mutating func add(_ text: String) {
        writer.writeVarint(UInt64(text.utf8.count))
        writer.writeUTF8(text)
    }

    mutating func add(_ floats: [Float]) {
        writer.writeVarint(UInt64(floats.count))
        for float in floats { writer.writeFixed32(float.bitPattern) }
    }

    mutating func add<Value>(_ value: Value?, _ body: (inout Self, Value) -> Void) {
        add(value != nil)
        if let value { body(&self, value) }
    }

    mutating func add<Value>(all values: [Value], _ body: (inout Self, Value) -> Void) {
        writer.writeVarint(UInt64(values.count))
        for value in values { body(&self, value) }
    }

    // MARK: Text

    mutating func add(_ text: TextQuery) {
        add(text.query)
        add(all: text.fields) { $0.add($1) }
        add(text.node) { $0.add($1) }
        add(text.textOperator.rawValue)
        add(text.minimumShouldMatch)
        add(text.highlight) { hash, highlight in
            hash.add(all: highlight.fields) { $0.add($1) }
            hash.add(highlight.fragments)
            hash.add(highlight.fragmentSize)
            hash.add(highlight.before)
            hash.add(highlight.after)
        }
        add(all: text.boosts.entries) { hash, entry in
            hash.add(entry.name)
            hash.add(entry.value)
        }
        add(text.scoring.rawValue)
    }

    mutating func add(_ node: TextNode) {
        add(all: node.fields) { $0.add($1) }
        add(node.boost)
        switch node.kind {
        case .terms(let terms):
            add(0 as UInt8)
            add(all: terms) { $0.add($1) }
        case .match(let text, let textOperator, let minimumShouldMatch):
            add(1 as UInt8)
            add(text)
            add(textOperator.rawValue)
            add(minimumShouldMatch)
        case .phrase(let text, let slop):
            add(2 as UInt8)
            add(text)
            add(slop)
        case .prefix(let text, let expansions):
            add(3 as UInt8)
            add(text)
            add(expansions)
        case .fuzzy(let text, let edits, let prefixLength, let expansions):
            add(4 as UInt8)
            add(text)
            for number in [edits, prefixLength, expansions] { add(number) }
        case .boolean(let must, let should, let mustNot, let minimumShouldMatch):
            add(5 as UInt8)
            for nodes in [must, should, mustNot] { add(all: nodes) { $0.add($1) } }
            add(minimumShouldMatch)
        }
    }

    // MARK: Filters

    mutating func add(_ filter: Filter) {
        switch filter {
        case .all(let filters): add(0, filters)
        case .any(let filters): add(1, filters)
        case .not(let filter): add(2, [filter])
        case .sqlNot(let filter): add(3, [filter])
        case .equals(let field, let value): add(4, field, [value])
        case .isIn(let field, let values): add(5, field, values)
        case .containsAny(let field, let values): add(6, field, values)
        case .containsAll(let field, let values): add(7, field, values)
        case .exists(let field): add(8, field, [])
        case .prefix(let field, let text): add(9, field, [.string(text)])
        case .range(let field, let lower, let upper):
            add(10, field, [])
            for bound in [lower, upper] {
                add(bound) { hash, bound in
                    hash.add(bound.value)
                    hash.add(bound.isInclusive)
                }
            }
        case .withinDistance(let field, let center, let metres):
            add(11, field, [.geoPoint(center), .double(metres)])
        case .withinBox(let field, let box):
            add(12, field, [.doubles([box.south, box.west, box.north, box.east])])
        }
    }

    private mutating func add(_ kind: UInt8, _ filters: [Filter]) {
        add(kind)
        add(all: filters) { $0.add($1) }
    }

    private mutating func add(_ kind: UInt8, _ field: String, _ values: [MetadataValue]) {
        add(kind)
        add(field)
        add(all: values) { $0.add($1) }
    }

    mutating func add(_ value: MetadataValue) {
        add(value.type.rawValue)
        switch value {
        case .string(let text): add(text)
        case .int64(let number), .timestamp(let number): add(number)
        case .double(let number): add(number)
        case .bool(let flag): add(flag)
        case .strings(let texts): add(all: texts) { $0.add($1) }
        case .int64s(let numbers), .timestamps(let numbers): add(all: numbers) { $0.add($1) }
        case .doubles(let numbers): add(all: numbers) { $0.add($1) }
        case .bools(let flags): add(all: flags) { $0.add($1) }
        case .geoPoint(let point): add(point)
        case .geoPoints(let points): add(all: points) { $0.add($1) }
        }
    }

    mutating func add(_ point: GeoPoint) {
        add(point.latitude)
        add(point.longitude)
    }

    // MARK: Ranking

    mutating func add(_ fusion: Fusion) {
        add(fusion.method.rawValue)
        add(fusion.rrfK)
        add(fusion.weights) { hash, weights in
            for weight in [weights.vector, weights.sparse, weights.text] { hash.add(weight) }
        }
        add(fusion.normalisation.rawValue)
        add(fusion.candidates) { hash, counts in
            for count in [counts.vector, counts.sparse, counts.text] { hash.add(count) }
        }
    }

    mutating func add(_ ranking: RankingOptions) {
        add(ranking.formula)
        add(ranking.grouping) { hash, grouping in
            hash.add(grouping.field)
            hash.add(grouping.hitsPerGroup)
            hash.add(grouping.missing.rawValue)
        }
        add(ranking.diversity) { hash, diversity in
            hash.add(diversity.lambda)
            hash.add(diversity.pool)
            hash.add(diversity.field)
        }
        add(ranking.rescore) { hash, rescore in
            hash.add(rescore.field)
            hash.add(UInt32(truncatingIfNeeded: rescore.query.dimension))
            hash.add(rescore.query.values)
            hash.add(rescore.top)
            hash.add(rescore.weight)
            hash.add(rescore.scoreWeight)
        }
    }
}
