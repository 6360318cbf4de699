// kyrodb.v2.Ingest: the unary write, and the stream with credits.
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroStore
import KyroWire

struct IngestService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func write(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try WriteRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
            if request.createIfMissing != nil { try context.require(.admin, for: call) }
            context.engine.write(request, byteCount: message.count) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }
}

/// One ingest stream, on its loop.
///
/// The client may have `grantedBytes` of messages sent in total; every acknowledgement grants what
/// its batch took. What waits here and in the shards' queues is therefore bounded, and a client
/// that sends more is ended. While memory is short no credit is granted: acknowledgements go out
/// without it, and the one that would leave the client with nothing to wait for is held back until
/// there is memory, or the stream ends. Many small batches, or a client that does not read its
/// acknowledgements, close the stream's window instead. Batches enter the queues in the order in which they came: the next
/// waits until the one before has its place.
final class IngestStreamHandler: CallHandler {
    private enum Phase {
        case waitingForOpen
        case opening(StreamOpen)
        case open(StreamOpen)
        case ended
    }

    /// Batches under way; a batch costs memory of its own, however small it is.
    private static let batchesMax = 256
    /// Between two looks whether credit can be granted again.
    private static let creditPauseNanos: UInt64 = 20_000_000
    /// Acknowledgements that the client has not read.
    private static let queuedBytesMax = 1 << 20

    private struct Waiting {
        var batch: StreamBatch
        var byteCount: Int
    }

    private let context: ServiceContext
    private let reply: Reply
    private var phase = Phase.waitingForOpen
    private var receivedBytes = 0
    private var grantedBytes = Limits.streamCreditBytes
    private var waiting: [Waiting] = []
    private var isQueueing = false
    private var isPumping = false
    private var isPaused = false
    private var unacknowledged = 0
    /// What acknowledged batches took and was not granted again.
    private var withheldBytes = 0
    /// Of the last batch acknowledged, when none is under way and credit is withheld.
    private var heldAck: StreamAck?
    private var creditTimer: LoopTimer?
    private var isHalfClosed = false
    private var drain: DrainWatch?
    private var hasDropped = false

    init(_ context: ServiceContext, call: ServerCall) {
        self.context = context
        reply = Reply(call)
        let handler = LoopBound(self)
        drain = DrainWatch(context.health, reply) { handler.value.finishIfDone($0) }
        finishIfDone(call)
    }

    private var isDraining: Bool { drain?.isDraining ?? false }

    func receive(_ message: [UInt8], call: ServerCall) {
        if case .ended = phase { return }
        // What comes from here on is never acknowledged: the client sends it to the successor. A
        // client that does not stop would hold up the server's end.
        if isDraining {
            hasDropped = true
            return
        }
        receivedBytes += message.count
        guard receivedBytes <= grantedBytes else {
            return end(
                call,
                KyroError(
                    .creditExceeded,
                    "the stream has sent \(receivedBytes) bytes; its credit is \(grantedBytes): "
                        + "wait for acknowledgements before sending more"))
        }
        do throws(KyroError) {
            switch (phase, try StreamRequest.decode(wire: message)) {
            case (.waitingForOpen, .open(var open)):
                open.scope = try context.resolve(open.scope, for: call)
                if open.createIfMissing != nil { try context.require(.admin, for: call) }
                // The credit that the client is told of is all for batches.
                grantedBytes += message.count
                begin(open)
            case (.waitingForOpen, .batch):
                throw .invalid("batch", "came first; a stream begins with open")
            case (.opening, .open), (.open, .open):
                throw .invalid("open", "came twice; a stream has one")
            case (.opening, .batch(let batch)), (.open, .batch(let batch)):
                guard batch.clientSequence > 0 else {
                    throw .invalid("batch.client_seq", "is 0; it must be at least 1")
                }
                // The client has this one to wait for now.
                releaseHeldAck(call, withCredit: false)
                waiting.append(Waiting(batch: batch, byteCount: message.count))
                queueNext()
                pauseIfFull(call)
            case (.ended, _): return
            }
        } catch {
            end(call, error)
        }
    }

    func halfClosed(call: ServerCall) {
        isHalfClosed = true
        releaseHeldAck(call, withCredit: true)
        finishIfDone(call)
    }

    func writable(call: ServerCall) { resumeIfRoom(call) }

    func closed(call: ServerCall) {
        drain?.end()
        phase = .ended
        waiting.removeAll()
        heldAck = nil
        if let creditTimer { call.loop.cancel(creditTimer) }
        creditTimer = nil
    }

    private func begin(_ open: StreamOpen) {
        phase = .opening(open)
        let handler = LoopBound(self)
        context.engine.openStream(open) { [reply] result in
            reply.onLoop { handler.value.opened(result, call: $0) }
        }
    }

    private func opened(_ result: Result<UInt64, KyroError>, call: ServerCall) {
        guard case .opening(let open) = phase else { return }
        switch result {
        case .failure(let error): end(call, error)
        case .success(let lastClientSequence):
            phase = .open(open)
            let opened = StreamOpened(
                lastClientSequence: lastClientSequence,
                creditBytes: UInt64(Limits.streamCreditBytes))
            call.send(StreamResponse.opened(opened).encodeWire())
            queueNext()
            finishIfDone(call)
        }
    }

