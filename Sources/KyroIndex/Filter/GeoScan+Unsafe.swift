// Scans over columns of geo points.
import KyroBytes
import KyroModel

extension GeoColumn {
    /// Slots below `slotCount` with a point within the circle: two nanoseconds a point outside its
    /// bounding box, fifty inside.
    func scan(
        _ circle: GeoCircle, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        try scan(slotCount, cancellation) { circle.contains(latitude: $0, longitude: $1) }
    }

    func scan(
        _ box: GeoBox, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        try scan(slotCount, cancellation) { box.contains(latitude: $0, longitude: $1) }
    }

    @inline(__always)
    private func scan(
        _ slotCount: Int, _ cancellation: Cancellation, _ passes: (Double, Double) -> Bool
    ) throws(KyroError) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        let count = count
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(
                count - row, 1 << 12, latitudes.contiguousRows(from: row),
                longitudes.contiguousRows(from: row), owners.contiguousRows(from: row))
            let latitudes = unsafe latitudes.pointer(row)
            let longitudes = unsafe longitudes.pointer(row)
            let owners = unsafe owners.pointer(row)
            for i in 0..<run {
                let owner = unsafe Int(owners[i])
                if owner >= slotCount { return mask }
                if unsafe passes(latitudes[i], longitudes[i]) { mask.insert(owner) }
            }
            row += run
        }
        return mask
    }
}
