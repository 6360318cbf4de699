// Random documents, changes and questions over a schema with a field of every kind.
import KyroModel

struct World {
    var dice: Dice
    /// Metadata fields that documents may carry so far; grows, so that fields appear while it runs.
    var metadataTypes: [ValueType] = [.string, .int64]
    var idsMax = 300

    static let vectors: [(name: String, field: VectorField)] = [
        ("cos", VectorField(dimension: 5, metric: .cosine)),
        ("dot", VectorField(dimension: 6, metric: .innerProduct)),
        (
            "l2",
            VectorField(
                dimension: 4, metric: .l2, indexing: VectorIndexing(storage: .disk))
        ),
    ]
    static let sparse = ["s1", "s2"]
    static let texts: [(name: String, field: TextField)] = [
        ("body", TextField(bm25: BM25Parameters(k1: 0.9, b: 0.4))),
        ("code", TextField(analyzer: .code)),
        ("tag", TextField(analyzer: .raw)),
        ("title", TextField()),
    ]
    static let words = [
        "the", "and", "of", "fox", "foxes", "jumping", "jumps", "river", "ocean", "mountain",
        "stone", "stones", "ice", "fire", "kernel", "buffer", "parser", "stream", "socket",
        "HTTPServer", "readByte", "snake_case", "naïve", "Über", "漢字", "x86sim", "zebra",
    ]
    static let unknownWords = ["quux", "xyzzy", "unheard"]

    static var schema: Schema {
        var schema = Schema()
        for (name, field) in vectors { schema.vectors[name] = field }
        for name in sparse { schema.sparseVectors[name] = SparseField() }
        for (name, field) in texts { schema.texts[name] = field }
        return schema
    }

    init(seed: UInt64) { dice = Dice(seed: seed) }

    /// Another kind of metadata may occur from now on.
    mutating func learnField() {
        let unused = ValueType.allCases.filter { !metadataTypes.contains($0) }
        if let type = unused.first { metadataTypes.append(type) }
    }

    // MARK: Documents

    mutating func id() -> DocumentID {
        let number = dice.below(idsMax)
        return number % 3 == 0 ? .text("d-\(number)") : .number(UInt64(number))
    }

    /// On a coarse grid half of the time, so that scores tie.
    mutating func vector(_ dimension: Int) -> [Float] {
        let onGrid = dice.chance(50)
        var vector = (0..<dimension).map { _ in
            onGrid ? Float(dice.below(5) - 2) / 2 : Float(dice.fraction() * 2 - 1)
        }
        if vector.allSatisfy({ $0 == 0 }) { vector[dice.below(dimension)] = 1 }
        return vector
    }

    mutating func sparseVector() -> SparseVector {
        var values: [UInt32: Float] = [:]
        for _ in 0..<(1 + dice.below(5)) {
            values[UInt32(dice.below(12)) * 1_000] =
                dice.chance(50) ? Float(dice.below(5) - 2) : Float(dice.fraction() - 0.3)
        }
        let entries = values.sorted { $0.key < $1.key }
        return SparseVector(indices: entries.map(\.key), values: entries.map(\.value))
    }

    mutating func text(wordsMax: Int) -> String {
        (0..<dice.below(wordsMax + 1)).map { _ in dice.pick(Self.words) }
            .joined(separator: " ")
    }

    mutating func value(_ type: ValueType) -> MetadataValue {
        let count = dice.below(4)
        return switch type {
        case .string: .string(dice.pick(Self.words))
        case .int64: .int64(Int64(dice.below(20) - 10))
        case .double: .double(Double(dice.below(40) - 20) / 4)
        case .bool: .bool(dice.chance(50))
        case .timestamp: .timestamp(Int64(dice.below(20)) * 1_000)
        case .strings: .strings((0..<count).map { _ in dice.pick(Self.words) })
        case .int64s: .int64s((0..<count).map { _ in Int64(dice.below(20) - 10) })
        case .doubles: .doubles((0..<count).map { _ in Double(dice.below(20)) / 2 })
        case .bools: .bools((0..<count).map { _ in dice.chance(50) })
        case .timestamps: .timestamps((0..<count).map { _ in Int64(dice.below(20)) * 1_000 })
        case .geoPoint: .geoPoint(point())
        case .geoPoints: .geoPoints((0..<count).map { _ in point() })
        }
    }

    mutating func point() -> GeoPoint {
        GeoPoint(
            latitude: Double(dice.below(7)) * 30 - 90, longitude: Double(dice.below(13)) * 30 - 180)
    }

    /// - Parameter share: of fields that the document carries, in per cent.
    mutating func document(_ id: DocumentID, share: Int = 70) -> Document {
        var document = Document(id: id)
        for (name, field) in Self.vectors where dice.chance(share) {
            document.vectors[name] = vector(field.dimension)
        }
        for name in Self.sparse where dice.chance(share) {
            document.sparseVectors[name] = sparseVector()
        }
        for (name, field) in Self.texts where dice.chance(share) {
            document.texts[name] = text(wordsMax: field.analyzer == .raw ? 1 : 12)
        }
        for type in metadataTypes where dice.chance(share) {
            document.metadata[type.name] = value(type)
        }
        if dice.chance(share) { document.eventTimeMillis = Int64(dice.below(2_000_000)) }
        if dice.chance(share / 7) {
            document.expiresAtMillis = 1_000_000 + Int64(dice.below(100_000) - 5_000)
        }
        if dice.chance(share / 3) {
            let rows = 1 + dice.below(3)
            document.multiVectors["tokens"] = MultiVector(
                dimension: 2, values: (0..<(2 * rows)).map { _ in Float(dice.below(9) - 4) })
        }
        return document
    }

    // MARK: Changes

    /// A mutation, and whether it is one that the engine must take.
    mutating func mutation() -> (Mutation, isValid: Bool) {
        switch dice.below(100) {
        case ..<55: return (.upsert(document(id())), true)
        case ..<80:
            var update = PartialUpdate(set: document(id(), share: 25))
            if dice.chance(15) { update.removedVectors = [dice.pick(Self.vectors).name] }
            if dice.chance(15) { update.removedSparseVectors = [dice.pick(Self.sparse)] }
            if dice.chance(15) { update.removedTexts = [dice.pick(Self.texts).name] }
            if dice.chance(15) { update.removedMetadata = [dice.pick(metadataTypes).name] }
            if dice.chance(5) { update.removedMultiVectors = ["tokens"] }
            update.clearsEventTime = dice.chance(10)
            update.clearsExpiry = dice.chance(10)
            return (.update(update), true)
        case ..<97: return (.remove(id()), true)
        default:
            var document = document(id())
            document.vectors["l2"] = [1, .nan, 0, 0]
            return (.upsert(document), false)
        }
    }
}
