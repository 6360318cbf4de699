// Documents about topics, which their words and their vectors tell, or do not; and queries whose
// answers are known.
import KyroModel

struct TopicWorld {
    /// What a leg knows of a document's topic.
    enum Leg {
        case telling
        /// Made of another, random topic.
        case useless
    }

    static let topicCount = 40
    static let documentCount = 480
    static let dimension = 16

    let scope = Scope(namespace: "topics")
    private var dice: Dice
    private let textLeg: Leg
    private let vectorLeg: Leg
    private let directions: [[Float]]
    private var topicOf: [Int] = []
    private(set) var documents: [Document] = []

    init(seed: UInt64, text: Leg = .telling, vector: Leg = .telling) {
        var dice = Dice(seed: seed)
        textLeg = text
        vectorLeg = vector
        directions = (0..<Self.topicCount).map { _ in
            (0..<Self.dimension).map { _ in Float(dice.fraction() - 0.5) }
        }
        self.dice = dice
        for number in 0..<Self.documentCount {
            let topic = self.dice.below(Self.topicCount)
            topicOf.append(topic)
            var document = Document(id: .number(UInt64(number)))
            document.texts["t"] = self.words(of: text == .telling ? topic : stranger())
            document.vectors["v"] = self.vector(of: vector == .telling ? topic : stranger())
            documents.append(document)
        }
    }

    private mutating func stranger() -> Int { dice.below(Self.topicCount) }

    /// Words that a topic shares with its neighbours, and some of any.
    private mutating func words(of topic: Int) -> String {
        (0..<6).map { _ in
            dice.chance(45) ? "w\(topic + dice.below(3))" : "w\(dice.below(Self.topicCount))"
        }.joined(separator: " ")
    }

    private mutating func vector(of topic: Int) -> [Float] {
        directions[topic].map { $0 + 0.8 * Float(dice.fraction() - 0.5) }
    }

    /// A question about a random topic, and all documents about it.
    mutating func query() -> JudgedQuery {
        let topic = dice.below(Self.topicCount)
        let answers = topicOf.indices.filter { topicOf[$0] == topic }
        var query = JudgedQuery(
            judgements: answers.map {
                Judgement(id: .number(UInt64($0)), grade: Double(1 + $0 % 2))
            })
        query.text = TextQuery(query: words(of: topic))
        query.vector = VectorQuery(vector: vector(of: topic))
        return query
    }

    /// As many answers as any query has, of no topic in particular.
    mutating func randomlyJudgedQuery() -> JudgedQuery {
        var query = query()
        var ids: Set<Int> = []
        while ids.count < 8 { ids.insert(dice.below(Self.documentCount)) }
        query.judgements = ids.sorted().map { Judgement(id: .number(UInt64($0)), grade: 1) }
        return query
    }
}

extension JudgedQuery {
    func search(in scope: Scope, fusion: Fusion? = nil) -> SearchRequest {
        var request = SearchRequest(scope: scope)
        request.vector = vector
        request.sparse = sparse
        request.text = text
        request.fusion = fusion
        return request
    }

    /// nDCG@10 of an answer, with linear gains.
    func figure(_ hits: [Hit]) -> Double {
        func sum(_ gains: [Double]) -> Double {
            zip(gains, Self.logarithms).reduce(0) { $0 + $1.0 / $1.1 }
        }
        let grades = Dictionary(uniqueKeysWithValues: judgements.map { ($0.id, $0.grade) })
        return sum(hits.map { grades[$0.id] ?? 0 }) / sum(grades.values.sorted(by: >))
    }

    /// log2 of 2 to 11.
    private static let logarithms = [
        1, 1.584_962_500_721_156, 2, 2.321_928_094_887_362, 2.584_962_500_721_156,
        2.807_354_922_057_604, 3, 3.169_925_001_442_312, 3.321_928_094_887_362,
        3.459_431_618_637_297,
    ]
}
