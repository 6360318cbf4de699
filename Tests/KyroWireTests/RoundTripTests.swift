// Random values survive encoding and decoding, and damaged ones never do harm.
import KyroModel
import KyroWire
import Testing

/// One message type: makes a random message and returns its bytes, and decodes bytes back to bytes.
struct RoundTrip: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// A random message's bytes, and whether decoding them gave an equal value.
    let check: @Sendable (inout Random) throws -> (bytes: [UInt8], isEqual: Bool)
    let recode: @Sendable ([UInt8]) throws(KyroError) -> [UInt8]

    init<Message: Equatable & Sendable>(
        _ name: String, _ make: @escaping @Sendable (inout Random) -> Message,
        _ decode: @escaping @Sendable ([UInt8]) throws(KyroError) -> Message,
        _ encode: @escaping @Sendable (Message) -> [UInt8]
    ) {
        testDescription = name
        check = { random in
            let message = make(&random)
            let bytes = encode(message)
            return (bytes, try decode(bytes) == message)
        }
        recode = { (bytes) throws(KyroError) in encode(try decode(bytes)) }
    }

    static let all: [RoundTrip] =
        [
            RoundTrip("Value", { $0.value() }, MetadataValue.decode, { $0.encodeWire() }),
            RoundTrip("Document", { $0.document() }, Document.decode, { $0.encodeWire() }),
            RoundTrip(
                "Document, packed", { $0.document() }, Document.decode,
                { $0.encodeWire(.packedF32) }),
            RoundTrip("Filter", { $0.filter() }, Filter.decode, { $0.encodeWire() }),
            RoundTrip("Projection", { $0.projection() }, Projection.decode, { $0.encodeWire() }),
        ] + collections + tuning + ingest + search + operations

    static let collections: [RoundTrip] = [
        RoundTrip(
            "CreateCollectionRequest",
            {
                CreateCollectionRequest(
                    scope: $0.scope(), schema: $0.schema(), durability: $0.durability(),
                    retentionMillis: $0.signed())
            },
            CreateCollectionRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "SetRetentionRequest",
            { SetRetentionRequest(scope: $0.scope(), retentionMillis: $0.signed()) },
            SetRetentionRequest.decode, { $0.encodeWire() }),
        RoundTrip("Collection", collection, CollectionDescription.decode, { $0.encodeWire() }),
        RoundTrip(
            "DescribeCollectionRequest", { DescribeCollectionRequest(scope: $0.scope()) },
            DescribeCollectionRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "DescribeCollectionResponse",
            { random in
                DescribeCollectionResponse(
                    collection: collection(&random), vectors: random.list(4) { $0.indexStatus() },
                    metadata: random.list(4) { random in
                        MetadataStatistics(
                            field: random.text(), rows: random.number(),
                            distinctStrings: random.number(), lowest: random.maybe { $0.value() },
                            highest: random.maybe { $0.value() })
                    },
                    texts: random.list(4) {
                        TextIndexStatus(
                            field: $0.text(), rebuildRowsDone: $0.number(),
                            rebuildRowsTotal: $0.number())
                    })
            }, DescribeCollectionResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "RebuildRequest",
            { random in
                RebuildRequest(
                    scope: random.scope(), vectors: random.fields { $0.indexing() },
                    texts: random.fields { $0.textField() })
            }, RebuildRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "DropCollectionRequest", { DropCollectionRequest(scope: $0.scope()) },
            DropCollectionRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "DropCollectionResponse", { DropCollectionResponse(documentsDropped: $0.number()) },
            DropCollectionResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "ListCollectionsRequest",
            {
                ListCollectionsRequest(
                    tenant: $0.text(), pageSize: UInt32($0.below(900)), pageToken: $0.text())
            }, ListCollectionsRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "ListCollectionsResponse",
            {
                ListCollectionsResponse(
                    collections: $0.list(4, collection), nextPageToken: $0.text())
            }, ListCollectionsResponse.decode, { $0.encodeWire() }),
    ]

    @Sendable static func collection(_ random: inout Random) -> CollectionDescription {
        var collection = CollectionDescription(
            scope: random.scope(), id: CollectionID(UInt32(random.below(100))),
            schemaVersion: UInt32(random.below(100)), schema: random.schema(),
            documentCount: random.number(), durability: random.durability(),
            retentionMillis: random.signed())
        collection.tuning = random.maybe { $0.tuning() }
        collection.tuningHistory = random.list(3) { $0.tuning() }
        return collection
    }

    static let tuning: [RoundTrip] = [
        RoundTrip(
            "TuneRequest",
            { random in
                random.chance() ? .start(random.tuneStart()) : .query(random.judgedQuery())
            }, TuneRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "TuneResponse",
            { random in
                random.chance()
                    ? .progress(
                        TuneProgress(
                            queries: random.number(), fitPercent: UInt32(random.below(101))))
                    : .outcome(
                        TuneOutcome(
                            version: UInt32(random.below(9)), fusion: random.learnedFusion()))
            }, TuneResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "RollBackTuningRequest",
            { RollBackTuningRequest(scope: $0.scope(), version: UInt32($0.below(9))) },
            RollBackTuningRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "RollBackTuningResponse", { RollBackTuningResponse(version: UInt32($0.below(9))) },
            RollBackTuningResponse.decode, { $0.encodeWire() }),
    ]

    static let ingest: [RoundTrip] = [
        RoundTrip(
            "WriteResponse",
            { random in
                WriteResponse(
                    outcomes: random.list(5) { random in
                        switch random.below(4) {
                        case 0: .applied(Sequence(random.number()))
                        case 1: .notFound
                        case 2: .duplicate
                        default: .failed(random.itemError())
                        }
                    }, seq: Sequence(random.number()))
            }, WriteResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "StreamResponse",
            { random in
                if random.chance() {
                    return .opened(
                        StreamOpened(
                            lastClientSequence: random.number(), creditBytes: random.number()))
                }
                return .ack(
                    StreamAck(
                        clientSequence: random.number(), durable: Sequence(random.number()),
                        searchable: Sequence(random.number()),
                        errors: random.list(3) {
                            StreamAck.IndexedError(
                                index: UInt32($0.below(9)), error: $0.itemError())
                        }, creditBytes: random.number(), isDuplicate: random.chance()))
            }, StreamResponse.decode, { $0.encodeWire() }),
    ]

    static let search: [RoundTrip] = [
        RoundTrip("SearchRequest", { $0.search() }, SearchRequest.decode, { $0.encodeWire() }),
        RoundTrip("SearchResponse", { $0.answer() }, SearchResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "SearchManyRequest", { SearchManyRequest(tag: $0.number(), search: $0.search()) },
            SearchManyRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "SearchManyResponse",
            {
                SearchManyResponse(
                    tag: $0.number(),
                    result: $0.chance() ? .success($0.answer()) : .failure($0.itemError()))
            }, SearchManyResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "LookupRequest",
            { random in
                var request = LookupRequest(
                    scope: random.scope(), ids: random.list(5) { $0.id() },
                    projection: random.maybe { $0.projection() },
                    minSeq: Sequence(random.number()))
                request.asOf = random.maybe { $0.asOf() }
                return request
            }, LookupRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "LookupResponse",
            { random in
                LookupResponse(
                    results: random.list(4) { random in
                        LookupResult(
                            id: random.id(), document: random.maybe { $0.document() },
                            seq: Sequence(random.number()))
                    }, seq: Sequence(random.number()))
            }, LookupResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "ScanRequest",
            { random in
                var request = ScanRequest(scope: random.scope())
                request.filter = random.maybe { $0.filter() }
                request.timeRange = random.maybe { $0.timeRange() }
                request.projection = random.maybe { $0.projection() }
                request.limit = random.number()
                request.resumeToken = random.list(9) { UInt8($0.below(256)) }
                request.minSeq = Sequence(random.number())
                request.orderBy = random.list(4) { $0.sortKey() }
                request.asOf = random.maybe { $0.asOf() }
                return request
            }, ScanRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "ScanResponse",
            { random in
                ScanResponse(
                    documents: random.list(4) { $0.document() },
                    resumeToken: random.list(9) { UInt8($0.below(256)) },
                    seq: Sequence(random.number()))
            }, ScanResponse.decode, { $0.encodeWire() }),
    ]

    static let operations: [RoundTrip] = [
        RoundTrip(
            "StatusRequest", { _ in StatusRequest() }, StatusRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "SnapshotRequest", { _ in SnapshotRequest() }, SnapshotRequest.decode,
            { $0.encodeWire() }),
        RoundTrip(
            "FlushRequest", { _ in FlushRequest() }, FlushRequest.decode, { $0.encodeWire() }),
        RoundTrip("StatusResponse", status, StatusResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "SnapshotResponse",
            {
                SnapshotResponse(
                    seq: Sequence($0.number()), bytes: $0.number(), micros: $0.number())
            }, SnapshotResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "FlushResponse", { FlushResponse(durable: Sequence($0.number())) },
            FlushResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "CreateBackupRequest", { CreateBackupRequest(isIncremental: $0.chance()) },
            CreateBackupRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "CreateBackupResponse",
            { random in
                CreateBackupResponse(
                    bytesDone: random.number(), bytesTotal: random.number(),
                    backup: random.maybe { backup(&$0) })
            }, CreateBackupResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "HealthCheckRequest", { HealthCheckRequest(service: $0.text()) },
            HealthCheckRequest.decode, { $0.encodeWire() }),
        RoundTrip(
            "HealthCheckResponse",
            {
                HealthCheckResponse(status: HealthCheckResponse.ServingStatus.allCases[$0.below(4)])
            },
            HealthCheckResponse.decode, { $0.encodeWire() }),
        RoundTrip(
            "Status",
            { random in
                var error = random.itemError()
                error.retryAfterMillis = random.maybe { Int64($0.below(100_000)) }
                return error
            }, decodeStatusDetails, encodeStatusDetails(for:)),
    ]

    private static func backup(_ random: inout Random) -> BackupDescription {
        var backup = BackupDescription(
            id: random.number(), kind: random.chance() ? .full : .incremental,
            seq: Sequence(random.number()))
        backup.parent = random.number()
        backup.timeMillis = Int64(bitPattern: random.number())
        backup.bytes = random.number()
        backup.micros = random.number()
        return backup
    }

    private static func backupStatus(_ random: inout Random) -> BackupStatus {
        var status = BackupStatus()
        status.repository = random.text()
        status.running = random.chance() ? .archive : .none
        status.bytesDone = random.number()
        status.bytesTotal = random.number()
        status.lastID = random.number()
        status.lastSeq = Sequence(random.number())
        status.lastTimeMillis = Int64(bitPattern: random.number())
        status.isArchiving = random.chance()
        status.archivedSeq = Sequence(random.number())
        status.archivedTimeMillis = Int64(bitPattern: random.number())
        status.archiveLagBytes = random.number()
        status.problem = random.text()
        return status
    }

    @Sendable static func status(_ random: inout Random) -> StatusResponse {
        var response = StatusResponse()
        response.version = random.text()
        response.state = random.chance() ? .serving : .draining
        response.uptimeMillis = random.number()
        response.seq = Sequence(random.number())
        response.collectionCount = UInt32(random.below(100))
        response.shards = random.list(4) { random in
            var shard = ShardStatus(shard: UInt32(random.below(8)))
            shard.state = random.chance() ? .recovering : .stopped
            shard.problem = random.text()
            shard.documents = random.number()
            shard.seq = Sequence(random.number())
            shard.logLSN = random.number()
            shard.syncedLSN = random.number()
            shard.snapshotSeq = Sequence(random.number())
            shard.residentBytes = random.number()
            shard.diskBytes = random.number()
            shard.queueDepth = random.number()
            shard.graphRows = random.number()
            shard.tailRows = random.number()
            shard.replayedRecords = random.number()
            shard.graphRowsInserted = random.number()
            shard.recoveryPhase = RecoveryPhase(rawValue: UInt8(random.number() % 4)) ?? .done
            shard.recoveryBytesDone = random.number()
            shard.damages = random.list(3) { random in
                FoundDamage(
                    path: random.text(), offset: random.number(), finding: random.text(),
                    isHealed: random.below(2) == 0)
            }
            shard.scrubEndMillis = Int64(bitPattern: random.number())
            shard.scrubRoundBytes = random.number()
            shard.scrubRounds = random.number()
            shard.scrubBytes = random.number()
            shard.recoveryBytesTotal = random.number()
            shard.snapshotLoadMillis = random.number()
            shard.replayMillis = random.number()
            shard.deadRows = random.number()
            shard.rebuilds = random.number()
            shard.rebuildRowsLeft = random.number()
            shard.rebuildBytes = random.number()
            shard.deadBytes = random.number()
            shard.missingStructures = UInt32(random.below(100))
            return shard
        }
        response.residentBytes = random.number()
        response.connections = UInt32(random.below(100))
        response.kernels = random.text()
        response.backup = random.maybe { backupStatus(&$0) }
        response.clockMillis = random.signed()
        response.clockOffsetMillis = random.signed()
        response.isClockHeld = random.chance()
        response.memoryLimitBytes = random.number()
        response.admission = random.chance() ? .throttled : .closed
        response.diskFreeBytes = random.maybe { $0.number() }
        response.reserve = random.chance() ? .held : .givenUp
        response.queuedBytes = random.number()
        return response
    }
}

