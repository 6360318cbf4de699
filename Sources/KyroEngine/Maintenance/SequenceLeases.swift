// Which old sequences of a collection can still be read.
import KyroModel
import KyroPlatform

/// A rebuild drops versions that died. What may be asked about them later is told here: a scan
/// leases the sequence it reads at for as long as it is open, and for a while after, so that its
/// resume token is good for something; and beyond that until a rebuild has taken the versions of
/// then.
///
/// The horizon is the highest sequence at which a dropped version may have died: from it on,
/// everything can be read.
final class SequenceLeases: Sendable {
    /// After a scan that broke off.
    static let leaseNanos: UInt64 = 60_000_000_000
    /// After the end of a scan, whose last answer may have been lost on its way.
    static let endedNanos: UInt64 = 5_000_000_000
    /// Each may keep one dead version of every document; those of a few seconds keep much the same.
    static let leasesMax = 64

    private struct Entry {
        var seq: Sequence
        /// Scans that are open at it.
        var scans = 1
        /// When there are none any more.
        var untilNanos: UInt64 = 0
    }

    private struct State {
        var horizon = Sequence.zero
        var entries: [Entry] = []
    }

    private let state = Locked(State())

    /// A scan begins, or goes on at its token: leases its sequence. Nil when versions of then may be
    /// gone.
    func take(_ seq: Sequence, time: any Clock) -> ScanLease? {
        let isTaken = state.withLock { state in
            if let known = state.entries.firstIndex(where: { $0.seq == seq }) {
                state.entries[known].scans += 1
                return true
            }
            guard seq >= state.horizon else { return false }
            if state.entries.count >= Self.leasesMax { Self.dropOldest(&state) }
            state.entries.append(Entry(seq: seq))
            return true
        }
        return isTaken ? ScanLease(of: self, seq: seq, time: time) : nil
    }

    /// From here on everything can be read.
    var horizon: Sequence { state.withLock { $0.horizon } }

    /// Rather one that no scan holds open.
    private static func dropOldest(_ state: inout State) {
        let oldest = state.entries.indices.min { a, b in
            let (a, b) = (state.entries[a], state.entries[b])
            return (a.scans > 0 ? .max : a.untilNanos, a.seq)
                < (b.scans > 0 ? .max : b.untilNanos, b.seq)
        }
        if let oldest { state.entries.remove(at: oldest) }
    }

    fileprivate func close(_ seq: Sequence, untilNanos: UInt64) {
        state.withLock { state in
            guard let known = state.entries.firstIndex(where: { $0.seq == seq }) else { return }
            state.entries[known].scans -= 1
            let until = state.entries[known].untilNanos
            state.entries[known].untilNanos = max(until, untilNanos)
        }
    }

    /// Versions that died at or below `seq` go from now on, but for those that the sequences
    /// returned still see.
    func raiseHorizon(to seq: Sequence, nowNanos: UInt64) -> [Sequence] {
        state.withLock { state in
            state.entries.removeAll { $0.scans <= 0 && $0.untilNanos <= nowNanos }
            state.horizon = max(state.horizon, seq)
            return state.entries.map(\.seq).filter { $0 < seq }
        }
    }

    /// Of a part that was rebuilt in an earlier life of the server.
    func restoreHorizon(_ seq: Sequence) {
        state.withLock { $0.horizon = max($0.horizon, seq) }
    }
}

/// One scan's hold on its sequence; lives as long as the scan.
///
/// `@unchecked Sendable`: whoever has the scan has it.
final class ScanLease: @unchecked Sendable {
    private let leases: SequenceLeases
    private let time: any Clock
    let seq: Sequence
    var isEnded = false

    fileprivate init(of leases: SequenceLeases, seq: Sequence, time: any Clock) {
        self.leases = leases
        self.seq = seq
        self.time = time
    }

    deinit {
        let nanos = isEnded ? SequenceLeases.endedNanos : SequenceLeases.leaseNanos
        leases.close(seq, untilNanos: time.monotonicNanos() + nanos)
    }
}
