// Reads the frame headers of what a client sends, before nghttp2 does: how much of it asks for nothing,
// and whether a header block has begun that does not end.
//
// A flood ends here, before a frame of it costs an answer or a place in a queue.

/// What a client sends in numbers that no use of the protocol explains. The connection ends with
/// ENHANCE_YOUR_CALM (RFC 9113 §10.5).
public enum HTTP2Abuse: Sendable {
    case pings, settings, priorities, windowUpdates, emptyData, goAways, unknownFrames
    /// Streams that are opened to be reset (CVE-2023-44487), or to be reset by us (CVE-2025-8671).
    case resets
    /// Frames behind one HEADERS (CVE-2024-28182).
    case continuations
    /// A few bytes that HPACK makes a long header list of.
    case headerBomb
}

/// Tokens that come back with time.
struct TokenBucket {
    private var tokens: UInt64
    private let burst: UInt64
    private let perSecond: UInt64
    private var refilledNanos: UInt64 = 0
    private static let elapsedNanosMax: UInt64 = 3_600_000_000_000

    init(burst: UInt64, perSecond: UInt64) {
        tokens = burst
        self.burst = burst
        self.perSecond = perSecond
    }

    mutating func add(_ count: UInt64) { tokens = min(burst, tokens + count) }

    /// False when there are not so many.
    mutating func take(_ count: UInt64, nowNanos: UInt64) -> Bool {
        if tokens < count { refill(nowNanos) }
        guard tokens >= count else { return false }
        tokens -= count
        return true
    }

    private mutating func refill(_ nowNanos: UInt64) {
        let elapsed = min(nowNanos - min(nowNanos, refilledNanos), Self.elapsedNanosMax)
        let gained = elapsed / 1_000 * perSecond / 1_000_000
        guard gained > 0 else { return }
        add(gained)
        refilledNanos = nowNanos
    }
}

struct FrameScanner {
    private enum FrameType {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let pushPromise: UInt8 = 5
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }
    private static let endStream: UInt8 = 1
    private static let acknowledges: UInt8 = 1
    private static let endHeaders: UInt8 = 4
    private static let padded: UInt8 = 8
    private static let headerBytes = 9
    /// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    private static let prefaceBytes = 24

    enum Finding {
        case abuse(HTTP2Abuse)
        /// A stream is written to behind its end (RFC 9113 §5.1: STREAM_CLOSED).
        case streamClosed
    }

    private var prefaceLeft = FrameScanner.prefaceBytes
    /// Of the frame that has begun.
    private var headerBytesRead = 0
    private var length = 0
    private var type: UInt8 = 0
    private var flags: UInt8 = 0
    private var stream: UInt32 = 0
    private var payloadLeft = 0
    /// The last streams that the client has ended or reset; 0 is none.
    private var ended = SIMD16<UInt32>(repeating: 0)
    private var endedCount = 0

    private var frames: TokenBucket
    private var resets: TokenBucket
    private let continuationsMax: Int
    private var continuations = 0
    private var blockSinceNanos: UInt64 = 0
    private var isInHeaderBlock = false

    /// The client has said its preface and its first SETTINGS.
    private(set) var hasSettings = false

    init(_ configuration: HTTP2Configuration) {
        frames = TokenBucket(
            burst: configuration.idleFrameBurst, perSecond: configuration.idleFramesPerSecond)
        resets = TokenBucket(
            burst: configuration.resetBurst, perSecond: configuration.resetsPerSecond)
        continuationsMax = configuration.continuationsMax
    }

    /// When the header block began that is not complete.
    var headerBlockSinceNanos: UInt64? { isInHeaderBlock ? blockSinceNanos : nil }

    /// A frame that the client asked for was sent: it may answer with a few of its own, such as
    /// windows for the stream and the connection, and a ping to measure the path.
    mutating func answered() { frames.add(4) }

    /// We had to reset a stream for what the client did. False when that was too often.
    mutating func provokedReset(nowNanos: UInt64) -> Bool { resets.take(1, nowNanos: nowNanos) }

    /// Looks at the next bytes of the connection.
    /// - Returns: why the connection must end.
    mutating func scan(_ bytes: [UInt8], count: Int, nowNanos: UInt64) -> Finding? {
        var i = min(prefaceLeft, count)
        prefaceLeft -= i
        while i < count {
            if payloadLeft > 0 {
                let skipped = min(payloadLeft, count - i)
                payloadLeft -= skipped
                i += skipped
                if payloadLeft == 0 { frameEnded() }
                continue
            }
            readHeader(bytes[i])
            i += 1
            guard headerBytesRead == Self.headerBytes else { continue }
            headerBytesRead = 0
            payloadLeft = length
            if let finding = streamBegan() ?? frameBegan(nowNanos) { return finding }
            if length == 0 { frameEnded() }
        }
        return nil
    }

    /// Length (24 bits), type, flags, stream (RFC 9113 §4.1).
    private mutating func readHeader(_ byte: UInt8) {
        switch headerBytesRead {
        case 0: length = Int(byte)
        case 1, 2: length = length << 8 | Int(byte)
        case 3: type = byte
        case 4: flags = byte
        case 5: stream = UInt32(byte & 0x7F)
        default: stream = stream << 8 | UInt32(byte)
        }
        headerBytesRead += 1
    }

    /// nghttp2 forgets a stream when both sides have ended it, and ignores what comes then.
    private mutating func streamBegan() -> Finding? {
        let isEnd: Bool
        switch type {
        case FrameType.data, FrameType.headers:
            if any(ended .== SIMD16(repeating: stream)), stream != 0 { return .streamClosed }
            isEnd = flags & Self.endStream != 0
        case FrameType.reset: isEnd = true
        default: isEnd = false
        }
        if isEnd {
            ended[endedCount & 15] = stream
            endedCount &+= 1
        }
        return nil
    }

    private mutating func frameBegan(_ nowNanos: UInt64) -> Finding? {
        func idle(_ abuse: HTTP2Abuse, cost: Int = 1) -> Finding? {
            frames.take(UInt64(cost), nowNanos: nowNanos) ? nil : .abuse(abuse)
        }
        switch type {
        case FrameType.data:
            // Padding alone is nothing either; a length byte and 255 of padding is the most.
            let isEmpty = length == 0 || (flags & Self.padded != 0 && length <= 256)
            return isEmpty && flags & Self.endStream == 0 ? idle(.emptyData) : nil
        case FrameType.headers:
            continuations = 0
            isInHeaderBlock = true
            blockSinceNanos = nowNanos
            return nil
        case FrameType.continuation:
            continuations += 1
            return continuations > continuationsMax ? .abuse(.continuations) : nil
        case FrameType.reset: return resets.take(1, nowNanos: nowNanos) ? nil : .abuse(.resets)
        case FrameType.priority: return idle(.priorities)
        case FrameType.settings: return idle(.settings, cost: 1 + length / 64)
        case FrameType.ping: return idle(.pings)
        case FrameType.goAway: return idle(.goAways)
        case FrameType.windowUpdate: return idle(.windowUpdates)
        // A client may not push: nghttp2 ends the connection for it.
        case FrameType.pushPromise: return nil
        default: return idle(.unknownFrames)
        }
    }

    private mutating func frameEnded() {
        switch type {
        case FrameType.headers, FrameType.continuation:
            if flags & Self.endHeaders != 0 { isInHeaderBlock = false }
        case FrameType.settings:
            if flags & Self.acknowledges == 0 { hasSettings = true }
        default: break
        }
    }
}
