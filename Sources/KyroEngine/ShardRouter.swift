// Which shards a key lives in and which shards a query needs.
import KyroBytes
import KyroModel

/// Decides placement. A router returns a set of shards from the first day, so that a learned one
/// can ask fewer than all.
protocol ShardRouter: Sendable {
    func home(of id: DocumentID) -> Int
    /// The shards that a search has to ask.
    func shards(for request: SearchRequest) -> [Int]
}

/// Places by hash of the key and asks every shard. The hash is part of the data directory's format.
struct HashRouter: ShardRouter {
    let shardCount: Int

    func home(of id: DocumentID) -> Int {
        Int(id.placementHash % UInt64(shardCount))
    }

    func shards(for request: SearchRequest) -> [Int] { Array(0..<shardCount) }
}

extension DocumentID {
    /// The same on every machine and for ever.
    var placementHash: UInt64 { hash(seed: 0) }

    func hash(seed: UInt64) -> UInt64 {
        switch self {
        case .number(let value): mix64(value ^ mix64(seed))
        case .text(let value): xxh3(Array(value.utf8), seed: seed)
        }
    }
}
