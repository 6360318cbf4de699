// Dot products of vectors that are no rows of an index: those that a ranking holds in its hands.
import CKernels

public enum VectorSimilarity {
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
