// One client: its socket, its session, its calls. Lives and dies on its loop.
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroTLS

final class Connection: LoopChannel {
    let session: ServerSession
    /// Between session and socket; nil where the two talk plaintext.
    private let tls: TLSStream?
    private let fd: Int32
    private let loop: EventLoop
    private let configuration: ServerTransportConfiguration
    private let dispatcher: any CallDispatcher
    private let counters: TransportCounters
    /// Where calls are counted; nil where nobody asks.
    let calls: LoopCalls?
    /// Called once, after the socket is closed.
    private let onClose: (Connection) -> Void

    private var registration: LoopRegistration?
    private var isClosed = false
    private var isProcessing = false
    private var isFlushScheduled = false
    /// The socket took less than was offered: the loop tells when it takes more.
    private var isWriteBlocked = false
    private var isReadStopped = false
    /// Everything is said; what the client still sends is read and dropped.
    private var isLingering = false
    /// A client on the way to us from far away has sent its last within this.
    private static let lingerNanos: UInt64 = 500_000_000

    /// The credential that calls brought last.
    var access: ConnectionAccess?

    private var times: ConnectionTimes
    private var watchdog: LoopTimer?
    /// When the watchdog barks.
    private var watchNanos = UInt64.max
    /// The watchdog knows that preface and SETTINGS came.
    private var wasEstablished = false
    /// The first cause of its end was counted.
    private var isRefused = false
    private static let keepalivePing = Array("kyroping".utf8)

    init(
        fd: Int32, loop: EventLoop, configuration: ServerTransportConfiguration,
        dispatcher: any CallDispatcher, counters: TransportCounters, calls: LoopCalls?,
        onClose: @escaping (Connection) -> Void
    ) {
        self.calls = calls
        self.fd = fd
        self.loop = loop
        self.configuration = configuration
        self.dispatcher = dispatcher
        self.counters = counters
        self.onClose = onClose
        session = ServerSession(configuration: configuration.http2)
        tls = configuration.tls.map { TLSStream(serverOf: $0.current) }
        times = ConnectionTimes(nowNanos: loop.nowNanos)
    }

    func start() {
        do {
            registration = try loop.register(fd: fd, channel: self)
        } catch {
            Log.warning("a connection could not be watched", ["error": error])
            close()
            return
        }
        flush()
        if !isClosed { watch() }
    }

    // MARK: the socket

    func ready(_ readiness: LoopReadiness) {
        if isClosed { return }
        if isLingering { return discardInput() }
        if readiness.contains(.writable), isWriteBlocked {
            isWriteBlocked = false
            // The client has taken bytes: the one sign of life while nothing is read from it.
            times.receivedNanos = loop.nowNanos
            times.takenNanos = loop.nowNanos
        }
        if readiness.contains(.hungUp), isReadStopped { return close() }
        if !isReadStopped, !readiness.isDisjoint(with: [.readable, .hungUp]) { readSocket() }
        if !isClosed { flush() }
    }

    private func readSocket() {
        // Bounded, so that one fast client does not keep the loop from the others.
        for _ in 0..<4 {
            switch Socket.read(fd, into: &loop.scratch) {
            case .bytes(let count):
                times.receivedNanos = loop.nowNanos
                receive(count)
                if isClosed || count < loop.scratch.count { return }
            case .wouldBlock:
                return
            case .endOfStream, .failed:
                return close()
            }
        }
    }

    private func discardInput() {
        for _ in 0..<4 {
            switch Socket.read(fd, into: &loop.scratch) {
            case .bytes: continue
            case .wouldBlock: return
            case .endOfStream, .failed: return close()
            }
        }
    }

    /// Ends the connection behind its last word. A socket closed over bytes that were not read
    /// resets the connection, and the reset destroys what the client has not read yet, such as the
    /// status of a stream on which it was still sending.
    private func linger() {
        guard !isLingering, let registration else { return }
        isLingering = true
        endCalls()
        disarm()
        if let tls { sayGoodbye(tls) }
        Socket.endOutput(fd)
        interest = (readable: true, writable: false)
        loop.update(registration, readable: true, writable: false)
        loop.schedule(afterNanos: Self.lingerNanos) { [self] in close() }
        discardInput()
    }

