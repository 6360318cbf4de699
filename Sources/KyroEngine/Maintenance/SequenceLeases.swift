// Which old sequences of a collection can still be read.
import KyroModel
import KyroPlatform

/// A rebuild drops versions that died. What may be asked about them later is told here: a scan
/// leases the sequence it reads at, and its resume token is good for as long as the lease lives, and
/// beyond that until a rebuild has taken the versions of then.
///
/// The horizon is the highest sequence at which a dropped version may have died: from it on,
/// everything can be read.
final class SequenceLeases: Sendable {
    /// After the last page of a scan.
    static let leaseNanos: UInt64 = 60_000_000_000
    /// After the end of a scan, whose answer may have been lost on its way.
    static let endedNanos: UInt64 = 5_000_000_000
    /// Each may keep one dead version of every document; those of a few seconds keep much the same.
    static let leasesMax = 64

    private struct Lease {
        var seq: Sequence
        var untilNanos: UInt64
        /// Scans that were begun at it and have not ended.
        var scans = 1
    }

    private struct State {
        var horizon = Sequence.zero
        var leases: [Lease] = []
    }

    private let state = Locked(State())

    /// A scan begins, or goes on at its token: leases its sequence. False when versions of then may
    /// be gone.
    func take(_ seq: Sequence, nowNanos: UInt64) -> Bool {
        state.withLock { state in
            let until = nowNanos + Self.leaseNanos
            if let known = state.leases.firstIndex(where: { $0.seq == seq }) {
                state.leases[known].untilNanos = until
                state.leases[known].scans += 1
                return true
            }
            guard seq >= state.horizon else { return false }
            if state.leases.count >= Self.leasesMax,
                let oldest = state.leases.indices.min(by: {
                    state.leases[$0].untilNanos < state.leases[$1].untilNanos
                })
            {
                state.leases.remove(at: oldest)
            }
            state.leases.append(Lease(seq: seq, untilNanos: until))
            return true
        }
    }

    /// A scan has sent a page: its token is good for as long again.
    func renew(_ seq: Sequence, nowNanos: UInt64) {
        state.withLock { state in
            guard let known = state.leases.firstIndex(where: { $0.seq == seq }) else { return }
            state.leases[known].untilNanos = nowNanos + Self.leaseNanos
        }
    }

    /// A scan is over.
    func end(_ seq: Sequence, nowNanos: UInt64) {
        state.withLock { state in
            guard let known = state.leases.firstIndex(where: { $0.seq == seq }) else { return }
            state.leases[known].scans -= 1
            guard state.leases[known].scans <= 0 else { return }
            state.leases[known].untilNanos = nowNanos + Self.endedNanos
        }
    }

    /// Versions that died at or below `seq` go from now on, but for those that the sequences
    /// returned still see.
    func raiseHorizon(to seq: Sequence, nowNanos: UInt64) -> [Sequence] {
        state.withLock { state in
            state.leases.removeAll { $0.untilNanos <= nowNanos }
            state.horizon = max(state.horizon, seq)
            return state.leases.map(\.seq).filter { $0 < seq }
        }
    }

    /// Of a part that was rebuilt in an earlier life of the server.
    func restoreHorizon(_ seq: Sequence) {
        state.withLock { $0.horizon = max($0.horizon, seq) }
    }
}
