// What memory allows: the limit, how much of it is used, and who may still add to it.
//
// What counts is what is resident and what waits in the queues, which becomes rows on top of what
// its messages take now. Above nine tenths of the limit unary writes are refused and streams get no
// new credit; at the limit streams are refused too. The last tenth is for what is under way then:
// batches sent within credits, graph links of rows that are there already, answers. Deletes and
// reads always go on.
import KyroBytes
import KyroModel
import KyroPlatform
import Synchronization

/// Any thread.
final class MemoryBudget: Sendable {
    /// Between two looks at the process: at 200 MB/s of new rows 4 MB go unseen.
    private static let sampleNanos: UInt64 = 20_000_000
    /// After memory was refused: for so long nothing that could be put off asks for more.
    private static let shortNanos: UInt64 = 1_000_000_000
    /// Addresses left where writes end: a message of 32 MiB in its buffer, decoded, and in the log's
    /// batch.
    private static let addressBytesThrottled: UInt64 = 96 << 20
    private static let addressBytesClosed: UInt64 = 48 << 20

    /// nil for none.
    let limitBytes: UInt64?
    private let gauge: any MemoryGauge
    private let time: any Clock
    private let sampledNanos = Atomic<UInt64>(0)
    private let resident = Atomic<UInt64>(0)
    private let addressesLeft = Atomic<UInt64>(.max)
    private let shortUntilNanos = Atomic<UInt64>(0)
    /// Resident when the engine was opened, and what snapshots to be loaded have announced since.
    private let recovery: Locked<UInt64>
    private let wantsGivingBack = Atomic<Bool>(false)

    init(limitBytes: UInt64?, gauge: any MemoryGauge, time: any Clock) {
        self.limitBytes = limitBytes
        self.gauge = gauge
        self.time = time
        recovery = Locked(gauge.read().residentBytes)
    }

    /// - Parameter queuedBytes: of writes that were accepted and are not yet applied.
    func admission(queuedBytes: UInt64) -> Admission {
        sample()
        let left = addressesLeft.load(ordering: .relaxed)
        let used = resident.load(ordering: .relaxed) + queuedBytes
        let limit = limitBytes ?? .max
        if used >= limit || left < Self.addressBytesClosed { return .closed }
        let isShort = time.monotonicNanos() < shortUntilNanos.load(ordering: .relaxed)
        if used >= limit - limit / 10 || left < Self.addressBytesThrottled || isShort {
            return .throttled
        }
        return .open
    }

    /// Whether so much more may be taken by what can be put off, such as a rebuild, which gives more
    /// back at its end: up to the limit itself.
    func hasRoom(for byteCount: Int) -> Bool {
        sample()
        let added = UInt64(max(0, byteCount))
        let left = addressesLeft.load(ordering: .relaxed)
        if left < Self.addressBytesThrottled || left - Self.addressBytesThrottled < added {
            return false
        }
        return resident.load(ordering: .relaxed) + added < limitBytes ?? .max
    }

    /// Memory that was asked for was not to be had.
    func noteRefusal() {
        shortUntilNanos.store(time.monotonicNanos() + Self.shortNanos, ordering: .relaxed)
        wantsGivingBack.store(true, ordering: .relaxed)
    }

    /// Why writes are refused.
    func refusal(queuedBytes: UInt64) -> KyroError {
        let used = resident.load(ordering: .relaxed)
        var text = "no memory for more documents: \(mebibytes(used)) are in use"
        if queuedBytes >= 1 << 20 { text += ", \(mebibytes(queuedBytes)) of writes wait" }
        if let limitBytes { text += ", --memory-limit is \(mebibytes(limitBytes))" }
        let left = addressesLeft.load(ordering: .relaxed)
        if left < Self.addressBytesThrottled {
            text += ", \(mebibytes(left)) may still be mapped (ulimit -v)"
        }
        text +=
            "; delete documents, drop collections or give the server more memory; reads and deletes "
            + "go on"
        return KyroError(.outOfMemory, text, retryAfterMillis: 1_000)
    }

    private func sample() {
        let last = sampledNanos.load(ordering: .relaxed)
        let now = max(1, time.monotonicNanos())
        guard last == 0 || now >= last + Self.sampleNanos,
            sampledNanos.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
        else { return }
        look()
    }

    private func look() {
        EmergencyMemory.restore()
        let reading = gauge.read()
        resident.store(reading.residentBytes, ordering: .relaxed)
        addressesLeft.store(reading.addressBytesLeft ?? .max, ordering: .relaxed)
    }

    // MARK: Giving back

    /// Something large was freed: the next `maintain` returns it to the kernel.
    func freed() { wantsGivingBack.store(true, ordering: .relaxed) }

    /// Now and then, on a maintenance process.
    func maintain(_ admission: Admission) {
        guard wantsGivingBack.exchange(false, ordering: .relaxed) || admission != .open else {
            return
        }
        gauge.giveBack()
        look()
    }

    // MARK: Recovery

    /// Before a shard loads so much. Shards that load at the same time add up.
    func announce(_ byteCount: UInt64, shard: Int) throws(KyroError) {
        let needed = recovery.withLock { total in
            total += byteCount
            return total
        }
        if let limitBytes, needed > limitBytes { throw doesNotFit(shard, needed, limitBytes) }
    }

    /// What was announced is not loaded after all.
    func withdraw(_ byteCount: UInt64) { recovery.withLock { $0 -= byteCount } }

    /// While a shard loads.
    func checkLoaded(shard: Int) throws(KyroError) {
        guard let limitBytes else { return }
        sample()
        guard resident.load(ordering: .relaxed) > limitBytes else { return }
        // What loading has freed on its way may be what is too much.
        gauge.giveBack()
        look()
        let used = resident.load(ordering: .relaxed)
        if used > limitBytes { throw doesNotFit(shard, used, limitBytes) }
    }

    private func doesNotFit(_ shard: Int, _ needed: UInt64, _ limit: UInt64) -> KyroError {
        KyroError(
            .outOfMemory,
            "the data does not fit into memory: loading shard \(shard) needs at least "
                + "\(mebibytes(needed)) in all, --memory-limit is \(mebibytes(limit)); nothing was "
                + "changed: start with a higher limit, or on a machine with more memory")
    }
}

private func mebibytes(_ byteCount: UInt64) -> String { "\((byteCount + (1 << 19)) >> 20) MiB" }
