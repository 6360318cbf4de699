// Memory and disk as the engine lives with them.
import KyroBytes
import KyroModel
import KyroPlatform
import KyroStore

extension Engine {
    /// Bytes of writes that wait, for their shard or for the catalog.
    var queuedBytes: UInt64 {
        UInt64(shards.reduce(control.queuedWeight) { $0 + $1.queue.queuedWeight })
    }

    /// Who may add documents now.
    public var admission: Admission { budget.admission(queuedBytes: queuedBytes) }

    /// Whether freeing memory is urgent: rebuild earlier, put off what takes more.
    public var isMemoryShort: Bool { admission != .open }

    /// What a write has to be told at this moment; nil when it may go on.
    ///
    /// - Parameter isStream: what a stream sends within its credit is taken until the limit itself
    ///   is reached.
    func refusalForMemory(isStream: Bool) -> KyroError? {
        let queuedBytes = queuedBytes
        switch budget.admission(queuedBytes: queuedBytes) {
        case .open: return nil
        case .throttled where isStream: return nil
        case .throttled, .closed: return budget.refusal(queuedBytes: queuedBytes)
        }
    }

    /// Memory that was asked for was not to be had: frees the emergency memory for what is under way,
    /// and tells what a caller is told.
    func refuseMemory() -> KyroError {
        EmergencyMemory.release()
        budget.noteRefusal()
        return budget.refusal(queuedBytes: queuedBytes)
    }

    /// Now and then, on one maintenance process: frees what is kept for speed when memory is short,
    /// returns freed memory to the kernel, and makes the reserve on the volume again.
    func maintainResources(_ process: ResourceMaintenance) {
        let now = time.monotonicNanos()
        guard now >= process.nextNanos else { return }
        process.nextNanos = now + 1_000_000_000
        let admission = admission
        if admission != .open { scratches.drop() }
        budget.maintain(admission)
        directory.restoreReserve()
        if admission != process.admission {
            notice(
                admission == .open
                    ? "memory: documents are taken again"
                    : budget.refusal(queuedBytes: queuedBytes).message)
            process.admission = admission
        }
    }
}

/// What maintenance remembers between two turns.
///
/// `@unchecked Sendable`: touched in one process's turns alone.
final class ResourceMaintenance: @unchecked Sendable {
    var nextNanos: UInt64 = 0
    var admission = Admission.open
}
