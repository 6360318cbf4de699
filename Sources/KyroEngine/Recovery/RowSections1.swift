// Rows of snapshots of version 1: the section is blocks of u32 byte count, u32 rows, and per row
//
//   u64 born · u64 died, 0 for the living · i64 expires at · u32 previous slot + 1
//   varint length + document id · varint length + stored document
import KyroBytes
import KyroModel
import KyroStore

extension CollectionShard {
    /// Fills the columns of an empty part.
    func readRowsOfVersion1(
        from source: any SnapshotSource, slotCount: Int
    ) throws(KyroError) {
        var slot = 0
        while slot < slotCount {
            let header = try source.read(count: 8)
            do throws(ByteError) {
                var head = ByteReader(header)
                let byteCount = Int(try head.readFixed32())
                let rowCount = Int(try head.readFixed32())
                guard rowCount > 0, rowCount <= slotCount - slot else { throw ByteError.truncated }
                let block = try readBlock(source, byteCount)
                var reader = ByteReader(block)
                for _ in 0..<rowCount {
                    try readRow(slot, from: &reader)
                    slot += 1
                }
                guard reader.isAtEnd else { throw ByteError.truncated }
            } catch {
                throw damagedRows(slot, "what does not decode: \(error)")
            }
        }
    }

    private func readBlock(
        _ source: any SnapshotSource, _ byteCount: Int
    ) throws(ByteError) -> [UInt8] {
        do throws(KyroError) {
            return try source.read(count: byteCount)
        } catch {
            throw .truncated
        }
    }

    private func readRow(_ slot: Int, from reader: inout ByteReader) throws(ByteError) {
        rows.born.append(try reader.readFixed64(), at: slot)
        rows.died.reserve(row: slot)
        rows.died.store(try reader.readFixed64(), slot)
        rows.expiresAt.append(Int64(bitPattern: try reader.readFixed64()), at: slot)
        rows.markRead(slot)
        let previous = try reader.readFixed32()
        guard Int(previous) <= slot else { throw .truncated }
        rows.previous.append(previous, at: slot)
        let idBytes = try reader.readBytes(count: try reader.readCount(max: reader.remaining))
        do throws(StoreError) {
            rows.ids.append(try DocumentCodec.decodeID(idBytes), slot: slot)
        } catch {
            throw .invalidUTF8
        }
        let blob = try reader.readBytes(count: try reader.readCount(max: reader.remaining))
        rows.blobOffsets.append(UInt64(rows.blobs.append(blob)), at: slot)
        rows.blobLengths.append(UInt32(blob.count), at: slot)
    }
}
