// What all codes of a field have in common: rotation, centre, codebooks. Once made it never changes;
// codes of another model are made in another index.
//
// A row x stands in for itself as a multiple of a code, so that for every kind
//
//     score(q, x) = E(q, x) × factor(q) × factor(x) + bias(x) + bias(q)
//
// where E compares what the kernels take, and the score is the cosine, the inner product, or under
// L2 the negative squared distance. Two rows are compared in the same way. sq4 and bq encode what is
// left of a row (under the cosine: of its direction) behind the centre μ, after a rotation, since
//
//     ⟨q, x⟩ = ⟨q − μ, x − μ⟩ + (⟨q, μ⟩ − |μ|²/2) + (⟨x, μ⟩ − |μ|²/2)
//
// and the biases are known exactly.
import CKernels
import Glibc
import KyroBytes
import KyroModel

/// `@unchecked Sendable`: nothing changes after `init`.
@safe final class CodeModel: @unchecked Sendable {
    let kind: CodeKind
    let dimension: Int
    let metric: Metric
    /// Zero for a model that has seen no rows; counts up with each training.
    let version: UInt32
    let seed: UInt64
    /// `kyro_rotation_steps` × dimension, ±1.
    let signs: BulkArray<Float>
    /// μ; zero in a model that has seen no rows.
    let centre: BulkArray<Float>
    let centreSquare: Double
    /// What E is for each Hamming distance of bits; dimension + 1 of them.
    let cosines: BulkArray<Float>
    let quantiser: ProductQuantiser?
    /// Mean squared error of pq codes over the sample, in the quantiser's scale.
    let trainedError: Double

    /// Of every rotation and every sample: any would do, and with one results repeat.
    static let seed: UInt64 = 0x6B79_726F

    init(
        kind: CodeKind, field: VectorField, version: UInt32 = 0, seed: UInt64 = CodeModel.seed,
        centre: [Float] = [], quantiser: ProductQuantiser? = nil, trainedError: Double = 0
    ) {
        precondition((kind == .pq) == (quantiser != nil), "\(kind)")
        precondition(centre.isEmpty || centre.count == field.dimension)
        self.kind = kind
        dimension = field.dimension
        metric = field.metric
        self.version = version
        self.seed = seed
        self.quantiser = quantiser
        self.trainedError = trainedError
        let n = kind.isRotated ? dimension : 0
        signs = BulkArray(repeating: 1, count: n * kyro_rotation_steps)
        self.centre = BulkArray(repeating: 0, count: n)
        cosines = BulkArray(repeating: 1, count: kind == .bq ? n + 8 : 0)
        var square = 0.0
        for i in 0..<min(n, centre.count) {
            self.centre[i] = centre[i]
            square += Double(centre[i]) * Double(centre[i])
        }
        centreSquare = square
        var state = seed
        for i in 0..<signs.count {
            state &+= 0x9E37_79B9_7F4A_7C15
            signs[i] = mix64(state) & 1 == 0 ? 1 : -1
        }
        // Two directions at an angle of θ differ in the sign of a random component with
        // probability θ / π (Charikar 2002).
        for i in 0..<cosines.count {
            cosines[i] = Float(cos(.pi * Double(i) / Double(n)))
        }
    }

    /// The model of an index that has no rows yet. Codebooks need rows: until there are some, codes
    /// of a byte a dimension stand in for them.
    convenience init(untrained field: VectorField) {
        let kind = CodeKind(field)
        self.init(kind: kind == .pq ? .sq8 : kind, field: field)
    }

    var byteCount: Int { kind.byteCount(dimension: dimension) }

    /// What the factor of one side of a pair is multiplied with.
    @inline(__always) var pairFactor: Float { metric == .l2 && kind != .floats ? 2 : 1 }

    var residentBytes: Int {
        4 * (signs.count + centre.count + cosines.count) + (quantiser?.residentBytes ?? 0)
    }
}

/// Where a row or a query lies in the space of the model: |y| ≤ 1 unless the centre is far.
struct PlacedVector {
    /// What y was divided by: the row's length, or 1 under the cosine.
    let unit: Double
    let square: Double
    let bias: Double
}

extension CodeModel {
    /// Writes what is to be encoded of a vector: less the centre, with a length that floats can
    /// square, and rotated.
    ///
    /// - Parameter square: |vector|².
    func place(
        _ vector: UnsafePointer<Float>, square: Double, into y: UnsafeMutablePointer<Float>,
        spare: UnsafeMutablePointer<Float>
    ) -> PlacedVector {
        let length = square.squareRoot()
        let reach = metric == .cosine ? length : length + centreSquare.squareRoot()
        let scale = reach > 0 ? 1 / reach : 1
        let unit = metric == .cosine ? 1 : 1 / scale
        let centreScale = 1 / unit
        var alongCentre = 0.0
        let centre = unsafe centre.pointer
        if centreSquare > 0 {
            alongCentre = unsafe kyro_dot_f32(vector, centre, dimension) * scale * unit
            for i in 0..<dimension {
                let value = unsafe Double(vector[i]) * scale - Double(centre[i]) * centreScale
                unsafe y[i] = Float(value)
            }
        } else {
            for i in 0..<dimension { unsafe y[i] = unsafe Float(Double(vector[i]) * scale) }
        }
        let own = unsafe kyro_dot_f32(y, y, dimension)
        unsafe kyro_rotate(y, spare, signs.pointer, dimension, 0)
        let bias = metric == .l2 ? -own * unit * unit : alongCentre - centreSquare / 2
        return PlacedVector(unit: unit, square: own, bias: bias)
    }

