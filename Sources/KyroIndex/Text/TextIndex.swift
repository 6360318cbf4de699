// An inverted index over one text field of a collection in one shard.
import KyroBytes
import KyroModel
import Synchronization

/// Terms, their postings (slot and term frequency), and document lengths. The shard's writer
/// appends and removes; any thread searches at the same time.
///
/// `@unchecked Sendable`: the analyzer and `lengthRows` belong to the writer, the rest is published
/// as its own types say.
public final class TextIndex: @unchecked Sendable {
    public let field: TextField

    let dictionary = StringDictionary()
    /// Entries are slot | term frequency << 32, slots ascending.
    let postings = PostingLists<UInt64>(baseShift: 10, isSummarised: true)
    /// Where the terms stand; nil in an index that was read from a snapshot without positions.
    let positions: PositionStore?
    /// Live documents by term.
    private let liveFrequency = AtomicColumn32()
    /// Tokens of the field by slot, plus one; zero where the document lacks the field.
    let lengths = Column<UInt32>()
    /// Rows of `lengths` that may be read.
    let lengthRows = Atomic<Int>(0)
    private let documentCount = Atomic<Int>(0)
    private let totalLength = Atomic<Int>(0)

    let stopWords: StopWordSet
    private var analyzer: Analyzer
    /// Writer only: a document's tokens, each term << 32 | position.
    private var tokens: [UInt64] = []

    public convenience init(field: TextField) { self.init(field: field, keepsPositions: true) }

    init(field: TextField, keepsPositions: Bool) {
        self.field = field
        positions = keepsPositions ? PositionStore() : nil
        stopWords = StopWordSet(field)
        analyzer = Analyzer(field, stopWords: stopWords)
    }

    /// Whether phrases can be answered.
    public var hasPositions: Bool { positions != nil }

    /// Indexes the text of a new slot. Shard writer only.
    /// - Precondition: slots ascend from call to call.
    public func append(_ text: String, slot: Slot) {
        tokens.removeAll(keepingCapacity: true)
        analyzer.forEachToken(text) { term, token in
            tokens.append(UInt64(intern(term)) << 32 | UInt64(token.position))
        }
        setLength(tokens.count, slot: slot)
        // N grows before df and shrinks after it: a reader that loads df first sees df ≤ N.
        add(documents: 1, tokens: tokens.count)
        forEachDistinctTerm { term, run in
            // Before the posting: whoever sees that finds its positions.
            positions?.append(run, to: term)
            post(UInt64(run.count) << 32 | UInt64(slot.raw), to: term)
            liveFrequency.store(liveFrequency.load(term) + 1, term)
        }
    }

    /// Makes room for texts of `byteCount` bytes together, of slots below `slotCount`; false when
    /// there is no memory for them. Shard writer only.
    ///
    /// A term takes a character and what separates it from the next; code has each word whole and in
    /// parts. Folding makes no character more than three times as long.
    public func tryReserve(byteCount: Int, texts: Int, slotCount: Int) -> Bool {
        let isCode = field.analyzer == .code
        let terms = isCode ? 2 * byteCount : (byteCount + texts) / 2
        let known = dictionary.count
        let rows = lengthRows.load(ordering: .relaxed)
        return lengths.tryReserve(rows: min(rows, slotCount)..<slotCount)
            && liveFrequency.tryReserve(rows: known..<(known + terms))
            && postings.tryReserve(entries: terms, newLists: terms)
            && (positions?.tryReserve(entries: terms, newLists: terms) ?? true)
            && dictionary.tryReserve(strings: terms, byteCount: 3 * (isCode ? 2 : 1) * byteCount)
    }

    /// Takes the text of a version that died out of the live statistics; its postings stay for
    /// readers of the past. Shard writer only.
    /// - Precondition: `text` is what was appended at `slot`.
    public func remove(_ text: String, slot: Slot) {
        tokens.removeAll(keepingCapacity: true)
        analyzer.forEachTerm(text) { term in
            // A stemmer newer than the one that indexed the text may stem it otherwise: such terms
            // keep a frequency that is one too high, rather than another term's.
            guard let id = dictionary.find(term) else { return }
            tokens.append(UInt64(id) << 32)
        }
        forEachDistinctTerm { term, _ in
            let live = liveFrequency.load(term)
            if live > 0 { liveFrequency.store(live - 1, term) }
        }
        add(documents: -1, tokens: -tokens.count)
    }

