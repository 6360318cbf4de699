// When a connection is to be looked at, and what is due then. A value without a clock of its own.

struct ConnectionTimes {
    /// What the connection has to say for itself.
    struct Situation {
        /// The client has said preface and SETTINGS, through TLS where there is TLS.
        var isEstablished: Bool
        var headerBlockSinceNanos: UInt64?
        var hasCalls: Bool
        /// The socket takes nothing.
        var isWriteBlocked: Bool
    }

    enum Verdict: Equatable {
        /// Nothing until then.
        case wait(untilNanos: UInt64)
        case ping
        case drain(TransportRefusal)
        case close(TransportRefusal)
    }

    let openedNanos: UInt64
    /// The client was heard, or its kernel took bytes.
    var receivedNanos: UInt64
    /// The last call ended.
    var activeNanos: UInt64
    /// The socket took bytes.
    var takenNanos: UInt64
    /// Asked to go, by us alone: the server's own end has a time of its own.
    private(set) var leavingSinceNanos: UInt64?
    private(set) var isDraining = false
    /// The silence that was answered by a ping.
    private var pingedNanos: UInt64?

    init(nowNanos: UInt64) {
        openedNanos = nowNanos
        receivedNanos = nowNanos
        activeNanos = nowNanos
        takenNanos = nowNanos
    }

    mutating func drained() { isDraining = true }

    /// What is due; a ping and a drain are told once.
    mutating func verdict(
        nowNanos: UInt64, _ situation: Situation, _ limits: ServerTransportConfiguration
    ) -> Verdict {
        var next = UInt64.max
        func isDue(_ since: UInt64?, _ millis: Int) -> Bool {
            guard let since else { return false }
            let (sum, overflow) = since.addingReportingOverflow(UInt64(millis) * 1_000_000)
            if !overflow, sum <= nowNanos { return true }
            if !overflow { next = min(next, sum) }
            return false
        }
        if !situation.isEstablished, isDue(openedNanos, limits.handshakeTimeoutMillis) {
            return .close(.handshakeTimeout)
        }
        if isDue(situation.headerBlockSinceNanos, limits.headersTimeoutMillis) {
            return .close(.headersTimeout)
        }
        if situation.isWriteBlocked, isDue(takenNanos, limits.replyTimeoutMillis) {
            return .close(.socketStalled)
        }
        if isDue(leavingSinceNanos, limits.leaveGraceMillis) { return .close(.graceExpired) }
        if isDue(receivedNanos, 2 * limits.keepaliveMillis) { return .close(.keepaliveTimeout) }
        if !isDraining, situation.isEstablished {
            // Calls may end at any time: the connection is idle at the earliest so long after.
            let busyNanos = situation.hasCalls ? nowNanos : activeNanos
            if limits.idleTimeoutMillis > 0, isDue(busyNanos, limits.idleTimeoutMillis) {
                leavingSinceNanos = nowNanos
                return .drain(.idle)
            }
            if limits.ageMaxMillis > 0, isDue(openedNanos, spread(limits.ageMaxMillis)) {
                leavingSinceNanos = nowNanos
                return .drain(.age)
            }
        }
        if pingedNanos != receivedNanos, isDue(receivedNanos, limits.keepaliveMillis) {
            pingedNanos = receivedNanos
            return .ping
        }
        return .wait(untilNanos: next)
    }

    /// Up to a tenth more or less: connections that came together do not all leave together.
    private func spread(_ millis: Int) -> Int {
        let share = Int(openedNanos / 1_000 % 2_001) - 1_000
        return millis + millis / 10_000 * share + millis % 10_000 * share / 10_000
    }
}
