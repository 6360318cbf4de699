// Random questions.
import KyroModel

extension World {
    mutating func filter(depth: Int) -> Filter {
        if depth > 0, dice.chance(50) {
            let children = (0..<dice.below(4)).map { _ in filter(depth: depth - 1) }
            switch dice.below(4) {
            case 0: return .all(children)
            case 1: return .any(children)
            case 2: return .sqlNot(filter(depth: depth - 1))
            default: return .not(filter(depth: depth - 1))
            }
        }
        let type = dice.pick(metadataTypes)
        let field = dice.chance(3) ? "unknown" : type.name
        if type.element == .geoPoint { return place(field) }
        switch dice.below(8) {
        case 6: return .containsAny(field: field, (0..<dice.below(3)).map { _ in literal(type) })
        case 7: return .containsAll(field: field, (0..<dice.below(3)).map { _ in literal(type) })
        case 0: return .exists(field: field)
        case 1:
            return .isIn(field: field, (0..<dice.below(5)).map { _ in literal(type) })
        case 2, 3:
            guard type.element != .bool else { return .equals(field: field, literal(type)) }
            return range(field, type)
        case 4 where type.element == .string:
            return .prefix(field: field, String(dice.pick(Self.words).prefix(dice.below(3))))
        default: return .equals(field: field, literal(type))
        }
    }

    /// Radii that lie between the distances of points on the grid.
    private mutating func place(_ field: String) -> Filter {
        switch dice.below(3) {
        case 0: return .exists(field: field)
        case 1:
            return .withinDistance(
                field: field, center: point(), metres: Double(dice.below(25)) * 870_001 + 0.5)
        default:
            let (a, b) = (point(), point())
            return .withinBox(
                field: field,
                GeoBox(
                    south: min(a.latitude, b.latitude), west: a.longitude,
                    north: max(a.latitude, b.latitude), east: b.longitude))
        }
    }

    private mutating func literal(_ type: ValueType) -> MetadataValue {
        if type.element == .double, dice.chance(30) { return .int64(Int64(dice.below(9) - 4)) }
        return value(type.element)
    }

    /// Never reversed, which would be refused.
    private mutating func range(_ field: String, _ type: ValueType) -> Filter {
        let lower = dice.chance(70) ? Filter.Bound(literal(type), isInclusive: true) : nil
        var upper = dice.chance(70) ? Filter.Bound(literal(type), isInclusive: true) : nil
        if let low = lower, let high = upper, order(low.value, high.value) != -1 { upper = low }
        var bounds = (lower, upper)
        if bounds.0?.value != bounds.1?.value {
            bounds.0?.isInclusive = dice.chance(50)
            bounds.1?.isInclusive = dice.chance(50)
        }
        return .range(field: field, lower: bounds.0, upper: bounds.1)
    }

    mutating func query(words: Int) -> String {
        (0..<words).map { _ in
            dice.chance(8) ? dice.pick(Self.unknownWords) : dice.pick(Self.words)
        }.joined(separator: " ")
    }

    /// With at least one leg.
    mutating func question(_ scope: Scope) -> SearchRequest {
        var request = SearchRequest(scope: scope)
        request.exact = true
        let legs = 1 + dice.below(7)
        if legs & 1 != 0 {
            let (name, field) = dice.pick(Self.vectors)
            request.vector = VectorQuery(field: name, vector: vector(field.dimension))
        }
        if legs & 2 != 0 {
            let count = dice.below(4)
            request.text = TextQuery(
                query: query(words: 1 + dice.below(5)),
                fields: (0..<count).map { _ in dice.pick(Self.texts).name })
            for name in request.text?.fields ?? [] where dice.chance(30) {
                request.text?.boosts[name] = dice.pick([0, 0.5, 3, 40])
            }
            if dice.chance(40) { request.text?.scoring = .bm25f }
        }
        if legs & 4 != 0 {
            request.sparse = SparseQuery(field: dice.pick(Self.sparse), vector: sparseVector())
        }
        if dice.chance(50) { request.filter = filter(depth: 3) }
        if dice.chance(25) {
            let from = Int64(dice.below(1_500_000))
            request.timeRange = TimeRange(
                fromMillis: dice.chance(70) ? from : nil,
                toMillis: dice.chance(70) ? from + Int64(dice.below(1_000_000)) : nil)
        }
        if dice.chance(30) {
            request.timeDecay = TimeDecay(
                halfLifeMillis: Int64(1 + dice.below(1_000_000)),
                originMillis: dice.chance(50) ? Int64(dice.below(2_000_000)) : nil,
                shape: dice.pick(DecayShape.allCases),
                offsetMillis: dice.chance(30) ? Int64(dice.below(500_000)) : 0,
                floor: dice.chance(30) ? dice.fraction() : 0)
        }
        if dice.chance(60) {
            request.fusion = Fusion(
                method: dice.pick([.weighted, .weighted, .rrf, .max]),
                rrfK: dice.pick([0, 1, 10, 200]),
                weights: dice.chance(60)
                    ? LegWeights(
                        vector: dice.fraction() * 3, sparse: Double(dice.below(3)),
                        text: dice.fraction()) : nil,
                normalisation: dice.pick(ScoreNormalisation.allCases),
                candidates: dice.chance(20)
                    ? LegCandidates(
                        vector: UInt32(dice.below(40)), sparse: UInt32(dice.below(40)),
                        text: UInt32(dice.below(40))) : nil)
        }
        request.limit = UInt32(1 + dice.below(30))
        request.offset = dice.chance(30) ? UInt32(dice.below(20)) : 0
        request.candidates = dice.chance(60) ? UInt32(1 + dice.below(80)) : 0
        return request
    }
}
