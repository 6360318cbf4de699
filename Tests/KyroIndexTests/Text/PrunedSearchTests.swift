// The pruned top-k against the exhaustive one: slots, order, and scores to the last bit.
import Foundation
import KyroIndex
import KyroModel
import TestSupport
import Testing

/// Documents of some fields in one shard, which come, change and go.
private struct LivingTexts {
    let fields: [TextIndex]
    let rows = Rows()
    var texts: [[String]] = []
    var live: [Int] = []

    init(parameters: [BM25Parameters], analyzer: AnalyzerKind = .standard) {
        fields = parameters.map { TextIndex(field: TextField(analyzer: analyzer, bm25: $0)) }
    }

    mutating func insert(_ text: [String]) {
        let slot = rows.append()
        // A document may lack a field.
        for (field, text) in zip(fields, text) where !text.isEmpty {
            field.append(text, slot: slot)
        }
        texts.append(text)
        live.append(slot.index)
    }

    mutating func remove(at position: Int) {
        live.swapAt(position, live.count - 1)
        let slot = live.removeLast()
        for (field, text) in zip(fields, texts[slot]) where !text.isEmpty {
            field.remove(text, slot: Slot(index: slot))
        }
        rows.kill(slot)
    }
}

/// Ids that are not in the order of the slots.
private final class ScrambledIDs: SlotOrder {
    func precedes(_ a: Int, _ b: Int) -> Bool { id(a) < id(b) }
    private func id(_ slot: Int) -> Int { slot &* 40_503 & 0xFFFF_FFFF }
}

/// Asks both ways and compares.
private struct Comparison {
    var scratch = TextScratch()
    var exhaustive = SearchCounters()
    var pruned = SearchCounters()
    var queries = 0
    var hits = 0

    mutating func ask(
        _ legs: [TextLeg], _ scoring: TextScoring, k: Int, visibility: Visibility,
        mask: SlotMask?, order: any SlotOrder, what: @autoclosure () -> String
    ) throws {
        let wanted = try TextSearch.run(
            legs: legs, scoring: scoring, strategy: .exhaustive, k: k, visibility: visibility,
            mask: mask, order: order, scratch: &scratch, counters: &exhaustive,
            cancellation: Cancellation())
        let found = try TextSearch.run(
            legs: legs, scoring: scoring, strategy: .pruned, k: k, visibility: visibility,
            mask: mask, order: order, scratch: &scratch, counters: &pruned,
            cancellation: Cancellation())
        #expect(isSame(found, wanted), "\(what()): \(found.prefix(3)) for \(wanted.prefix(3))")
        // What other shards have found leaves out what is worse, and nothing else.
        if wanted.count > 1 {
            let floor = wanted[wanted.count / 2].score
            let better = try TextSearch.run(
                legs: legs, scoring: scoring, strategy: .pruned, floor: floor, k: k,
                visibility: visibility, mask: mask, order: order, scratch: &scratch,
                counters: &pruned, cancellation: Cancellation())
            let kept = wanted.filter { $0.score >= floor }
            #expect(isSame(Array(better.prefix(kept.count)), kept), "\(what()), floor \(floor)")
        }
        queries += 1
        hits += wanted.count
    }

    private func isSame(_ a: [ScoredSlot], _ b: [ScoredSlot]) -> Bool {
        a.count == b.count
            && zip(a, b).allSatisfy {
                $0.slot == $1.slot && $0.score.bitPattern == $1.score.bitPattern
            }
    }
}

@Suite struct PrunedSearchTests {
    /// Zipf's law with an exponent near 1, words of a vocabulary.
    private static func words(
        _ count: Int, vocabulary: Int, using generator: inout SeededGenerator
    ) -> String {
        (0..<count).map { _ in
            let draw = Double.random(in: 0..<1, using: &generator)
            return "zq\(Int(exp(draw * log(Double(vocabulary)))))"
        }.joined(separator: " ")
    }

    private static func mask(_ count: Int, using generator: inout SeededGenerator) -> SlotMask? {
        guard Int.random(in: 0..<3, using: &generator) == 0 else { return nil }
        var mask = SlotMask(slotCount: count)
        let share = [1, 4, 64].randomElement(using: &generator) ?? 1
        for slot in 0..<count where Int.random(in: 0...share, using: &generator) == 0 {
            mask.insert(slot)
        }
        return mask
    }

