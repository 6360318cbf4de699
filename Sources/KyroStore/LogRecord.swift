// One change to one shard, as the log keeps it.
//
//   u8       version, 1
//   u8       operation: 1 upsert, 2 remove, 3 mark
//   varint   collection id
//   varint   schema version
//   u64      seq
//   varint   0: no producer; otherwise length of the producer's id plus 1, the id in UTF-8, and
//   varint     its client sequence
//   upsert: a document (DocumentCodec); remove: a document id; mark: nothing
import KyroBytes
import KyroModel

/// How far a producer's batches were applied.
public struct ProducerMark: Equatable, Sendable {
    public var id: String
    public var clientSequence: UInt64

    public init(id: String, clientSequence: UInt64) {
        self.id = id
        self.clientSequence = clientSequence
    }
}

public struct LogRecord: Equatable, Sendable {
    public enum Operation: Equatable, Sendable {
        case upsert(Document)
        case remove(DocumentID)
        /// Carries a producer mark, or a sequence that nothing was written under.
        case mark
    }

    public var collection: CollectionID
    public var schemaVersion: UInt32
    public var seq: Sequence
    public var producer: ProducerMark?
    public var operation: Operation

    public init(
        collection: CollectionID, schemaVersion: UInt32, seq: Sequence,
        producer: ProducerMark? = nil, operation: Operation
    ) {
        self.collection = collection
        self.schemaVersion = schemaVersion
        self.seq = seq
        self.producer = producer
        self.operation = operation
    }

    static let version: UInt8 = 1

    public func encode(into writer: inout ByteWriter) {
        writer.writeByte(Self.version)
        let code: UInt8 =
            switch operation {
            case .upsert: 1
            case .remove: 2
            case .mark: 3
            }
        writer.writeByte(code)
        writer.writeVarint(UInt64(collection.raw))
        writer.writeVarint(UInt64(schemaVersion))
        writer.writeFixed64(seq.raw)
        if let producer {
            writer.writeVarint(UInt64(producer.id.utf8.count) + 1)
            writer.writeUTF8(producer.id)
            writer.writeVarint(producer.clientSequence)
        } else {
            writer.writeVarint(0)
        }
        switch operation {
        case .upsert(let document): DocumentCodec.encode(document, into: &writer)
        case .remove(let id): DocumentCodec.encode(id, into: &writer)
        case .mark: break
        }
    }

    /// - Throws: `.malformed` for anything that `encode` does not write.
    public static func decode(
        _ bytes: [UInt8], range: Range<Int>? = nil
    ) throws(StoreError) -> LogRecord {
        var reader = RecordReader(bytes, range: range ?? 0..<bytes.count, subject: "log record")
        let version = try reader.byte()
        guard version == Self.version else {
            throw reader.malformed("encoding version \(version), expected \(Self.version)")
        }
        let code = try reader.byte()
        let collection = CollectionID(try reader.varint32())
        let schemaVersion = try reader.varint32()
        let seq = Sequence(try reader.fixed64())
        let producer = try decodeProducer(from: &reader)
        let operation: Operation
        switch code {
        case 1: operation = .upsert(try DocumentCodec.decode(from: &reader))
        case 2: operation = .remove(try DocumentCodec.decodeID(from: &reader))
        case 3: operation = .mark
        default: throw reader.malformed("operation \(code)")
        }
        try reader.end()
        return LogRecord(
            collection: collection, schemaVersion: schemaVersion, seq: seq, producer: producer,
            operation: operation)
    }

    private static func decodeProducer(
        from reader: inout RecordReader
    ) throws(StoreError) -> ProducerMark? {
        let length = try reader.varint()
        if length == 0 { return nil }
        guard let count = Int(exactly: length - 1) else {
            throw reader.malformed("a producer id of \(length - 1) bytes")
        }
        let id = try reader.string(count: count)
        return ProducerMark(id: id, clientSequence: try reader.varint())
    }
}
