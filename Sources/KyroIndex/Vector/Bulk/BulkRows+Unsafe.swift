// The rows of one layer of a graph, numbered densely: what a bulk build works on.
import CKernels
import KyroModel

/// `Sendable` because the rows were published before and do not change.
@safe struct BulkRows: Sendable {
    private let codes: CodeColumn
    /// Row by member, ascending.
    let members: BulkArray<UInt32>
    private let isL2: Bool
    /// The score of a member against itself, as far as it is known: 1 for the cosine.
    private let one: Float
    private let hasDistance: Bool
    let alpha: Float

    /// Below this share of the squares that it is the difference of, a distance is within what
    /// codes of 8 bits confuse, and stands for none.
    private static let doubt: Float = 1e-3

    /// - Parameter codes: int8, of all members.
    init(codes: CodeColumn, members: BulkArray<UInt32>, alpha: Float) {
        precondition(codes.model.kind == .sq8, "\(codes.model.kind)")
        self.codes = codes
        self.members = members
        self.alpha = alpha
        let metric = codes.model.metric
        isL2 = metric == .l2
        one = metric == .cosine ? 1 : 0
        hasDistance = metric != .innerProduct
    }

    var count: Int { members.count }
    var dimension: Int { codes.dimension }

    @unsafe @inline(__always) func codes(_ member: Int) -> UnsafePointer<Int8> {
        unsafe UnsafePointer(codes.pointer(Int(members[member])))
    }

    @inline(__always) func terms(_ member: Int) -> (factor: Float, bias: Float) {
        let terms = unsafe codes.terms.pointer(Int(members[member]))
        return unsafe (terms[0], terms[1])
    }

    /// What the factor of one side of a pair is multiplied with.
    @inline(__always) var pairFactor: Float { isL2 ? 2 : 1 }

    /// Cosine, inner product or negative squared distance of two members; the same both ways.
    @inline(__always) func score(_ dot: Int32, _ a: Int, _ b: Int) -> Float {
        score(dot, terms(a), terms(b))
    }

    @inline(__always) func score(
        _ dot: Int32, _ a: (factor: Float, bias: Float), _ b: (factor: Float, bias: Float)
    ) -> Float {
        Float(dot) * (pairFactor * (a.factor * b.factor)) + (a.bias + b.bias)
    }

    func score(_ a: Int, _ b: Int) -> Float {
        unsafe score(kyro_dot_i8(codes(a), codes(b), dimension), a, b)
    }

    /// A candidate is left out for a neighbour whose score with it reaches this.
    ///
    /// - Parameter score: of the candidate with the row that chooses.
    @inline(__always) func leaveOutScore(_ score: Float, _ row: Int, _ candidate: Int) -> Float {
        guard hasDistance else { return score }
        let distance = one - score
        let size = isL2 ? -(terms(row).bias + terms(candidate).bias) : 1
        if distance <= Self.doubt * size { return score }
        return one - distance / alpha
    }

    /// Factor and bias of a pivot that rows choose by: under the inner product the longest pivots
    /// would be everybody's, so that there it is directions that are compared.
    func pivotTerms(_ member: Int) -> (factor: Float, bias: Float) {
        if hasDistance {
            let terms = terms(member)
            return (pairFactor * terms.factor, terms.bias)
        }
        let codes = unsafe codes(member)
        let square = unsafe Float(kyro_dot_i8(codes, codes, dimension))
        return (square > 0 ? 1 / square.squareRoot() : 0, 0)
    }

    /// What a row's own factor is when it chooses among pivots.
    @inline(__always) func choiceFactor(_ member: Int) -> Float {
        hasDistance ? terms(member).factor : 1
    }
}

/// Keys that order by score; of equals the one that follows the asking member most closely comes
/// first, so that copies of a row form a ring and do not all choose the same few.
enum BulkKey {
    @inline(__always) static func key(_ score: Float, _ member: UInt32, asks row: UInt32) -> UInt64
    {
        let bits = score.bitPattern
        let ordered = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
        return UInt64(ordered) << 32 | UInt64(~(member &- row))
    }

    @inline(__always) static func member(_ key: UInt64, asks row: UInt32) -> UInt32 {
        ~UInt32(truncatingIfNeeded: key) &+ row
    }

    @inline(__always) static func score(_ key: UInt64) -> Float {
        let ordered = UInt32(truncatingIfNeeded: key >> 32)
        let bits = ordered & 0x8000_0000 != 0 ? ordered & 0x7FFF_FFFF : ~ordered
        return Float(bitPattern: bits)
    }
}
