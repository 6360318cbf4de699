// The rows of one collection in a snapshot, as far as they can be read. RowSections.swift draws
// their blocks; a block says how long it is, so that behind a damaged place the next one is found by
// trying: what reads as a whole block of rows, ends where it says, and has its sequences in order is
// taken for one.
import KyroBytes
import KyroModel
import KyroStore

struct SalvagedRow {
    var born: UInt64
    /// 0 for the living.
    var died: UInt64
    var id: DocumentID
    /// Of the stored document, in the section.
    var blob: Range<UInt64>
    /// Nil when it cannot be told: more than one place before and behind it is damaged.
    var slot: Int?
}

struct SalvagedRows {
    private(set) var rows: [SalvagedRow] = []
    /// Rows that are somewhere in what cannot be read.
    var missingCount: Int { max(0, slotCount - rows.count) }
    let slotCount: Int
    private let section: SectionAccess

    /// A block of rows that takes more than this is none.
    private static let blockBytesMax: UInt64 = 1 << 31

    init(_ section: SectionAccess, slotCount: Int, version: UInt32) {
        self.section = section
        self.slotCount = slotCount
        var position: UInt64 = 0
        /// Where each unbroken run begins in `rows`.
        var runs = [0]
        while position < section.byteCount, rows.count < slotCount {
            if let (block, byteCount) = block(at: position, version: version) {
                rows.append(contentsOf: block)
                position += byteCount
                continue
            }
            guard let next = findBlock(behind: position, version: version) else {
                position = section.byteCount
                runs.append(rows.count)
                break
            }
            runs.append(rows.count)
            position = next
        }
        number(runs, reachesEnd: position == section.byteCount)
    }

    func blob(_ row: SalvagedRow) -> [UInt8]? { section.read(row.blob) }

    /// The first run counts from the first slot and the last one from the last.
    private mutating func number(_ runs: [Int], reachesEnd: Bool) {
        let firstEnd = runs.count > 1 ? runs[1] : rows.count
        for index in 0..<firstEnd { rows[index].slot = index }
        guard runs.count > 1, reachesEnd, let last = runs.last else { return }
        for index in last..<rows.count { rows[index].slot = slotCount - rows.count + index }
    }

    private func findBlock(behind position: UInt64, version: UInt32) -> UInt64? {
        var candidate = section.nextReadable(from: position + 1)
        while candidate < section.byteCount {
            // Heads are tried within one piece that is read once.
            let end = min(section.readableEnd(from: candidate), candidate + (1 << 20))
            guard end > candidate, let bytes = section.read(candidate..<end) else {
                candidate = section.nextReadable(from: max(end, candidate + 1))
                continue
            }
            for offset in 0..<bytes.count {
                let place = candidate + UInt64(offset)
                guard isPlausible(bytes, offset, version: version),
                    let (block, byteCount) = block(at: place, version: version),
                    isInOrder(block), continues(at: place + byteCount, version: version)
                else { continue }
                return place
            }
            candidate = section.nextReadable(from: end)
        }
        return nil
    }

    /// Whether the rows are such as could follow those read so far.
    private func isInOrder(_ block: [SalvagedRow]) -> Bool {
        var last = rows.last?.born ?? 0
        for row in block {
            guard row.born >= last, row.died == 0 || row.died > row.born else { return false }
            last = row.born
        }
        return true
    }

    /// Whether a block ends here: the section does, or another block or damage follows.
    private func continues(at position: UInt64, version: UInt32) -> Bool {
        if position == section.byteCount { return true }
        guard section.isReadable(position..<min(section.byteCount, position + 16)) else {
            return position < section.byteCount
        }
        return block(at: position, version: version) != nil
            || section.readableEnd(from: position) < section.byteCount
    }

    private func isPlausible(_ bytes: [UInt8], _ offset: Int, version: UInt32) -> Bool {
        // A first look at the counts, which rejects nearly every place.
        guard offset + 8 <= bytes.count else { return true }
        let first = Self.fixed32(bytes, offset)
        let second = Self.fixed32(bytes, offset + 4)
        return version == 1
            ? second > 0 && UInt64(second) * 38 <= UInt64(first)
                && UInt64(first) <= section.byteCount
            : first > 0 && first <= 8_192 && UInt64(second) <= section.byteCount
    }

