// What the store's tests share: random documents, a log on a disk in memory, ways to harm a file.
import KyroBytes
import KyroModel
import KyroPlatform
import KyroStore
import Testing

typealias Sequence = KyroModel.Sequence

let testIdentity = LogIdentity(
    directory: DirectoryID(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF), shard: 3)

struct RandomDocuments {
    private let random: SeededRandomSource

    init(seed: UInt64) { random = SeededRandomSource(seed: seed) }

    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    func text(_ bytesMax: Int) -> String {
        let alphabet: [Character] = ["a", "Z", "0", " ", "é", "\u{301}", "漢", "🜁", "\n", "\u{0}"]
        return String((0..<below(bytesMax / 4 + 1)).map { _ in alphabet[below(alphabet.count)] })
    }

    func float() -> Float { Float(Int64(bitPattern: random.next()) % 1_000_000) / 1_000 }

    func id() -> DocumentID {
        below(2) == 0 ? .number(random.next()) : .text("k" + text(64))
    }

    func value() -> MetadataValue {
        let list = 0..<below(4)
        return switch below(10) {
        case 0: .string(text(40))
        case 1: .int64(Int64(bitPattern: random.next()))
        case 2: .double(Double(float()))
        case 3: .bool(below(2) == 0)
        case 4: .timestamp(Int64(bitPattern: random.next()))
        case 5: .strings(list.map { _ in text(20) })
        case 6: .int64s(list.map { _ in Int64(below(1_000)) })
        case 7: .doubles(list.map { _ in Double(float()) })
        case 8: .bools(list.map { _ in below(2) == 0 })
        default: .timestamps(list.map { _ in Int64(below(1_000)) })
        }
    }

    func document() -> Document {
        var document = Document(id: id())
        for field in 0..<below(3) {
            document.vectors["v\(field)"] = (0..<below(9)).map { _ in float() }
        }
        for field in 0..<below(2) {
            let count = below(5)
            document.sparseVectors["s\(field)"] = SparseVector(
                indices: (0..<count).map { UInt32($0 * 7) },
                values: (0..<count).map { _ in float() })
        }
        for field in 0..<below(3) { document.texts["t\(field)"] = text(80) }
        for field in 0..<below(5) { document.metadata["m\(field)"] = value() }
        if below(2) == 0 { document.eventTimeMillis = Int64(bitPattern: random.next()) }
        if below(3) == 0 { document.expiresAtMillis = Int64(below(1 << 40)) }
        for field in 0..<max(0, below(4) - 2) {
            let dimension = 1 + below(3)
            document.multiVectors["x\(field)"] = MultiVector(
                dimension: dimension, values: (0..<(dimension * below(4))).map { _ in float() })
        }
        return document
    }

    func record(seq: UInt64) -> LogRecord {
        let operation: LogRecord.Operation =
            switch below(5) {
            case 0: .remove(id())
            case 1: .mark
            default: .upsert(document())
            }
        let producer = below(2) == 0 ? nil : ProducerMark(id: text(20), clientSequence: seq * 3)
        return LogRecord(
            collection: CollectionID(UInt32(below(5))), schemaVersion: UInt32(below(300)),
            seq: Sequence(seq), producer: producer, operation: operation)
    }
}

/// A record of one size, for tests that count bytes: 48 + 4 + 13 bytes make a batch of 72.
func mark(_ seq: UInt64) -> LogRecord {
    LogRecord(
        collection: CollectionID(1), schemaVersion: 1, seq: Sequence(seq), operation: .mark)
}

let markBatchBytes = 72

/// A log in bytes of format 1, as the version before this one left it.
struct OldSegment {
    private var writer: ByteWriter
    private var chain: UInt32 = 0
    let identity: LogIdentity

    static let markBatchBytes = 64

    init(_ identity: LogIdentity = testIdentity) {
        self.identity = identity
        writer = ByteWriter(capacity: 1024)
        writer.writeUTF8("KYROLOG\0")
        writer.writeFixed32(1)
        writer.writeFixed32(0)
        writer.writeFixed64(identity.directory.high)
        writer.writeFixed64(identity.directory.low)
        writer.writeFixed32(identity.shard)
        writer.writeFixed32(0)
        writer.writeFixed64(1)
        writer.writeZeros(count: 16)
        let crc = crc32c(
            writer.bytes, range: 16..<64, from: crc32c(writer.bytes, range: 8..<12))
        writer.patchFixed32(crc, at: 12)
    }