    @Test(arguments: [UInt64(41), 42, 43, 44])
    func equalsTheExhaustiveOneOnZipfTextUnderWrites(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let parameters = [
            [BM25Parameters()], [BM25Parameters(), BM25Parameters(k1: 0.9, b: 0.4)],
            [BM25Parameters(k1: 2, b: 0)], [BM25Parameters(k1: 0, b: 1), BM25Parameters(b: 1)],
        ][Int(seed % 4)]
        var texts = LivingTexts(parameters: parameters)
        var comparison = Comparison()
        let vocabulary = [60, 3_000][Int(seed / 2 % 2)]
        for step in 0..<scaled(60) {
            for _ in 0..<400 {
                if !texts.live.isEmpty, Int.random(in: 0..<4, using: &generator) == 0 {
                    let victim = Int.random(in: 0..<texts.live.count, using: &generator)
                    texts.remove(at: victim)
                }
                texts.insert(
                    parameters.map { _ in
                        // Few lengths make many equal scores; some documents are long.
                        let longest = [3, 6, 40, 300].randomElement(using: &generator) ?? 3
                        return Self.words(
                            Int.random(in: 0...longest, using: &generator),
                            vocabulary: vocabulary, using: &generator)
                    })
            }
            texts.rows.publish()
            let now = texts.rows.seq.load(ordering: .relaxed)
            for _ in 0..<20 {
                let seq = [now, now, now / 2].randomElement(using: &generator) ?? now
                let query = Self.words(
                    Int.random(in: 1...8, using: &generator), vocabulary: vocabulary,
                    using: &generator)
                let visibility = texts.rows.visibility(seq: seq)
                let legs = texts.fields.map { field in
                    let terms = field.analyze(query)
                    return TextLeg(
                        index: field, terms: terms, statistics: field.statistics(of: terms),
                        boost: [1, 1, 0.3, 7, 0].randomElement(using: &generator) ?? 1)
                }
                let order: any SlotOrder =
                    Bool.random(using: &generator) ? SlotsAreIDs() : ScrambledIDs()
                try comparison.ask(
                    legs, Bool.random(using: &generator) ? .sum : .bm25f,
                    k: [1, 10, 100, 1_000].randomElement(using: &generator) ?? 1,
                    visibility: visibility,
                    mask: Self.mask(visibility.slotCount, using: &generator), order: order,
                    what: "seed \(seed) step \(step) query \(query)")
            }
        }
        report("Zipf text, seed \(seed)", comparison)
    }

    /// The worst that a document can do to bounds: frequencies and lengths at the ends of the codes.
    @Test(arguments: [UInt64(51), 52])
    func equalsTheExhaustiveOneWhereCodesAreRounded(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        var texts = LivingTexts(parameters: [BM25Parameters()], analyzer: .standard)
        for _ in 0..<scaled(3_000) {
            let often = [1, 2, 61, 62, 63, 64, 200].randomElement(using: &generator) ?? 1
            let padding = [0, 1, 447, 450, 511, 1_000].randomElement(using: &generator) ?? 0
            texts.insert([
                String(repeating: "zqa ", count: often)
                    + String(repeating: "zqpad ", count: padding)
                    + (Bool.random(using: &generator) ? "zqb" : "")
            ])
        }
        texts.rows.publish()
        var comparison = Comparison()
        for query in ["zqa", "zqb", "zqa zqb", "zqa zqb zqpad"] {
            for k in [1, 10, 300] {
                let terms = texts.fields[0].analyze(query)
                let leg = TextLeg(
                    index: texts.fields[0], terms: terms,
                    statistics: texts.fields[0].statistics(of: terms))
                try comparison.ask(
                    [leg], .sum, k: k, visibility: texts.rows.visibility(), mask: nil,
                    order: ScrambledIDs(), what: "seed \(seed) query \(query)")
            }
        }
        report("rounded codes, seed \(seed)", comparison)
    }

    @Test func twoCommonTermsLeaveMostPostingsUnread() throws {
        var generator = SeededGenerator(61)
        var texts = LivingTexts(parameters: [BM25Parameters()])
        let count = 30_000
        for _ in 0..<count {
            texts.insert([
                Self.words(
                    Int.random(in: 3...30, using: &generator), vocabulary: 2_000,
                    using: &generator)
            ])
        }
        texts.rows.publish()
        var comparison = Comparison()
        var queries = 0
        while queries < 40 {
            let terms = texts.fields[0].analyze(
                Self.words(2, vocabulary: 2_000, using: &generator))
            let statistics = texts.fields[0].statistics(of: terms)
            guard terms.count == 2, statistics.documentFrequency.reduce(0, +) >= count / 20 else {
                continue
            }
            queries += 1
            let leg = TextLeg(index: texts.fields[0], terms: terms, statistics: statistics)
            try comparison.ask(
                [leg], .sum, k: 10, visibility: texts.rows.visibility(), mask: nil,
                order: SlotsAreIDs(), what: "\(terms)")
        }
        report("two common terms", comparison)
        // Each query is also asked a second time, with a floor.
        #expect(comparison.pruned.postingsScored * 3 < comparison.exhaustive.postingsScored * 2)
    }

