// Rows of a vector index in lists around centroids (IVF: Sivic & Zisserman 2003; Jégou, Douze &
// Schmid 2011). A search scans the lists whose centroids are nearest to its query.
//
// The centroids never change; lists grow at their ends. A reader skips rows at or above the count
// that it loaded when it began: those it finds in the tail.
import KyroBytes
import KyroModel
import Synchronization

/// Lists of one training. One maintenance thread appends beside any number of readers.
final class InvertedLists: Sendable {
    let centroids: Centroids
    /// Row numbers, ascending in each list.
    let entries = PostingLists<UInt32>(baseShift: 8)
    private let published = Atomic<Int>(0)
    /// Σ length².
    private let squares = Atomic<Int>(0)
    /// Both as they were when training ended.
    private let trainedRows = Atomic<Int>(0)
    private let trainedSquares = Atomic<Int>(0)

    init(_ centroids: Centroids) {
        self.centroids = centroids
        for list in 0..<centroids.count { entries.reserve(list: list) }
    }

    var listCount: Int { centroids.count }
    /// Rows [0, count) are in the lists.
    var count: Int { published.load(ordering: .acquiring) }

    /// What a row's list has on average: what a search meets in a list, since long lists are met
    /// more often than short ones.
    var metLength: Double {
        let rows = count
        return rows == 0 ? 0 : Double(squares.load(ordering: .relaxed)) / Double(rows)
    }

    // MARK: maintenance

    /// Makes room for so many more rows; false when there is no memory for them.
    func tryReserve(rows: Int) -> Bool { entries.tryReserve(entries: rows, newLists: 0) }

    /// Rows come in ascending order into each list; `publish` shows them.
    func append(_ row: Int, to list: Int) {
        let length = entries.count(list)
        entries.append(UInt32(row), to: list)
        squares.store(
            squares.load(ordering: .relaxed) + 2 * length + 1, ordering: .relaxed)
    }

    /// - Precondition: rows [0, count) were appended.
    func publish(count: Int) { published.store(count, ordering: .releasing) }

    /// Takes the lists as they are for those that training gave.
    func endTraining() {
        setTrained(rows: count, squares: squares.load(ordering: .relaxed))
    }

    func setTrained(rows: Int, squares: Int) {
        trainedRows.store(rows, ordering: .relaxed)
        trainedSquares.store(squares, ordering: .relaxed)
    }

    var trained: (rows: Int, squares: Int) {
        (trainedRows.load(ordering: .relaxed), trainedSquares.load(ordering: .relaxed))
    }

    /// Whether lists of today's rows would be better ones.
    func isOutgrown(rowCount: Int) -> Bool {
        let (rows, squares) = trained
        if rowCount >= ListParameters.growthMax * rows { return true }
        let count = Double(count)
        guard count >= ListParameters.unevenRowsGrowth * Double(rows) else { return false }
        let before = Double(squares) / (Double(rows) * Double(rows))
        let now = Double(self.squares.load(ordering: .relaxed)) / (count * count)
        return now > ListParameters.unevennessGrowthMax * before
    }

    var residentBytes: Int { centroids.residentBytes + entries.residentBytes }
}