    /// - Parameter payload: as a batch has it, lengths included.
    mutating func add(payload: [UInt8], recordCount: Int, isSeal: Bool = false) {
        let lsn = UInt64(writer.count - 64)
        var batch = ByteWriter(capacity: 64)
        batch.writeUTF8("KYB1")
        batch.writeFixed32(0)
        batch.writeFixed32(UInt32(payload.count))
        batch.writeFixed32(UInt32(recordCount))
        batch.writeFixed64(lsn)
        batch.writeFixed64(lsn)
        batch.writeFixed32(chain)
        batch.writeFixed32(isSeal ? 1 : 0)
        batch.writeBytes(payload)
        batch.writeZeros(count: (8 - batch.count % 8) % 8)
        chain = crc32c(batch.bytes, range: 8..<batch.count)
        batch.patchFixed32(chain, at: 4)
        writer.writeBytes(batch.bytes)
    }

    mutating func add(_ record: LogRecord) {
        var encoded = ByteWriter(capacity: 64)
        record.encode(into: &encoded)
        var payload = ByteWriter(capacity: 64)
        payload.writeFixed32(UInt32(encoded.count))
        payload.writeBytes(encoded.bytes)
        add(payload: payload.bytes, recordCount: 1)
    }

    /// The file, filled with zeros up to its size.
    func bytes(size: Int) -> [UInt8] {
        writer.bytes + [UInt8](repeating: 0, count: size - writer.count)
    }
}

extension ShardLog {
    @discardableResult
    func append(_ records: [LogRecord]) throws(StoreError) -> LSN {
        try append(records, wallMillis: 0)
    }

    func seal() throws(StoreError) { try seal(wallMillis: 0) }
}

extension CatalogLog {
    func append(_ record: CatalogRecord) throws(StoreError) {
        try append(record, wallMillis: 0)
    }
}

func openLog(
    _ fileSystem: any FileSystem, segmentBytes: Int = 1 << 16, sparesMax: Int = 2,
    identity: LogIdentity = testIdentity
) throws(StoreError) -> ShardLog {
    try ShardLog.open(
        directory: "/log", fileSystem: fileSystem, identity: identity,
        options: ShardLog.Options(segmentBytes: segmentBytes, sparesMax: sparesMax))
}

func newDisk() throws -> MemoryFileSystem {
    let disk = MemoryFileSystem()
    try disk.makeDirectory("/log")
    return disk
}

struct Replayed {
    var log: ShardLog
    var report: RecoveryReport
    var records: [LogRecord]

    var seqs: [UInt64] { records.map(\.seq.raw) }
}

func replayed(
    _ fileSystem: any FileSystem, from lsn: LSN = .zero, segmentBytes: Int = 1 << 16,
    sparesMax: Int = 2
) throws(StoreError) -> Replayed {
    let log = try openLog(fileSystem, segmentBytes: segmentBytes, sparesMax: sparesMax)
    var records: [LogRecord] = []
    let report = try log.replay(from: lsn) { records.append($0) }
    return Replayed(log: log, report: report, records: records)
}

extension FileSystem {
    func flip(_ path: String, byte: Int, bits: UInt8) throws {
        let file = try open(path, .readWrite)
        let old = try file.read(at: UInt64(byte), count: 1)
        try file.write([old[0] ^ bits], at: UInt64(byte))
    }

    func bytes(_ path: String) throws -> [UInt8] { try open(path, .read).readAll() }
}

extension FileSystem {
    /// Gives a file another format version and the checksum that goes with it.
    func setVersion(_ path: String, _ version: UInt8, headerBytes: Int? = nil) throws {
        var header = try bytes(path)
        header[8] = version
        let end = headerBytes ?? header.count
        let crc = crc32c(header, range: 16..<end, from: crc32c(header, range: 8..<12))
        for i in 0..<4 { header[12 + i] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i))) }
        try open(path, .readWrite).write(header, at: 0)
    }
}

/// The damage that `body` reports; fails the test when there is none.
func damage(
    _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws(StoreError) -> Void
) -> StoreError.Damage? {
    do {
        try body()
    } catch {
        if case .damaged(let damage) = error { return damage }
        Issue.record("not damage: \(error)", sourceLocation: sourceLocation)
        return nil
    }
    Issue.record(comment ?? "no damage was reported", sourceLocation: sourceLocation)
    return nil
}
