// BM25 against a plain reference, over documents that come, change and go.
import Foundation
import KyroIndex
import KyroModel
import Testing

/// Lucene's formula over maps, without any index.
private struct Reference {
    var versions: [(born: UInt64, died: UInt64, texts: [[String]])] = []

    /// Scores of what is visible at `seq`, under the statistics of what is alive now.
    func scores(queries: [[String]], seq: UInt64, parameters: BM25Parameters) -> [Int: Double] {
        var scores: [Int: Double] = [:]
        for (field, terms) in queries.enumerated() {
            let alive = versions.filter { $0.died == 0 }.map { $0.texts[field] }
            let n = Double(alive.count)
            let average = max(Double(alive.reduce(0) { $0 + $1.count }) / max(n, 1), 1e-300)
            for term in terms {
                let df = Double(alive.count { $0.contains(term) })
                let idf = log(1 + (n - df + 0.5) / (df + 0.5))
                for (slot, version) in versions.enumerated() {
                    guard version.born <= seq, version.died == 0 || version.died > seq else {
                        continue
                    }
                    let tf = Double(version.texts[field].count { $0 == term })
                    guard tf > 0 else { continue }
                    let length = Double(version.texts[field].count)
                    let norm = parameters.k1 * (1 - parameters.b + parameters.b * length / average)
                    scores[slot, default: 0] += idf * tf / (tf + norm)
                }
            }
        }
        return scores
    }
}

/// Documents of two text fields over some shards, as the engine would keep them.
private struct Corpus {
    let parameters: BM25Parameters
    var shards: [(fields: [TextIndex], rows: Rows)] = []
    var reference = Reference()
    /// Where each version of the reference lives.
    var places: [(shard: Int, slot: Int)] = []
    var live: [Int] = []

    init(shardCount: Int, parameters: BM25Parameters) {
        self.parameters = parameters
        let field = TextField(analyzer: .standard, bm25: parameters)
        for _ in 0..<shardCount {
            shards.append(([TextIndex(field: field), TextIndex(field: field)], Rows()))
        }
    }

    mutating func insert(_ texts: [[String]]) {
        let version = places.count
        let shard = version % shards.count
        let slot = shards[shard].rows.append()
        for (index, text) in zip(shards[shard].fields, texts) {
            index.append(text.joined(separator: " "), slot: slot)
        }
        places.append((shard, slot.index))
        live.append(version)
        reference.versions.append((seq + 1, 0, texts))
    }

    mutating func remove(at position: Int) {
        let version = live.remove(at: position)
        let (shard, slot) = places[version]
        for (index, text) in zip(shards[shard].fields, reference.versions[version].texts) {
            index.remove(text.joined(separator: " "), slot: Slot(index: slot))
        }
        shards[shard].rows.kill(slot)
        reference.versions[version].died = seq + 1
    }

    var seq: UInt64 { shards[0].rows.seq.load(ordering: .relaxed) }
    func publish() { for shard in shards { shard.rows.publish() } }

    func search(
        _ queries: [String], k: Int, seq: UInt64, strategy: PostingStrategy
    ) throws -> [(version: Int, score: Float)] {
        let terms = shards[0].fields.indices.map { shards[0].fields[$0].analyze(queries[$0]) }
        let statistics = terms.indices.map { field in
            shards.map { $0.fields[field].statistics(of: terms[field]) }
                .reduce(.init(documentFrequency: terms[field].map { _ in 0 }), +)
        }
        var scratch = TextScratch()
        var counters = SearchCounters()
        var merged: [(version: Int, score: Float)] = []
        for (number, shard) in shards.enumerated() {
            let legs = terms.indices.map {
                TextLeg(index: shard.fields[$0], terms: terms[$0], statistics: statistics[$0])
            }
            // What the best of the other shards have at least.
            let floor = merged.count == k ? merged.last?.score ?? 0 : -.infinity
            let hits = try TextSearch.run(
                legs: legs, strategy: strategy, floor: floor, k: k,
                visibility: shard.rows.visibility(seq: seq), mask: nil, order: SlotsAreIDs(),
                scratch: &scratch, counters: &counters, cancellation: Cancellation())
            for hit in hits {
                merged.append((hit.slot * shards.count + number, hit.score))
            }
            merged.sort { ($1.score, $0.version) < ($0.score, $1.version) }
            merged = Array(merged.prefix(k))
        }
        return merged
    }
}

