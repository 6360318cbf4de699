// A text index in a snapshot.
//
//   version             varint, 1
//   slot count          varint
//   documents           varint count, then per document: varint slot − previous slot, varint length
//   terms               varint count of terms that have postings, then per term:
//                         varint byte count, bytes, varint count of postings,
//                         per posting: varint slot − previous slot, varint term frequency
//
// Previous slots begin at 0 in each list. Live statistics are not stored: they are counted again
// when the index is read.
import KyroModel

extension TextIndex {
    private static let version = 1

    /// Writes what concerns the slots below `slotCount`, while the writer goes on. Any thread that
    /// has learnt of them.
    public func write(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        var stream = IndexStreamWriter(sink)
        try stream.write(Self.version)
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
            var rest = count
            var previous: UInt64 = 0
            try postings.forEachEntry(term) { entry throws(KyroError) in
                guard rest > 0 else { return false }
                rest -= 1
                let slot = entry & 0xFFFF_FFFF
                try stream.write(slot - previous)
                try stream.write(entry >> 32)
                previous = slot
                return true
            }
        }
        try stream.flush()
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
    public convenience init(
        from source: any SnapshotSource, field: TextField, visibility: Visibility
    ) throws(KyroError) {
        self.init(field: field)
        var stream = IndexStreamReader(source, what: "text index")
        guard try stream.read() == UInt64(Self.version) else {
            throw stream.damaged("unknown version")
        }
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
            let count = try stream.read(max: documents, "postings")
            var entries: [UInt64] = []
            entries.reserveCapacity(count)
            var alive = 0
            previous = -1
            for _ in 0..<count {
                let slot = try stream.readSlot(after: &previous, below: slotCount)
                let frequency = try stream.read(max: Int(UInt32.max), "frequency")
                guard frequency > 0 else { throw stream.damaged("a posting of frequency 0") }
                guard slot < lengthRows.load(ordering: .relaxed), lengths[slot] > 0 else {
                    throw stream.damaged("a posting of a document without the field")
                }
                if visibility.isAlive(slot) { alive += 1 }
                entries.append(UInt64(frequency) << 32 | UInt64(slot))
            }
            restore(term: term, entries: entries, liveCount: alive)
        }
        guard stream.isAtEndOfPiece else { throw stream.damaged("bytes behind the end") }
    }
}
