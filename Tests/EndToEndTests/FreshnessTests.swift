// What is acknowledged is found at once, from any connection; what is deleted is gone at once.
import Foundation
import KyroClient
import KyroModel
import KyroPlatform
import Synchronization
import Testing

/// Rounds of KYRODB_FRESHNESS_ROUNDS, 10,000 unless set.
private let rounds =
    ProcessInfo.processInfo.environment["KYRODB_FRESHNESS_ROUNDS"].flatMap { Int($0) } ?? 10_000

@Suite(
    "freshness over the wire", .serialized,
    .enabled(if: Shipped.isThere, Comment(rawValue: Shipped.missing)))
struct FreshnessTests {
    static let scope = Scope(namespace: "fresh")
    static let loadedRows = 100_000
    static let batchRows = 1_000
    static let sample = Sample(seed: 20_260_101)

    /// Documents of the rounds; the loaded ones lie below, those that come and go meanwhile above.
    static let firstRound: UInt64 = 10_000_000
    static let firstChurn: UInt64 = 20_000_000
    static let churnRows: UInt64 = 200
    static let roundsPerChurn = 20

    @Test("a write is seen by every way of reading on another loop, a delete by none")
    func readYourWrites() throws {
        let server = try ShippedServer("--shards", "2", "--loops", "2", "--fsync", "always")
        let writer = try server.connect()
        let reader = try server.connect()
        try expectDifferentLoops(server, writer, reader)
        try load(writer)
        let atStart = try OperationsClient(reader).status()

        let snapshots = Background("snapshots", to: server.endpoint) {
            connection, _ throws(KyroError) in
            _ = try OperationsClient(connection).snapshot()
        }
        let churn = Background("churn", to: server.endpoint, startsPaused: true, turn: Self.churn)
        var watch = FreshnessWatch(
            writer: IngestClient(writer), reader: SearchClient(reader), scope: Self.scope,
            sample: Self.sample)
        var looks = 0
        var tailSeen = 0
        let start = Date()
        for round in 0..<rounds {
            if round % Self.roundsPerChurn == 0 { churn.allowTurn() }
            // Between two batches of what comes and goes, so that some have been folded and some not.
            if round % 100 == Self.roundsPerChurn / 2 {
                looks += 1
                let status = try OperationsClient(reader).status()
                if status.shards.contains(where: { $0.tailRows > 0 }) { tailSeen += 1 }
            }
            try watch.round(Self.firstRound + UInt64(round))
        }
        let seconds = Date().timeIntervalSince(start)
        let churned = try churn.stop()
        let snapshotCount = try snapshots.stop()
        let atEnd = try OperationsClient(reader).status()

        let folded = Self.graphRows(atEnd) - Self.graphRows(atStart)
        print("RESULT \(rounds) rounds, \(watch.misses.count) misses")
        print(
            "\(Int(seconds)) s; meanwhile \(snapshotCount) snapshots, \(churned) batches of "
                + "\(Self.churnRows) documents in and out, \(folded) rows folded; unfolded rows "
                + "were there at \(tailSeen) of \(looks) looks")
        #expect(watch.misses.isEmpty, "seed \(Self.sample.seed): \(watch.misses.prefix(20))")
        #expect(snapshotCount > 0, "no snapshot ran meanwhile")
        #expect(folded > 0, "nothing was folded meanwhile")
        #expect(tailSeen > 0, "no row was ever unfolded")
        #expect(server.stop() == 0, "the server's log:\n\(server.log)")
    }

    /// Calls on one connection wake one loop, calls on the other wake the other.
    private func expectDifferentLoops(
        _ server: ShippedServer, _ writer: Connection, _ reader: Connection
    ) throws {
        func loopOf(_ connection: Connection) throws -> (name: String, count: Int)? {
            let before = server.waits(ofThreadsNamed: "kyro-io-")
            for _ in 0..<200 { _ = try HealthClient(connection).check() }
            let after = server.waits(ofThreadsNamed: "kyro-io-")
            #expect(after.count >= 2, "loops: \(after.keys.sorted())")
            let busiest = after.map { ($0.key, $0.value - (before[$0.key] ?? 0)) }
                .max { $0.1 < $1.1 }
            return busiest.map { (name: $0.0, count: $0.1) }
        }
        let writersLoop = try #require(try loopOf(writer))
        let readersLoop = try #require(try loopOf(reader))
        #expect(writersLoop.count > 50 && readersLoop.count > 50)
        #expect(writersLoop.name != readersLoop.name, "both connections are on one loop")
    }

