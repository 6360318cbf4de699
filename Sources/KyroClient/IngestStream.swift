// A stream of batches within the server's credits, resumed when the connection breaks.
import KyroModel
import KyroWire

/// Sends batches and collects their acknowledgements. What was sent and not acknowledged is kept;
/// after a lost connection it is sent again under its numbers, which the server applies once.
public final class IngestStream {
    private let connection: Connection
    private let opening: StreamOpen
    private var call: Call?
    /// Bytes that may be sent.
    private var credit: UInt64 = 0
    private var pending: [PendingBatch] = []
    private var acks: [StreamAck] = []

    /// The highest batch that every shard had applied when the stream was opened first: a producer
    /// that starts again goes on behind it.
    public private(set) var lastClientSequence: UInt64 = 0
    /// Connections lost and made again.
    public private(set) var reconnects = 0
    /// How long to try to reach a lost server again.
    public var reconnectMillis: Int64 = 30_000
    /// How long an acknowledgement may take.
    public var ackMillis: Int64 = 60_000

    private struct PendingBatch {
        var clientSequence: UInt64
        /// Encoded `StreamRequest`.
        var bytes: [UInt8]
    }

    init(_ connection: Connection, _ opening: StreamOpen) throws(KyroError) {
        self.connection = connection
        self.opening = opening
        lastClientSequence = try open()
    }

    /// Batches sent and not acknowledged.
    public var pendingCount: Int { pending.count }

    /// Sends one batch when credits allow; waits for acknowledgements until they do.
    /// - Parameter batch: its sequence is above every one before it.
    public func send(_ batch: StreamBatch) throws(KyroError) {
        let bytes = StreamRequest.batch(batch).encodeWire()
        while true {
            takeArrived()
            if UInt64(bytes.count) <= credit { break }
            guard !pending.isEmpty else {
                throw .overLimit(
                    "batch",
                    "of \(bytes.count) bytes is larger than the server's credit of \(credit); "
                        + "send fewer documents in one batch")
            }
            try waitForAck()
        }
        pending.append(PendingBatch(clientSequence: batch.clientSequence, bytes: bytes))
        try recovering { stream throws(KyroError) in try stream.transmit(bytes) }
    }

    /// Acknowledgements that have come since the last time, in the order they came.
    public func takeAcks() -> [StreamAck] {
        takeArrived()
        defer { acks = [] }
        return acks
    }

    /// Waits until every batch is acknowledged and ends the call; take the last acknowledgements
    /// afterwards.
    public func finish() throws(KyroError) {
        while !pending.isEmpty { try waitForAck() }
        guard let call else { return }
        self.call = nil
        call.halfClose()
        // Everything is acknowledged: how the call ends changes nothing.
        _ = try? call.receive(timeoutMillis: 1_000)
        call.cancel()
    }

    public func cancel() {
        call?.cancel()
        call = nil
    }

    // MARK: the call

    private func open() throws(KyroError) -> UInt64 {
        let call = try connection.open(IngestClient.service + "Stream")
        try call.send(StreamRequest.open(opening).encodeWire())
        guard let bytes = try call.receive() else {
            throw KyroError(.internal, "the server ended the stream before it opened it")
        }
        guard case .opened(let opened) = try StreamResponse.decode(wire: bytes) else {
            throw KyroError(.internal, "the server's first message does not open the stream")
        }
        self.call = call
        credit = opened.creditBytes
        return opened.lastClientSequence
    }

    private func transmit(_ bytes: [UInt8]) throws(KyroError) {
        guard let call else { throw KyroError(.cancelled, "the stream was ended") }
        credit -= min(credit, UInt64(bytes.count))
        try call.send(bytes)
    }

    private func waitForAck() throws(KyroError) {
        try recovering { stream throws(KyroError) in
            guard let call = stream.call else {
                throw KyroError(.cancelled, "the stream was ended")
            }
            guard let bytes = try call.receive(timeoutMillis: stream.ackMillis) else {
                throw KyroError(.draining, "the server ended the stream")
            }
            try stream.accept(bytes)
        }
    }

    /// What has arrived already; errors wait for the next blocking step.
    private func takeArrived() {
        while let bytes = call?.receiveNow() {
            guard (try? accept(bytes)) != nil else { return }
        }
    }

    private func accept(_ bytes: [UInt8]) throws(KyroError) {
        guard case .ack(let ack) = try StreamResponse.decode(wire: bytes) else {
            throw KyroError(.internal, "the server opened the stream twice")
        }
        credit += ack.creditBytes
        if let index = pending.firstIndex(where: { $0.clientSequence == ack.clientSequence }) {
            pending.remove(at: index)
        }
        acks.append(ack)
    }

    // MARK: reconnecting

    /// Does `step`; where the server is lost, resumes the stream instead: the step's own batch is
    /// pending and goes out with the others.
    private func recovering(
        _ step: (IngestStream) throws(KyroError) -> Void
    ) throws(KyroError) {
        do {
            return try step(self)
        } catch {
            guard error.code == .unavailable else { throw error }
            try resume(after: error)
        }
    }

    private func resume(after cause: KyroError) throws(KyroError) {
        let deadline = monotonicNanos() + reconnectMillis * 1_000_000
        var delayMillis: Int64 = 50
        var last = cause
        while monotonicNanos() < deadline {
            do {
                try reopen()
                reconnects += 1
                return
            } catch {
                guard error.code == .unavailable else { throw error }
                last = error
            }
            pause(millis: delayMillis)
            delayMillis = min(2_000, delayMillis * 2)
        }
        throw last
    }

    /// Opens anew and sends what is pending, within the new credits.
    private func reopen() throws(KyroError) {
        call?.cancel()
        _ = try open()
        let resent = pending
        for batch in resent {
            while UInt64(batch.bytes.count) > credit {
                guard let call, let bytes = try call.receive(timeoutMillis: ackMillis) else {
                    throw KyroError(.draining, "the server ended the stream")
                }
                try accept(bytes)
            }
            try transmit(batch.bytes)
        }
    }
}
