// An ingest stream loses and doubles nothing when the connection breaks.
import KyroClient
import KyroHTTP2
import KyroModel
import KyroWire
import Synchronization
import Testing

/// Applies each batch once, as a server that remembers its producers; hangs up when told.
private final class IngestModel: Sendable {
    struct State {
        var applied: [UInt64] = []
        var resent = 0
        var received = 0
    }

    let state = Mutex(State())
    let credit: UInt64
    /// Hang up instead of acknowledging every so many batches.
    let hangUpEvery: Int

    init(credit: UInt64, hangUpEvery: Int) {
        self.credit = credit
        self.hangUpEvery = hangUpEvery
    }

    func handle(_ event: ServerEvent, _ peer: Peer) {
        switch event {
        case .message(let stream, let bytes):
            guard let request = try? StreamRequest.decode(wire: bytes) else { return }
            let (reply, hangsUp) = state.withLock { react(to: request, bytes.count, &$0) }
            peer.hangsUp = peer.hangsUp || hangsUp
            if let answer = reply { peer.session.send(answer.encodeWire(), on: stream) }
        case .halfClosed(let stream): peer.session.finish(stream, .success)
        default: break
        }
    }

    private func react(
        to request: StreamRequest, _ byteCount: Int, _ state: inout State
    ) -> (StreamResponse?, hangsUp: Bool) {
        switch request {
        case .open:
            let last = state.applied.last ?? 0
            return (.opened(StreamOpened(lastClientSequence: last, creditBytes: credit)), false)
        case .batch(let batch):
            state.received += 1
            let isDuplicate = batch.clientSequence <= state.applied.last ?? 0
            if isDuplicate {
                state.resent += 1
            } else {
                state.applied.append(batch.clientSequence)
            }
            if hangUpEvery > 0, state.received % hangUpEvery == 0 { return (nil, true) }
            let ack = StreamAck(
                clientSequence: batch.clientSequence, durable: Sequence(batch.clientSequence),
                searchable: Sequence(batch.clientSequence), errors: [],
                creditBytes: UInt64(byteCount), isDuplicate: isDuplicate)
            return (.ack(ack), false)
        }
    }
}

@Suite struct IngestStreamTests {
    private func batch(_ sequence: UInt64, textBytes: Int) -> StreamBatch {
        var document = Document(id: .number(sequence))
        document.texts["t"] = String(repeating: "x", count: textBytes)
        return StreamBatch(clientSequence: sequence, mutations: [.success(.upsert(document))])
    }

    @Test(
        "Every batch is applied once and acknowledged, however often the server hangs up",
        arguments: [0, 7, 3])
    func survives(hangUpEvery: Int) throws {
        let model = IngestModel(credit: 64_000, hangUpEvery: hangUpEvery)
        let server = TestServer { model.handle($0, $1) }
        defer { server.stop() }
        let connection = try Connection(host: "127.0.0.1", port: server.port)
        let stream = try IngestClient(connection).stream(
            StreamOpen(scope: Scope(namespace: "n"), producer: "p"))
        var acknowledged: Set<UInt64> = []
        for sequence in UInt64(1)...60 {
            try stream.send(batch(sequence * 10, textBytes: 10_000))
            for ack in stream.takeAcks() { acknowledged.insert(ack.clientSequence) }
        }
        try stream.finish()
        for ack in stream.takeAcks() { acknowledged.insert(ack.clientSequence) }
        let wanted = (UInt64(1)...60).map { $0 * 10 }
        #expect(model.state.withLock { $0.applied } == wanted)
        #expect(acknowledged == Set(wanted))
        #expect(stream.pendingCount == 0)
        #expect(hangUpEvery == 0 ? stream.reconnects == 0 : stream.reconnects > 0)
    }

    @Test("A batch above every credit is refused with what to do")
    func tooLarge() throws {
        let model = IngestModel(credit: 1_000, hangUpEvery: 0)
        let server = TestServer { model.handle($0, $1) }
        defer { server.stop() }
        let connection = try Connection(host: "127.0.0.1", port: server.port)
        let stream = try IngestClient(connection).stream(
            StreamOpen(scope: Scope(namespace: "n"), producer: "p"))
        do {
            try stream.send(batch(1, textBytes: 2_000))
            Issue.record("sent")
        } catch {
            #expect(error.message.contains("send fewer documents"), "\(error)")
        }
    }
}