    /// Hands on what waits. A batch that gets its place at once calls back from within: the loop
    /// here takes the next, not a deeper call.
    private func queueNext() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while case .open(let open) = phase, !isQueueing, !waiting.isEmpty {
            queue(waiting.removeFirst(), open)
        }
    }

    private func queue(_ next: Waiting, _ open: StreamOpen) {
        isQueueing = true
        unacknowledged += 1
        let handler = LoopBound(self)
        let clientSequence = next.batch.clientSequence
        context.engine.write(
            WriteRequest(
                scope: open.scope, mutations: next.batch.mutations,
                createIfMissing: open.createIfMissing),
            producer: ProducerMark(id: open.producer, clientSequence: clientSequence),
            byteCount: next.byteCount,
            onQueued: { [reply] in
                reply.onLoop { _ in
                    handler.value.isQueueing = false
                    handler.value.queueNext()
                }
            },
            completion: { [reply] result in
                reply.onLoop {
                    handler.value.acknowledge(
                        result, scope: open.scope, clientSequence: clientSequence,
                        byteCount: next.byteCount, call: $0)
                }
            })
    }

    private func acknowledge(
        _ result: Result<WriteResponse, KyroError>, scope: Scope, clientSequence: UInt64,
        byteCount: Int, call: ServerCall
    ) {
        if case .ended = phase { return }
        unacknowledged -= 1
        switch result {
        case .failure(let error): return end(call, error)
        case .success(let response):
            // What failed for want of room or of a disk has to come again, in order: the client
            // resends what was not acknowledged on its next stream.
            for case .failed(let error) in response.outcomes {
                if error.code == .unavailable || error.code == .resourceExhausted {
                    return end(call, error)
                }
            }
            withheldBytes += byteCount
            let engine = context.engine
            let errors = response.outcomes.enumerated().compactMap {
                index, outcome -> StreamAck.IndexedError? in
                guard case .failed(let error) = outcome else { return nil }
                return StreamAck.IndexedError(index: UInt32(index), error: error)
            }
            let ack = StreamAck(
                clientSequence: clientSequence,
                durable: engine.durable(of: scope, acknowledged: response.seq),
                searchable: response.seq, errors: errors, creditBytes: 0,
                isDuplicate: !response.outcomes.isEmpty
                    && response.outcomes.allSatisfy { $0 == .duplicate })
            acknowledge(ack, call)
        }
        finishIfDone(call)
        resumeIfRoom(call)
    }

    private func acknowledge(_ ack: StreamAck, _ call: ServerCall) {
        // In the order of the batches.
        releaseHeldAck(call, withCredit: false)
        heldAck = ack
        if isHalfClosed || isDraining || context.engine.admission == .open {
            releaseHeldAck(call, withCredit: true)
        } else if unacknowledged > 0 || !waiting.isEmpty {
            releaseHeldAck(call, withCredit: false)
        } else {
            grantLater(call)
        }
    }

    private func releaseHeldAck(_ call: ServerCall, withCredit: Bool) {
        guard var ack = heldAck else { return }
        heldAck = nil
        if withCredit {
            ack.creditBytes = UInt64(withheldBytes)
            grantedBytes += withheldBytes
            withheldBytes = 0
        }
        call.send(StreamResponse.ack(ack).encodeWire())
    }

    private func grantLater(_ call: ServerCall) {
        guard creditTimer == nil else { return }
        creditTimer = call.loop.schedule(afterNanos: Self.creditPauseNanos) { [self] in
            creditTimer = nil
            guard heldAck != nil else { return }
            guard context.engine.admission == .open else { return grantLater(call) }
            releaseHeldAck(call, withCredit: true)
        }
    }

    private func pauseIfFull(_ call: ServerCall) {
        guard !isPaused, isFull(call) else { return }
        isPaused = true
        call.pauseReading()
    }

    private func resumeIfRoom(_ call: ServerCall) {
        guard isPaused, !isFull(call) else { return }
        isPaused = false
        call.resumeReading()
    }

    private func isFull(_ call: ServerCall) -> Bool {
        waiting.count + unacknowledged >= Self.batchesMax
            || call.queuedBytes >= Self.queuedBytesMax
    }

    private func finishIfDone(_ call: ServerCall) {
        guard isHalfClosed || isDraining, unacknowledged == 0, waiting.isEmpty else { return }
        if case .opening = phase { return }
        releaseHeldAck(call, withCredit: true)
        phase = .ended
        let isComplete = isHalfClosed && !hasDropped
        call.finish(isComplete ? .success : GRPCStatus(HealthBoard.draining))
    }

    private func end(_ call: ServerCall, _ error: KyroError) {
        releaseHeldAck(call, withCredit: false)
        phase = .ended
        waiting.removeAll()
        call.finish(GRPCStatus(error))
    }
}

/// Carries a loop's object through a closure that another thread may own.
///
/// `@unchecked Sendable`: `value` is touched on its loop only, inside `Reply.onLoop`.
struct LoopBound<Value: AnyObject>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
