// The rows of one collection into a snapshot and back; ShardSnapshot.swift draws the bytes.
import KyroBytes
import KyroModel
import KyroStore

extension CollectionShard {
    /// Bytes after which a block of rows is handed on.
    private static let blockBytes = 512 << 10

    /// Writes the rows below `slotCount` as they were at `seq`: who died later lives here.
    func writeRows(to sink: any SnapshotSink, slotCount: Int, seq: Sequence) throws(KyroError) {
        var slot = 0
        while slot < slotCount {
            var writer = ByteWriter(capacity: Self.blockBytes + (64 << 10))
            writer.writeFixed32(0)
            writer.writeFixed32(0)
            let first = slot
            while slot < slotCount, writer.count < Self.blockBytes {
                writeRow(slot, seq: seq, to: &writer)
                slot += 1
            }
            writer.patchFixed32(UInt32(writer.count - 8), at: 0)
            writer.patchFixed32(UInt32(slot - first), at: 4)
            try sink.write(writer.bytes)
        }
    }

    private func writeRow(_ slot: Int, seq: Sequence, to writer: inout ByteWriter) {
        let died = rows.died.load(slot)
        writer.writeFixed64(rows.born[slot])
        writer.writeFixed64(died <= seq.raw ? died : 0)
        writer.writeFixed64(UInt64(bitPattern: rows.expiresAt[slot]))
        writer.writeFixed32(rows.previous[slot])
        var id = ByteWriter(capacity: 64)
        DocumentCodec.encode(rows.ids[slot], into: &id)
        writer.writeVarint(UInt64(id.count))
        writer.writeBytes(id.bytes)
        let blob = rows.blob(slot)
        writer.writeVarint(UInt64(blob.count))
        writer.writeBytes(blob)
    }

    /// Fills the columns of an empty part.
    func readRows(from source: any SnapshotSource, slotCount: Int) throws(KyroError) {
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
                throw SnapshotContents.damaged("row \(slot) of \(fields.scope)", error)
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