    private func receive(_ count: Int) {
        session.nowNanos = loop.nowNanos
        do {
            if let tls {
                try tls.receive(loop.scratch, count: count)
                if !tls.plaintext.isEmpty {
                    try session.receive(tls.plaintext)
                    tls.plaintextTaken()
                }
            } else {
                try session.receive(loop.scratch, count: count)
            }
        } catch {
            Log.debug("a client broke the protocol", ["error": error])
            note(Self.refusal(for: error))
            return close()
        }
        if let abuse = session.abuse { note(TransportRefusal(abuse)) }
        processEvents()
        if let tls, tls.isPeerClosed { close() }
    }

    /// Output is made at the end of the turn, unless this connection is being served right now.
    func scheduleFlush() {
        guard !isProcessing, !isFlushScheduled, !isClosed else { return }
        isFlushScheduled = true
        loop.atTurnEnd { [self] in
            isFlushScheduled = false
            if !isClosed { flush() }
        }
    }

    private func flush() {
        if isLingering { return }
        session.nowNanos = loop.nowNanos
        writing: repeat {
            processEvents()
            #if !KYRODB_WITHOUT_METRICS
                calls?.settle()
            #endif
            if isClosed { return }
            if isWriteBlocked { break }
            do {
                try session.produce()
            } catch {
                return close()
            }
            let transfer: SocketTransfer?
            if let tls { transfer = writeEncrypted(tls) } else { transfer = writeOutput() }
            switch transfer {
            case nil:
                if session.hasEvents { continue }
                break writing
            case .bytes: times.takenNanos = loop.nowNanos
            case .wouldBlock: isWriteBlocked = true
            case .endOfStream, .failed:
                return close()
            }
        } while true
        if let abuse = session.abuse {
            note(TransportRefusal(abuse))
        } else if session.goAwayCode != 0 {
            note(.protocolError)
        }
        // Nobody waits for an offender to read why.
        if isRefused, isWriteBlocked { return close() }
        if session.isFinished, !isWriteBlocked { return linger() }
        countUnsent(session.queuedBytes)
        updateInterest()
        hasten()
    }

    /// Offers the session's output to the socket; nil when there is none.
    private func writeOutput() -> SocketTransfer? {
        guard session.outputOffset < session.output.count else { return nil }
        let transfer = Socket.write(fd, session.output, from: session.outputOffset)
        if case .bytes(let count) = transfer {
            session.outputWritten(count)
            if session.outputOffset < session.output.count { isWriteBlocked = true }
        }
        return transfer
    }

    /// The same through TLS. The session's output is encrypted when the socket has taken what was
    /// encrypted before it, so that at most one piece of output waits twice.
    private func writeEncrypted(_ tls: TLSStream) -> SocketTransfer? {
        if tls.ciphertextWaiting == 0 {
            guard tls.isEstablished, session.outputOffset < session.output.count else { return nil }
            do {
                try tls.write(session.output, from: session.outputOffset)
            } catch {
                Log.debug("an answer could not be encrypted", ["error": error])
                return .endOfStream
            }
            session.outputWritten(session.output.count - session.outputOffset)
        }
        let transfer = Socket.write(fd, tls.ciphertext, from: tls.ciphertextOffset)
        if case .bytes(let count) = transfer {
            tls.ciphertextWritten(count)
            if tls.ciphertextWaiting > 0 { isWriteBlocked = true }
        }
        return transfer
    }

    private var interest: (readable: Bool, writable: Bool) = (true, false)

