// One client: its socket, its session, its calls. Lives and dies on its loop.
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroTLS

final class Connection: LoopChannel {
    let session: ServerSession
    let number = TransportNumber.next()
    var traffic = ConnectionTraffic()
    /// Between session and socket; nil where the two talk plaintext.
    private let tls: TLSStream?
    private let fd: Int32
    private let loop: EventLoop
    private let configuration: ServerTransportConfiguration
    private let dispatcher: any CallDispatcher
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

    private let openedNanos: UInt64
    private var lastReceivedNanos: UInt64
    private var lastActiveNanos: UInt64
    private var hasSeenRequest = false
    private var watchdog: LoopTimer?
    private static let keepalivePing = Array("kyroping".utf8)

    init(
        fd: Int32, loop: EventLoop, configuration: ServerTransportConfiguration,
        dispatcher: any CallDispatcher, onClose: @escaping (Connection) -> Void
    ) {
        self.fd = fd
        self.loop = loop
        self.configuration = configuration
        self.dispatcher = dispatcher
        self.onClose = onClose
        session = ServerSession(configuration: configuration.http2)
        tls = configuration.tls.map { TLSStream(serverOf: $0) }
        openedNanos = loop.nowNanos
        lastReceivedNanos = loop.nowNanos
        lastActiveNanos = loop.nowNanos
    }

    func start() {
        do {
            registration = try loop.register(fd: fd, channel: self)
        } catch {
            Log.warning("a connection could not be watched", ["error": error])
            close()
            return
        }
        armWatchdog()
        flush()
    }

    // MARK: the socket

    func ready(_ readiness: LoopReadiness) {
        if isClosed { return }
        if isLingering { return discardInput() }
        if readiness.contains(.writable), isWriteBlocked {
            isWriteBlocked = false
            // The client has taken bytes: the one sign of life while nothing is read from it.
            lastReceivedNanos = loop.nowNanos
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
                lastReceivedNanos = loop.nowNanos
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
        if let tls { sayGoodbye(tls) }
        Socket.endOutput(fd)
        interest = (readable: true, writable: false)
        loop.update(registration, readable: true, writable: false)
        loop.schedule(afterNanos: Self.lingerNanos) { [self] in close() }
        discardInput()
    }

    private func receive(_ count: Int) {
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
            return close()
        }
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
        writing: repeat {
            processEvents()
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
            case .bytes: break
            case .wouldBlock:
                isWriteBlocked = true
            case .endOfStream, .failed:
                return close()
            }
        } while true
        if session.isFinished, !isWriteBlocked { return linger() }
        updateInterest()
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
        if let watchdog { loop.cancel(watchdog) }
        watchdog = nil
        if let tls, !isLingering { sayGoodbye(tls) }
        Socket.close(fd)
        session.connectionLost()
        while let event = session.nextEvent() {
            if case .closed(let stream) = event { endCall(of: stream) }
        }
        onClose(self)
    }

    /// A last alert, close_notify or why the handshake failed, if the socket takes it now.
    private func sayGoodbye(_ tls: TLSStream) {
        tls.finish()
        if tls.ciphertextWaiting > 0 {
            _ = Socket.write(fd, tls.ciphertext, from: tls.ciphertextOffset)
        }
    }

    // MARK: calls

    /// False when so much waits for the client that no answer may be added.
    var takesAnswers: Bool { session.queuedBytes <= configuration.unsentBytesMax }

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
            traffic.receive(nowNanos: loop.nowNanos)
            guard let call = call(of: stream), let handler = call.handler else { return }
            handler.receive(bytes, call: call)
        case .halfClosed(let stream):
            guard let call = call(of: stream), let handler = call.handler else { return }
            handler.halfClosed(call: call)
        case .writable(let stream):
            guard let call = call(of: stream), let handler = call.handler else { return }
            handler.writable(call: call)
        case .failed(let stream, _):
            call(of: stream)?.release(.cancelled)
        case .closed(let stream):
            endCall(of: stream)
            lastActiveNanos = loop.nowNanos
        case .goAway, .pong:
            break
        }
    }

    private func begin(_ stream: HTTP2Stream) {
        hasSeenRequest = true
        let call = ServerCall(stream: stream, connection: self, loop: loop)
        stream.context = call
        traffic.begin(nowNanos: loop.nowNanos)
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
        traffic.close(isRegular: stream.closeCode == 0)
        call.release(call.isFinished && stream.closeCode == 0 ? nil : .cancelled)
        call.connection = nil
    }

    // MARK: the connection's own life

    var report: ConnectionReport {
        ConnectionReport(
            number: number, local: Socket.localAddress(fd), peer: Socket.peerAddress(fd),
            cipher: tls?.cipher, traffic: traffic)
    }

    /// Idle and silent connections, looked at now and then.
    private func armWatchdog() {
        let firstMillis = min(configuration.handshakeTimeoutMillis, configuration.keepaliveMillis)
        let millis = hasSeenRequest ? configuration.keepaliveMillis : firstMillis
        watchdog = loop.schedule(afterNanos: UInt64(millis) * 1_000_000) { [self] in watch() }
    }

    private func watch() {
        func passed(_ since: UInt64, _ millis: Int) -> Bool {
            loop.nowNanos - min(since, loop.nowNanos) >= UInt64(millis) * 1_000_000
        }
        if !hasSeenRequest, passed(openedNanos, configuration.handshakeTimeoutMillis) {
            return close()
        }
        if passed(lastReceivedNanos, 2 * configuration.keepaliveMillis) { return close() }
        if configuration.idleTimeoutMillis > 0, session.streamCount == 0,
            passed(lastActiveNanos, configuration.idleTimeoutMillis)
        {
            beginDrain()
        } else if passed(lastReceivedNanos, configuration.keepaliveMillis) {
            session.ping(Self.keepalivePing)
            traffic.pingsSent += 1
        }
        armWatchdog()
        flush()
    }

    /// Calls go on; the client learns to open no more, and the socket closes behind the last.
    func beginDrain() {
        guard !isClosed else { return }
        session.beginDrain()
        loop.schedule(afterNanos: 1_000_000_000) { [self] in
            guard !isClosed else { return }
            session.finishDrain()
            flush()
        }
        flush()
    }
}
