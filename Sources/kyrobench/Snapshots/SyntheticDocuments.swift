// Documents that follow from their number and a seed alone, so that millions need no file and each
// can be made again to be compared.
import KyroModel

/// SplitMix64 (Steele, Lea & Flood 2014, figure 17) without a lock: vectors take hundreds of numbers.
struct Chance {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }

    /// Uniform in [-1, 1).
    mutating func signedUnit() -> Float { Float(Int64(bitPattern: next()) >> 40) / Float(1 << 23) }
}

/// A dense vector near one of many centres, eight words of text, two metadata fields, a time.
struct SyntheticDocuments: Sendable {
    static let vectorField = "embedding"
    static let centreCount = 2_000
    static let wordCount = 20_000
    static let wordsPerText = 8
    static let groupCount = 50
    /// Against components of a centre in [-1, 1): neighbours overlap.
    static let spread: Float = 0.4

    let dimension: Int
    let seed: UInt64
    let scope = Scope(namespace: "synthetic")
    /// Row-major.
    private let centres: [Float]
    private let words: [String]

    init(dimension: Int, seed: UInt64) {
        self.dimension = dimension
        self.seed = seed
        var chance = Chance(seed)
        centres = (0..<(Self.centreCount * dimension)).map { _ in chance.signedUnit() }
        words = (0..<Self.wordCount).map { Self.word($0) }
    }

    var schema: Schema {
        var schema = Schema()
        schema.vectors[Self.vectorField] = VectorField(dimension: dimension)
        schema.texts["text"] = TextField()
        return schema
    }

    private func chance(_ number: Int) -> Chance {
        Chance(seed ^ (UInt64(number) &+ 1) &* 0xD1B5_4A32_D192_ED03)
    }

    func id(_ number: Int) -> DocumentID {
        number % 2 == 0 ? .number(UInt64(number)) : .text("document-\(number)")
    }

    func document(_ number: Int) -> Document {
        var chance = chance(number)
        var document = Document(id: id(number))
        document.vectors[Self.vectorField] = vector(&chance)
        document.texts["text"] = text(&chance)
        document.metadata["group"] = .string("group-\(chance.below(Self.groupCount))")
        document.metadata["rank"] = .int64(Int64(chance.below(1_000_000)))
        document.eventTimeMillis = DataSet.firstEventMillis + Int64(number) * 1_000
        return document
    }

    private func vector(_ chance: inout Chance) -> [Float] {
        let start = chance.below(Self.centreCount) * dimension
        var vector: [Float] = []
        vector.reserveCapacity(dimension)
        for i in 0..<dimension {
            vector.append(centres[start + i] + Self.spread * chance.signedUnit())
        }
        return vector
    }

    /// Words of low numbers are frequent, as in a language.
    private func text(_ chance: inout Chance) -> String {
        (0..<Self.wordsPerText).map { _ in
            let share = Double(chance.below(1 << 20)) / Double(1 << 20)
            return words[Int(share * share * Double(Self.wordCount))]
        }.joined(separator: " ")
    }

    private static func word(_ number: Int) -> String {
        let consonants = Array("bdfgklmnprstvz")
        let vowels = Array("aiou")
        var rest = number
        var word = "q"
        for _ in 0..<4 {
            word.append(consonants[rest % consonants.count])
            rest /= consonants.count
            word.append(vowels[rest % vowels.count])
            rest /= vowels.count
        }
        return word
    }

    // MARK: questions

    /// Near some document of the first `count`.
    func vectorRequest(_ number: Int, among count: Int) -> SearchRequest {
        var chance = Chance(seed &+ UInt64(number) &* 7_919)
        var request = SearchRequest(scope: scope)
        var vector = document(chance.below(count)).vectors[Self.vectorField] ?? []
        for i in vector.indices { vector[i] += 0.2 * chance.signedUnit() }
        request.vector = VectorQuery(vector: vector)
        return request
    }

    func textRequest(_ number: Int, among count: Int) -> SearchRequest {
        var chance = Chance(seed &+ UInt64(number) &* 104_729)
        let words = document(chance.below(count)).texts["text"]?.split(separator: " ") ?? []
        var request = SearchRequest(scope: scope)
        request.text = TextQuery(query: words.prefix(3).joined(separator: " "))
        return request
    }

    func filterRequest(_ number: Int, among count: Int) -> SearchRequest {
        var request = vectorRequest(number, among: count)
        request.filter = .all([
            .equals(field: "group", .string("group-\(number % Self.groupCount)")),
            .range(field: "rank", lower: nil, upper: .init(.int64(500_000), isInclusive: false)),
        ])
        return request
    }
}