    private func updateInterest() {
        isReadStopped =
            isWriteBlocked
            && (session.queuedBytes > configuration.queuedBytesMax
                || session.queuedFrames > configuration.queuedFramesMax)
        let wanted = (readable: !isReadStopped, writable: isWriteBlocked)
        guard let registration, wanted != interest else { return }
        interest = wanted
        loop.update(registration, readable: wanted.readable, writable: wanted.writable)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        if let registration { loop.unregister(registration) }
        registration = nil
        disarm()
        if let tls, !isLingering { sayGoodbye(tls) }
        Socket.close(fd)
        endCalls()
        onClose(self)
    }

    /// Whoever works for this connection learns that nobody waits any more.
    private func endCalls() {
        session.connectionLost()
        countUnsent(0)
        while let event = session.nextEvent() {
            if case .closed(let stream) = event { endCall(of: stream) }
        }
        calls?.settle()
    }

    /// Counts why the connection ends; the first cause is the one.
    private func note(_ refusal: TransportRefusal) {
        guard !isRefused else { return }
        isRefused = true
        counters.note(refusal)
        Log.debug("a connection is refused", ["why": refusal.name])
    }

    private static func refusal(for error: any Error) -> TransportRefusal {
        switch error {
        case is TLSError: .tlsFailed
        case HTTP2Error.connection(HTTP2Error.badPreface, _): .notHTTP2
        default: .protocolError
        }
    }

    /// A last alert, close_notify or why the handshake failed, if the socket takes it now.
    private func sayGoodbye(_ tls: TLSStream) {
        tls.finish()
        if tls.ciphertextWaiting > 0 {
            _ = Socket.write(fd, tls.ciphertext, from: tls.ciphertextOffset)
        }
    }

    // MARK: calls

    /// Of the client's certificate, which was verified.
    var certificateNames: [String] { tls?.peerNames ?? [] }

    /// The client's address and port; empty where the socket is gone.
    private(set) lazy var peer = Socket.peerName(fd)

    /// False when so much waits for the client that no answer may be added.
    var takesAnswers: Bool {
        let own = session.queuedBytes
        return own <= configuration.unsentBytesMax
            && (own <= configuration.unsentBytesShare
                || counters.unsentBytes <= configuration.unsentBytesTotalMax)
    }

    /// Of what waits for the client, so much is in the count of all.
    private var countedBytes = 0

    private func countUnsent(_ byteCount: Int) {
        guard byteCount != countedBytes else { return }
        counters.noteUnsent(change: byteCount - countedBytes)
        countedBytes = byteCount
    }

    private func processEvents() {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        while !isClosed, let event = session.nextEvent() {
            loop.backlog = session.pendingCount
            handle(event)
        }
        loop.backlog = 0
    }

    private func call(of stream: HTTP2Stream) -> ServerCall? { stream.context as? ServerCall }

    private func handle(_ event: ServerEvent) {
        switch event {
        case .request(let stream):
            begin(stream)
        case .message(let stream, let bytes):
            guard let call = call(of: stream), let handler = call.handler else { return }
            handler.receive(bytes, call: call)
        case .halfClosed(let stream):
            guard let call = call(of: stream), let handler = call.handler else { return }
            handler.halfClosed(call: call)
        case .writable(let stream):
            guard let call = call(of: stream), let handler = call.handler else { return }
            handler.writable(call: call)
        case .refused(let refusal):
            counters.note(TransportRefusal(refusal))
        case .failed(let stream, let status):
            if status.code != GRPCCode.deadlineExceeded {
                let isTooLarge = status.code == GRPCCode.resourceExhausted
                counters.note(isTooLarge ? .messageTooLarge : .brokenMessage)
            }
            call(of: stream)?.release(.cancelled, code: status.code)
        case .closed(let stream):
            endCall(of: stream)
            times.activeNanos = loop.nowNanos
        case .goAway, .pong:
            break
        }
    }

