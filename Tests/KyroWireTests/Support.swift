// What the codec tests share: hex, a seeded source of random values, and random messages.
import KyroModel
import KyroWire

/// "0a 03" → [10, 3].
func hex(_ text: String) -> [UInt8] {
    let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014): the same values for the same seed everywhere.
struct Random: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func chance() -> Bool { below(2) == 0 }
    mutating func maybe<T>(_ make: (inout Random) -> T) -> T? { chance() ? make(&self) : nil }
    mutating func list<T>(_ bound: Int, _ make: (inout Random) -> T) -> [T] {
        (0..<below(bound)).map { _ in make(&self) }
    }

    mutating func number() -> UInt64 {
        let all = next()
        return chance() ? all >> UInt64(below(64)) : 0
    }

    mutating func signed() -> Int64 { Int64(bitPattern: number()) }
    mutating func float() -> Float { Float(Int64(truncatingIfNeeded: number()) % 1_000) / 8 }
    mutating func double() -> Double { Double(Int64(truncatingIfNeeded: number())) / 8 }

    mutating func text() -> String {
        let texts = ["", "a", "title", "Ärger", "日本語", "e\u{301}", "x y", "\u{1F600}"]
        return texts[below(texts.count)]
    }

    mutating func fields<T>(_ make: (inout Random) -> T) -> FieldMap<T> {
        var map: FieldMap<T> = [:]
        for _ in 0..<below(4) { map[text()] = make(&self) }
        return map
    }

    mutating func id() -> DocumentID { chance() ? .number(number()) : .text(text()) }

    mutating func durability() -> Durability? {
        [nil, .always, .interval(millis: Int64(below(70_000))), .never][below(4)]
    }

    mutating func scope() -> Scope { Scope(tenant: text(), namespace: text()) }

    mutating func sparse() -> SparseVector {
        let count = below(4)
        return SparseVector(
            indices: (0..<count).map { _ in UInt32(truncatingIfNeeded: number()) },
            values: (0..<count).map { _ in float() })
    }

    mutating func value() -> MetadataValue {
        switch below(12) {
        case 0: .string(text())
        case 1: .int64(signed())
        case 2: .double(double())
        case 3: .bool(chance())
        case 4: .timestamp(signed())
        case 5: .strings(list(4) { $0.text() })
        case 6: .int64s(list(4) { $0.signed() })
        case 7: .doubles(list(4) { $0.double() })
        case 8: .bools(list(4) { $0.chance() })
        case 9: .timestamps(list(4) { $0.signed() })
        case 10: .geoPoint(point())
        default: .geoPoints(list(4) { $0.point() })
        }
    }

    mutating func point() -> GeoPoint { GeoPoint(latitude: double(), longitude: double()) }

    mutating func document() -> Document {
        var document = Document(id: id())
        document.vectors = fields { random in random.list(6) { $0.float() } }
        document.sparseVectors = fields { $0.sparse() }
        document.texts = fields { $0.text() }
        document.metadata = fields { $0.value() }
        document.eventTimeMillis = maybe { $0.signed() }
        document.expiresAtMillis = maybe { $0.signed() }
        document.multiVectors = fields { $0.multiVector() }
        return document
    }

    mutating func bound() -> Filter.Bound { Filter.Bound(value(), isInclusive: chance()) }

    mutating func filter(depth: Int = 0) -> Filter {
        switch below(depth < 4 ? 13 : 9) {
        case 0: .equals(field: text(), value())
        case 1: .isIn(field: text(), list(4) { $0.value() })
        case 2: .range(field: text(), lower: maybe { $0.bound() }, upper: maybe { $0.bound() })
        case 3: .exists(field: text())
        case 4: .prefix(field: text(), text())
        case 5: .withinDistance(field: text(), center: point(), metres: double())
        case 6:
            .withinBox(
                field: text(),
                GeoBox(south: double(), west: double(), north: double(), east: double()))
        case 7: .containsAny(field: text(), list(4) { $0.value() })
        case 8: .containsAll(field: text(), list(4) { $0.value() })
        case 9: .all(list(4) { $0.filter(depth: depth + 1) })
        case 10: .any(list(4) { $0.filter(depth: depth + 1) })
        case 11: .sqlNot(filter(depth: depth + 1))
        default: .not(filter(depth: depth + 1))
        }
    }

    mutating func selection() -> Selection {
        Selection(isAll: chance(), names: list(3) { $0.text() })
    }

    mutating func projection() -> Projection {
        Projection(
            metadata: selection(), texts: selection(), vectors: selection(),
            sparseVectors: selection(), vectorEncoding: chance() ? .floats : .packedF32,
            multiVectors: selection())
    }

    mutating func timeRange() -> TimeRange {
        TimeRange(fromMillis: maybe { $0.signed() }, toMillis: maybe { $0.signed() })
    }

    mutating func indexing() -> VectorIndexing {
        VectorIndexing(
            kind: VectorIndexKind.allCases[below(4)], codes: VectorCodes.allCases[below(6)],
            rerank: VectorRerank.allCases[below(3)], storage: VectorStorage.allCases[below(2)],
            m: UInt32(below(40)), efConstruction: UInt32(below(3_000)),
            efSearch: UInt32(below(3)), lists: UInt32(below(70_000)), probes: UInt32(below(3)))
    }

    mutating func indexStatus() -> VectorIndexStatus {
        var status = VectorIndexStatus(
            field: text(), kind: VectorIndexKind.allCases[below(4)],
            codes: VectorCodes.allCases[below(6)], rerank: VectorRerank.allCases[below(3)],
            storage: VectorStorage.allCases[below(2)])
        status.rows = number()
        status.indexedRows = number()
        status.deadRows = number()
        status.rowBytes = number()
        status.codeBytes = number()
        status.linkBytes = number()
        status.codesVersion = UInt32(below(9))
        status.rebuildRowsDone = number()
        status.rebuildRowsTotal = number()
        status.recallSamples = UInt32(below(900))
        return status
    }

    mutating func recall() -> RecallEstimate {
        RecallEstimate(
            target: double(), mean: double(), worstDecile: double(), samples: UInt32(below(900)),
            efSearch: UInt32(below(900)), probes: UInt32(below(90)))
    }

    mutating func schema() -> Schema {
        var schema = Schema()
        schema.vectors = fields {
            VectorField(
                dimension: $0.below(16_384), metric: Metric.allCases[$0.below(3)],
                indexing: $0.chance() ? .default : $0.indexing())
        }
        schema.sparseVectors = fields { _ in SparseField() }
        schema.texts = fields {
            $0.textField()
        }
        schema.metadata = fields { ValueType.allCases[$0.below(12)] }
        schema.multiVectors = fields { MultiVectorField(dimension: $0.below(16_384)) }
        return schema
    }

    mutating func textField() -> TextField {
        TextField(
            analyzer: AnalyzerKind.allCases[below(3)], language: text(),
            bm25: BM25Parameters(k1: double(), b: double()), foldsDiacritics: chance(),
            stopWords: [.standard, .none, .list(list(3) { $0.text() })][below(3)],
            stems: chance())
    }

    mutating func textNode(depth: Int = 0) -> TextNode {
        var node: TextNode
        switch below(depth < 3 ? 7 : 5) {
        case 0: node = TextNode(.terms(list(3) { $0.text() }))
        case 1:
            node = TextNode(
                .match(text(), chance() ? .any : .all, minimumShouldMatch: UInt32(below(3))))
        case 2: node = TextNode(.phrase(text(), slop: UInt32(below(3))))
        case 3: node = TextNode(.prefix(text(), expansions: UInt32(below(99))))
        case 4:
            node = TextNode(
                .fuzzy(
                    text(), edits: UInt32(below(3)), prefixLength: UInt32(below(3)),
                    expansions: UInt32(below(99))))
        default:
            node = .boolean(
                must: list(3) { $0.textNode(depth: depth + 1) },
                should: list(3) { $0.textNode(depth: depth + 1) },
                mustNot: list(3) { $0.textNode(depth: depth + 1) },
                minimumShouldMatch: UInt32(below(3)))
        }
        node.fields = list(3) { $0.text() }
        node.boost = chance() ? 1 : 2.5
        return node
    }

    mutating func textQuery() -> TextQuery {
        var query = TextQuery(query: text(), fields: list(3) { $0.text() })
        query.node = maybe { $0.textNode() }
        query.textOperator = chance() ? .any : .all
        query.minimumShouldMatch = UInt32(below(9))
        query.boosts = fields { $0.double() }
        query.scoring = chance() ? .bm25f : .sum
        query.highlight = maybe {
            HighlightQuery(
                fields: $0.list(3) { $0.text() }, fragments: UInt32($0.below(9)),
                fragmentSize: UInt32($0.below(900)), before: $0.text(), after: $0.text())
        }
        return query
    }

    mutating func itemError() -> KyroError {
        KyroError(
            code: StatusCode.allCases[below(17)], reason: text(), message: text(),
            field: maybe { _ in "mutations[1]" })
    }

    mutating func search() -> SearchRequest {
        var request = SearchRequest(scope: scope())
        request.vector = maybe { random in
            VectorQuery(
                field: random.text(), vector: random.list(9) { $0.float() },
                efSearch: UInt32(random.below(100)), probes: UInt32(random.below(9)),
                recall: random.chance() ? 0 : random.double())
        }
        request.sparse = maybe { SparseQuery(field: $0.text(), vector: $0.sparse()) }
        request.text = maybe { $0.textQuery() }
        request.filter = maybe { $0.filter() }
        request.timeRange = maybe { $0.timeRange() }
        request.timeDecay = maybe { random in
            TimeDecay(
                halfLifeMillis: random.signed(), originMillis: random.maybe { $0.signed() },
                shape: DecayShape.allCases[random.below(3)], offsetMillis: random.signed(),
                floor: random.double())
        }
        request.fusion = maybe { random in
            Fusion(
                method: FusionMethod.allCases[random.below(3)], rrfK: UInt32(random.below(100)),
                weights: random.maybe {
                    LegWeights(vector: $0.double(), sparse: $0.double(), text: $0.double())
                },
                normalisation: ScoreNormalisation.allCases[random.below(3)],
                candidates: random.maybe {
                    LegCandidates(
                        vector: UInt32($0.below(9)), sparse: UInt32($0.below(9)),
                        text: UInt32($0.below(9)))
                })
        }
        request.limit = UInt32(below(20))
        request.offset = UInt32(below(20))
        request.candidates = UInt32(below(200))
        request.projection = maybe { $0.projection() }
        request.minSeq = Sequence(number())
        request.exact = chance()
        request.explain = chance()
        request.ranking = maybe { $0.ranking() }
        request.aggregations = list(4) { $0.aggregation() }
        request.pageToken = list(5) { UInt8($0.below(256)) }
        request.paged = chance()
        request.asOf = maybe { $0.asOf() }
        return request
    }

    mutating func asOf() -> AsOf { chance() ? .seq(Sequence(number())) : .time(signed()) }

    mutating func leg() -> LegScore { LegScore(score: float(), rank: UInt32(below(100))) }

    mutating func ranking() -> RankingOptions {
        RankingOptions(
            formula: text(),
            grouping: maybe {
                Grouping(
                    field: $0.text(), hitsPerGroup: UInt32($0.below(9)),
                    missing: MissingGroup.allCases[$0.below(3)])
            },
            diversity: maybe {
                Diversity(lambda: $0.double(), pool: UInt32($0.below(900)), field: $0.text())
            },
            rescore: maybe {
                Rescore(
                    field: $0.text(), query: $0.multiVector(), top: UInt32($0.below(900)),
                    weight: $0.double(), scoreWeight: $0.double())
            })
    }

    mutating func multiVector() -> MultiVector {
        MultiVector(dimension: below(5), values: list(9) { $0.float() })
    }

    mutating func contribution() -> LegContribution {
        LegContribution(normalised: double(), weighted: double())
    }

    mutating func details() -> ScoreDetails {
        var details = ScoreDetails(fused: double(), decay: double())
        details.vector = maybe { $0.contribution() }
        details.sparse = maybe { $0.contribution() }
        details.text = maybe { $0.contribution() }
        details.formula = maybe { $0.double() }
        details.rescore = maybe {
            RescoreDetails(score: $0.double(), maxSim: $0.double())
        }
        details.diversity = maybe {
            DiversityDetails(relevance: $0.double(), similarity: $0.double())
        }
        return details
    }

    mutating func legExplain() -> LegExplain {
        var leg = LegExplain()
        leg.asked = number()
        leg.candidates = number()
        leg.weight = double()
        leg.best = double()
        leg.worst = double()
        leg.mean = double()
        leg.deviation = double()
        return leg
    }

    mutating func stages() -> StageMicros {
        var stages = StageMicros()
        stages.filter = number()
        stages.vector = number()
        stages.sparse = number()
        stages.text = number()
        stages.merge = number()
        stages.fuse = number()
        stages.rank = number()
        stages.fetch = number()
        stages.aggregate = number()
        return stages
    }

    mutating func explain() -> Explain {
        var explain = Explain()
        explain.shards = list(3) { random in
            var shard = ShardExplain(shard: UInt32(random.below(8)))
            shard.vectorStrategy =
                VectorStrategy(rawValue: UInt8(random.below(7))) ?? .filteredIVF
            shard.vectorReason = random.text()
            shard.rows = random.number()
            shard.graphRows = random.number()
            shard.tailRows = random.number()
            shard.filterMatches = random.number()
            shard.rowsScored = random.number()
            shard.postingsScored = random.number()
            shard.postingsListed = random.number()
            shard.estimatedCost = random.number()
            shard.micros = random.number()
            shard.vectorCandidates = random.number()
            shard.sparseCandidates = random.number()
            shard.textCandidates = random.number()
            return shard
        }
        explain.notes = list(3) { $0.text() }
        explain.planMicros = number()
        explain.searchMicros = number()
        explain.mergeMicros = number()
        explain.vector = maybe { $0.legExplain() }
        explain.sparse = maybe { $0.legExplain() }
        explain.text = maybe { $0.legExplain() }
        explain.stages = maybe { $0.stages() }
        return explain
    }

    mutating func answer() -> SearchResponse {
        let hits = list(4) { random in
            var hit = Hit(id: random.id(), score: random.double(), seq: Sequence(random.number()))
            hit.vector = random.maybe { $0.leg() }
            hit.sparse = random.maybe { $0.leg() }
            hit.text = random.maybe { $0.leg() }
            hit.document = random.maybe { $0.document() }
            hit.highlights = random.list(3) { random in
                Highlight(field: random.text(), fragments: random.list(3) { $0.text() })
            }
            hit.details = random.maybe { $0.details() }
            hit.group = random.maybe { $0.value() }
            return hit
        }
        var response = SearchResponse(
            hits: hits, seq: Sequence(number()), explain: maybe { $0.explain() })
        response.recall = maybe { $0.recall() }
        response.aggregations = list(4) { $0.aggregationResult() }
        response.nextPageToken = list(5) { UInt8($0.below(256)) }
        return response
    }

    mutating func mutation() -> Mutation {
        switch below(3) {
        case 0: return .upsert(document())
        case 1: return .remove(id())
        default:
            var update = PartialUpdate(set: document())
            update.removedVectors = list(3) { $0.text() }
            update.removedSparseVectors = list(3) { $0.text() }
            update.removedTexts = list(3) { $0.text() }
            update.removedMetadata = list(3) { $0.text() }
            update.clearsEventTime = chance()
            update.clearsExpiry = chance()
            update.removedMultiVectors = list(3) { $0.text() }
            return .update(update)
        }
    }
}
