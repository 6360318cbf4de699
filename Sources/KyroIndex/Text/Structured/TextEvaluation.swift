// Structured text queries over one shard.
//
// The slots are gone through in windows of 2,048, of which those are left out that the lists jump
// over. In each window every node of the tree is evaluated in turn, over the slots that are still of
// interest to the node above it: terms add to the window's scores, phrases look at positions where
// all their terms are, boolean nodes put together what those below them found. Scores add up in
// double, in the order of the tree, so that neither windows nor shards change them.
import KyroModel

public enum StructuredTextSearch {
    /// The best `k` visible documents that match the plan, best first.
    ///
    /// - Parameters:
    ///   - indexes: of the plan's fields, in their order; nil where the shard lacks one.
    ///   - mask: the slots to consider; nil for all.
    public static func run(
        _ plan: TextPlan, indexes: [TextIndex?], k: Int, visibility: Visibility, mask: SlotMask?,
        order: any SlotOrder, counters: inout SearchCounters, cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        precondition(
            indexes.count == plan.fields.count,
            "\(indexes.count) indexes of \(plan.fields.count) fields")
        guard k > 0, visibility.slotCount > 0, let root = plan.root else { return [] }
        var evaluation = try TextEvaluation(
            plan, root, indexes, slotCount: visibility.slotCount, cancellation)
        var best = TopK(k: k, order: order)
        while let base = evaluation.nextWindow(mask) {
            try cancellation.check()
            evaluation.evaluateWindow()
            try cancellation.check()
            evaluation.windows.forEachMatch(0) { slot in
                let score = Float(evaluation.windows.scores[slot])
                guard score >= best.threshold, visibility.isVisible(base + slot) else { return }
                best.insert(ScoredSlot(slot: base + slot, score: score))
            }
        }
        counters.postingsScored += evaluation.postingsSeen
        return best.drainSorted()
    }
}

private struct TextEvaluation {
    private struct Leaf {
        var index: TextIndex
        var cursors: [PositionCursor]
        /// Of each cursor; of a phrase that of the whole.
        var weights: [ClauseWeights]
        var minimum: Int
        var boost: Double
    }

    private struct Phrase {
        var leaf: Leaf
        var matcher: PhraseMatcher
        /// Which term of the matcher each cursor is: the rarest first.
        var terms: [Int]
    }

    private enum Node {
        case nothing
        case terms(Int)
        case phrase(Int)
        case boolean(
            must: [Int], should: [Int], mustNot: [Int], minimum: Int, boost: Double)
    }

    private var nodes: [Node] = []
    private var leaves: [Leaf] = []
    private var phrases: [Phrase] = []
    private var root = 0
    private let slotCount: Int
    private let cancellation: Cancellation
    private var base = 0
    /// First slot of the next window.
    private var upcoming = 0
    /// By depth: slots of the window that the node there is asked about, `TextWindows.words` each.
    private var wanted: [UInt64] = []
    private var positions: [Int] = []
    private(set) var windows = TextWindows(depth: 0)
    private(set) var postingsSeen = 0

    init(
        _ plan: TextPlan, _ top: TextPlan.Node, _ indexes: [TextIndex?], slotCount: Int,
        _ cancellation: Cancellation
    ) throws(KyroError) {
        self.slotCount = slotCount
        self.cancellation = cancellation
        var depth = 0
        root = try add(top, plan, indexes, level: 1, &depth)
        windows = TextWindows(depth: depth)
        wanted = Array(repeating: 0, count: depth * TextWindows.words)
    }

    // MARK: Building

    private mutating func add(
        _ node: TextPlan.Node, _ plan: TextPlan, _ indexes: [TextIndex?], level: Int,
        _ depth: inout Int
    ) throws(KyroError) -> Int {
        depth = max(depth, level)
        let added: Node
        switch node {
        case .terms(let field, let terms, let minimum, let boost):
            added = try addTerms(
                terms, plan.fields[field], indexes[field], minimum: minimum, boost: boost)
        case .phrase(let field, let terms, let slop, let weight, let boost):
            added = try addPhrase(
                terms, slop: slop, plan.fields[field].weights(weight), indexes[field], boost: boost)
        case .boolean(let must, let should, let mustNot, let minimum, let boost):
            added = .boolean(
                must: try add(must, plan, indexes, level: level, &depth),
                should: try add(should, plan, indexes, level: level, &depth),
                mustNot: try add(mustNot, plan, indexes, level: level, &depth),
                minimum: minimum, boost: boost)
        }
        nodes.append(added)
        return nodes.count - 1
    }