    private func begin(_ stream: HTTP2Stream) {
        counters.noteCall()
        let call = ServerCall(stream: stream, connection: self, loop: loop)
        stream.context = call
        #if !KYRODB_WITHOUT_METRICS
            calls?.begin(call, nowNanos: loop.nowNanos)
        #endif
        if let deadline = call.deadlineNanos {
            guard deadline > EventLoop.monotonicNanos() else { return expire(call) }
            call.deadlineTimer = loop.schedule(atNanos: deadline) { [self] in expire(call) }
        }
        call.handler = dispatcher.handler(for: call)
        if call.handler == nil {
            call.finish(
                GRPCStatus(
                    code: GRPCCode.unimplemented, message: "unknown method \(call.path)"))
        }
    }

    private func expire(_ call: ServerCall) {
        if call.isFinished, call.queuedBytes == 0 { return }
        call.finish(
            GRPCStatus(code: GRPCCode.deadlineExceeded, message: "the deadline has passed"))
        // A status behind messages for which the client has no room would wait for ever.
        if call.queuedBytes > 0 { session.reset(call.stream) }
        call.release(.deadlineExceeded)
        scheduleFlush()
    }

    private func endCall(of stream: HTTP2Stream) {
        guard let call = call(of: stream) else { return }
        stream.context = nil
        call.release(call.isFinished && stream.closeCode == 0 ? nil : .cancelled)
        call.connection = nil
    }

    // MARK: the connection's own life

    /// What is due is done, and the watchdog set for what comes next.
    private func watch() {
        disarm()
        if isLingering { return }
        session.nowNanos = loop.nowNanos
        let overdue = session.endOverdue(
            messageNanos: UInt64(configuration.messageTimeoutMillis) * 1_000_000,
            replyNanos: UInt64(configuration.replyTimeoutMillis) * 1_000_000)
        if overdue.messages > 0 { counters.note(.messageTimeout, times: overdue.messages) }
        if overdue.replies > 0 { counters.note(.replyStalled, times: overdue.replies) }
        let situation = ConnectionTimes.Situation(
            isEstablished: session.isEstablished,
            headerBlockSinceNanos: session.headerBlockSinceNanos,
            hasCalls: session.streamCount > 0, isWriteBlocked: isWriteBlocked)
        var next = UInt64.max
        switch times.verdict(nowNanos: loop.nowNanos, situation, configuration) {
        case .close(let refusal):
            note(refusal)
            return close()
        case .drain(let refusal):
            counters.note(refusal)
            beginDrain()
            next = loop.nowNanos
        case .ping:
            session.ping(Self.keepalivePing)
            session.releaseMemory()
            next = loop.nowNanos
        case .wait(let untilNanos): next = min(untilNanos, overdue.nextNanos ?? .max)
        }
        if isClosed || isLingering { return }
        arm(atNanos: next)
        flush()
    }

    private func arm(atNanos deadline: UInt64) {
        disarm()
        watchNanos = deadline
        watchdog = loop.schedule(atNanos: deadline) { [self] in
            watchdog = nil
            watch()
        }
    }

    private func disarm() {
        if let watchdog { loop.cancel(watchdog) }
        watchdog = nil
        watchNanos = .max
    }

    /// Something has begun that is timed more closely than the watchdog's next look.
    private func hasten() {
        var millis = Int.max
        if session.headerBlockSinceNanos != nil { millis = configuration.headersTimeoutMillis }
        if session.hasUnfinishedMessages {
            millis = min(millis, configuration.messageTimeoutMillis)
        }
        if session.queuedBytes > 0 || isWriteBlocked {
            millis = min(millis, configuration.replyTimeoutMillis)
        }
        if session.isEstablished, !wasEstablished {
            wasEstablished = true
            millis = 0
        }
        guard millis < .max, watchdog != nil else { return }
        let deadline = loop.nowNanos + UInt64(millis) * 1_000_000
        if deadline < watchNanos { arm(atNanos: deadline) }
    }

    /// Calls go on; the client learns to open no more, and the socket closes behind the last.
    func beginDrain() {
        guard !isClosed, !isLingering else { return }
        times.drained()
        session.beginDrain()
        loop.schedule(afterNanos: 1_000_000_000) { [self] in
            guard !isClosed, !isLingering else { return }
            session.finishDrain()
            flush()
        }
        flush()
    }
}
