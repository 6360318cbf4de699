// Scores of rows against a query, and of rows against each other: a batch at a time, with one switch
// over the kind of codes for each batch.
import CKernels
import KyroBytes
import KyroModel

extension CodeColumn {
    /// Scores the rows that a list names, up to the bias of the query.
    ///
    /// - Parameters:
    ///   - rows: numbers of published rows, in any order.
    ///   - count: at most `ScratchMemory.batch`.
    ///   - scores: room for `count`.
    func scores(
        _ query: CodeQuery, rows: UnsafePointer<UInt32>, count: Int,
        into scores: UnsafeMutablePointer<Float>, memory: ScratchMemory
    ) {
        precondition(count <= ScratchMemory.batch, "\(count) rows of \(ScratchMemory.batch)")
        let scratch = memory.coding
        let factor = unsafe query.factor
        switch unsafe query.form {
        case .int8:
            let list = unsafe memory.batchCodes
            let dots = unsafe memory.batchDots
            for i in 0..<count { unsafe list[i] = UnsafePointer(pointer(Int(rows[i]))) }
            unsafe kyro_dot_i8_list(query.int8, list, count, dimension, dots)
            for i in 0..<count {
                unsafe scores[i] = score(Float(dots[i]), factor, Int(rows[i]))
            }
        case .nibbles:
            let list = unsafe scratch.bytes
            let dots = unsafe memory.batchDots
            let shift = unsafe query.shift
            for i in 0..<count { unsafe list[i] = unsafe nibbles(Int(rows[i])) }
            unsafe kyro_dot_u4_list(query.int8, list, count, dimension, dots)
            for i in 0..<count {
                let odd = unsafe Float(2 * dots[i] - shift)
                unsafe scores[i] = score(odd, factor, Int(rows[i]))
            }
        case .bits:
            let list = unsafe scratch.bytes
            let distances = unsafe scratch.distances
            let cosines = unsafe model.cosines.pointer
            for i in 0..<count { unsafe list[i] = unsafe nibbles(Int(rows[i])) }
            unsafe kyro_hamming_list(query.bits, list, count, byteCount, distances)
            for i in 0..<count {
                let cosine = unsafe cosines[Int(distances[i])]
                unsafe scores[i] = score(cosine, factor, Int(rows[i]))
            }
        case .tables:
            let list = unsafe scratch.bytes
            for i in 0..<count { unsafe list[i] = unsafe nibbles(Int(rows[i])) }
            unsafe kyro_pq_scores(query.floats, list, count, byteCount, scores)
            for i in 0..<count {
                unsafe scores[i] = unsafe score(scores[i], factor, Int(rows[i]))
            }
        case .decoded:
            let decoded = unsafe scratch.placed
            for i in 0..<count {
                unsafe model.quantiser?.decode(nibbles(Int(rows[i])), into: decoded)
                let product = unsafe product(query.floats, decoded)
                unsafe scores[i] = score(product, factor, Int(rows[i]))
            }
        case .floats:
            let list = unsafe scratch.floats
            for i in 0..<count { unsafe list[i] = UnsafePointer(values.pointer(Int(rows[i]))) }
            if model.metric == .l2 {
                unsafe kyro_l2sq_f32_fast_list(query.floats, list, count, dimension, scores)
                for i in 0..<count { unsafe scores[i] = -scores[i] }
            } else {
                unsafe kyro_dot_f32_fast_list(query.floats, list, count, dimension, scores)
                for i in 0..<count {
                    unsafe scores[i] = unsafe score(scores[i], factor, Int(rows[i]))
                }
            }
        }
    }

    /// One row's, with the bias of the query: what it would be scored with in full, estimated.
    func estimate(_ query: CodeQuery, row: Int, memory: ScratchMemory) -> Float {
        var number = UInt32(row)
        var score: Float = 0
        unsafe scores(query, rows: &number, count: 1, into: &score, memory: memory)
        let estimate = unsafe score + query.bias
        return switch model.metric {
        case .cosine: min(max(estimate, -1), 1)
        case .innerProduct: estimate
        case .l2: min(estimate, 0)
        }
    }

