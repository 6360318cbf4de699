// The questions of the benchmark of hybrid searches, and what must hold of their answers.
import KyroModel
import KyroWire

/// A question in no system's words.
struct HybridQuery: Sendable {
    var text: String
    var vector: [Float]
    /// One of these.
    var channels: [String]
    /// Nil for any.
    var priorityBelow: Int64?
    /// From the first on, below the second.
    var fromMillis: Int64
    var toMillis: Int64

    static let candidates = 100
    static let limit = 10
    /// Shares of the documents that pass the filter, and that lie in the range of time: each of one
    /// with each of the other in turn, 0.4 to 37.5 % together.
    static let filterShares = [0.5, 0.2, 0.05]
    static let timeShares = [0.75, 0.25, 0.08]

    var request: SearchRequest {
        var request = SearchRequest(scope: HybridDocuments.scope)
        request.text = TextQuery(query: text)
        request.vector = VectorQuery(vector: vector)
        let isInChannel = Filter.isIn(field: "channel", channels.map { .string($0) })
        if let priorityBelow {
            let bound = Filter.Bound(.int64(priorityBelow), isInclusive: false)
            request.filter = .all([
                isInChannel, .range(field: "priority", lower: nil, upper: bound),
            ])
        } else {
            request.filter = isInChannel
        }
        request.timeRange = TimeRange(fromMillis: fromMillis, toMillis: toMillis)
        request.candidates = UInt32(Self.candidates)
        request.limit = UInt32(Self.limit)
        request.projection = Projection(metadata: .all)
        return request
    }

    /// What is wrong with an answer; nil where nothing is.
    func problem(with hits: [Hit]) -> String? {
        guard hits.count <= Self.limit else { return "\(hits.count) hits" }
        var ids: Set<DocumentID> = []
        for (place, hit) in hits.enumerated() {
            if !ids.insert(hit.id).inserted { return "\(hit.id) is there twice" }
            if place > 0, hit.score > hits[place - 1].score {
                return "hit \(place) is better than the one before"
            }
            guard hit.vector != nil || hit.text != nil else { return "\(hit.id) is of no leg" }
            guard let document = hit.document else { return "\(hit.id) comes without metadata" }
            if !admits(document) { return "\(hit.id) does not pass the filter" }
        }
        return nil
    }

    func admits(_ document: Document) -> Bool {
        guard case .string(let channel)? = document.metadata["channel"],
            case .int64(let priority)? = document.metadata["priority"],
            let time = document.eventTimeMillis
        else { return false }
        return channels.contains(channel) && priorityBelow.map { priority < $0 } ?? true
            && fromMillis <= time && time < toMillis
    }

    /// `count` questions: the queries of all data sets in random order; from the second round on with
    /// noise on the vectors.
    static func make(_ count: Int, for documents: HybridDocuments, seed: UInt64) throws
        -> [HybridQuery]
    {
        var chance = Chance(seed ^ 0x0A5C)
        var asked: [(text: String, vector: [Float])] = []
        for source in documents.sources {
            for (number, query) in source.queries.enumerated() {
                asked.append((query.text, source.queryVectors.row(number)))
            }
        }
        guard !asked.isEmpty else { throw BenchError("the data sets have no queries") }
        for i in stride(from: asked.count - 1, to: 0, by: -1) {
            asked.swapAt(i, chance.below(i + 1))
        }
        return (0..<count).map { number in
            let (text, vector) = asked[number % asked.count]
            let isFirst = number < asked.count
            let combination = number % (filterShares.count * timeShares.count)
            let filterShare = filterShares[combination % filterShares.count]
            let span = Double(HybridDocuments.spanMillis)
            let length = timeShares[combination / filterShares.count] * span
            let offset = Double(chance.next() >> 11) / Double(1 << 53) * (span - length)
            let from = DataSet.firstEventMillis + Int64(offset)
            var query = HybridQuery(
                text: text,
                vector: isFirst ? vector : HybridDocuments.noisy(vector, &chance),
                channels: [], fromMillis: from, toMillis: from + Int64(length))
            // The middle share asks two fields.
            query.setFilter(filterShare, isOfTwo: filterShare == filterShares[1], &chance)
            return query
        }
    }

    private mutating func setFilter(_ share: Double, isOfTwo: Bool, _ chance: inout Chance) {
        let ofChannels = isOfTwo ? share * 2 : share
        let count = Int((ofChannels * Double(HybridDocuments.channelCount)).rounded())
        var numbers = Array(0..<HybridDocuments.channelCount)
        channels = (0..<max(1, count)).map { _ in
            HybridDocuments.channel(numbers.remove(at: chance.below(numbers.count)))
        }
        if isOfTwo { priorityBelow = Int64(HybridDocuments.priorityEnd / 2) }
    }
}
