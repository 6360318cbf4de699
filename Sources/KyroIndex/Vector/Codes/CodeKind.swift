// What stands for the rows of a field while candidates are sought, and what follows from it.
import KyroModel

/// The raw values are those of `VectorCodes`.
enum CodeKind: UInt8, Sendable {
    /// The stored rows themselves: no codes.
    case floats = 1
    case sq8 = 2
    case sq4 = 3
    case bq = 4
    case pq = 5

    /// Dimensions up to which int8 codes are taken where nobody has chosen.
    ///
    /// f32 rows, codes and links are to stay below 1.2 times the rows (docs/decisions/0042): at 768
    /// dimensions a byte each makes 1.29, half a byte 1.17, and with it no recall is lost there.
    /// Below, links weigh more than either, and a walk over bytes needs the fewest distances.
    static let sq8DimensionMax = 384

    /// What a field asks for. Where the codes alone remain of a row they are bytes.
    init(_ field: VectorField) {
        switch field.indexing.codes {
        case .automatic:
            let isHalved = field.dimension > Self.sq8DimensionMax && field.indexing.rerank != .none
            self = isHalved ? .sq4 : .sq8
        case .none: self = .floats
        case .sq8: self = .sq8
        case .sq4: self = .sq4
        case .bq: self = .bq
        case .pq: self = .pq
        }
    }

    /// Whether rows are rotated before they are encoded.
    var isRotated: Bool { self == .sq4 || self == .bq }

    /// Whether a sample of the rows makes the codes better.
    var isTrained: Bool { isRotated || self == .pq }

    /// Whether reading codes from a snapshot is less work than making them anew.
    var isDear: Bool { self == .pq }

    func byteCount(dimension: Int) -> Int {
        switch self {
        case .floats: 0
        case .sq8: dimension
        case .sq4: (dimension + 1) / 2
        case .bq: (dimension + 7) / 8
        case .pq: ProductQuantiser.groupCount(dimension: dimension)
        }
    }

    /// How many of the best candidates are scored in full precision for the best `k`, at least.
    /// On real embeddings ten more than asked lose nothing under a byte a dimension; the fewer bits
    /// there are, the further down a row of the best `k` may have come.
    func rerankCount(k: Int) -> Int {
        switch self {
        case .floats, .sq8: max(k + 20, k + k / 2)
        case .sq4: max(k + 30, 2 * k)
        case .bq, .pq: max(k + 100, 4 * k)
        }
    }
}
