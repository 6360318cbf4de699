// Texts in one shard as the engine would keep them, and questions asked in two ways.
import KyroBytes
import KyroCommands
import KyroIndex
import KyroModel

/// Documents of two text fields that come, change and go; all of them published.
final class TextCollection {
    let fields: [TextIndex]
    private(set) var texts: [[String]] = []
    private var live: [Int] = []
    private let born = Column<UInt64>()
    private let died = AtomicColumn64()
    private let expiresAt = Column<Int64>()
    private(set) var seq: UInt64 = 0

    init(fieldCount: Int) {
        fields = (0..<fieldCount).map { _ in TextIndex(field: TextField()) }
    }

    var liveCount: Int { live.count }

    func insert(_ text: [String]) {
        seq += 1
        let slot = texts.count
        born.append(seq, at: slot)
        died.reserve(row: slot)
        expiresAt.append(.max, at: slot)
        for (field, text) in zip(fields, text) where !text.isEmpty {
            field.append(text, slot: Slot(index: slot))
        }
        texts.append(text)
        live.append(slot)
    }

    @discardableResult
    func remove(at position: Int) -> [String] {
        seq += 1
        live.swapAt(position, live.count - 1)
        let slot = live.removeLast()
        for (field, text) in zip(fields, texts[slot]) where !text.isEmpty {
            field.remove(text, slot: Slot(index: slot))
        }
        died.store(seq, slot)
        return texts[slot]
    }

    func visibility(seq: UInt64) -> Visibility {
        Visibility(
            born: born, died: died, expiresAt: expiresAt, seq: seq, slotCount: texts.count,
            nowMillis: 0)
    }

    func leg(_ field: Int, _ query: String, boost: Double = 1) -> TextLeg {
        let terms = fields[field].analyze(query)
        return TextLeg(
            index: fields[field], terms: terms, statistics: fields[field].statistics(of: terms),
            boost: boost)
    }
}

/// Ids in no order of the slots.
final class ShuffledIDs: SlotOrder {
    func precedes(_ a: Int, _ b: Int) -> Bool { mix64(UInt64(a)) < mix64(UInt64(b)) }
}

/// One way of asking, added up over many questions.
struct TextWay {
    let name: String
    let strategy: PostingStrategy
    var counters = SearchCounters()
    var nanos: [Double] = []

    init(_ name: String, _ strategy: PostingStrategy) {
        self.name = name
        self.strategy = strategy
    }

    var seconds: Double { nanos.reduce(0, +) / 1e9 }
}

/// Asks each question in every way and holds the answers against each other.
struct TextComparison {
    let name: String
    var ways = [
        TextWay("all postings", .exhaustive), TextWay("pruned", .pruned),
        TextWay("as chosen", .automatic),
    ]
    private(set) var questions = 0
    private(set) var hits = 0
    private(set) var differences = 0
    private let order = ShuffledIDs()
    private var scratch = TextScratch()

    init(_ name: String) { self.name = name }

    mutating func ask(
        _ legs: [TextLeg], _ scoring: TextScoring = .sum, k: Int, visibility: Visibility,
        mask: SlotMask? = nil
    ) throws {
        var answers = Array(repeating: [ScoredSlot](), count: ways.count)
        // Whoever is first finds nothing in the caches: they take turns.
        for turn in ways.indices {
            let index = (questions + turn) % ways.count
            let start = ThreadClock.nanos
            answers[index] = try TextSearch.run(
                legs: legs, scoring: scoring, strategy: ways[index].strategy, k: k,
                visibility: visibility, mask: mask, order: order, scratch: &scratch,
                counters: &ways[index].counters, cancellation: Cancellation())
            ways[index].nanos.append(Double(ThreadClock.nanos - start))
        }
        for index in ways.indices.dropFirst() where !Self.isSame(answers[index], answers[0]) {
            differences += 1
            if differences <= 5 {
                note(
                    "\(name): \(ways[index].name) differs for "
                        + legs.map { $0.terms.joined(separator: " ") }.joined(separator: " | "))
            }
        }
        questions += 1
        hits += answers[0].count
    }

    private static func isSame(_ a: [ScoredSlot], _ b: [ScoredSlot]) -> Bool {
        a.count == b.count
            && zip(a, b).allSatisfy {
                $0.slot == $1.slot && $0.score.bitPattern == $1.score.bitPattern
            }
    }

    static func table(_ comparisons: [TextComparison]) -> Table {
        var table = Table([
            .init("questions about"), .init("number", isRightAligned: true),
            .init("hits", isRightAligned: true), .init("by"),
            .init("postings listed", isRightAligned: true),
            .init("scored", isRightAligned: true), .init("share", isRightAligned: true),
            .init("p50 µs", isRightAligned: true), .init("p99 µs", isRightAligned: true),
            .init("all, ms", isRightAligned: true), .init("time", isRightAligned: true),
        ])
        for comparison in comparisons {
            for way in comparison.ways {
                let sorted = way.nanos.sorted()
                table.append([
                    comparison.name, String(comparison.questions), String(comparison.hits),
                    way.name, String(way.counters.postingsListed),
                    String(way.counters.postingsScored),
                    fixed(way.share, 4),
                    fixed(quantile(sorted, 0.5) / 1_000, 1),
                    fixed(quantile(sorted, 0.99) / 1_000, 1),
                    fixed(way.seconds * 1_000, 0),
                    fixed(way.seconds / max(comparison.ways[0].seconds, 1e-9), 3),
                ])
            }
        }
        return table
    }

    private static func quantile(_ sorted: [Double], _ fraction: Double) -> Double {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(fraction * Double(sorted.count)))]
    }
}

extension TextWay {
    /// Of the postings in the lists, scored.
    var share: Double {
        Double(counters.postingsScored) / Double(max(1, counters.postingsListed))
    }
}
