// What a traversal of postings must know of the score that it computes.

/// How a search goes through the postings. The answer is the same.
public enum PostingStrategy: Sendable {
    /// Pruned where there is enough to pass over.
    case automatic
    /// Every posting of every list.
    case exhaustive
    /// Blocks that cannot matter are passed over, wherever that is possible at all.
    case pruned

    /// Fewer postings a list are all scored: windows and bounds would cost more than they save.
    private static let postingsPerList = 8_192
    /// So many postings for each wanted document at least, or the threshold comes too late.
    private static let postingsPerHit = 16

    func prunes(lists: Int, postings: Int, k: Int) -> Bool {
        guard lists <= ScoreScratch.clausesMax else { return false }
        switch self {
        case .exhaustive: return false
        case .pruned: return true
        case .automatic:
            return postings >= Self.postingsPerList * max(1, lists)
                && postings / Self.postingsPerHit >= k
        }
    }
}

/// The part of one posting list in a score. A score is made of one part per list, in the order of the
/// lists; the traversals are specialised for each model.
protocol PostingModel {
    /// What the posting adds, or what `total` makes the score of.
    func part(_ entry: UInt64) -> Double

    /// Calls `body` with slot and part of the postings that are wanted, in order.
    @unsafe func forEachPart(
        _ entries: UnsafeBufferPointer<UInt64>, isWanted: (Int) -> Bool,
        _ body: (_ slot: Int, _ part: Double) -> Void)

    /// How much a part can raise a score, whatever the other parts are.
    func gain(_ part: Double) -> Double

    /// Of the postings of a cursor's block.
    func bound(_ block: borrowing PostingCursor) -> PostingBound

    /// The score of a document, added up in the order of the lists.
    @unsafe static func total(
        _ clauses: UnsafeMutableBufferPointer<PostingClause<Self>>, present: UInt64,
        part: (Int) -> Double
    ) -> Double
}

extension PostingModel {
    @inline(__always)
    func gain(_ part: Double) -> Double { part }

    @inline(__always) @unsafe
    static func total(
        _ clauses: UnsafeMutableBufferPointer<PostingClause<Self>>, present: UInt64,
        part: (Int) -> Double
    ) -> Double {
        var rest = present
        let first = rest.trailingZeroBitCount
        rest &= rest - 1
        var sum = part(first)
        while rest != 0 {
            sum += part(rest.trailingZeroBitCount)
            rest &= rest - 1
        }
        return sum
    }
}

/// What postings can do to a score at most.
struct PostingBound {
    /// The greatest gain, and at least zero: that is the gain of a document without a posting.
    var gain = 0.0
    /// The greatest absolute value of a gain; rounding errors are in proportion to it.
    var magnitude = 0.0
}

/// One list of a query, and where a traversal stands in it.
struct PostingClause<Model: PostingModel> {
    let model: Model
    var cursor: PostingCursor
    /// In the current window.
    var bound = PostingBound()
    /// Of the block with this ordinal, as computed last.
    var blockBound = PostingBound()
    var boundedBlock = -1

    init(model: Model, cursor: PostingCursor) {
        self.model = model
        self.cursor = cursor
    }
}
