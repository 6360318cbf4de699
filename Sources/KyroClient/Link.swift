// A socket, the session over it, and TLS between the two where it is wanted: they live and end
// together.
import KyroHTTP2
import KyroModel
import KyroTLS

struct Link {
    let socket: Socket
    let session: ClientSession
    private let tls: TLSStream?
    private(set) var isLost = false

    /// Connects, and shakes hands for TLS, within the timeout.
    init(to endpoint: Endpoint, tls context: TLSContext?, timeouts: Timeouts) throws(KyroError) {
        let deadline = monotonicNanos() + timeouts.connectMillis * 1_000_000
        session = ClientSession(
            authority: endpoint.authority, scheme: context == nil ? "http" : "https")
        do {
            socket = try Socket.connect(to: endpoint, deadlineNanos: deadline)
        } catch {
            throw .unreachable(endpoint, error)
        }
        guard let context else {
            tls = nil
            return
        }
        do {
            tls = try TLSStream(clientOf: context, host: endpoint.hostName)
        } catch {
            throw .unreachable(endpoint, error)
        }
        try shakeHands(with: endpoint, deadlineNanos: deadline)
    }

    private func shakeHands(with endpoint: Endpoint, deadlineNanos: Int64) throws(KyroError) {
        guard let tls else { return }
        while !tls.isEstablished {
            let count: Int
            do {
                // A flight of the handshake is far smaller than an empty socket's buffer.
                _ = try send(tls)
                count = try receiveForHandshake(deadlineNanos: deadlineNanos)
            } catch {
                throw .unreachable(endpoint, error)
            }
            do {
                try tls.receive(socket.input, count: count)
            } catch {
                // The alert tells the server why.
                _ = try? send(tls)
                throw .unreachable(endpoint, error)
            }
        }
        guard take(0) else {
            throw .unreachable(endpoint, SocketError("start HTTP/2", problem: "damaged frames"))
        }
    }

    private func receiveForHandshake(deadlineNanos: Int64) throws(SocketError) -> Int {
        switch try socket.receive(deadlineNanos: deadlineNanos) {
        case .bytes(let count): return count
        case .nothingYet:
            var error = SocketError("TLS handshake", problem: "the time is over")
            error.isTimeout = true
            throw error
        case .closed:
            throw SocketError("TLS handshake", problem: "the server closed the connection")
        }
    }

    /// Gives the session the first `count` bytes of the socket's input; false when they are damaged.
    func take(_ count: Int) -> Bool {
        do {
            guard let tls else {
                try session.receive(socket.input, count: count)
                return true
            }
            try tls.receive(socket.input, count: count)
            if !tls.plaintext.isEmpty {
                try session.receive(tls.plaintext)
                tls.plaintextTaken()
            }
            return true
        } catch {
            return false
        }
    }

    /// Something is to be sent.
    var hasOutput: Bool {
        session.outputOffset < session.output.count || (tls?.ciphertextWaiting ?? 0) > 0
    }

    /// Hands the session's output to the system.
    /// - Returns: false when the system did not take all of it.
    func send() throws(SocketError) -> Bool {
        let waiting = session.output.count - session.outputOffset
        guard let tls else {
            if waiting == 0 { return true }
            let sent = try socket.send(session.output, from: session.outputOffset)
            session.outputWritten(sent)
            return sent == waiting
        }
        guard try send(tls) else { return false }
        if waiting == 0 { return true }
        do {
            try tls.write(session.output, from: session.outputOffset)
        } catch {
            throw SocketError("encrypt", problem: error.description)
        }
        session.outputWritten(waiting)
        return try send(tls)
    }

    /// Ciphertext alone.
    private func send(_ tls: TLSStream) throws(SocketError) -> Bool {
        guard tls.ciphertextWaiting > 0 else { return true }
        tls.ciphertextWritten(try socket.send(tls.ciphertext, from: tls.ciphertextOffset))
        return tls.ciphertextWaiting == 0
    }

    /// Both ends learn at once that nobody is here any more.
    mutating func lose() {
        isLost = true
        if let tls {
            tls.finish()
            _ = try? send(tls)
        }
        socket.disconnect()
        session.connectionLost()
    }
}
