// What stands before a method's own handler where callers must say who they are.
import KyroHTTP2
import KyroModel
import KyroPlatform

/// Lets messages through as rights and quotas allow. A call that is over its quota is refused; a
/// stream that is under way is read more slowly, as its client would have to send, and refused only
/// where the wait would be long.
final class GuardedHandler: CallHandler {
    /// Longest wait that a stream is held for.
    private static let waitMillisMax: Int64 = 30_000

    private let handler: any CallHandler
    private let access: CallAccess
    /// Came while the stream waits: the client's window is shut behind them.
    private var held: [[UInt8]] = []
    private var isHalfClosed = false
    private var timer: LoopTimer?

    init(_ handler: any CallHandler, _ access: CallAccess) {
        self.handler = handler
        self.access = access
    }

    func receive(_ message: [UInt8], call: ServerCall) {
        guard !call.isFinished else { return }
        if held.isEmpty, admits(message, call) { return handler.receive(message, call: call) }
        guard !call.isFinished else { return }
        held.append(message)
        call.pauseReading(by: .quota)
    }

    /// False where the message must wait, or the call is over.
    private func admits(_ message: [UInt8], _ call: ServerCall) -> Bool {
        do throws(KyroError) {
            try access.admit(messageBytes: message.count)
            return true
        } catch {
            guard error.reason == KyroError.Reason.quotaExceeded.rawValue, access.isUnderWay,
                let millis = error.retryAfterMillis, millis <= Self.waitMillisMax
            else {
                call.finish(GRPCStatus(error))
                return false
            }
            timer = call.loop.schedule(afterNanos: UInt64(max(1, millis)) * 1_000_000) { [self] in
                timer = nil
                passHeld(call)
            }
            return false
        }
    }

    private func passHeld(_ call: ServerCall) {
        while let message = held.first, !call.isFinished {
            guard admits(message, call) else { return }
            held.removeFirst()
            handler.receive(message, call: call)
        }
        guard !call.isFinished else { return }
        if isHalfClosed { return handler.halfClosed(call: call) }
        call.resumeReading(by: .quota)
    }

    func halfClosed(call: ServerCall) {
        isHalfClosed = true
        if held.isEmpty { handler.halfClosed(call: call) }
    }

    func writable(call: ServerCall) {
        guard !call.isFinished else { return handler.writable(call: call) }
        // A long answer ends with the rights to it.
        do throws(KyroError) {
            try access.stillHolds()
        } catch {
            return call.finish(GRPCStatus(error))
        }
        handler.writable(call: call)
    }

    func closed(call: ServerCall) {
        if let timer { call.loop.cancel(timer) }
        timer = nil
        held = []
        access.end()
        access.audit()
        handler.closed(call: call)
    }
}
