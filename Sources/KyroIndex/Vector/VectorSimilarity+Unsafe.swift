// Dot products of vectors that are no rows of an index: those that a ranking holds in its hands.
import CKernels

public enum VectorSimilarity {
    /// Sum over the rows of `query` of the greatest dot product with a row of `document` (ColBERT:
    /// Khattab & Zaharia 2020, section 3.2). Rows are summed in their order.
    ///
    /// - Parameters:
    ///   - query: rows × dimension, row-major; `document` likewise, with at least one row.
    ///   - scratch: room for a product with each row of the document; grows as needed.
    ///   - poll: asked before each row of the query.
    /// - Precondition: the rows of both are whole.
    public static func maxSim<Failure: Error>(
        query: [Float], document: [Float], dimension: Int, scratch: inout [Double],
        poll: () throws(Failure) -> Void
    ) throws(Failure) -> Double {
        precondition(
            dimension > 0 && query.count % dimension == 0 && document.count % dimension == 0,
            "\(query.count) and \(document.count) floats in rows of \(dimension)")
        let rowCount = document.count / dimension
        guard rowCount > 0 else { return 0 }
        if scratch.count < rowCount { scratch = Array(repeating: 0, count: rowCount) }
        var sum = 0.0
        for row in 0..<(query.count / dimension) {
            try poll()
            unsafe query.withUnsafeBufferPointer { rows in
                unsafe document.withUnsafeBufferPointer { candidates in
                    unsafe scratch.withUnsafeMutableBufferPointer { products in
                        guard let from = rows.baseAddress, let to = candidates.baseAddress,
                            let out = products.baseAddress
                        else { return }
                        unsafe kyro_dot_f32_rows(
                            from + row * dimension, to, 4 * dimension, rowCount, dimension, out)
                    }
                }
            }
            var best = scratch[0]
            for index in 1..<max(1, rowCount) { best = max(best, scratch[index]) }
            sum += best
        }
        return sum
    }

    /// Accumulated in double.
    /// - Precondition: both have as many components.
    public static func dot(_ a: [Float], _ b: [Float]) -> Double {
        precondition(a.count == b.count, "\(a.count) components, \(b.count) components")
        return unsafe a.withUnsafeBufferPointer { first in
            unsafe b.withUnsafeBufferPointer { second in
                guard let from = first.baseAddress, let to = second.baseAddress else { return 0 }
                return unsafe kyro_dot_f32(from, to, first.count)
            }
        }
    }
}
