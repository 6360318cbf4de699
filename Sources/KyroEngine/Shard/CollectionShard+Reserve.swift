// Memory for documents, asked before the log takes them: what the log has accepted must be
// applicable, so that no allocation may fail afterwards.
import KyroBytes
import KyroIndex
import KyroModel

extension CollectionShard {
    /// Makes room for these documents as the next rows, in every column and index; false when there
    /// is no memory for them. What could be made stays for the next. Writer only.
    func tryReserve(_ documents: [Document]) throws(KyroError) -> Bool {
        guard !documents.isEmpty else { return true }
        for document in documents { try prepareIndexes(for: document) }
        let slots = writtenCount..<(writtenCount + documents.count)
        let root = currentRoot
        guard growIDs(by: documents.count), rows.tryReserve(documents, slots: slots),
            metadata.tryReserve(documents, slotCount: slots.upperBound)
        else { return false }
        for entry in root.vectors {
            let count = documents.count { $0.vectors[entry.name] != nil }
            guard
                count == 0
                    || entry.value.tryReserve(vectors: count, slotCount: slots.upperBound)
            else { return false }
        }
        for entry in root.sparse {
            let count = documents.reduce(0) {
                $0 + ($1.sparseVectors[entry.name]?.indices.count ?? 0)
            }
            guard count == 0 || entry.value.tryReserve(entries: count) else { return false }
        }
        for entry in root.texts {
            var (count, byteCount) = (0, 0)
            for document in documents {
                guard let text = document.texts[entry.name] else { continue }
                count += 1
                byteCount += text.utf8.count
            }
            guard
                count == 0
                    || entry.value.tryReserve(
                        byteCount: byteCount, texts: count, slotCount: slots.upperBound)
            else { return false }
        }
        return true
    }

    /// Makes room for the columns of these rows of another part; false when there is no memory for
    /// them. In a part that is being rebuilt.
    func tryReserveColumns(of old: CollectionShard, _ oldSlots: Range<Int>) -> Bool {
        var (idBytes, blobBytes) = (0, 0)
        for slot in oldSlots {
            if case .text(let text) = old.rows.ids[slot] { idBytes += text.utf8.count }
            blobBytes += Int(old.rows.blobLengths[slot])
        }
        let slots = writtenCount..<(writtenCount + oldSlots.count)
        return growIDs(by: oldSlots.count)
            && rows.tryReserve(slots: slots, idBytes: idBytes, blobBytes: blobBytes)
    }
}

extension VersionColumns {
    func tryReserve(_ documents: [Document], slots: Range<Int>) -> Bool {
        var (idBytes, blobBytes) = (0, 0)
        for document in documents {
            if case .text(let text) = document.id { idBytes += text.utf8.count }
            blobBytes += document.storedBytesMax
        }
        return tryReserve(slots: slots, idBytes: idBytes, blobBytes: blobBytes)
    }

    func tryReserve(slots: Range<Int>, idBytes: Int, blobBytes: Int) -> Bool {
        born.tryReserve(rows: slots) && died.tryReserve(rows: slots)
            && expiresAt.tryReserve(rows: slots) && previous.tryReserve(rows: slots)
            && marks.tryReserve(rows: slots)
            && ids.tryReserve(slots: slots, textBytes: idBytes)
            && blobOffsets.tryReserve(rows: slots) && blobLengths.tryReserve(rows: slots)
            && blobs.tryReserve(byteCount: blobBytes)
    }
}

extension Document {
    /// No stored document without its dense vectors has more bytes: see DocumentCodec.
    fileprivate var storedBytesMax: Int {
        // Version, id, flags, two times, five counts; of a field the lengths of its name and its
        // value, and its type.
        var total = 1 + (1 + 5 + Limits.idBytesMax) + 1 + 16 + 5 * 5
        for entry in sparseVectors {
            total += 16 + entry.name.utf8.count + 8 * entry.value.indices.count
        }
        for entry in texts { total += 16 + entry.name.utf8.count + entry.value.utf8.count }
        for entry in metadata { total += 16 + entry.name.utf8.count + entry.value.byteCount }
        for entry in multiVectors {
            total += 24 + entry.name.utf8.count + 4 * entry.value.values.count
        }
        return total
    }
}
