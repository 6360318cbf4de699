// The geo points of one metadata field.
import KyroBytes
import KyroModel
import Synchronization

/// A slot and one of its points in each row, slots ascending; a list field has several rows a slot.
///
/// `@unchecked Sendable`: rows are written before the count that covers them.
final class GeoColumn: @unchecked Sendable {
    /// Degrees.
    let latitudes = Column<Double>()
    let longitudes = Column<Double>()
    let owners = Column<UInt32>()
    private let published = Atomic<Int>(0)

    var count: Int { published.load(ordering: .acquiring) }

    /// Writer only.
    func append(_ point: GeoPoint, slot: Int) {
        let row = published.load(ordering: .relaxed)
        latitudes.append(point.latitude, at: row)
        longitudes.append(point.longitude, at: row)
        owners.append(UInt32(slot), at: row)
        published.store(row + 1, ordering: .releasing)
    }

    /// - Precondition: the row was published.
    func point(_ row: Int) -> GeoPoint {
        GeoPoint(latitude: latitudes[row], longitude: longitudes[row])
    }

    /// Makes room for so many more points; false when there is no memory for them. Writer only.
    func tryReserve(points: Int) -> Bool {
        let row = published.load(ordering: .relaxed)
        let rows = row..<(row + points)
        return latitudes.tryReserve(rows: rows) && longitudes.tryReserve(rows: rows)
            && owners.tryReserve(rows: rows)
    }

    var residentBytes: Int { 20 * published.load(ordering: .relaxed) }
}
