// Requests that write, and their answers.

/// Changes the named parts of a document and leaves the rest.
public struct PartialUpdate: Equatable, Sendable {
    /// Names the document by its id; every part present replaces that part.
    public var set: Document
    public var removedVectors: [String] = []
    public var removedSparseVectors: [String] = []
    public var removedTexts: [String] = []
    public var removedMetadata: [String] = []
    public var clearsEventTime = false
    public var clearsExpiry = false
    public var removedMultiVectors: [String] = []

    public init(set: Document) { self.set = set }
}

public enum Mutation: Equatable, Sendable {
    case upsert(Document)
    case update(PartialUpdate)
    case remove(DocumentID)

    public var id: DocumentID {
        switch self {
        case .upsert(let document): document.id
        case .update(let update): update.set.id
        case .remove(let id): id
        }
    }
}

/// One mutation as it came over the wire: what could not be understood is that item's error, not
/// the batch's.
public typealias DecodedMutation = Result<Mutation, KyroError>

extension DecodedMutation {
    /// Whether it takes no memory beyond its own message.
    public var isRemoval: Bool {
        if case .success(.remove) = self { true } else { false }
    }
}

public struct WriteRequest: Sendable {
    public var scope: Scope
    public var mutations: [DecodedMutation]
    /// Creates the collection with this schema when the scope has none.
    public var createIfMissing: Schema?

    public init(scope: Scope, mutations: [DecodedMutation], createIfMissing: Schema? = nil) {
        self.scope = scope
        self.mutations = mutations
        self.createIfMissing = createIfMissing
    }
}

public enum WriteOutcome: Equatable, Sendable {
    case applied(Sequence)
    /// Nothing to update or remove.
    case notFound
    /// This producer's batch was applied before.
    case duplicate
    case failed(KyroError)
}

public struct WriteResponse: Equatable, Sendable {
    /// In the order of the mutations.
    public var outcomes: [WriteOutcome]
    /// The highest sequence of the batch; zero when nothing was applied.
    public var seq: Sequence

    public init(outcomes: [WriteOutcome], seq: Sequence) {
        self.outcomes = outcomes
        self.seq = seq
    }
}

/// First message of an ingest stream.
public struct StreamOpen: Equatable, Sendable {
    public var scope: Scope
    public var producer: String
    public var createIfMissing: Schema?

    public init(scope: Scope, producer: String, createIfMissing: Schema? = nil) {
        self.scope = scope
        self.producer = producer
        self.createIfMissing = createIfMissing
    }
}

public struct StreamBatch: Sendable {
    public var clientSequence: UInt64
    public var mutations: [DecodedMutation]

    public init(clientSequence: UInt64, mutations: [DecodedMutation]) {
        self.clientSequence = clientSequence
        self.mutations = mutations
    }
}

public enum StreamRequest: Sendable {
    case open(StreamOpen)
    case batch(StreamBatch)
}

public struct StreamOpened: Equatable, Sendable {
    /// The highest batch that every shard has applied; zero when none.
    public var lastClientSequence: UInt64
    public var creditBytes: UInt64

    public init(lastClientSequence: UInt64, creditBytes: UInt64) {
        self.lastClientSequence = lastClientSequence
        self.creditBytes = creditBytes
    }
}

public struct StreamAck: Equatable, Sendable {
    public struct IndexedError: Equatable, Sendable {
        public var index: UInt32
        public var error: KyroError

        public init(index: UInt32, error: KyroError) {
            self.index = index
            self.error = error
        }
    }

    public var clientSequence: UInt64
    public var durable: Sequence
    public var searchable: Sequence
    public var errors: [IndexedError]
    public var creditBytes: UInt64
    public var isDuplicate: Bool

    public init(
        clientSequence: UInt64, durable: Sequence, searchable: Sequence, errors: [IndexedError],
        creditBytes: UInt64, isDuplicate: Bool
    ) {
        self.clientSequence = clientSequence
        self.durable = durable
        self.searchable = searchable
        self.errors = errors
        self.creditBytes = creditBytes
        self.isDuplicate = isDuplicate
    }
}

public enum StreamResponse: Equatable, Sendable {
    case opened(StreamOpened)
    case ack(StreamAck)
}
