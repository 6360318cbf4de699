// What a repair has saved, what it has lost, and what it cannot be sure of.
import KyroModel
import KyroStore

public struct RepairReport: Sendable {
    /// Something that is not in the new directory, or may not be.
    public struct Loss: Sendable, Equatable {
        public var shard: Int?
        public var path: String
        public var offset: UInt64
        /// What cannot be read.
        public var lost: String
        public var consequence: String
    }

    /// A document of which an older version was kept, or none, since its newest cannot be read.
    public struct Doubt: Sendable, Equatable {
        public var scope: Scope
        public var id: DocumentID
        /// What is in the new directory; nil when nothing is.
        public var kept: Sequence?
        /// Its newest version or its end, as far as anything tells.
        public var newest: Sequence
        public var reason: String
    }

    public var documentCount = 0
    public var shardCount = 0
    public var collectionCount = 0
    /// Sequences go on above this.
    public var seq = Sequence.zero
    public var losses: [Loss] = []
    public var doubts: [Doubt] = []
    /// Damage that cost nothing, and cut tails.
    public var notes: [String] = []

    /// Everything that was acknowledged as durable is there.
    public var isComplete: Bool { losses.isEmpty && doubts.isEmpty }
}
