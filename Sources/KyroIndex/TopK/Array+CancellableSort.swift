// Sorting of a million rows takes a second; whoever gives up waiting stops it.
import KyroModel

extension Array {
    /// As `keepFirst(_:inOrder:)`, for as many elements as a collection has rows.
    /// - Throws: what `cancellation` says; the order of the elements is anything then.
    @inlinable
    public mutating func keepFirst(
        _ kept: Int, cancellation: Cancellation, inOrder precedes: (Element, Element) -> Bool
    ) throws(KyroError) {
        var poll = ComparisonPoll(cancellation)
        do {
            try keepFirst(kept) { a, b in
                try poll.count()
                return precedes(a, b)
            }
        } catch {
            try cancellation.check()
            preconditionFailure("a sort failed by itself: \(error)")
        }
    }

    /// As `sort(by:)`.
    @inlinable
    public mutating func sort(
        cancellation: Cancellation, by precedes: (Element, Element) -> Bool
    ) throws(KyroError) {
        try keepFirst(count, cancellation: cancellation, inOrder: precedes)
    }
}

/// Looks at a cancellation every few thousand comparisons.
@usableFromInline
struct ComparisonPoll {
    @usableFromInline var comparisons = 0
    @usableFromInline let cancellation: Cancellation
    @usableFromInline static var between: Int { 4_096 }

    @inlinable
    init(_ cancellation: Cancellation) { self.cancellation = cancellation }

    @inlinable
    mutating func count() throws(KyroError) {
        comparisons &+= 1
        if comparisons % Self.between == 0 { try cancellation.check() }
    }
}
