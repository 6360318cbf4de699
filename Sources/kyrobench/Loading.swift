// Streams a data set into a server and waits until its graph has taken the rows.
import KyroClient
import KyroModel
import KyroWire

struct Loading: Sendable {
    var documents = 0
    var ingestSeconds = 0.0
    /// From the last acknowledgement until the graph stood still.
    var foldSeconds = 0.0
    var graphRows: UInt64 = 0
    var tailRows: UInt64 = 0
    /// The process with the documents, less the process without.
    var residentBytesAdded: UInt64 = 0
    var diskBytes: UInt64 = 0
    var rawBytesPerVector = 0
    var server = StatusResponse()

    var perSecond: Double { Double(documents) / ingestSeconds }
    var bytesPerVector: Double { Double(residentBytesAdded) / Double(max(1, documents)) }
    var ratioToRaw: Double { bytesPerVector / Double(rawBytesPerVector) }
}

/// Streams documents into a collection, which is made if need be, and returns when all of them are
/// acknowledged.
///
/// - Parameter document: by its number.
func ingest(
    _ numbers: Range<Int>, to scope: Scope, _ schema: Schema, over connection: Connection,
    document: (Int) -> Document
) throws {
    let batchDocuments = 100
    let stream = try IngestClient(connection).stream(
        StreamOpen(
            scope: scope, producer: "kyrobench-\(clock.monotonicNanos())",
            createIfMissing: schema))
    var sequence: UInt64 = 0
    for first in stride(from: numbers.lowerBound, to: numbers.upperBound, by: batchDocuments) {
        sequence += 1
        let batch = first..<min(first + batchDocuments, numbers.upperBound)
        let mutations = batch.map { DecodedMutation.success(.upsert(document($0))) }
        try stream.send(StreamBatch(clientSequence: sequence, mutations: mutations))
        try refuseErrors(stream.takeAcks())
    }
    try stream.finish()
    try refuseErrors(stream.takeAcks())
}

struct Loader {
    /// The graph stands still after so long without a new row: idle runs shall be idle.
    static let stillSeconds = 2.0
    /// As long as rows are missing it may be that one batch takes its time.
    static let stillSecondsBefore = 10.0

    let workload: Workload
    let connection: Connection
    /// Rows in the graph to expect; zero not to wait for it.
    let graphRowsWanted: UInt64

    func load() throws -> Loading {
        var result = Loading()
        let operations = OperationsClient(connection)
        let before = try operations.status()
        let start = clock.monotonicNanos()
        result.documents = workload.data.corpus.count
        result.rawBytesPerVector = workload.data.vectors.dimension * 4
        try ingest(
            0..<result.documents, to: workload.scope, workload.schema, over: connection,
            document: workload.document)
        result.ingestSeconds = secondsSince(start)

        let acknowledged = clock.monotonicNanos()
        var last: UInt64 = 0
        var lastChange = acknowledged
        while true {
            result.server = try operations.status()
            result.graphRows = result.server.shards.reduce(0) { $0 + $1.graphRows }
            result.tailRows = result.server.shards.reduce(0) { $0 + $1.tailRows }
            if result.graphRows != last {
                last = result.graphRows
                lastChange = clock.monotonicNanos()
            }
            let still =
                result.graphRows >= graphRowsWanted ? Self.stillSeconds : Self.stillSecondsBefore
            if graphRowsWanted == 0 || secondsSince(lastChange) > still { break }
            pause(seconds: 0.1)
        }
        result.foldSeconds = Double(lastChange - acknowledged) / 1e9
        result.residentBytesAdded =
            result.server.residentBytes - min(before.residentBytes, result.server.residentBytes)
        result.diskBytes = result.server.shards.reduce(0) { $0 + $1.diskBytes }
        return result
    }
}
