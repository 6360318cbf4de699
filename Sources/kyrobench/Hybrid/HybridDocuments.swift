// The documents of some data sets, repeated with perturbation as often as it takes. Each follows from
// its number, its revision and a seed alone, so that none need be kept.
import KyroModel

struct HybridDocuments: Sendable {
    static let scope = Scope(namespace: "hybrid")
    static let vectorField = "embedding"
    static let textField = "text"
    static let channelCount = 20
    static let priorityEnd = 1_000
    /// Event times are spread over so long, in the order of the numbers but for a week.
    static let spanMillis: Int64 = 730 * 86_400_000
    static let jitterMillis: Int64 = 7 * 86_400_000
    /// Of the words of a repeated text, in per cent, for each of dropped, swapped with the next, and
    /// replaced by a word drawn from all words of the same data set, frequent ones more often.
    static let wordPercent = 10
    /// Uniform on each component of a unit vector: with 384 of them, of length 0.34.
    static let noise: Float = 0.03
    private static let vocabularyCount = 100_000

    private struct Place {
        var source: Int
        var row: Int
    }

    let sources: [DataSet]
    let dimension: Int
    let rowCount: Int
    private let seed: UInt64
    private let mix: HybridOptions.Mix
    /// All rows of all sources in random order; each source's own behind.
    private let places: [Place]
    private let placesOfSource: [[Place]]
    /// Words of each source as they occur.
    private let vocabularies: [[[UInt8]]]

    init(sources: [DataSet], rowCount: Int, mix: HybridOptions.Mix, seed: UInt64) throws {
        guard let dimension = sources.first?.vectors.dimension,
            sources.allSatisfy({ $0.vectors.dimension == dimension })
        else { throw BenchError("the data sets differ in dimension") }
        self.sources = sources
        self.dimension = dimension
        self.rowCount = rowCount
        self.seed = seed
        self.mix = mix
        var chance = Chance(seed)
        var places: [Place] = []
        for (source, data) in sources.enumerated() {
            places += data.corpus.indices.map { Place(source: source, row: $0) }
        }
        for i in stride(from: places.count - 1, to: 0, by: -1) {
            places.swapAt(i, chance.below(i + 1))
        }
        self.places = places
        placesOfSource = sources.indices.map { source in places.filter { $0.source == source } }
        vocabularies = sources.map { data in
            (0..<Self.vocabularyCount).map { _ in
                let words = Self.words(data.corpus[chance.below(data.corpus.count)])
                return words.isEmpty
                    ? Array("document".utf8) : Array(words[chance.below(words.count)])
            }
        }
    }

    static var schemaTexts: FieldMap<TextField> { [textField: TextField()] }

    var schema: Schema {
        var schema = Schema()
        schema.vectors[Self.vectorField] = VectorField(dimension: dimension)
        schema.texts = Self.schemaTexts
        return schema
    }

    private static func words(_ row: CorpusRow) -> [ArraySlice<UInt8>] {
        Array((row.title + " " + row.text).utf8).split(whereSeparator: { $0 <= 0x20 })
    }

    /// Where a number's document comes from, and the how manieth of it that is.
    private func origin(_ number: Int) -> (place: Place, copy: Int) {
        switch mix {
        case .repeat:
            return (places[number % places.count], number / places.count)
        case .even:
            let own = placesOfSource[number % sources.count]
            let turn = number / sources.count
            return (own[turn % own.count], turn / own.count)
        }
    }

    /// - Parameter revision: above zero for what replaces the document.
    func document(_ number: Int, revision: Int = 0) -> Document {
        let (place, copy) = origin(number)
        var chance = Chance(
            seed ^ (UInt64(number) &+ 1) &* 0xD1B5_4A32_D192_ED03
                ^ UInt64(revision) &* 0x9FB2_1C65_1E98_DF25)
        let source = sources[place.source]
        let row = source.corpus[place.row]
        var document = Document(id: .number(UInt64(number)))
        document.metadata = row.metadata
        document.metadata["source"] = .string(source.name)
        document.metadata["channel"] = .string(Self.channel(chance.below(Self.channelCount)))
        document.metadata["priority"] = .int64(Int64(chance.below(Self.priorityEnd)))
        document.metadata["revision"] = .int64(Int64(revision))
        document.eventTimeMillis =
            startMillis(number) + Int64(chance.below(Int(Self.jitterMillis)))
        let isSame = copy == 0 && revision == 0
        document.texts[Self.textField] =
            isSame ? row.title + " " + row.text : text(row, place.source, &chance)
        let vector = source.vectors.row(place.row)
        document.vectors[Self.vectorField] = isSame ? vector : Self.noisy(vector, &chance)
        return document
    }

    static func channel(_ number: Int) -> String { "channel-\(number)" }

    private func startMillis(_ number: Int) -> Int64 {
        let share = Double(number) / Double(rowCount)
        return DataSet.firstEventMillis + Int64(share * Double(Self.spanMillis))
    }

    private func text(_ row: CorpusRow, _ source: Int, _ chance: inout Chance) -> String {
        var words = Self.words(row)
        let vocabulary = vocabularies[source]
        var bytes: [UInt8] = []
        for place in words.indices {
            let draw = chance.below(100)
            if draw < Self.wordPercent { continue }
            if draw < 2 * Self.wordPercent, place + 1 < words.count {
                words.swapAt(place, place + 1)
            }
            if !bytes.isEmpty { bytes.append(0x20) }
            if draw >= 2 * Self.wordPercent, draw < 3 * Self.wordPercent {
                bytes += vocabulary[chance.below(vocabulary.count)]
            } else {
                bytes += words[place]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A unit vector beside a unit vector.
    static func noisy(_ vector: [Float], _ chance: inout Chance) -> [Float] {
        var vector = vector
        var square: Float = 0
        for i in vector.indices {
            vector[i] += noise * chance.signedUnit()
            square += vector[i] * vector[i]
        }
        let factor = square > 0 ? 1 / square.squareRoot() : 0
        for i in vector.indices { vector[i] *= factor }
        return vector
    }
}