    private func block(
        at position: UInt64, version: UInt32
    ) -> (rows: [SalvagedRow], byteCount: UInt64)? {
        version == 1 ? blockOfVersion1(at: position) : blockOfVersion2(at: position)
    }

    // MARK: Version 1

    /// u32 byte count · u32 rows, and per row u64 born · u64 died · i64 expires at · u32 previous
    /// slot + 1 · varint length + document id · varint length + stored document
    private func blockOfVersion1(
        at position: UInt64
    ) -> (rows: [SalvagedRow], byteCount: UInt64)? {
        guard let head = section.read(position..<(position + 8)) else { return nil }
        let byteCount = UInt64(Self.fixed32(head, 0))
        let count = Int(Self.fixed32(head, 4))
        guard count > 0, UInt64(count) * 38 <= byteCount, byteCount <= Self.blockBytesMax,
            let bytes = section.read((position + 8)..<(position + 8 + byteCount))
        else { return nil }
        var reader = ByteReader(bytes)
        var found: [SalvagedRow] = []
        found.reserveCapacity(count)
        do {
            for _ in 0..<count {
                let born = try reader.readFixed64()
                let died = try reader.readFixed64()
                _ = try reader.readFixed64()
                _ = try reader.readFixed32()
                let idBytes = try reader.readBytes(
                    count: try reader.readCount(max: reader.remaining))
                let id = try DocumentCodec.decodeID(idBytes)
                let blobCount = try reader.readCount(max: reader.remaining)
                let start = position + 8 + UInt64(reader.position)
                _ = try reader.readRange(count: blobCount)
                found.append(
                    SalvagedRow(
                        born: born, died: died, id: id, blob: start..<(start + UInt64(blobCount)),
                        slot: nil))
            }
        } catch {
            return nil
        }
        return reader.isAtEnd ? (found, byteCount + 8) : nil
    }

    // MARK: Version 2

    /// u32 n · u32 bytes of id texts · u64 bytes of documents, and columns of n: u64 born · u64 died
    /// · i64 expires at · u32 previous · u64 number · u32 text bytes + 1 · u32 document bytes; then
    /// texts and documents
    private func blockOfVersion2(
        at position: UInt64
    ) -> (rows: [SalvagedRow], byteCount: UInt64)? {
        guard let head = section.read(position..<(position + 16)) else { return nil }
        let count = Int(Self.fixed32(head, 0))
        let textBytes = Int(Self.fixed32(head, 4))
        let blobBytes = UInt64(Self.fixed32(head, 8)) | UInt64(Self.fixed32(head, 12)) << 32
        let fixedBytes = count * 44
        let texts = position + 16 + UInt64(fixedBytes)
        guard count > 0, count <= 8_192, blobBytes <= Self.blockBytesMax,
            texts + UInt64(textBytes) + blobBytes <= section.byteCount,
            let columns = section.read((position + 16)..<(texts + UInt64(textBytes)))
        else { return nil }
        var found: [SalvagedRow] = []
        found.reserveCapacity(count)
        var text = fixedBytes
        var blob = texts + UInt64(textBytes)
        let end = blob + blobBytes
        for row in 0..<count {
            let lengthPlusOne = Int(Self.fixed32(columns, 36 * count + 4 * row))
            let id: DocumentID
            if lengthPlusOne == 0 {
                id = .number(Self.fixed64(columns, 28 * count + 8 * row))
            } else {
                guard lengthPlusOne - 1 <= columns.count - text,
                    let value = String(
                        validating: columns[text..<(text + lengthPlusOne - 1)], as: UTF8.self)
                else { return nil }
                id = .text(value)
                text += lengthPlusOne - 1
            }
            let blobCount = UInt64(Self.fixed32(columns, 40 * count + 4 * row))
            guard blobCount <= end - blob else { return nil }
            found.append(
                SalvagedRow(
                    born: Self.fixed64(columns, 8 * row),
                    died: Self.fixed64(columns, 8 * count + 8 * row), id: id,
                    blob: blob..<(blob + blobCount), slot: nil))
            blob += blobCount
        }
        guard text == columns.count, blob == end, section.isReadable(position..<end) else {
            return nil
        }
        return (found, end - position)
    }

    private static func fixed32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for i in 0..<4 { value |= UInt32(bytes[offset + i]) << (8 * UInt32(i)) }
        return value
    }

    private static func fixed64(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        UInt64(fixed32(bytes, offset)) | UInt64(fixed32(bytes, offset + 4)) << 32
    }
}