@Suite struct BM25Tests {
    private static func words(_ count: Int, using generator: inout SeededGenerator) -> [String] {
        (0..<count).map { _ in
            // Squaring makes some words common and most rare.
            let draw = Double.random(in: 0..<1, using: &generator)
            return "zq\(Int(draw * draw * 60))"
        }
    }

    @Test(arguments: [1, 2, 7], [UInt64(11), 12, 13])
    func equalsTheReferenceUnderUpdatesAndDeletes(shardCount: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let parameters = [
            BM25Parameters(), BM25Parameters(k1: 0.9, b: 0.4),
            BM25Parameters(k1: 2, b: 0),
        ][Int(seed % 3)]
        var corpus = Corpus(shardCount: shardCount, parameters: parameters)
        var compared = 0
        for step in 0..<400 {
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                if !corpus.live.isEmpty, Int.random(in: 0..<3, using: &generator) == 0 {
                    corpus.remove(at: Int.random(in: 0..<corpus.live.count, using: &generator))
                }
                let length = Int.random(in: 0...30, using: &generator)
                corpus.insert([
                    Self.words(Int.random(in: 0...4, using: &generator), using: &generator),
                    Self.words(length, using: &generator),
                ])
            }
            corpus.publish()
            guard step % 10 == 9 else { continue }
            let now = corpus.seq
            for seq in [now, now - now / 3, now / 2] {
                let query = Self.words(Int.random(in: 1...5, using: &generator), using: &generator)
                let distinct = Array(Set(query)).sorted()
                let k = Int.random(in: 1...40, using: &generator)
                let hits = try corpus.search(
                    [query.joined(separator: " "), query.joined(separator: " ")], k: k, seq: seq,
                    strategy: .exhaustive)
                let pruned = try corpus.search(
                    [query.joined(separator: " "), query.joined(separator: " ")], k: k, seq: seq,
                    strategy: .pruned)
                #expect(
                    pruned.count == hits.count
                        && zip(pruned, hits).allSatisfy {
                            $0.version == $1.version && $0.score.bitPattern == $1.score.bitPattern
                        }, "seed \(seed) step \(step)")
                let expected = corpus.reference.scores(
                    queries: [distinct, distinct], seq: seq, parameters: parameters)
                let ranked = expected.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                #expect(hits.count == min(k, ranked.count), "seed \(seed) step \(step)")
                for (hit, wanted) in zip(hits, ranked) {
                    let score = expected[hit.version] ?? -1
                    #expect(abs(Double(hit.score) - score) < 1e-6 * max(1, score), "seed \(seed)")
                    #expect(
                        hit.version == wanted.key || abs(score - wanted.value) < 1e-6,
                        "seed \(seed) step \(step)")
                }
                compared += hits.count
            }
        }
        print("BM25 against the reference: \(compared) hits, shards \(shardCount), seed \(seed)")
    }

    @Test func statisticsAreThoseOfLiveDocuments() {
        let index = TextIndex(field: TextField())
        index.append("red green", slot: Slot(0))
        index.append("green green blue", slot: Slot(1))
        index.append("the of", slot: Slot(5))
        let terms = ["blue", "green", "red", "none"]
        #expect(
            index.statistics(of: terms)
                == .init(documentCount: 3, totalLength: 5, documentFrequency: [1, 2, 1, 0]))
        index.remove("green green blue", slot: Slot(1))
        #expect(
            index.statistics(of: terms)
                == .init(documentCount: 2, totalLength: 2, documentFrequency: [0, 1, 1, 0]))
        #expect(index.estimatedPostings(terms: terms) == 4)
    }

    @Test func aMaskAndExpiryLeaveDocumentsOut() throws {
        let index = TextIndex(field: TextField(analyzer: .raw))
        let rows = Rows()
        for expiry in [Int64.max, 50, .max] {
            index.append("x", slot: rows.append(expiresAt: expiry))
        }
        rows.publish()
        var mask = SlotMask(slotCount: 3)
        mask.insert(1)
        mask.insert(2)
        var scratch = TextScratch()
        var counters = SearchCounters()
        for (mask, now, expected) in [
            (nil, Int64(0), [0, 1, 2]), (nil, 50, [0, 2]), (mask, 0, [1, 2]), (mask, 50, [2]),
        ] {
            let hits = try index.search(
                terms: ["x"], statistics: index.statistics(of: ["x"]), k: 10,
                visibility: rows.visibility(nowMillis: now), mask: mask, order: SlotsAreIDs(),
                scratch: &scratch, counters: &counters, cancellation: Cancellation())
            #expect(hits.map(\.slot) == expected)
        }
        #expect(counters.postingsScored == 10)
    }

    @Test func aCancelledSearchThrowsAndLeavesTheScratchUsable() throws {
        let index = TextIndex(field: TextField(analyzer: .raw))
        let rows = Rows()
        for _ in 0..<10 { index.append("x", slot: rows.append()) }
        rows.publish()
        var scratch = TextScratch()
        var counters = SearchCounters()
        let cancelled = Cancellation()
        cancelled.cancel()
        for cancellation in [cancelled, Cancellation()] {
            let result = Result {
                try index.search(
                    terms: ["x"], statistics: index.statistics(of: ["x"]), k: 3,
                    visibility: rows.visibility(), mask: nil, order: SlotsAreIDs(),
                    scratch: &scratch, counters: &counters, cancellation: cancellation)
            }
            if cancellation.isCancelled {
                #expect(throws: KyroError.self) { try result.get() }
            } else {
                #expect(try result.get().map(\.slot) == [0, 1, 2])
            }
        }
    }

    @Test(arguments: [UInt64(21), 22])
    func aSnapshotHoldsTheSlotsBelowItsCountAndCountsTheLiving(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let field = TextField(analyzer: .standard)
        let index = TextIndex(field: field)
        let rows = Rows()
        var texts: [String] = []
        func add(_ count: Int) {
            for _ in 0..<count {
                let slot = rows.append()
                let length = Int.random(in: 0..<40, using: &generator)
                texts.append(Self.words(length, using: &generator).joined(separator: " "))
                if slot.index % 7 != 3 { index.append(texts[slot.index], slot: slot) }
            }
            rows.publish()
        }
        add(3_000)
        let slotCount = rows.visibility().slotCount
        for slot in stride(from: 0, to: 1_000, by: 3) where slot % 7 != 3 {
            rows.kill(slot)
            index.remove(texts[slot], slot: Slot(index: slot))
        }
        rows.publish()
        let terms = index.analyze(texts[0..<50].joined(separator: " "))
        let expected = index.statistics(of: terms)
        let visibility = rows.visibility()
        add(500)
        let stream = MemoryStream()
        try index.write(to: stream, slotCount: slotCount)
        let restored = try TextIndex(from: stream, field: field, visibility: visibility)
        #expect(stream.isAtEnd)
        #expect(restored.statistics(of: terms) == expected, "seed \(seed)")
        let again = MemoryStream()
        try restored.write(to: again, slotCount: slotCount)
        #expect(again.bytes == stream.bytes)
        for cut in [0, 3, 5, stream.bytes.count / 2, stream.bytes.count - 1] {
            #expect(throws: KyroError.self) {
                try TextIndex(
                    from: MemoryStream(Array(stream.bytes[..<cut])), field: field,
                    visibility: visibility)
            }
        }
        // Damage inside must be refused or read as something else, never trap.
        for _ in 0..<200 {
            var damaged = stream.bytes
            damaged[Int.random(in: 4..<damaged.count, using: &generator)] ^=
                UInt8.random(in: 1...255, using: &generator)
            _ = try? TextIndex(from: MemoryStream(damaged), field: field, visibility: visibility)
        }
    }
}