    /// A row's code and terms: factor and bias.
    func encode(
        _ row: UnsafePointer<Float>, square: Double, codes: UnsafeMutablePointer<Int8>,
        terms: UnsafeMutablePointer<Float>, scratch: CodeScratch
    ) {
        let length = square.squareRoot()
        let inverse = length > 0 ? 1 / length : 0
        switch kind {
        case .floats:
            unsafe terms[0] = metric == .cosine ? Float(inverse) : 1
            unsafe terms[1] = 0
        case .sq8:
            let scale = unsafe kyro_encode_i8(row, dimension, codes)
            unsafe terms[0] = metric == .cosine ? Float(Double(scale) * inverse) : scale
            unsafe terms[1] = metric == .l2 ? -finite(square) : 0
        case .sq4:
            scratch.reserve(self)
            let y = unsafe scratch.placed
            let placed = unsafe place(row, square: square, into: y, spare: scratch.spare)
            let step = unsafe step(of: y, square: placed.square)
            let bytes = unsafe UnsafeMutableRawPointer(codes).assumingMemoryBound(to: UInt8.self)
            let product = unsafe Double(kyro_encode_s4(y, dimension, step, bytes))
            // So that a row's code has the row's product with the row: estimates are unbiased.
            let half = product > 0 ? placed.square / product : 0
            unsafe terms[0] = finite(half * placed.unit)
            unsafe terms[1] = finite(placed.bias)
        case .bq:
            scratch.reserve(self)
            let y = unsafe scratch.placed
            let placed = unsafe place(row, square: square, into: y, spare: scratch.spare)
            let bytes = unsafe UnsafeMutableRawPointer(codes).assumingMemoryBound(to: UInt8.self)
            unsafe kyro_encode_bits(y, scratch.zeros, dimension, bytes)
            unsafe terms[0] = finite(placed.square.squareRoot() * placed.unit)
            unsafe terms[1] = finite(placed.bias)
        case .pq:
            scratch.reserve(self)
            guard let quantiser else { return }
            let bytes = unsafe UnsafeMutableRawPointer(codes).assumingMemoryBound(to: UInt8.self)
            let factor = unsafe quantiser.encode(
                row, scale: metric == .cosine ? inverse : quantiser.scale, codes: bytes,
                scratch: scratch)
            unsafe terms[0] = finite(metric == .cosine ? factor : factor / quantiser.scale)
            unsafe terms[1] = metric == .l2 ? -finite(square) : 0
        }
    }

    /// The step of 16 that rounds and cuts normally distributed values at the least cost, 0.335 of
    /// their deviation (Max 1960, table II), or a smaller one that reaches the largest value.
    func step(of y: UnsafePointer<Float>, square: Double) -> Float {
        // Magnitudes order as their bits do, and of integers many are compared at once.
        var bits: Int32 = 0
        for i in 0..<dimension {
            bits = unsafe max(bits, Int32(bitPattern: y[i].magnitude.bitPattern))
        }
        let largest = Float(bitPattern: UInt32(bitPattern: bits))
        let cut = Float((square / Double(dimension)).squareRoot()) * 2.51
        return min(largest, cut) / 7.5
    }

    /// What a code stands for: the row, or under the cosine its direction.
    func decode(
        _ codes: UnsafePointer<Int8>, terms: UnsafePointer<Float>,
        into out: UnsafeMutablePointer<Float>, scratch: CodeScratch
    ) {
        scratch.reserve(self)
        let factor = unsafe Double(terms[0])
        switch kind {
        case .floats: preconditionFailure("rows without codes stand for themselves")
        case .sq8:
            for i in 0..<dimension { unsafe out[i] = unsafe finite(Double(codes[i]) * factor) }
        case .sq4:
            let bytes = unsafe UnsafeRawPointer(codes).assumingMemoryBound(to: UInt8.self)
            let odd = unsafe scratch.expanded
            _ = unsafe kyro_expand_s4(bytes, dimension, odd)
            for i in 0..<dimension { unsafe scratch.placed[i] = unsafe Float(odd[i]) }
            unsafe place(back: factor, into: out, scratch: scratch)
        case .bq:
            for i in 0..<dimension {
                let isSet = unsafe UInt8(bitPattern: codes[i >> 3]) >> UInt8(i & 7) & 1 == 1
                unsafe scratch.placed[i] = isSet ? 1 : -1
            }
            let length = Double(dimension).squareRoot()
            unsafe place(back: factor / length, into: out, scratch: scratch)
        case .pq:
            guard let quantiser else { return }
            let bytes = unsafe UnsafeRawPointer(codes).assumingMemoryBound(to: UInt8.self)
            unsafe quantiser.decode(bytes, into: out)
            for i in 0..<dimension { unsafe out[i] = unsafe finite(Double(out[i]) * factor) }
        }
    }

    private func place(
        back factor: Double, into out: UnsafeMutablePointer<Float>, scratch: CodeScratch
    ) {
        let y = unsafe scratch.placed
        unsafe kyro_rotate(y, scratch.spare, signs.pointer, dimension, 1)
        for i in 0..<dimension {
            unsafe out[i] = finite(unsafe Double(y[i]) * factor + Double(centre[i]))
        }
    }
}

/// As a float that is not infinite.
@inline(__always) func finite(_ x: Double) -> Float {
    Float(
        min(max(x, -Double(Float.greatestFiniteMagnitude)), Double(Float.greatestFiniteMagnitude)))
}
