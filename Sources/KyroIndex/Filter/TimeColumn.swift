// The event times of a shard's rows.
import KyroBytes
import Synchronization

/// One time a row, and for each full zone of rows the earliest and the latest: documents mostly come
/// in the order of their times, so that of a range's zones nearly all lie inside or outside as a whole
/// (small materialised aggregates, Moerkotte 1998).
///
/// `@unchecked Sendable`: rows and zones are written before the count that covers them; `open` is the
/// writer's alone.
final class TimeColumn: @unchecked Sendable {
    /// Of a row without a time.
    static let none = Int64.min
    /// A power of two from 64 on; a range that cuts 2 zones of a million rows then looks at one row in
    /// 500.
    static let zoneRows = 1_024

    let times = Column<Int64>()
    let earliest = Column<Int64>()
    let latest = Column<Int64>()
    private let rows = Atomic<Int>(0)
    /// Of the zone that is not full.
    private var open: (earliest: Int64, latest: Int64) = (.max, .min)

    /// Rows published.
    var count: Int { rows.load(ordering: .acquiring) }

    /// - Precondition: the slot was published.
    func time(of slot: Int) -> Int64? {
        guard slot < count else { return nil }
        let time = times[slot]
        return time == Self.none ? nil : time
    }

    /// Writer only. The earliest of all times stands for none, so that it moves by one millisecond.
    /// Rows that were jumped over have no time.
    func append(_ time: Int64?, slot: Int) {
        let row = rows.load(ordering: .relaxed)
        precondition(slot >= row, "slot \(slot) comes after \(row) rows of event times")
        for missing in row..<slot { put(Self.none, at: missing) }
        put(time.map { max($0, Self.none + 1) } ?? Self.none, at: slot)
        rows.store(slot + 1, ordering: .releasing)
    }

    private func put(_ time: Int64, at row: Int) {
        times.append(time, at: row)
        open = (min(open.earliest, time), max(open.latest, time))
        guard row % Self.zoneRows == Self.zoneRows - 1 else { return }
        earliest.append(open.earliest, at: row / Self.zoneRows)
        latest.append(open.latest, at: row / Self.zoneRows)
        open = (.max, .min)
    }

    /// Writer only; false when there is no memory for them.
    func tryReserve(slotCount: Int) -> Bool {
        let rows = rows.load(ordering: .relaxed)
        guard rows < slotCount else { return true }
        let zones = (rows / Self.zoneRows)..<(slotCount / Self.zoneRows + 1)
        return times.tryReserve(rows: rows..<slotCount) && earliest.tryReserve(rows: zones)
            && latest.tryReserve(rows: zones)
    }

    var residentBytes: Int {
        let rows = rows.load(ordering: .relaxed)
        return 8 * rows + 16 * (rows / Self.zoneRows)
    }
}
