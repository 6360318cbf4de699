// kyrodb.v2.Search: the unary methods and the two that stream.
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

struct SearchService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func search(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try context.resolved(
                try SearchRequest.decode(wire: message), for: call)
            let engine = context.engine
            let cancellation = call.cancellation
            context.run(cost: engine.estimatedCost(request), on: call, orFail: reply) { pool in
                do throws(KyroError) {
                    let response = try engine.search(
                        request, cancellation: cancellation, sharing: pool)
                    reply.succeed(response.encodeWire())
                } catch {
                    reply.fail(error)
                }
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func lookup(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try context.resolved(
                try LookupRequest.decode(wire: message), for: call)
            let engine = context.engine
            let cancellation = call.cancellation
            let cost = engine.estimatedCost(request)
            // The usual case needs no closure.
            if context.runsHere(cost: cost, on: call) {
                let response = try engine.lookup(request, cancellation: cancellation)
                return reply.succeed(response.encodeWire())
            }
            context.run(cost: cost, on: call, orFail: reply) { _ in
                do throws(KyroError) {
                    let response = try engine.lookup(request, cancellation: cancellation)
                    reply.succeed(response.encodeWire())
                } catch {
                    reply.fail(error)
                }
            }
        } catch {
            reply.fail(error)
        }
    }
}

/// Searches as they come, answers as they are ready; the tag tells which is which.
///
/// A search begins when there is room for its answer, so that a client that asks and does not read
/// costs `queuedBytesMax` and one answer. Those that wait are few: the client's window closes.
final class SearchManyHandler: CallHandler {
    /// Searches of one stream that wait or are under way; beyond it the client's window closes.
    private static let requestsMax = 64
    /// Answers that wait for the client, and those expected of searches under way.
    private static let queuedBytesMax = 4 << 20
    /// What a hit is taken for before the stream has seen an answer: ids and scores, and with
    /// documents.
    private static let hitBytes = (bare: 64, withDocument: 2_048)

    private let context: ServiceContext
    private let reply: Reply
    private var waiting: [SearchManyRequest] = []
    private var inFlight = 0
    /// Of searches under way.
    private var expectedBytes = 0
    /// The most that an answer's hit has taken on this stream.
    private var seenHitBytes = 0
    private var isStarting = false
    private var isHalfClosed = false
    private var isPaused = false
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
        // A client that does not stop asking would hold up the server's end.
        if isDraining {
            hasDropped = true
            return
        }
        do throws(KyroError) {
            var request = try SearchManyRequest.decode(wire: message)
            request.search.scope = try context.resolve(request.search.scope, for: call)
            waiting.append(request)
        } catch {
            return call.finish(GRPCStatus(error))
        }
        startWaiting(call)
        guard !isPaused, waiting.count + inFlight >= Self.requestsMax else { return }
        isPaused = true
        call.pauseReading()
    }

    func halfClosed(call: ServerCall) {
        isHalfClosed = true
        finishIfDone(call)
    }

    func writable(call: ServerCall) { startWaiting(call) }

    func closed(call: ServerCall) {
        drain?.end()
        waiting.removeAll()
    }

    /// Begins searches while there is room for their answers.
    private func startWaiting(_ call: ServerCall) {
        // A search that runs here and now comes back through `answered`.
        if isStarting { return }
        isStarting = true
        var started = 0
        while started < waiting.count, !call.isFinished {
            let request = waiting[started]
            let answerBytes = expectedBytes(of: request)
            let taken = call.queuedBytes + expectedBytes
            guard
                inFlight == 0
                    ? taken < Self.queuedBytesMax
                    : taken + answerBytes <= Self.queuedBytesMax
            else { break }
            started += 1
            start(request, expectedBytes: answerBytes, call)
        }
        waiting.removeFirst(min(started, waiting.count))
        isStarting = false
        finishIfDone(call)
        if isPaused, waiting.count + inFlight < Self.requestsMax {
            isPaused = false
            call.resumeReading()
        }
    }

    private func expectedBytes(of request: SearchManyRequest) -> Int {
        let search = request.search
        let guess =
            search.projection == nil ? Self.hitBytes.bare : Self.hitBytes.withDocument
        return Int(search.limit) * (seenHitBytes == 0 ? guess : seenHitBytes)
    }

    private func start(_ request: SearchManyRequest, expectedBytes: Int, _ call: ServerCall) {
        inFlight += 1
        self.expectedBytes += expectedBytes
        let engine = context.engine
        let cancellation = call.cancellation
        let handler = LoopBound(self)
        let work: @Sendable (WorkerPool?) -> Void = { [reply] pool in
            let result: Result<SearchResponse, KyroError>
            do throws(KyroError) {
                result = .success(
                    try engine.search(request.search, cancellation: cancellation, sharing: pool))
            } catch {
                result = .failure(error)
            }
            let hitCount = (try? result.get().hits.count) ?? 0
            let answer = SearchManyResponse(tag: request.tag, result: result).encodeWire()
            reply.onLoop {
                handler.value.answered(
                    answer, hitCount: hitCount, expectedBytes: expectedBytes, call: $0)
            }
        }
        if engine.estimatedCost(request.search) <= ServiceContext.inlineCostMax,
            !call.loop.hasOtherReadyWork
        {
            work(nil)
        } else if !context.pool.submit(lane: call.lane, { [pool = context.pool] in work(pool) }) {
            let error = KyroError(
                .queueFull, "too many searches are waiting; try again", retryAfterMillis: 50)
            let answer = SearchManyResponse(tag: request.tag, result: .failure(error))
            answered(answer.encodeWire(), hitCount: 0, expectedBytes: expectedBytes, call: call)
        }
    }

    private func answered(
        _ answer: [UInt8], hitCount: Int, expectedBytes: Int, call: ServerCall
    ) {
        inFlight -= 1
        self.expectedBytes -= expectedBytes
        if hitCount > 0 { seenHitBytes = max(seenHitBytes, answer.count / hitCount + 1) }
        call.send(answer)
        startWaiting(call)
    }

    private func finishIfDone(_ call: ServerCall) {
        guard isHalfClosed || isDraining, inFlight == 0, waiting.isEmpty else { return }
        let isComplete = isHalfClosed && !hasDropped
        call.finish(isComplete ? .success : GRPCStatus(HealthBoard.draining))
    }
}