    private mutating func add(
        _ below: [TextPlan.Node], _ plan: TextPlan, _ indexes: [TextIndex?], level: Int,
        _ depth: inout Int
    ) throws(KyroError) -> [Int] {
        var added: [Int] = []
        for node in below {
            added.append(try add(node, plan, indexes, level: level + 1, &depth))
        }
        return added
    }

    private mutating func addTerms(
        _ terms: [TextPlan.Term], _ field: TextPlan.Field, _ index: TextIndex?, minimum: Int,
        boost: Double
    ) throws(KyroError) -> Node {
        guard let index else { return .nothing }
        var leaf = Leaf(index: index, cursors: [], weights: [], minimum: minimum, boost: boost)
        for term in terms {
            guard let number = index.dictionary.find(term.bytes) else { continue }
            leaf.cursors.append(
                try PositionCursor(number, of: index, slotCount: slotCount, withPositions: false))
            leaf.weights.append(field.weights(term.weight))
        }
        guard !leaf.cursors.isEmpty, leaf.cursors.count >= minimum else { return .nothing }
        leaves.append(leaf)
        return .terms(leaves.count - 1)
    }

    private mutating func addPhrase(
        _ terms: [TextPlan.PhraseTerm], slop: Int, _ weights: ClauseWeights, _ index: TextIndex?,
        boost: Double
    ) throws(KyroError) -> Node {
        guard let index else { return .nothing }
        var cursors: [PositionCursor] = []
        for term in terms {
            guard let number = index.dictionary.find(term.bytes) else { return .nothing }
            cursors.append(
                try PositionCursor(number, of: index, slotCount: slotCount, withPositions: true))
        }
        let order = cursors.indices.sorted { (cursors[$0].count, $0) < (cursors[$1].count, $1) }
        phrases.append(
            Phrase(
                leaf: Leaf(
                    index: index, cursors: order.map { cursors[$0] }, weights: [weights],
                    minimum: 1, boost: boost),
                matcher: PhraseMatcher(terms, slop: slop), terms: order))
        return .phrase(phrases.count - 1)
    }

    // MARK: Windows

    /// The first slot of the next window in which something may match; nil behind the last.
    mutating func nextWindow(_ mask: SlotMask?) -> Int? {
        while true {
            let next = max(bound(root), upcoming)
            guard next < slotCount else { return nil }
            base = next / TextWindows.size * TextWindows.size
            upcoming = base + TextWindows.size
            var isAsked = mask == nil
            for word in 0..<TextWindows.words {
                var bits = UInt64.max
                if let mask {
                    let number = base >> 6 + word
                    bits = number < mask.words.count ? mask.words[number] : 0
                }
                wanted[word] = bits
                isAsked = isAsked || bits != 0
            }
            if isAsked { return base }
        }
    }

    /// No slot below can match that was not looked at; the cursors may lie behind.
    private func bound(_ node: Int) -> Int {
        switch nodes[node] {
        case .nothing: return .max
        case .terms(let leaf):
            return leaves[leaf].cursors.reduce(Int.max) { min($0, $1.slot) }
        case .phrase(let phrase):
            return phrases[phrase].leaf.cursors.reduce(0) { max($0, $1.slot) }
        case .boolean(let must, let should, _, let minimum, _):
            let all = must.reduce(0) { max($0, bound($1)) }
            guard minimum > 0 else { return all }
            return max(all, should.reduce(Int.max) { min($0, bound($1)) })
        }
    }

    mutating func evaluateWindow() { evaluate(root, 0) }