@Suite struct RoundTripTests {
    @Test("Every message survives the wire", arguments: RoundTrip.all)
    func survives(_ message: RoundTrip) throws {
        for seed in 0..<500 as Range<UInt64> {
            var random = Random(seed: seed)
            #expect(try message.check(&random).isEqual, "seed \(seed)")
        }
    }

    @Test("A message cut anywhere is refused or is a shorter message", arguments: RoundTrip.all)
    func truncation(_ message: RoundTrip) throws {
        for seed in 0..<60 as Range<UInt64> {
            var random = Random(seed: seed)
            let bytes = try message.check(&random).bytes
            for count in 0..<bytes.count {
                guard let shorter = try? message.recode(Array(bytes[..<count])) else { continue }
                // What was understood is understood again, in the same bytes.
                #expect(try message.recode(shorter) == shorter, "seed \(seed), \(count) bytes")
            }
        }
    }

    @Test("A message with any byte changed does no harm", arguments: RoundTrip.all)
    func damage(_ message: RoundTrip) throws {
        for seed in 0..<60 as Range<UInt64> {
            var random = Random(seed: seed)
            var bytes = try message.check(&random).bytes
            for index in bytes.indices {
                let before = bytes[index]
                bytes[index] = UInt8(random.below(256))
                if let recoded = try? message.recode(bytes) {
                    #expect(try message.recode(recoded) == recoded, "seed \(seed), byte \(index)")
                }
                bytes[index] = before
            }
        }
    }

