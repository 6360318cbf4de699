// One call on a connection: what was received of it and what is still to be sent.

/// A handle; everything is done to it through its session, on its session's thread.
public final class HTTP2Stream {
    public internal(set) var id: Int32 = 0
    /// The user's own; the session only carries it.
    public var context: AnyObject?

    // What the peer's header block said.
    /// `/service/method`; empty at a client.
    public internal(set) var path = ""
    /// Server: the request's. Client: the response's initial metadata.
    public internal(set) var metadata: GRPCMetadata = []
    /// From `grpc-timeout`, counted from when the request arrived.
    public internal(set) var timeoutNanos: UInt64?
    public internal(set) var authority: [UInt8] = []
    /// From `grpc-encoding`; nil for one that is not known here.
    public var encoding: MessageEncoding? { head.encoding }
    var head = StreamHead()
    var trailers: GRPCMetadata = []

    // Receiving.
    var assembler = MessageAssembler()
    var inbox = ShortFIFO<WireMessage>()
    var inboxBytes = 0
    /// DATA bytes received whose window was not given back.
    var unacknowledgedBytes = 0
    /// Input after a refusal or a failure is acknowledged and dropped.
    var discardsInput = false
    var inputFailure: GRPCStatus?
    var remoteEnded = false
    /// `halfClosed`, `failed` or `finished` was reported.
    var endReported = false
    var headReported = false
    var isReadableQueued = false
    /// A part of a message is there, since then.
    var isUnfinished = false
    var unfinishedSinceNanos: UInt64 = 0
    /// Server: bytes of messages that its handler keeps.
    var keptBytes = 0
    public internal(set) var isReadingPaused = false
    /// The message that was reported last came compressed.
    public internal(set) var wasCompressed = false

    // Sending.
    /// What our header named in `grpc-encoding`: messages may use it.
    var sendEncoding = MessageEncoding.identity
    /// Server: names an encoding also where the request used none.
    var offersCompression = false
    var outbox = ShortFIFO<WireMessage>()
    /// Bytes of the first message in `outbox` already sent, its prefix included.
    var outboxOffset = 0
    /// Bytes accepted by `send` that are not yet in the session's output.
    public internal(set) var queuedBytes = 0
    var headersSubmitted = false
    /// No message follows: `finish` at a server, `halfClose` at a client.
    var localEnded = false
    var finalStatus: GRPCStatus?
    var finalTrailers: GRPCMetadata = []
    /// When the last of it was taken by the client's window, or the first was queued.
    var takenNanos: UInt64 = 0
    /// nghttp2 was told that nothing is there, and must be told otherwise.
    var isDeferred = false
    var isAboveLowWater = false

    /// The stream is gone: nothing more comes or goes.
    public internal(set) var isClosed = false
    /// HTTP/2 error code of the end; 0 after a regular one.
    public internal(set) var closeCode: UInt32 = 0
    var slot = 0

    init() {}
}

/// Header fields that the protocol itself reads.
struct StreamHead {
    var isPost = false
    var isGRPC = false
    var isTooLarge = false
    var isMalformed = false
    var httpStatus = 0
    var listBytes = 0
    var encoding: MessageEncoding? = .identity
    var accepted = AcceptedEncodings()
    var status: Int32?
    var message: [UInt8] = []
    var details: [UInt8] = []
}

/// A queue that mostly has one element at most, which then takes no memory of its own.
struct ShortFIFO<Element> {
    private var front: Element?
    private var rest = FIFO<Element>()

    var isEmpty: Bool { front == nil }
    var count: Int { front == nil ? 0 : 1 + rest.count }
    var first: Element? { front }

    mutating func append(_ element: Element) {
        if front == nil { front = element } else { rest.append(element) }
    }

    mutating func popFirst() -> Element? {
        guard let element = front.take() else { return nil }
        if !rest.isEmpty { front = rest.popFirst() }
        return element
    }

    mutating func removeAll() {
        front = nil
        if !rest.isEmpty { rest.removeAll() }
    }
}

/// A queue over one array; the front is cut off when half of it is read.
struct FIFO<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count - head }
    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head].take()
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func removeAll() {
        elements = []
        head = 0
    }
}