    @Test func aRestoredSnapshotAndARebuildPruneAsWell() throws {
        var generator = SeededGenerator(71)
        var texts = LivingTexts(parameters: [BM25Parameters()])
        for _ in 0..<5_000 {
            texts.insert([
                Self.words(
                    Int.random(in: 1...20, using: &generator), vocabulary: 500,
                    using: &generator)
            ])
        }
        for position in stride(from: 4_900, to: 0, by: -3) { texts.remove(at: position) }
        texts.rows.publish()
        let visibility = texts.rows.visibility()
        let stream = MemoryStream()
        try texts.fields[0].write(to: stream, slotCount: 5_000)
        let restored = try TextIndex(
            from: stream, field: texts.fields[0].field, visibility: visibility)
        var counts: [Int] = []
        for index in [texts.fields[0], restored] {
            var comparison = Comparison()
            for query in ["zq1 zq2", "zq3 zq7", "zq2 zq40 zq9", "zq1"] {
                let terms = index.analyze(query)
                let leg = TextLeg(
                    index: index, terms: terms, statistics: index.statistics(of: terms))
                try comparison.ask(
                    [leg], .sum, k: 5, visibility: visibility, mask: nil, order: SlotsAreIDs(),
                    what: query)
            }
            counts.append(comparison.pruned.postingsScored)
        }
        #expect(counts[0] == counts[1])
    }

    @Test func equalsTheExhaustiveOneOnRealText() throws {
        guard let data = ProcessInfo.processInfo.environment["KYRODB_DATA"] else {
            print("skipped: real text needs KYRODB_DATA")
            return
        }
        for (name, documents) in [("scifact", 5_183), ("wordnet", 20_000)] {
            var generator = SeededGenerator(81)
            let folder = URL(fileURLWithPath: data).appendingPathComponent(name)
            let corpus = try Self.texts(
                folder.appendingPathComponent("corpus.jsonl"), scaled(documents))
            let queries = try Self.texts(folder.appendingPathComponent("queries.jsonl"), 1_000)
            var texts = LivingTexts(parameters: [BM25Parameters(), BM25Parameters()])
            for text in corpus { texts.insert(text) }
            for _ in 0..<(corpus.count / 5) {
                texts.remove(at: Int.random(in: 0..<texts.live.count, using: &generator))
            }
            texts.rows.publish()
            var comparison = Comparison()
            for number in 0..<scaled(300) {
                // A judged query, or words of a document.
                var words = (queries.randomElement(using: &generator) ?? []).joined(separator: " ")
                if Bool.random(using: &generator) {
                    let source = (corpus.randomElement(using: &generator) ?? [])
                        .joined(separator: " ").split(separator: " ")
                    let count = Int.random(in: 1...5, using: &generator)
                    words = (0..<count).compactMap { _ in source.randomElement(using: &generator) }
                        .joined(separator: " ")
                }
                let legs = texts.fields.map { field in
                    let terms = field.analyze(words)
                    return TextLeg(
                        index: field, terms: terms, statistics: field.statistics(of: terms),
                        boost: number % 3 == 0 ? 2.5 : 1)
                }
                let visibility = texts.rows.visibility()
                try comparison.ask(
                    Array(legs[(number % 2)...]), number % 5 == 0 ? .bm25f : .sum,
                    k: [10, 100].randomElement(using: &generator) ?? 10, visibility: visibility,
                    mask: Self.mask(visibility.slotCount, using: &generator),
                    order: ScrambledIDs(), what: "\(name) query \(number): \(words)")
            }
            report(name, comparison)
        }
    }

    /// Title and text of each line.
    private static func texts(_ url: URL, _ count: Int) throws -> [[String]] {
        try Data(contentsOf: url).split(separator: UInt8(ascii: "\n")).prefix(count).map {
            let line = try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
            return [line["title"] as? String ?? "", line["text"] as? String ?? ""]
        }
    }

    private func report(_ what: String, _ comparison: Comparison) {
        print(
            "pruned equals exhaustive, \(what): \(comparison.queries) queries, "
                + "\(comparison.hits) hits; \(comparison.exhaustive.postingsScored) postings "
                + "scored by one, \(comparison.pruned.postingsScored) by the other asked twice")
    }
}
