// The rows of one collection into a snapshot and back.
//
// The section `rows-ID` is blocks, each of n rows:
//
//   u32 n · u32 bytes of id texts · u64 bytes of stored documents
//   n × u64   born
//   n × u64   died, 0 for the living
//   n × i64   expires at
//   n × u32   previous slot + 1
//   n × u64   the id's number, 0 for a text
//   n × u32   bytes of the id's text + 1, 0 for a number
//   n × u32   bytes of the stored document
//   the id texts, then the stored documents, one behind the other
import KyroBytes
import KyroModel
import KyroStore

enum RowBlock {
    static let headerBytes = 16
    static let rowBytes = 44
    static let rowsMax = 8_192
    /// Bytes after which a block is handed on; a reader takes what one more document can add.
    static let bytesMin = 512 << 10
    static let bytesMax: UInt64 = 1 << 31

    /// Where the columns of `count` rows lie in a block without its header.
    struct Places {
        let died, expiresAt, previous, words, textLengths, blobLengths, texts: Int

        init(count: Int) {
            died = 8 * count
            expiresAt = 16 * count
            previous = 24 * count
            words = 28 * count
            textLengths = 36 * count
            blobLengths = 40 * count
            texts = 44 * count
        }
    }
}

extension CollectionShard {
    /// Writes the rows below `slotCount` as they were at `seq`: who died later lives here.
    func writeRows(to sink: any SnapshotSink, slotCount: Int, seq: Sequence) throws(KyroError) {
        var slot = 0
        while slot < slotCount {
            var end = slot
            var blobBytes = 0
            while end < slotCount, end - slot < RowBlock.rowsMax, blobBytes < RowBlock.bytesMin {
                blobBytes += Int(rows.blobLengths[end])
                end += 1
            }
            try sink.write(block(slot..<end, blobBytes: blobBytes, seq: seq))
            slot = end
        }
    }

    private func block(_ slots: Range<Int>, blobBytes: Int, seq: Sequence) -> [UInt8] {
        var words: [UInt64] = []
        var lengths: [UInt32] = []
        var texts = ByteWriter()
        words.reserveCapacity(slots.count)
        lengths.reserveCapacity(slots.count)
        rows.ids.append(rows: slots, words: &words, lengths: &lengths, texts: &texts)
        var writer = ByteWriter(
            capacity: RowBlock.headerBytes + RowBlock.rowBytes * slots.count + texts.count
                + blobBytes)
        writer.writeFixed32(UInt32(slots.count))
        writer.writeFixed32(UInt32(texts.count))
        writer.writeFixed64(UInt64(blobBytes))
        rows.born.append(rows: slots, to: &writer)
        let died = slots.map { slot in
            let death = rows.died.load(slot)
            return death <= seq.raw ? death : 0
        }
        writer.writeFixed64s(died)
        rows.expiresAt.append(rows: slots, to: &writer)
        rows.previous.append(rows: slots, to: &writer)
        writer.writeFixed64s(words)
        writer.writeFixed32s(lengths)
        rows.blobLengths.append(rows: slots, to: &writer)
        writer.writeBytes(texts.bytes)
        for slot in slots {
            rows.blobs.append(
                at: Int(rows.blobOffsets[slot]), count: Int(rows.blobLengths[slot]), to: &writer)
        }
        return writer.bytes
    }

    /// Fills the columns of an empty part.
    func readRows(from source: any SnapshotSource, slotCount: Int) throws(KyroError) {
        var slot = 0
        while slot < slotCount {
            var header = ByteReader(try source.read(count: RowBlock.headerBytes))
            guard let count = try? header.readFixed32(), let textBytes = try? header.readFixed32(),
                let blobBytes = try? header.readFixed64(), count > 0,
                count <= RowBlock.rowsMax, Int(count) <= slotCount - slot,
                blobBytes <= RowBlock.bytesMax
            else { throw damagedRows(slot, "a block of impossible size") }
            let fixed = Int(count) * RowBlock.rowBytes
            let block = try source.read(count: fixed + Int(textBytes) + Int(blobBytes))
            try fill(
                slot..<(slot + Int(count)), from: block, textsEnd: fixed + Int(textBytes))
            slot += Int(count)
        }
    }

    private func fill(_ slots: Range<Int>, from block: [UInt8], textsEnd: Int) throws(KyroError) {
        let places = RowBlock.Places(count: slots.count)
        rows.born.fill(rows: slots, from: block, at: 0)
        rows.died.fill(rows: slots, from: block, at: places.died)
        rows.expiresAt.fill(rows: slots, from: block, at: places.expiresAt)
        for slot in slots { rows.markRead(slot) }
        rows.previous.fill(rows: slots, from: block, at: places.previous)
        rows.blobLengths.fill(rows: slots, from: block, at: places.blobLengths)
        guard
            rows.ids.fill(
                rows: slots, from: block, wordsOffset: places.words,
                lengthsOffset: places.textLengths, textBytes: places.texts..<textsEnd)
        else { throw damagedRows(slots.lowerBound, "ids that do not fill their place") }
        var position = textsEnd
        for slot in slots {
            let count = Int(rows.blobLengths[slot])
            guard count <= block.count - position, Int(rows.previous[slot]) <= slot else {
                throw damagedRows(slot, "a document or an earlier version outside")
            }
            let offset = rows.blobs.append(block, range: position..<(position + count))
            rows.blobOffsets.append(UInt64(offset), at: slot)
            position += count
        }
        guard position == block.count else {
            throw damagedRows(slots.lowerBound, "documents that do not fill their place")
        }
    }

    func damagedRows(_ slot: Int, _ problem: String) -> KyroError {
        SnapshotContents.damaged("row \(slot) of \(fields.scope) begins \(problem)")
    }
}
