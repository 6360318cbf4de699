// A text index in a snapshot.
//
//   version             varint, 2
//   field               what it was analysed with, see TextField+Snapshot.swift
//   slot count          varint
//   documents           varint count, then per document: varint slot − previous slot, varint length
//   terms               varint count of terms that have postings, then per term:
//                         varint byte count, bytes, varint count of postings,
//                         per posting: varint slot − previous slot, varint term frequency, and so
//                         many positions, each as a varint less the one before
//
// Previous slots and positions begin at 0 in each list. Live statistics are not stored: they are
// counted again when the index is read. Version 1 has neither field nor positions: an index that was
// read from it has none, and is written as one again.
import KyroModel

extension TextIndex {
    private static let version = 2
    private static let versionWithoutPositions = 1

    /// Writes what concerns the slots below `slotCount`, while the writer goes on. Any thread that
    /// has learnt of them.
    public func write(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        var stream = IndexStreamWriter(sink)
        if hasPositions {
            try stream.write(Self.version)
            try field.write(to: &stream)
        } else {
            try stream.write(Self.versionWithoutPositions)
        }
        try stream.write(slotCount)
        try writeLengths(&stream, slotCount: slotCount)

        var lists: [(term: Int, count: Int)] = []
        for term in 0..<dictionary.count {
            let count = try postings.count(term, below: slotCount)
            if count > 0 { lists.append((term, count)) }
        }
        try stream.write(lists.count)
        for (term, count) in lists {
            try stream.write(bytes: dictionary.bytes(term))
            try stream.write(count)
            try writePostings(term, &stream, slotCount: slotCount)
        }
        try stream.flush()
    }

    private func writePostings(
        _ term: Int, _ stream: inout IndexStreamWriter, slotCount: Int
    ) throws(KyroError) {
        let cursor = try PositionCursor(
            term, of: self, slotCount: slotCount, withPositions: hasPositions)
        var positions: [Int] = []
        var previousSlot = 0
        while cursor.slot < slotCount {
            try stream.write(cursor.slot - previousSlot)
            try stream.write(cursor.frequency)
            previousSlot = cursor.slot
            positions.removeAll(keepingCapacity: true)
            cursor.readPositions(into: &positions)
            var previous = 0
            for position in positions {
                try stream.write(position - previous)
                previous = position
            }
            cursor.advance()
        }
    }

    private func writeLengths(
        _ stream: inout IndexStreamWriter, slotCount: Int
    ) throws(KyroError) {
        let rows = min(slotCount, lengthRows.load(ordering: .acquiring))
        var count = 0
        for slot in 0..<rows where lengths[slot] > 0 { count += 1 }
        try stream.write(count)
        var previous = 0
        for slot in 0..<rows where lengths[slot] > 0 {
            try stream.write(slot - previous)
            try stream.write(UInt64(lengths[slot] - 1))
            previous = slot
        }
    }

    /// Reads a snapshot back. `visibility` says which versions are alive: statistics count what was
    /// born and not dead at its sequence, expired or not, until `remove` takes it out.
    /// - Parameter field: of an index that does not say itself what it was analysed with.
    public convenience init(
        from source: any SnapshotSource, field: TextField, visibility: Visibility
    ) throws(KyroError) {
        var stream = IndexStreamReader(source, what: "text index")
        let version = try stream.read()
        guard version == UInt64(Self.version) || version == UInt64(Self.versionWithoutPositions)
        else { throw stream.damaged("unknown version") }
        let isPositional = version == UInt64(Self.version)
        self.init(
            field: isPositional ? try TextField(from: &stream) : field,
            keepsPositions: isPositional)
        let slotCount = try stream.read(max: visibility.slotCount, "slot count")
        let documents = try stream.read(max: slotCount, "documents")
        var previous = -1
        for _ in 0..<documents {
            let slot = try stream.readSlot(after: &previous, below: slotCount)
            let length = try stream.read(max: Int(UInt32.max) - 1, "length")
            restore(length: length, slot: Slot(index: slot), isAlive: visibility.isAlive(slot))
        }
        let termCount = try stream.read(max: Int(UInt32.max) - 1, "terms")
        for _ in 0..<termCount {
            let term = try stream.readBytes(max: StringDictionary.stringBytesMax)
            guard dictionary.find(term) == nil else { throw stream.damaged("a term twice") }
            try readPostings(term, &stream, documents: documents, slotCount, visibility)
        }
        guard stream.isAtEndOfPiece else { throw stream.damaged("bytes behind the end") }
    }
    private func readPostings(
        _ term: [UInt8], _ stream: inout IndexStreamReader, documents: Int, _ slotCount: Int,
        _ visibility: Visibility
    ) throws(KyroError) {
        let count = try stream.read(max: documents, "postings")
        var entries: [UInt64] = []
        var places: [UInt64] = []
        entries.reserveCapacity(count)
        var alive = 0
        var previousSlot = -1
        for _ in 0..<count {
            let slot = try stream.readSlot(after: &previousSlot, below: slotCount)
            let frequency = try stream.read(max: Int(UInt32.max), "frequency")
            guard frequency > 0 else { throw stream.damaged("a posting of frequency 0") }
            guard slot < lengthRows.load(ordering: .relaxed), lengths[slot] > 0 else {
                throw stream.damaged("a posting of a document without the field")
            }
            if visibility.isAlive(slot) { alive += 1 }
            entries.append(UInt64(frequency) << 32 | UInt64(slot))
            guard hasPositions else { continue }
            guard (1...Int(lengths[slot])).contains(frequency) else {
                throw stream.damaged("\(frequency) positions in \(lengths[slot]) tokens")
            }
            var position = 0
            for _ in 0..<frequency {
                position += try stream.read(max: Limits.textBytesMax, "position")
                guard position <= Limits.textBytesMax else {
                    throw stream.damaged("position \(position)")
                }
                places.append(UInt64(position))
            }
        }
        restore(term: term, entries: entries, places: places, liveCount: alive)
    }
}
