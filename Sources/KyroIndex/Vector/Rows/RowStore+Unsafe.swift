// What of each row is kept to score it again and to answer with, and where.
import CKernels
import KyroBytes
import KyroModel

/// Which of these it is, is asked once for a batch of rows and never for a row.
enum RowPlace: Sendable {
    /// As given, bit for bit.
    case floats(Column<Float>)
    case halves(Column<UInt16>)
    /// In a snapshot, as far as there is one.
    case disk(DiskRows)
    /// Nowhere: codes stand for the rows.
    case absent
}

/// Rows are written by one thread before they are published, and never after.
///
/// `@unchecked Sendable`: `rounded` is the writer's alone.
@safe final class RowStore: @unchecked Sendable {
    let dimension: Int
    let place: RowPlace
    /// A row as it is stored, where that is not as it was given. Writer only.
    private let rounded: UnsafeMutablePointer<Float>

    /// - Parameter floats: an empty column, which has the rows if they are in memory as given.
    init(field: VectorField, floats: Column<Float>) {
        dimension = field.dimension
        unsafe rounded = .allocate(capacity: field.dimension)
        unsafe rounded.initialize(repeating: 0, count: field.dimension)
        switch (field.indexing.rerank, field.indexing.storage) {
        case (.f32, .memory): place = .floats(floats)
        case (.bf16, .memory): place = .halves(Column(width: field.dimension))
        case (.f32, .disk): place = .disk(DiskRows(format: .f32, dimension: field.dimension))
        case (.bf16, .disk): place = .disk(DiskRows(format: .bf16, dimension: field.dimension))
        case (.none, _): place = .absent
        }
    }

    deinit { unsafe rounded.deallocate() }

    /// Of rows in a snapshot; codes are written as what they stand for.
    var format: RowFormat {
        switch place {
        case .floats, .absent: .f32
        case .halves: .bf16
        case .disk(let rows): rows.format
        }
    }

    var isFloats: Bool { if case .floats = place { true } else { false } }
    var isAbsent: Bool { if case .absent = place { true } else { false } }

    // MARK: writer

    func reserve(row: Int) {
        switch place {
        case .floats(let column): column.reserve(row: row)
        case .halves(let column): column.reserve(row: row)
        case .disk(let rows): rows.reserve(row: row)
        case .absent: break
        }
    }

    /// False when there is no memory for the rows.
    func tryReserve(rows range: Range<Int>) -> Bool {
        switch place {
        case .floats(let column): column.tryReserve(rows: range)
        case .halves(let column): column.tryReserve(rows: range)
        case .disk(let rows): rows.tryReserve(rows: range)
        case .absent: true
        }
    }

    /// Stores a row that was reserved. Returns the floats that stand there from now on, in memory
    /// that lasts until the next call.
    @unsafe func write(_ row: Int, _ from: UnsafePointer<Float>) -> UnsafePointer<Float> {
        switch place {
        case .floats(let column):
            let to = unsafe column.pointer(row)
            unsafe kyro_copy_row(to, from, dimension * MemoryLayout<Float>.stride)
            return unsafe UnsafePointer(to)
        case .halves(let column):
            let to = unsafe UnsafeMutableRawPointer(column.pointer(row))
            unsafe RowFormat.bf16.encode(from, count: dimension, into: to)
            unsafe RowFormat.bf16.decode(to, count: dimension, into: rounded)
            return unsafe UnsafePointer(rounded)
        case .disk(let rows):
            unsafe rows.write(row, from, stored: rounded)
            return unsafe UnsafePointer(rounded)
        case .absent: return unsafe from
        }
    }

    /// Takes over row `from` of another store as the reserved row `row`; false where that does not
    /// keep its rows in the same way, and nothing was done. Then `endTaking`.
    func take(_ row: Int, _ from: Int, of other: RowStore) throws(KyroError) -> Bool {
        switch (place, other.place) {
        case (.floats(let column), .floats(let source)):
            unsafe kyro_copy_row(
                column.pointer(row), source.pointer(from),
                dimension * MemoryLayout<Float>.stride)
        case (.halves(let column), .halves(let source)):
            unsafe kyro_copy_row(
                column.pointer(row), source.pointer(from),
                dimension * MemoryLayout<UInt16>.stride)
        case (.disk(let rows), .disk(let source)):
            guard rows.format == source.format else { return false }
            try rows.take(row, from, of: source)
        case (.absent, .absent): break
        case (.floats, _), (.halves, _), (.disk, _), (.absent, _): return false
        }
        return true
    }

    /// After some calls of `take`, before anybody reads the rows.
    func endTaking() {
        if case .disk(let rows) = place { rows.endTaking() }
    }

    /// Frees what searches of before an `install` needed. The maintenance thread.
    func releaseReplaced() {
        if case .disk(let rows) = place { rows.releaseReplaced() }
    }

    // MARK: any thread

    /// Bytes of memory that `rowCount` rows take here.
    func residentBytes(rowCount: Int) -> Int {
        switch place {
        case .floats(let column): column.residentBytes(rowCount: rowCount)
        case .halves(let column): column.residentBytes(rowCount: rowCount)
        case .disk(let rows): rows.residentBytes(rowCount: rowCount)
        case .absent: 0
        }
    }
}