/// Streams documents as fast as the client takes them: the next piece is made when the last has
/// left for the socket.
final class ScanHandler: CallHandler {
    private static let pieceBytes = 256 << 10
    private static let queuedBytesMax = 1 << 20

    private let context: ServiceContext
    private let reply: Reply
    private var message: [UInt8]?
    private var cursor: CursorBox?
    private var isProducing = false
    private var drain: DrainWatch?

    /// `@unchecked Sendable`: one piece is made at a time, `isProducing` sees to it.
    private final class CursorBox: @unchecked Sendable {
        let cursor: ScanCursor
        init(_ cursor: ScanCursor) { self.cursor = cursor }
    }

    init(_ context: ServiceContext, call: ServerCall) {
        self.context = context
        reply = Reply(call)
        let handler = LoopBound(self)
        drain = DrainWatch(context.health, reply) { handler.value.produce($0) }
    }

    private var isDraining: Bool { drain?.isDraining ?? false }

    func receive(_ message: [UInt8], call: ServerCall) {
        guard self.message == nil else {
            return call.finish(.cardinality("a scan takes one message; a second came"))
        }
        guard call.hold(message.count) else {
            return call.finish(GRPCStatus(.keepsTooMuch))
        }
        self.message = message
    }

    func halfClosed(call: ServerCall) {
        guard let message else {
            return call.finish(.cardinality("a scan takes one message; none came"))
        }
        let request: ScanRequest
        do throws(KyroError) {
            request = try context.resolved(try ScanRequest.decode(wire: message), for: call)
        } catch {
            return call.finish(GRPCStatus(error))
        }
        let engine = context.engine
        let cancellation = call.cancellation
        let handler = LoopBound(self)
        isProducing = true
        submit(call) { [reply] in
            do throws(KyroError) {
                let box = CursorBox(try engine.scan(request, cancellation: cancellation))
                reply.onLoop {
                    handler.value.cursor = box
                    handler.value.isProducing = false
                    handler.value.produce($0)
                }
            } catch {
                reply.fail(error)
            }
        }
    }

    func writable(call: ServerCall) { produce(call) }

    func closed(call: ServerCall) {
        drain?.end()
        cursor = nil
    }

    private func produce(_ call: ServerCall) {
        guard let cursor, !isProducing, !call.isFinished else { return }
        // A scan can take longer than a server has to stop; its token resumes it elsewhere.
        if isDraining { return call.finish(GRPCStatus(HealthBoard.draining)) }
        guard call.queuedBytes < Self.queuedBytesMax else { return }
        isProducing = true
        let handler = LoopBound(self)
        submit(call) { [reply] in
            do throws(KyroError) {
                let piece = try cursor.cursor.next(bytesMax: Self.pieceBytes)?.encodeWire()
                reply.onLoop {
                    handler.value.isProducing = false
                    handler.value.deliver(piece, $0)
                }
            } catch {
                reply.fail(error)
            }
        }
    }

    private func deliver(_ piece: [UInt8]?, _ call: ServerCall) {
        guard let piece else { return call.finish(.success) }
        call.send(piece)
        produce(call)
    }

    private func submit(_ call: ServerCall, _ work: @escaping @Sendable () -> Void) {
        if !context.pool.submit(lane: call.lane, work) {
            reply.fail(
                KyroError(
                    .queueFull, "too many requests are waiting; resume the scan by its token",
                    retryAfterMillis: 50))
        }
    }
}
