// Where the rows of a collection's part went when it was rebuilt without its dead versions.
import KyroModel

/// New slots by old ones, both ascending.
public struct SlotMap: Sendable {
    /// New slot + 1; zero for what was left out.
    @usableFromInline var cells: [UInt32] = []

    public init() {}

    /// Old slots that were looked at: all below this.
    @inlinable public var count: Int { cells.count }

    @inlinable public subscript(old: Int) -> Int? {
        let cell = cells[old]
        return cell == 0 ? nil : Int(cell) - 1
    }

    /// What became of the next old slot.
    public mutating func append(_ new: Int?) {
        cells.append(new.map { UInt32($0) + 1 } ?? 0)
    }

    public var residentBytes: Int { cells.capacity * 4 }
}
