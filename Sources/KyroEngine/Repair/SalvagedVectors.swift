// The vectors of one field in a snapshot, as far as they can be read.
import KyroBytes
import KyroIndex
import KyroModel
import KyroStore

struct SalvagedVectors {
    enum Answer {
        /// The document has no such vector.
        case absent
        case row(Int)
        case unreadable
    }

    let name: String
    let layout: VectorSnapshotLayout
    private let section: SectionAccess
    /// Ascending; what cannot be read is left out.
    private var slots: [UInt32] = []
    private var rows: [UInt32] = []
    private var isComplete = true

    /// Rows whose slots are read together.
    private static let slotRows = 65_536

    /// - Returns: nil when nothing of it can be used.
    init?(_ section: SectionAccess, name: String) {
        let head = section.read(
            0..<min(section.byteCount, UInt64(VectorSnapshotLayout.headerBytes)))
        guard let layout = head.flatMap({ VectorSnapshotLayout($0) }) else { return nil }
        self.name = name
        self.layout = layout
        self.section = section
        readSlots(0..<layout.rowCount)
    }

    /// Whole pieces, or halves of what cannot be read whole.
    private mutating func readSlots(_ range: Range<Int>) {
        var first = range.lowerBound
        while first < range.upperBound {
            let end = min(range.upperBound, first + Self.slotRows)
            if let bytes = section.read(layout.slots(first..<end)) {
                add(bytes, firstRow: first)
            } else if end - first == 1 {
                isComplete = false
            } else {
                let middle = (first + end) / 2
                readSlots(first..<middle)
                readSlots(middle..<end)
            }
            first = end
        }
    }

    private mutating func add(_ bytes: [UInt8], firstRow: Int) {
        var reader = ByteReader(bytes)
        var row = firstRow
        while let slot = try? reader.readFixed32() {
            slots.append(slot)
            rows.append(UInt32(row))
            row += 1
        }
    }

    func find(slot: Int) -> Answer {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle] < UInt32(slot) { low = middle + 1 } else { high = middle }
        }
        if low < slots.count, slots[low] == UInt32(slot) {
            let row = Int(rows[low])
            return section.isReadable(layout.values(row)) ? .row(row) : .unreadable
        }
        if isComplete { return .absent }
        // Between two neighbours whose rows are neighbours too, nothing is missing.
        let before: Int64 = low > 0 ? Int64(rows[low - 1]) : -1
        let behind = low < slots.count ? Int64(rows[low]) : Int64(layout.rowCount)
        return behind == before + 1 ? .absent : .unreadable
    }

    func vector(_ row: Int) -> [Float]? {
        guard let bytes = section.read(layout.values(row)) else { return nil }
        return layout.row(bytes)
    }
}