    /// Distinct terms of a query, sorted by their bytes. Any thread.
    public func analyze(_ query: String) -> [String] {
        var analyzer = Analyzer(field, stopWords: stopWords)
        var distinct: Set<[UInt8]> = []
        analyzer.forEachTerm(query) { distinct.insert($0) }
        return distinct.sorted { $0.lexicographicallyPrecedes($1) }
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// Live statistics of this shard. Any thread.
    public func statistics(of terms: [String]) -> Statistics {
        let frequencies = terms.map { term in
            number(term).map { Int(liveFrequency.load($0)) } ?? 0
        }
        return Statistics(
            documentCount: documentCount.load(ordering: .acquiring),
            totalLength: totalLength.load(ordering: .acquiring),
            documentFrequency: frequencies)
    }

    /// What a search for the terms will touch at most. Any thread.
    public func estimatedPostings(terms: [String]) -> Int {
        terms.reduce(0) { sum, term in sum + (number(term).map(postings.count) ?? 0) }
    }

    /// Any thread.
    public var residentBytes: Int {
        dictionary.residentBytes + postings.residentBytes + (positions?.residentBytes ?? 0)
            + 4 * (dictionary.count + lengthRows.load(ordering: .relaxed))
    }

    /// The number of a term that some document has or had.
    func number(_ term: String) -> Int? { dictionary.find(Array(term.utf8)) }

    private func intern(_ term: [UInt8]) -> Int {
        dictionary.intern(term) { id in
            postings.reserve(list: id)
            positions?.reserve(list: id)
            liveFrequency.reserve(row: id)
        }
    }

    private func setLength(_ length: Int, slot: Slot) {
        var row = lengthRows.load(ordering: .relaxed)
        precondition(slot.index >= row, "slot \(slot.raw) comes after \(row) rows of lengths")
        while row <= slot.index {
            lengths.reserve(row: row)
            row += lengths.contiguousRows(from: row)
        }
        lengths[slot.index] = UInt32(length + 1)
        lengthRows.store(slot.index + 1, ordering: .releasing)
    }

    private func add(documents: Int, tokens: Int) {
        documentCount.wrappingAdd(documents, ordering: .releasing)
        totalLength.wrappingAdd(tokens, ordering: .releasing)
    }

    /// Calls `body` with each term and its tokens, positions ascending.
    private func forEachDistinctTerm(_ body: (Int, ArraySlice<UInt64>) -> Void) {
        tokens.sort()
        var end = 0
        while end < tokens.count {
            let term = tokens[end] >> 32
            let start = end
            while end < tokens.count, tokens[end] >> 32 == term { end += 1 }
            body(Int(term), tokens[start..<end])
        }
    }

    /// Documents that live and have the term, here. Any thread.
    func liveFrequency(of term: [UInt8]) -> Int {
        dictionary.find(term).map { Int(liveFrequency.load($0)) } ?? 0
    }

    func liveFrequency(_ term: Int) -> Int { Int(liveFrequency.load(term)) }

    /// Rebuilds one posting list from a snapshot; slots ascend, their lengths are known.
    /// - Parameter places: of the postings, one behind the other; without positions not looked at.
    func restore(term: [UInt8], entries: [UInt64], places: [UInt64], liveCount: Int) {
        let id = intern(term)
        var start = 0
        for entry in entries {
            if let positions {
                let end = start + Int(entry >> 32)
                positions.append(places[start..<end], to: id)
                start = end
            }
            post(entry, to: id)
        }
        liveFrequency.store(UInt32(liveCount), id)
    }

    /// Rebuilds one document's length from a snapshot; slots ascend.
    func restore(length: Int, slot: Slot, isAlive: Bool) {
        setLength(length, slot: slot)
        if isAlive { add(documents: 1, tokens: length) }
    }
}
