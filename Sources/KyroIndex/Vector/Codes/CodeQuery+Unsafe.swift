// What asks: a query, or a row of the field, in the form that codes are scored with.
import CKernels
import KyroBytes
import KyroModel

/// Points into a column or into the scratch that it was made in, where it stays until the next one
/// is made.
@unsafe struct CodeQuery {
    enum Form {
        case floats
        case int8
        /// int8 against 4-bit codes.
        case nibbles
        case bits
        /// Products with all centroids against their numbers.
        case tables
        /// Floats against what centroids make up.
        case decoded
    }

    let form: Form
    let codes: UnsafeRawPointer
    let factor: Float
    /// What E of 4-bit codes is short of: 15 × Σ codes.
    var shift: Int32 = 0
    /// What a code's score lacks to estimate the exact one.
    var bias: Float = 0

    @unsafe @inline(__always) var int8: UnsafePointer<Int8> {
        unsafe codes.assumingMemoryBound(to: Int8.self)
    }
    @unsafe @inline(__always) var bits: UnsafePointer<UInt8> {
        unsafe codes.assumingMemoryBound(to: UInt8.self)
    }
    @unsafe @inline(__always) var floats: UnsafePointer<Float> {
        unsafe codes.assumingMemoryBound(to: Float.self)
    }
}

extension CodeColumn {
    /// - Parameters:
    ///   - vector: outlives the query.
    ///   - square: |vector|².
    func query(
        _ vector: UnsafePointer<Float>, square: Double, scratch: CodeScratch
    ) -> CodeQuery {
        scratch.reserve(model)
        let length = square.squareRoot()
        let inverse = length > 0 ? 1 / length : 0
        let pair: Float = model.pairFactor
        let bias = model.metric == .l2 ? -Float(square) : 0
        switch model.kind {
        case .floats:
            return unsafe CodeQuery(
                form: .floats, codes: UnsafeRawPointer(vector),
                factor: model.metric == .cosine ? Float(inverse) : 1)
        case .sq8:
            let codes = unsafe scratch.form.assumingMemoryBound(to: Int8.self)
            let scale = unsafe kyro_encode_i8(vector, dimension, codes)
            let factor = model.metric == .cosine ? Float(Double(scale) * inverse) : pair * scale
            return unsafe CodeQuery(
                form: .int8, codes: UnsafeRawPointer(codes), factor: factor, bias: bias)
        case .sq4:
            let codes = unsafe scratch.form.assumingMemoryBound(to: Int8.self)
            let y = unsafe scratch.placed
            let placed = unsafe model.place(
                vector, square: square, into: y, spare: scratch.spare)
            let scale = unsafe kyro_encode_i8(y, dimension, codes)
            var sum: Int32 = 0
            for i in 0..<dimension { unsafe sum += Int32(codes[i]) }
            return unsafe CodeQuery(
                form: .nibbles, codes: UnsafeRawPointer(codes),
                factor: pair * finite(Double(scale) * placed.unit), shift: 15 * sum,
                bias: finite(placed.bias))
        case .bq:
            let codes = unsafe scratch.form.assumingMemoryBound(to: UInt8.self)
            let y = unsafe scratch.placed
            let placed = unsafe model.place(
                vector, square: square, into: y, spare: scratch.spare)
            unsafe kyro_encode_bits(y, scratch.zeros, dimension, codes)
            return unsafe CodeQuery(
                form: .bits, codes: UnsafeRawPointer(codes),
                factor: pair * finite(placed.square.squareRoot() * placed.unit),
                bias: finite(placed.bias))
        case .pq:
            guard let quantiser = model.quantiser else { preconditionFailure("no codebooks") }
            let tables = unsafe scratch.form.assumingMemoryBound(to: Float.self)
            let y = unsafe scratch.placed
            unsafe quantiser.place(vector, scale: inverse, into: y)
            unsafe quantiser.fill(tables, query: y)
            return unsafe CodeQuery(
                form: .tables, codes: UnsafeRawPointer(tables),
                factor: pair * (model.metric == .cosine ? 1 : finite(length)), bias: bias)
        }
    }

    /// A row that asks, by its code alone where there is one.
    ///
    /// - Parameter isLong: hundreds of rows will be scored, so that tables are worth their making.
    func query(row: Int, isLong: Bool, scratch: CodeScratch) -> CodeQuery {
        let factor = pairFactor(row)
        switch model.kind {
        case .floats:
            return unsafe CodeQuery(
                form: .floats, codes: UnsafeRawPointer(values.pointer(row)), factor: factor)
        case .sq8:
            return unsafe CodeQuery(
                form: .int8, codes: UnsafeRawPointer(pointer(row)), factor: factor)
        case .sq4:
            scratch.reserve(model)
            let codes = unsafe scratch.form.assumingMemoryBound(to: Int8.self)
            let sum = unsafe kyro_expand_s4(nibbles(row), dimension, codes)
            return unsafe CodeQuery(
                form: .nibbles, codes: UnsafeRawPointer(codes), factor: factor, shift: 15 * sum)
        case .bq:
            return unsafe CodeQuery(
                form: .bits, codes: UnsafeRawPointer(pointer(row)), factor: factor)
        case .pq:
            scratch.reserve(model)
            guard let quantiser = model.quantiser else { preconditionFailure("no codebooks") }
            let form = unsafe scratch.form.assumingMemoryBound(to: Float.self)
            guard isLong else {
                unsafe quantiser.decode(nibbles(row), into: form)
                return unsafe CodeQuery(
                    form: .decoded, codes: UnsafeRawPointer(form), factor: factor)
            }
            unsafe quantiser.decode(nibbles(row), into: scratch.placed)
            unsafe quantiser.fill(form, query: scratch.placed)
            return unsafe CodeQuery(form: .tables, codes: UnsafeRawPointer(form), factor: factor)
        }
    }

    /// What E is multiplied with when the row asks.
    @inline(__always) func pairFactor(_ row: Int) -> Float {
        unsafe model.pairFactor * terms.pointer(row)[0]
    }

    @inline(__always) func bias(_ row: Int) -> Float { unsafe terms.pointer(row)[1] }

    @unsafe @inline(__always) func nibbles(_ row: Int) -> UnsafePointer<UInt8> {
        unsafe UnsafeRawPointer(pointer(row)).assumingMemoryBound(to: UInt8.self)
    }
}
