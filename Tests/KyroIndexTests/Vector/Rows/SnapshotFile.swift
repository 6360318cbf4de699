// A snapshot in memory that can be read here and there, and that can rot.
import Foundation
import KyroIndex
import KyroModel

/// `@unchecked Sendable`: the state is touched under the lock alone.
final class SnapshotFile: SnapshotRegion, @unchecked Sendable {
    private struct State {
        var bytes: [UInt8]
        /// Reads that touch these bytes fail.
        var refused: [Range<UInt64>] = []
        var reads: [Range<UInt64>] = []
        var findings: [UInt64] = []
    }

    /// Known to the thread sanitizer.
    private let lock = NSLock()
    private var contents: State

    init(_ bytes: [UInt8]) { contents = State(bytes: bytes) }

    private func withState<Result>(_ body: (inout State) -> Result) -> Result {
        lock.withLock { body(&contents) }
    }

    var byteCount: UInt64 { withState { UInt64($0.bytes.count) } }
    var reads: [Range<UInt64>] { withState { $0.reads } }
    /// Positions that were reported as damaged.
    var findings: [UInt64] { withState { $0.findings } }

    func flip(_ position: Int) { withState { $0.bytes[position] ^= 0x10 } }
    func refuse(_ range: Range<UInt64>) { withState { $0.refused.append(range) } }
    func cut(to count: Int) { withState { $0.bytes.removeSubrange(count...) } }
    func forgetReads() { withState { $0.reads = [] } }

    func read(at position: UInt64, count: Int, into bytes: inout [UInt8]) throws(KyroError) {
        let range = position..<(position + UInt64(count))
        let found: [UInt8]? = withState { state in
            state.reads.append(range)
            guard range.upperBound <= state.bytes.count,
                !state.refused.contains(where: { $0.overlaps(range) })
            else { return nil }
            return Array(state.bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        }
        guard let found else { throw damaged(at: position, "refused") }
        bytes = found
    }

    func willRead(at position: UInt64, count: Int) {}

    func damaged(at position: UInt64, _ finding: String) -> KyroError {
        withState { $0.findings.append(position) }
        return KyroError(code: .dataLoss, reason: "INTERNAL", message: finding)
    }
}

extension VectorIndexing {
    static func keeping(_ rerank: VectorRerank, _ storage: VectorStorage) -> VectorIndexing {
        VectorIndexing(rerank: rerank, storage: storage)
    }
}

/// To bfloat16 and back, by arithmetic on integers.
func rounded(_ vector: [Float]) -> [Float] {
    vector.map { value in
        let bits = value.bitPattern
        let up = bits & 0xFFFF > 0x8000 || (bits & 0xFFFF == 0x8000 && bits & 0x1_0000 != 0)
        var high = (bits >> 16) + (up ? 1 : 0)
        if high & 0x7FFF == 0x7F80 { high -= 1 }
        return Float(bitPattern: high << 16)
    }
}

struct SnapshotBytes: Equatable {
    var rows: [UInt8]
    var graph: [UInt8]
}

extension VectorFixture {
    /// The rows and the graph as a snapshot has them.
    func snapshot() throws -> SnapshotBytes {
        let (rows, graph) = (MemorySnapshot(), MemorySnapshot())
        try index.writeRows(to: rows, slotCount: slotCount)
        try index.writeGraph(to: graph, slotCount: slotCount)
        return SnapshotBytes(rows: rows.bytes, graph: graph.bytes)
    }

    /// The same documents in an index that was read back.
    func restored(
        _ bytes: SnapshotBytes, _ region: SnapshotFile? = nil,
        indexing: VectorIndexing? = nil
    ) throws -> VectorFixture {
        let (rows, graph) = (MemorySnapshot(), MemorySnapshot())
        (rows.bytes, graph.bytes) = (bytes.rows, bytes.graph)
        var field = index.field
        if let indexing { field.indexing = indexing }
        var copy = self
        copy.index = try VectorIndex(
            RestoredVectors(from: rows, field: field, slotCount: slotCount, region: region),
            graphFrom: graph, parameters: index.parameters)
        return copy
    }
}
