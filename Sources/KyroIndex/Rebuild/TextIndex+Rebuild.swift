// A text index taken over from the one before a rebuild, without analysing a text again.
import KyroModel

extension TextIndex {
    /// Terms that some document has or had. Any thread.
    public var termCount: Int { dictionary.count }

    /// Takes over the lengths of the documents in `slots` of another index.
    /// - Parameter isAlive: of a new slot; what is dead does not count.
    /// - Precondition: the slots come in order, from call to call.
    public func takeLengths(
        from old: TextIndex, slots: Range<Int>, map: SlotMap, isAlive: (Int) -> Bool
    ) {
        let end = min(slots.upperBound, old.lengthRows.load(ordering: .acquiring))
        guard slots.lowerBound < end else { return }
        for slot in slots.lowerBound..<end {
            guard let new = map[slot], old.lengths[slot] > 0 else { continue }
            restore(
                length: Int(old.lengths[slot]) - 1, slot: Slot(index: new), isAlive: isAlive(new))
        }
    }

    /// Takes over the postings of one term in slots below `slotCount`; a term that none of the rows
    /// has left is not known to the new index at all.
    /// - Precondition: both have positions, and the same analyser.
    /// - Returns: how many postings and positions were looked at.
    public func takePostings(
        from old: TextIndex, term: Int, below slotCount: Int, map: SlotMap,
        isAlive: (Int) -> Bool
    ) -> Int {
        precondition(hasPositions && old.hasPositions, "postings without positions")
        var entries: [UInt64] = []
        var places: [UInt64] = []
        var positions: [Int] = []
        var alive = 0
        var seen = 0
        let cursor = old.cursor(term, slotCount: slotCount)
        while cursor.slot < slotCount {
            seen += 1
            if let new = map[cursor.slot] {
                entries.append(UInt64(cursor.frequency) << 32 | UInt64(new))
                positions.removeAll(keepingCapacity: true)
                cursor.readPositions(into: &positions)
                for position in positions { places.append(UInt64(position)) }
                seen += positions.count
                if isAlive(new) { alive += 1 }
            }
            cursor.advance()
        }
        if !entries.isEmpty {
            restore(
                term: old.dictionary.bytes(term), entries: entries, places: places,
                liveCount: alive)
        }
        return seen
    }

    /// Of a term's postings with their positions.
    func cursor(_ term: Int, slotCount: Int) -> PositionCursor {
        do throws(KyroError) {
            return try PositionCursor(term, of: self, slotCount: slotCount, withPositions: true)
        } catch {
            preconditionFailure("a walk that throws nothing threw: \(error)")
        }
    }
}

extension PostingLists {
    /// Entries whose slot, the lower half, is below `slotCount`; returns how many there are.
    @inline(__always)
    func forEach(_ list: Int, below slotCount: Int, _ body: (Entry) -> Void) -> Int {
        var seen = 0
        do {
            try forEachEntry(list) { entry throws(KyroError) in
                guard UInt32(truncatingIfNeeded: entry) < slotCount else { return false }
                seen += 1
                body(entry)
                return true
            }
        } catch {
            preconditionFailure("a walk that throws nothing threw: \(error)")
        }
        return seen
    }
}
