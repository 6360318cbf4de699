// Collections.Tune: a start, judged queries as fast as they are searched, progress, and the outcome.
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

/// All that takes time happens on the pool, one piece at a time, so that a tuning has at most one of
/// its threads and others come in between.
final class TuneHandler: CallHandler {
    /// Queries that wait; beyond it the client's window closes.
    private static let waitingMax = 64
    private static let waitingBytesMax = 4 << 20
    /// Searched in one piece: some milliseconds.
    private static let pieceQueries = 4
    /// Between two messages of progress, and until a full pool is asked again.
    private static let progressNanos: UInt64 = 100_000_000
    private static let retryNanos: UInt64 = 20_000_000
    /// Progress that the client has not taken; more of it would tell nothing.
    private static let queuedBytesMax = 4 << 10

    private let context: ServiceContext
    private let reply: Reply
    private var run: TuningRun?
    private var waiting: [(query: JudgedQuery, byteCount: Int)] = []
    private var waitingBytes = 0
    private var isWorking = false
    private var isHalfClosed = false
    private var isPaused = false
    private var toldNanos: UInt64 = 0
    private var retryTimer: LoopTimer?
    private var drain: DrainWatch?

    init(_ context: ServiceContext, call: ServerCall) {
        self.context = context
        reply = Reply(call)
        let handler = LoopBound(self)
        drain = DrainWatch(context.health, reply) { handler.value.work($0) }
        work(call)
    }

    private var isDraining: Bool { drain?.isDraining ?? false }

    func receive(_ message: [UInt8], call: ServerCall) {
        guard !call.isFinished, !isDraining else { return }
        do throws(KyroError) {
            switch (run, try TuneRequest.decode(wire: message)) {
            case (nil, .start(var start)):
                start.scope = try context.resolve(start.scope, for: call)
                run = try context.engine.beginTuning(start)
            case (nil, .query): throw .invalid("query", "came first; a tuning begins with start")
            case (.some, .start): throw .invalid("start", "came twice; a tuning has one")
            case (.some, .query(let query)):
                waiting.append((query, message.count))
                waitingBytes += message.count
                work(call)
                pauseIfFull(call)
            }
        } catch {
            end(call, GRPCStatus(error))
        }
    }

    func halfClosed(call: ServerCall) {
        isHalfClosed = true
        guard run != nil else {
            return end(
                call,
                GRPCStatus(
                    KyroError(.malformedMessage, "a tuning begins with start; nothing came")))
        }
        work(call)
    }

    func writable(call: ServerCall) {}

    func closed(call: ServerCall) {
        drain?.end()
        if let retryTimer { call.loop.cancel(retryTimer) }
        retryTimer = nil
        waiting.removeAll()
        run = nil
    }

    private func end(_ call: ServerCall, _ status: GRPCStatus) {
        waiting.removeAll()
        run = nil
        call.finish(status)
    }

    /// The next piece: queries that wait, or of the fit when all have come.
    private func work(_ call: ServerCall) {
        guard !isWorking, retryTimer == nil, !call.isFinished else { return }
        // It keeps nothing before its end: the client begins anew with the successor.
        if isDraining { return end(call, GRPCStatus(HealthBoard.draining)) }
        guard let run, !waiting.isEmpty || isHalfClosed else { return }
        let piece = Array(waiting.prefix(Self.pieceQueries))
        let cancellation = call.cancellation
        let handler = LoopBound(self)
        isWorking = true
        let isTaken = context.pool.submit(lane: call.lane) { [reply] in
            do throws(KyroError) {
                var isDone = false
                for (query, _) in piece { try run.add(query, cancellation: cancellation) }
                if piece.isEmpty { isDone = try run.step(cancellation: cancellation) }
                let progress = run.progress
                let wasLast = isDone
                reply.onLoop { handler.value.worked(progress, isDone: wasLast, $0) }
            } catch {
                let status = GRPCStatus(error)
                run.release()
                reply.onLoop { handler.value.end($0, status) }
            }
        }
        guard isTaken else {
            isWorking = false
            retryTimer = call.loop.schedule(afterNanos: Self.retryNanos) { [self] in
                retryTimer = nil
                work(call)
            }
            return
        }
        waiting.removeFirst(piece.count)
        waitingBytes -= piece.reduce(0) { $0 + $1.byteCount }
        if isPaused, !isFull {
            isPaused = false
            call.resumeReading()
        }
    }

    private func worked(_ progress: TuneProgress, isDone: Bool, _ call: ServerCall) {
        isWorking = false
        guard let run, !call.isFinished else { return }
        guard !isDone else { return finish(run, call) }
        let now = EventLoop.monotonicNanos()
        if now >= toldNanos + Self.progressNanos, call.queuedBytes < Self.queuedBytesMax {
            toldNanos = now
            call.send(TuneResponse.progress(progress).encodeWire())
        }
        work(call)
    }

    private func finish(_ run: TuningRun, _ call: ServerCall) {
        context.engine.finishTuning(run) { [reply] result in
            reply.complete(result.map { TuneResponse.outcome($0).encodeWire() })
        }
        self.run = nil
    }

    private var isFull: Bool {
        waiting.count >= Self.waitingMax || waitingBytes >= Self.waitingBytesMax
    }

    private func pauseIfFull(_ call: ServerCall) {
        guard !isPaused, isFull else { return }
        isPaused = true
        call.pauseReading()
    }
}
