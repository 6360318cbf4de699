// Calls whose client is too slow: a message that does not get complete, answers that are not taken.

/// What a look at the calls of a connection ended, and when the next look is due.
public struct OverdueCalls: Equatable, Sendable {
    /// Calls ended since their message trickles in.
    public var messages = 0
    /// Calls reset since nobody takes their answers.
    public var replies = 0
    /// On the clock of `nowNanos`; nil when nothing is timed.
    public var nextNanos: UInt64?
}

extension ServerSession {
    /// The least that a message must come in with, besides its first `messageNanos`: a message of
    /// the greatest size may take as long as a slow line needs, a trickle may not.
    static let messageBytesPerSecondMin: UInt64 = 64 << 10

    /// Ends calls whose client is too slow with a message, and resets those whose answers wait.
    /// Take the events afterwards.
    /// - Parameters:
    ///   - messageNanos: time for a message from its first byte on.
    ///   - replyNanos: time in which a waiting answer must make some progress.
    public func endOverdue(messageNanos: UInt64, replyNanos: UInt64) -> OverdueCalls {
        var report = OverdueCalls()
        guard core.unfinishedStreams > 0 || core.queuedBytes > 0 else { return report }
        let now = nowNanos
        /// True when the moment has passed; the next one is kept otherwise.
        func isDue(_ since: UInt64, _ nanos: UInt64) -> Bool {
            let (sum, overflow) = since.addingReportingOverflow(nanos)
            if !overflow, sum <= now { return true }
            report.nextNanos = min(report.nextNanos ?? .max, overflow ? .max : sum)
            return false
        }
        for stream in core.openStreams {
            if stream.isUnfinished, !stream.discardsInput {
                let earned =
                    UInt64(stream.assembler.bodyBytes) * 1_000_000
                    / Self.messageBytesPerSecondMin * 1_000
                if core.isHeldBack(stream) {
                    stream.unfinishedSinceNanos = now
                    _ = isDue(now, messageNanos)
                } else if isDue(stream.unfinishedSinceNanos, messageNanos + earned) {
                    report.messages += 1
                    core.giveUp(
                        stream,
                        GRPCStatus(
                            code: GRPCCode.deadlineExceeded,
                            message: "a message was not complete after "
                                + "\(messageNanos / 1_000_000) ms"))
                }
            }
            if stream.queuedBytes > 0, isDue(stream.takenNanos, replyNanos) {
                report.replies += 1
                core.reset(stream, code: Self.cancel)
                // Once: the stream closes when the socket has taken the reset.
                stream.takenNanos = now
            }
        }
        return report
    }

    private static let cancel: UInt32 = 8
}

extension HTTP2Core {
    var openStreams: [HTTP2Stream] { live.compactMap { $0 } }

    /// The client cannot go on with its message: we hold its window.
    func isHeldBack(_ stream: HTTP2Stream) -> Bool {
        stream.isReadingPaused || stream.inboxBytes > 0 || heldBytes > configuration.heldBytesMax
    }

    /// Input ends here, with this status.
    func giveUp(_ stream: HTTP2Stream, _ status: GRPCStatus) {
        discardInput(stream)
        stream.inputFailure = status
        queueReadable(stream)
    }

    /// Keeps when the message began of which a part is there.
    /// - Parameter anew: a message ended, so that this is another one.
    func noteUnfinished(_ stream: HTTP2Stream, anew: Bool = false) {
        let isUnfinished = !stream.assembler.isEmpty
        if isUnfinished != stream.isUnfinished {
            stream.isUnfinished = isUnfinished
            unfinishedStreams += isUnfinished ? 1 : -1
            stream.unfinishedSinceNanos = nowNanos
        } else if anew, isUnfinished {
            stream.unfinishedSinceNanos = nowNanos
        }
    }
}
