// Documents whose every part follows from seed and number.
import KyroModel

/// SplitMix64 (Steele, Lea & Flood 2014): good enough for test data, and the same everywhere.
struct Chance: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

struct Sample {
    static let dimension = 96
    static let vectorField = "embedding"
    static let textField = "body"
    private static let clusters = 64

    let seed: UInt64
    private let centres: [[Float]]

    init(seed: UInt64) {
        self.seed = seed
        var chance = Chance(seed)
        centres = (0..<Self.clusters).map { _ in
            (0..<Self.dimension).map { _ in Float.random(in: -1...1, using: &chance) }
        }
    }

    static var schema: Schema {
        var schema = Schema()
        schema.vectors[vectorField] = VectorField(dimension: dimension)
        schema.texts[textField] = TextField()
        schema.metadata["number"] = .int64
        schema.metadata["tag"] = .string
        schema.metadata["area"] = .string
        return schema
    }

    /// Clustered, as embeddings are, and with 96 random components nearest to itself alone.
    func vector(_ number: UInt64) -> [Float] {
        var chance = Chance(seed &+ number &* 0x2545_F491_4F6C_DD1D)
        let centre = centres[Int(chance.next() % UInt64(Self.clusters))]
        return centre.map { $0 + Float.random(in: -0.7...0.7, using: &chance) }
    }

    /// A word that no other document has and that stemming leaves alone.
    func word(_ number: UInt64) -> String { "zq\(String(number, radix: 36))k" }

    private static let words = """
        server client stream window frame header flow control metadata encoding deadline cancel \
        retry balance resolver transport buffer channel pipeline handler future promise loop \
        socket bootstrap certificate handshake compress message status trailer interceptor test \
        benchmark fix add remove update document refactor release version support allow avoid
        """.split(separator: " ").map(String.init)

    func text(_ number: UInt64) -> String {
        var chance = Chance(seed ^ number)
        var words = (0..<Int.random(in: 8...40, using: &chance)).map { _ in
            Self.words[min(Int.random(in: 0..<45, using: &chance), Self.words.count - 1)]
        }
        words.insert(word(number), at: words.count / 2)
        return words.joined(separator: " ")
    }

    func document(_ number: UInt64, area: String) -> Document {
        var document = Document(id: .number(number))
        document.vectors[Self.vectorField] = vector(number)
        document.texts[Self.textField] = text(number)
        document.metadata["number"] = .int64(Int64(number))
        document.metadata["tag"] = .string(word(number))
        document.metadata["area"] = .string(area)
        document.eventTimeMillis = 1_600_000_000_000 + Int64(number % 1_000_000) * 1_000
        return document
    }
}
