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
    /// Each may keep one dead version of every document.
    static let leasesMax = 8

    private struct State {
        var horizon = Sequence.zero
        var leases: [(seq: Sequence, untilNanos: UInt64)] = []
    }

    private let state = Locked(State())

    /// Leases a sequence anew or for longer; false when versions of then may be gone.
    func take(_ seq: Sequence, nowNanos: UInt64) -> Bool {
        state.withLock { state in
            let until = nowNanos + Self.leaseNanos
            if let known = state.leases.firstIndex(where: { $0.seq == seq }) {
                state.leases[known].untilNanos = until
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
            state.leases.append((seq, until))
            return true
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