    /// Leaves what the node finds among `wanted` at its depth in `windows`.
    private mutating func evaluate(_ node: Int, _ depth: Int) {
        windows.clear(depth)
        if cancellation.isCancelled { return }
        switch nodes[node] {
        case .nothing: return
        case .terms(let number): evaluate(leaves[number], depth)
        case .phrase(let number): evaluate(phrase: number, depth)
        case .boolean(let must, let should, let mustNot, let minimum, let boost):
            var isNew = true
            for child in must {
                ask(child, depth)
                windows.intersectBelow(depth, isNew: isNew)
                restrictToMatches(depth)
                isNew = false
                if windows.isEmpty(depth) { return }
            }
            evaluate(should: should, minimum: minimum, isNew: isNew, depth)
            if mustNot.isEmpty || windows.isEmpty(depth) { return windows.boost(boost, depth) }
            restrictToMatches(depth)
            for child in mustNot {
                ask(child, depth)
                windows.subtractBelow(depth)
            }
            windows.boost(boost, depth)
        }
    }

    private mutating func evaluate(
        should: [Int], minimum: Int, isNew: Bool, _ depth: Int
    ) {
        if should.isEmpty { return }
        if isNew {
            for child in should {
                ask(child, depth)
                windows.addBelow(depth)
            }
            return windows.keep(countAtLeast: minimum, depth)
        }
        // What `must` found counts as one more.
        windows.countOnce(depth)
        for child in should {
            ask(child, depth)
            windows.addBelow(depth)
        }
        windows.keep(countAtLeast: minimum + 1, depth)
    }

    /// Evaluates a node below one, over the slots that this one is asked about.
    private mutating func ask(_ child: Int, _ depth: Int) {
        let (own, below) = (depth * TextWindows.words, (depth + 1) * TextWindows.words)
        for word in 0..<TextWindows.words { wanted[below + word] = wanted[own + word] }
        evaluate(child, depth + 1)
    }

    /// From now on only what matches is of interest.
    private mutating func restrictToMatches(_ depth: Int) {
        let first = depth * TextWindows.words
        for word in first..<(first + TextWindows.words) { wanted[word] = windows.matches[word] }
    }

    // MARK: Leaves

    @inline(__always)
    private func isWanted(_ slot: Int, _ depth: Int) -> Bool {
        wanted[depth * TextWindows.words + slot >> 6] & (1 << UInt64(slot & 63)) != 0
    }

    private mutating func evaluate(_ leaf: Leaf, _ depth: Int) {
        let end = min(base + TextWindows.size, slotCount)
        let lengths = leaf.index.lengths
        for (cursor, weights) in zip(leaf.cursors, leaf.weights) {
            cursor.seek(base)
            postingsSeen += cursor.drain(below: end) { slot, frequency in
                guard isWanted(slot - base, depth) else { return }
                let part = weights.score(
                    Double(frequency), length: Double(lengths[slot] - 1))
                windows.add(part, at: slot - base, depth)
            }
        }
        windows.keep(countAtLeast: leaf.minimum, depth)
        windows.boost(leaf.boost, depth)
    }

    private mutating func evaluate(phrase number: Int, _ depth: Int) {
        let end = min(base + TextWindows.size, slotCount)
        let leaf = phrases[number].leaf
        let weights = leaf.weights[0]
        let rarest = leaf.cursors[0]
        rarest.seek(base)
        candidates: while rarest.slot < end {
            let slot = rarest.slot
            guard isWanted(slot - base, depth) else {
                rarest.advance()
                continue
            }
            postingsSeen += 1
            for cursor in leaf.cursors.dropFirst() {
                cursor.seek(slot)
                if cursor.slot != slot {
                    if cursor.slot == PositionCursor.endSlot {
                        rarest.seek(slotCount)
                        return
                    }
                    rarest.seek(cursor.slot)
                    continue candidates
                }
            }
            let tf = frequency(phrase: number)
            if tf > 0 {
                let part = weights.score(tf, length: Double(leaf.index.lengths[slot] - 1))
                windows.add(part * leaf.boost, at: slot - base, depth)
            }
            if cancellation.isCancelled { return }
            rarest.advance()
        }
    }

    /// In the document that all cursors of the phrase stand at.
    private mutating func frequency(phrase number: Int) -> Double {
        for (cursor, term) in zip(phrases[number].leaf.cursors, phrases[number].terms) {
            positions.removeAll(keepingCapacity: true)
            cursor.readPositions(into: &positions)
            postingsSeen += positions.count
            let offset = phrases[number].matcher.offset(term)
            phrases[number].matcher.shifts[term].removeAll(keepingCapacity: true)
            for position in positions {
                phrases[number].matcher.shifts[term].append(position - offset)
            }
        }
        return phrases[number].matcher.frequency(cancellation)
    }
}
