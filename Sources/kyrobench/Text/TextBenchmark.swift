// Pruned searches of text against exhaustive ones: answers, postings, times.
import Glibc
import KyroCommands
import KyroIndex
import KyroModel
import KyroPlatform

struct TextBenchmark {
    let options: TextOptions

    /// Title and text of each document, and the judged queries.
    private struct Source {
        var name: String
        var texts: [[String]]
        var queries: [String]
    }

    func run() throws -> Int32 {
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), seed "
                + "\(options.seed), load average \(Machine.loadAverage) at the start")
        var sources = try options.sets.map { try source($0) }
        let real = sources
        sources.append(zipf())
        var comparisons: [TextComparison] = []
        for (number, source) in sources.enumerated() {
            let (from, to) = (
                options.queryCount * number / sources.count,
                options.queryCount * (number + 1) / sources.count
            )
            note("\(source.name): \(to - from) random questions")
            comparisons.append(
                try questions(about: source, count: to - from, seed: options.seed &+ UInt64(number))
            )
        }
        let pairs = try self.pairs(real)
        comparisons.append(pairs)
        print(TextComparison.table(comparisons).text())

        let report = FigureReport()
        let asked = comparisons.reduce(0) { $0 + $1.questions }
        let differences = comparisons.reduce(0) { $0 + $1.differences }
        report.fact("questions", Double(asked))
        report.add(.atMost(0, "answers that differ", Double(differences)))
        let share = "postings of pairs scored, of those listed"
        if options.documentCount >= TextOptions.provenDocuments {
            report.add(.atMost(0.1, share, pairs.ways[1].share))
        } else {
            // A tenth of short lists is no more than what comes before the threshold.
            report.fact(share, pairs.ways[1].share)
        }
        for comparison in comparisons {
            report.add(
                .atMost(
                    1.05, "\(comparison.name): time as chosen, of that of all postings",
                    comparison.ways[2].seconds / comparison.ways[0].seconds, isCount: false))
        }
        return try report.end(
            [
                JSON.Member("seed", .int(Int64(options.seed))),
                JSON.Member("documents", .int(Int64(options.documentCount))),
                JSON.Member("frequency", .int(Int64(options.frequency))),
            ], path: options.jsonPath, isStrict: options.isStrict)
    }

    // MARK: texts

    private func source(_ name: String) throws -> Source {
        let folder = options.dataFolder + "/" + name
        func texts(_ file: String) throws -> [[String]] {
            guard fileExists(folder + file) else { return [] }
            var reader = LineReader(try InputFile(path: folder + file))
            var texts: [[String]] = []
            while let line = try reader.next() {
                let json = try JSON(parsing: line)
                texts.append([json["title"]?.plainText ?? "", json["text"]?.plainText ?? ""])
            }
            return texts
        }
        let corpus = try texts("/corpus.jsonl")
        guard !corpus.isEmpty else { throw BenchError("\(folder) has no corpus.jsonl") }
        return Source(
            name: name, texts: corpus, queries: try texts("/queries.jsonl").map { $0[1] })
    }

    /// Words of 20,000, the i-th as often as 1 / i; many texts are as short as the next.
    private func zipf() -> Source {
        var chance = Chance(options.seed &+ 77)
        let count = options.isTiny ? 5_000 : 50_000
        let texts = (0..<count).map { _ in
            let longest = [3, 8, 8, 60][chance.below(4)]
            return [chance.zipf(1 + chance.below(3)), chance.zipf(chance.below(longest))]
        }
        return Source(name: "Zipf's law", texts: texts, queries: [])
    }

    // MARK: random questions

    private func questions(
        about source: Source, count: Int, seed: UInt64
    ) throws -> TextComparison {
        var chance = Chance(seed)
        let collection = TextCollection(fieldCount: 2)
        for text in source.texts { collection.insert(text) }
        for _ in 0..<(source.texts.count / 5) {
            let text = collection.remove(at: chance.below(collection.liveCount))
            collection.insert([text[0], text[1] + " " + chance.word(of: source.texts)])
        }
        let middle = collection.seq
        for _ in 0..<(source.texts.count / 10) {
            collection.remove(at: chance.below(collection.liveCount))
        }
        let rows = collection.texts.count
        let masks = (0..<12).map { number in
            let share = [2, 16, 256][number % 3]
            var mask = SlotMask(slotCount: rows)
            for slot in 0..<rows where chance.below(share) == 0 { mask.insert(slot) }
            return mask
        }
        var comparison = TextComparison(source.name)
        for _ in 0..<count {
            var words = ""
            if !source.queries.isEmpty, chance.below(3) == 0 {
                words = source.queries[chance.below(source.queries.count)]
            } else {
                words = (0...chance.below(6)).map { _ in chance.word(of: source.texts) }
                    .joined(separator: " ")
            }
            let boosts = [[1.0, 1], [3, 1], [0.5, 2]][chance.below(3)]
            let legs = (0..<2).map { collection.leg($0, words, boost: boosts[$0]) }
            let seq = chance.below(4) == 0 ? middle : collection.seq
            try comparison.ask(
                chance.below(3) == 0 ? [legs[1]] : legs, chance.below(4) == 0 ? .bm25f : .sum,
                k: [10, 100][chance.below(2)], visibility: collection.visibility(seq: seq),
                mask: chance.below(3) == 0 ? masks[chance.below(masks.count)] : nil)
        }
        return comparison
    }

    // MARK: pairs of terms

    private func pairs(_ sources: [Source]) throws -> TextComparison {
        var chance = Chance(options.seed &+ 99)
        let words = sources.flatMap(\.texts).map { text in
            text.joined(separator: " ").split(separator: " ")
        }.filter { !$0.isEmpty }
        note("\(options.documentCount) documents out of \(words.count) texts")
        let start = clock.monotonicNanos()
        let collection = TextCollection(fieldCount: 1)
        for document in 0..<options.documentCount {
            collection.insert([chance.perturbed(words[document % words.count], words)])
        }
        note("indexed in \(fixed(secondsSince(start), 1)) s")
        var comparison = TextComparison("pairs of terms")
        var drawn = 0
        while comparison.questions < options.pairCount {
            drawn += 1
            guard drawn < options.pairCount * 10_000 else {
                throw BenchError("no pairs of terms in \(options.frequency) documents; give fewer")
            }
            let query = (0..<2).map { _ in
                let text = collection.texts[chance.below(collection.texts.count)][0]
                    .split(separator: " ")
                return text.isEmpty ? "" : String(text[chance.below(text.count)])
            }.joined(separator: " ")
            let leg = collection.leg(0, query)
            guard leg.terms.count == 2,
                leg.statistics.documentFrequency.reduce(0, +) >= options.frequency
            else { continue }
            try comparison.ask([leg], k: 10, visibility: collection.visibility(seq: collection.seq))
        }
        note("\(drawn) pairs drawn for \(comparison.questions)")
        return comparison
    }
}

extension Chance {
    /// Words of a vocabulary of 20,000 by Zipf's law.
    fileprivate mutating func zipf(_ count: Int) -> String {
        (0..<count).map { _ in
            "zq\(Int(exp(Double(below(1 << 30)) / Double(1 << 30) * log(20_000))))"
        }.joined(separator: " ")
    }

    fileprivate mutating func word(of texts: [[String]]) -> String {
        let text = texts[below(texts.count)]
        let words = text[below(text.count)].split(separator: " ")
        return words.isEmpty ? "" : String(words[below(words.count)])
    }

    /// Without a tenth of the words, another tenth from elsewhere, in another order.
    fileprivate mutating func perturbed(
        _ words: [Substring], _ others: [[Substring]]
    ) -> String {
        var kept: [Substring] = []
        for word in words {
            switch below(10) {
            case 0: continue
            case 1:
                let other = others[below(others.count)]
                kept.append(other[below(other.count)])
            default: kept.append(word)
            }
        }
        if kept.count > 1 {
            for i in stride(from: kept.count - 1, to: 0, by: -1) { kept.swapAt(i, below(i + 1)) }
        }
        return kept.joined(separator: " ")
    }
}
