// How fast a snapshot may be written, so that nobody who waits for the disk or a core waits for it.
import KyroPlatform

/// Spreads the bytes of one snapshot over time. One thread.
final class SnapshotPace {
    /// Written before the first pause: small snapshots are done at once.
    private static let burstBytes = 4 << 20
    /// Of one pause; a clock that stands still costs no more.
    private static let pauseNanosMax: UInt64 = 100_000_000

    private let engine: Engine
    private let gate = Gate()
    private let startNanos: UInt64
    private var byteCount = 0

    init(engine: Engine) {
        self.engine = engine
        startNanos = engine.time.monotonicNanos()
    }

    /// Called with the bytes of each block that is on the disk.
    func pause(_ count: Int) {
        byteCount += count
        let perSecond = engine.configuration.snapshotBytesPerSecond
        guard perSecond > 0, byteCount > Self.burstBytes, !engine.maintenance.isCancelled else {
            return
        }
        let dueNanos = UInt64(Double(byteCount - Self.burstBytes) * 1e9 / Double(perSecond))
        let passedNanos = engine.time.monotonicNanos() - startNanos
        guard dueNanos > passedNanos else { return }
        _ = gate.wait(timeoutNanos: min(dueNanos - passedNanos, Self.pauseNanosMax))
    }
}