    /// Streams the base in. Folding goes on behind the last acknowledgement.
    private func load(_ connection: Connection) throws {
        let stream = try IngestClient(connection).stream(
            StreamOpen(scope: Self.scope, producer: "load", createIfMissing: Sample.schema))
        for first in stride(from: 0, to: Self.loadedRows, by: Self.batchRows) {
            let mutations = (first..<(first + Self.batchRows)).map { number in
                DecodedMutation.success(
                    .upsert(Self.sample.document(UInt64(number), area: "base")))
            }
            try stream.send(
                StreamBatch(
                    clientSequence: UInt64(first / Self.batchRows + 1), mutations: mutations))
        }
        try stream.finish()
        let errors = stream.takeAcks().flatMap(\.errors)
        #expect(errors.isEmpty, "\(errors.prefix(3))")
    }

    /// A batch comes and the one before it goes, so that folding has always something to do.
    @Sendable
    private static func churn(_ connection: Connection, _ turn: Int) throws(KyroError) {
        let first = firstChurn + UInt64(turn) * churnRows
        var mutations = (first..<(first + churnRows)).map { number in
            DecodedMutation.success(.upsert(sample.document(number, area: "churn")))
        }
        if turn > 0 {
            mutations += ((first - churnRows)..<first).map { .success(.remove(.number($0))) }
        }
        _ = try IngestClient(connection).write(WriteRequest(scope: scope, mutations: mutations))
    }

    private static func graphRows(_ status: StatusResponse) -> Int {
        status.shards.reduce(0) { $0 + Int($1.graphRows) }
    }
}

/// One document written and deleted, looked for in every way after each.
struct FreshnessWatch {
    let writer: IngestClient
    let reader: SearchClient
    let scope: Scope
    let sample: Sample
    private(set) var misses: [String] = []

    init(writer: IngestClient, reader: SearchClient, scope: Scope, sample: Sample) {
        self.writer = writer
        self.reader = reader
        self.scope = scope
        self.sample = sample
    }

    mutating func round(_ number: UInt64) throws(KyroError) {
        let document = sample.document(number, area: "hot")
        let written = try writer.upsert([document], in: scope)
        guard case .applied(let seq) = written.outcomes.first else {
            return note(number, "was not written: \(written.outcomes)")
        }
        let found = try reader.lookup(LookupRequest(scope: scope, ids: [document.id])).results
        if found.first?.document != document || found.first?.seq != seq {
            note(number, "look-up after the write: \(found)")
        }
        for (leg, request) in requests(for: document) {
            let hits = try reader.search(request).hits
            if hits.first?.id != document.id || hits.first?.seq != seq {
                note(number, "\(leg) after the write: \(hits.prefix(3).map(\.id))")
            }
        }

        let removed = try writer.remove([document.id], in: scope)
        guard case .applied = removed.outcomes.first else {
            return note(number, "was not deleted: \(removed.outcomes)")
        }
        let left = try reader.lookup(LookupRequest(scope: scope, ids: [document.id])).results
        if left.first?.document != nil { note(number, "look-up after the delete finds it") }
        for (leg, request) in requests(for: document) {
            let hits = try reader.search(request).hits
            if hits.contains(where: { $0.id == document.id }) {
                note(number, "\(leg) after the delete finds it")
            }
        }
    }

    private mutating func note(_ number: UInt64, _ what: String) {
        misses.append("document \(number): \(what)")
    }

    private func requests(for document: Document) -> [(String, SearchRequest)] {
        var byVector = SearchRequest(scope: scope)
        byVector.vector = VectorQuery(vector: document.vectors[Sample.vectorField] ?? [])
        byVector.limit = 3
        var byWord = SearchRequest(scope: scope)
        byWord.text = TextQuery(query: word(of: document))
        byWord.limit = 3
        // Another document's vector: the filter alone tells which one.
        var byFilter = SearchRequest(scope: scope)
        byFilter.vector = VectorQuery(vector: sample.vector(0))
        byFilter.filter = .equals(field: "tag", .string(word(of: document)))
        byFilter.limit = 3
        return [("vector", byVector), ("word", byWord), ("filter", byFilter)]
    }

    private func word(of document: Document) -> String {
        guard case .string(let word) = document.metadata["tag"] else { return "" }
        return word
    }
}
