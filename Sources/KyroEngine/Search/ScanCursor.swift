// Visiting documents in the order of their ids, as they were at one sequence.
import KyroBytes
import KyroIndex
import KyroModel

/// Where a scan continues: the sequence it reads at and the id it has passed.
///
///     version 1 | seq u64 | id kind u8 | number u64, or UTF-8 bytes | CRC-32C u32     little-endian
struct ScanToken: Equatable {
    var seq: Sequence
    var after: DocumentID

    private static let version: UInt8 = 1

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.writeByte(Self.version)
        writer.writeFixed64(seq.raw)
        switch after {
        case .number(let value):
            writer.writeByte(0)
            writer.writeFixed64(value)
        case .text(let value):
            writer.writeByte(1)
            writer.writeUTF8(value)
        }
        writer.writeFixed32(crc32c(writer.bytes))
        return writer.bytes
    }

    init(seq: Sequence, after: DocumentID) {
        self.seq = seq
        self.after = after
    }

    init(decoding bytes: [UInt8]) throws(KyroError) {
        let invalid = KyroError(
            .tokenInvalid,
            "resume_token is not one that a scan of this server returned; start without it",
            field: "resume_token")
        guard let token = Self.parse(bytes) else { throw invalid }
        self = token
    }

    private static func parse(_ bytes: [UInt8]) -> ScanToken? {
        guard bytes.count >= 14 else { return nil }
        let content = 0..<(bytes.count - 4)
        do throws(ByteError) {
            var tail = ByteReader(bytes, range: content.upperBound..<bytes.count)
            guard try tail.readFixed32() == crc32c(bytes, range: content) else { return nil }
            var reader = ByteReader(bytes, range: content)
            guard try reader.readByte() == Self.version else { return nil }
            let seq = Sequence(try reader.readFixed64())
            switch try reader.readByte() {
            case 0: return ScanToken(seq: seq, after: .number(try reader.readFixed64()))
            case 1:
                let text = try reader.readString(count: reader.remaining)
                return ScanToken(seq: seq, after: .text(text))
            default: return nil
            }
        } catch {
            return nil
        }
    }
}

/// A scan in progress. It holds the slots that match, four bytes each, and no lock: rows stay where
/// they are however long the reader takes.
public final class ScanCursor {
    private let views: [CollectionView]
    private let projection: Projection
    private let lease: ScanLease
    /// By shard: matching slots in the order of their ids, and how many are done.
    private var slots: [[UInt32]]
    private var positions: [Int]
    private var remaining: UInt64

    init(
        views: [CollectionView], request: ScanRequest, lease: ScanLease, after: DocumentID?,
        cancellation: Cancellation
    ) throws(KyroError) {
        self.views = views
        self.lease = lease
        projection = request.projection ?? .everything
        remaining = request.limit == 0 ? .max : request.limit
        slots = []
        for view in views {
            try cancellation.check()
            slots.append(try Self.matching(view, request, after, cancellation))
        }
        positions = Array(repeating: 0, count: slots.count)
    }

    private static func matching(
        _ view: CollectionView, _ request: ScanRequest, _ after: DocumentID?,
        _ cancellation: Cancellation
    ) throws(KyroError) -> [UInt32] {
        let mask = try view.shard.metadata.evaluate(
            filter: request.filter, timeRange: request.timeRange, visibility: view.visibility,
            cancellation: cancellation)
        let rows = view.shard.rows
        var slots: [UInt32] = []
        for slot in 0..<view.visibility.slotCount {
            if slot % 4_096 == 0 { try cancellation.check() }
            guard view.visibility.isVisible(slot) else { continue }
            if let mask, !mask.contains(slot) { continue }
            if let after, !(after < rows.ids[slot]) { continue }
            slots.append(UInt32(slot))
        }
        try cancellation.check()
        slots.sort { rows.precedes(Int($0), Int($1)) }
        return slots
    }

    /// The next documents, about `bytesMax` bytes of them; nil at the end.
    public func next(bytesMax: Int) throws(KyroError) -> ScanResponse? {
        var documents: [Document] = []
        var byteCount = 0
        var last: DocumentID?
        while byteCount < bytesMax, remaining > 0, let shard = nextShard() {
            let view = views[shard]
            let slot = Int(slots[shard][positions[shard]])
            positions[shard] += 1
            remaining -= 1
            let document = try view.shard.document(
                at: slot, root: view.root, projection: projection)
            byteCount += document.approximateByteCount
            last = document.id
            documents.append(document)
        }
        guard let last else {
            lease.isEnded = true
            return nil
        }
        let seq = lease.seq
        var response = ScanResponse(
            documents: documents, resumeToken: ScanToken(seq: seq, after: last).encoded(), seq: seq)
        response.vectorEncoding = projection.vectorEncoding
        return response
    }

    /// The shard whose next document has the smallest id.
    private func nextShard() -> Int? {
        var best: Int?
        for shard in slots.indices where positions[shard] < slots[shard].count {
            guard let current = best else {
                best = shard
                continue
            }
            let a = views[shard].shard.rows.ids[Int(slots[shard][positions[shard]])]
            let b = views[current].shard.rows.ids[Int(slots[current][positions[current]])]
            if a < b { best = shard }
        }
        return best
    }
}