    @Test("Mutations survive the wire in both requests")
    func mutations() throws {
        for seed in 0..<500 as Range<UInt64> {
            var random = Random(seed: seed)
            let mutations = random.list(4) { $0.mutation() }
            let schema = random.maybe { $0.schema() }
            let scope = random.scope()
            let request = WriteRequest(
                scope: scope, mutations: mutations.map { .success($0) }, createIfMissing: schema)
            let decoded = try WriteRequest.decode(wire: request.encodeWire())
            #expect(decoded.scope == scope, "seed \(seed)")
            #expect(decoded.createIfMissing == schema, "seed \(seed)")
            #expect(try decoded.mutations.map { try $0.get() } == mutations, "seed \(seed)")

            let batch = StreamRequest.batch(
                StreamBatch(clientSequence: seed, mutations: request.mutations))
            guard case .batch(let back) = try StreamRequest.decode(wire: batch.encodeWire()) else {
                Issue.record("not a batch, seed \(seed)")
                continue
            }
            #expect(back.clientSequence == seed)
            #expect(try back.mutations.map { try $0.get() } == mutations, "seed \(seed)")

            let open = StreamOpen(scope: scope, producer: random.text(), createIfMissing: schema)
            guard
                case .open(let opened) = try StreamRequest.decode(
                    wire: StreamRequest.open(open).encodeWire())
            else {
                Issue.record("not an open, seed \(seed)")
                continue
            }
            #expect(opened == open, "seed \(seed)")
        }
    }
}