    /// - Parameter e: what the kernels made of the row's code and the query's.
    @inline(__always) private func score(_ e: Float, _ factor: Float, _ row: Int) -> Float {
        let term = unsafe terms.pointer(row)
        return unsafe e * (factor * term[0]) + term[1]
    }

    @inline(__always) private func product(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>
    ) -> Float {
        var row: UnsafePointer<Float>? = unsafe b
        var product: Float = 0
        if model.metric == .l2, model.kind == .floats {
            unsafe kyro_l2sq_f32_fast_list(a, &row, 1, dimension, &product)
            return -product
        }
        unsafe kyro_dot_f32_fast_list(a, &row, 1, dimension, &product)
        return product
    }

    // MARK: rows among each other

    /// Asks for what a row's score takes beside its code.
    @inline(__always) func prefetchTerms(_ row: Int) {
        unsafe kyro_prefetch(terms.pointer(row))
    }

    /// Puts a row at `place` of the scratch's forms, which `reserveForms` has made room for.
    func setForm(_ place: Int, row: Int, scratch: CodeScratch) {
        let own = unsafe scratch.forms + place * scratch.formStride
        switch model.kind {
        case .floats: unsafe scratch.formPointers[place] = UnsafeRawPointer(values.pointer(row))
        case .sq8, .bq: unsafe scratch.formPointers[place] = UnsafeRawPointer(pointer(row))
        case .sq4:
            let odd = unsafe own.assumingMemoryBound(to: Int8.self)
            _ = unsafe kyro_expand_s4(nibbles(row), dimension, odd)
            unsafe scratch.formPointers[place] = UnsafeRawPointer(own)
        case .pq:
            let floats = unsafe own.assumingMemoryBound(to: Float.self)
            unsafe model.quantiser?.decode(nibbles(row), into: floats)
            unsafe scratch.formPointers[place] = UnsafeRawPointer(own)
        }
    }

    /// Whether one of the rows at places [0, count) has at least `least` as its score with the row
    /// at place `count`, whose own bias included.
    ///
    /// - Parameter rows: those at the places.
    func isNear(
        _ candidate: Int, rows: UnsafePointer<UInt32>, count: Int, least: Float,
        scratch: CodeScratch
    ) -> Bool {
        let forms = unsafe scratch.formPointers
        guard let own = unsafe forms[count] else { return false }
        let factor = pairFactor(candidate)
        let bias = bias(candidate)
        switch model.kind {
        case .sq8, .sq4:
            let codes = unsafe own.assumingMemoryBound(to: Int8.self)
            for i in 0..<count {
                guard let other = unsafe forms[i] else { continue }
                let other8 = unsafe other.assumingMemoryBound(to: Int8.self)
                let dot = unsafe kyro_dot_i8(codes, other8, dimension)
                let score = unsafe score(Float(dot), factor, Int(rows[i]))
                if score + bias >= least { return true }
            }
        case .bq:
            let codes = unsafe own.assumingMemoryBound(to: UInt8.self)
            for i in 0..<count {
                guard let other = unsafe forms[i] else { continue }
                let other8 = unsafe other.assumingMemoryBound(to: UInt8.self)
                let distance = unsafe kyro_hamming(codes, other8, byteCount)
                let score = unsafe score(model.cosines[Int(distance)], factor, Int(rows[i]))
                if score + bias >= least { return true }
            }
        case .floats, .pq:
            let floats = unsafe own.assumingMemoryBound(to: Float.self)
            for i in 0..<count {
                guard let other = unsafe forms[i] else { continue }
                let product = unsafe product(floats, other.assumingMemoryBound(to: Float.self))
                let score = unsafe score(product, factor, Int(rows[i]))
                if score + bias >= least { return true }
            }
        }
        return false
    }
}
