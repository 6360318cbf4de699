// BM25 and BM25F as functions of a term's frequency and a document's length.
import Glibc
import KyroBytes

func naturalLogarithm(_ x: Double) -> Double { log(x) }

/// What a posting adds follows from the term's frequency and the document's length.
protocol TextModel: PostingModel {
    var lengths: Column<UInt32> { get }
    func part(_ tf: Double, _ length: Double) -> Double
}

extension TextModel {
    func part(_ entry: UInt64) -> Double {
        part(Double(UInt32(entry >> 32)), length(of: entry, in: lengths))
    }

    @inline(__always) @unsafe
    func forEachPart(
        _ entries: UnsafeBufferPointer<UInt64>, isWanted: (Int) -> Bool,
        _ body: (_ slot: Int, _ part: Double) -> Void
    ) {
        unsafe forEachLength(entries, lengths, isWanted: isWanted) { slot, tf, length in
            body(slot, part(tf, length))
        }
    }
}

/// One term in one field: weight × tf / (tf + constant + perToken × length).
struct BM25Model: TextModel {
    let lengths: Column<UInt32>
    /// Boost of the field × idf of the term.
    let weight: Double
    let constant: Double
    let perToken: Double

    @inline(__always)
    func part(_ tf: Double, _ length: Double) -> Double {
        weight * tf / (tf + constant + perToken * length)
    }

    func bound(_ block: borrowing PostingCursor) -> PostingBound {
        impactBound(block) { part($0, $1) }
    }
}

/// One term in one field among several: boost × tf / (1 − b + b × length / average), which the
/// fields of a term add up before they saturate (Robertson & Zaragoza 2009, section 3.6).
struct BM25FModel: TextModel {
    let lengths: Column<UInt32>
    let boost: Double
    /// 1 − b.
    let constant: Double
    /// b / average length.
    let perToken: Double
    let idf: Double
    let k1: Double
    /// The term's number: clauses of one term follow one another.
    let term: Int

    @inline(__always)
    func part(_ tf: Double, _ length: Double) -> Double {
        boost * tf / (constant + perToken * length)
    }

    /// The score of a term whose fields add up to `part`. Fields together never gain more than the
    /// sum of what each would alone: the function is concave and zero at zero.
    @inline(__always)
    func gain(_ part: Double) -> Double { idf * part / (k1 + part) }

    func bound(_ block: borrowing PostingCursor) -> PostingBound {
        impactBound(block) { gain(part($0, $1)) }
    }

    @inline(__always) @unsafe
    static func total(
        _ clauses: UnsafeMutableBufferPointer<PostingClause<Self>>, present: UInt64,
        part: (Int) -> Double
    ) -> Double {
        var rest = present
        var sum = 0.0
        while rest != 0 {
            let first = rest.trailingZeroBitCount
            let term = unsafe clauses[first].model.term
            var fields = part(first)
            rest &= rest - 1
            while rest != 0 {
                let next = rest.trailingZeroBitCount
                guard unsafe clauses[next].model.term == term else { break }
                fields += part(next)
                rest &= rest - 1
            }
            sum += unsafe clauses[first].model.gain(fields)
        }
        return sum
    }
}

@inline(__always)
private func length(of entry: UInt64, in lengths: Column<UInt32>) -> Double {
    Double(lengths[Int(entry & 0xFFFF_FFFF)] - 1)
}

/// Lengths lie in chunks: one look-up serves all postings up to the chunk's end.
@inline(__always) @unsafe
private func forEachLength(
    _ entries: UnsafeBufferPointer<UInt64>, _ lengths: Column<UInt32>, isWanted: (Int) -> Bool,
    _ body: (_ slot: Int, _ frequency: Double, _ length: Double) -> Void
) {
    var position = 0
    while position < entries.count {
        let first = unsafe Int(entries[position] & 0xFFFF_FFFF)
        let end = first + lengths.contiguousRows(from: first)
        let run = unsafe lengths.pointer(first)
        while position < entries.count {
            let entry = unsafe entries[position]
            let slot = Int(entry & 0xFFFF_FFFF)
            if slot >= end { break }
            position += 1
            if !isWanted(slot) { continue }
            let length = Double(unsafe run[slot - first] - 1)
            body(slot, Double(UInt32(entry >> 32)), length)
        }
    }
}

/// Of a block's pairs; of a block without a summary by its greatest frequency in a document of
/// nothing else.
@inline(__always)
private func impactBound(
    _ block: borrowing PostingCursor, _ gain: (_ frequency: Double, _ length: Double) -> Double
) -> PostingBound {
    var greatest = 0.0
    if let summary = block.summary {
        summary.forEachImpact { frequency, length in
            greatest = max(greatest, gain(Double(frequency), Double(length)))
        }
    } else {
        let entries = unsafe block.block
        var frequency: UInt64 = 0
        for i in 0..<entries.count { frequency = max(frequency, unsafe entries[i] >> 32) }
        greatest = gain(Double(frequency), Double(frequency))
    }
    return PostingBound(gain: greatest, magnitude: greatest)
}
