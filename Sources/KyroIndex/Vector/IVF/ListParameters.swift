// What decides how many inverted lists there are, when they are trained, and how many of them a
// search scans.
import KyroModel

struct ListParameters: Equatable, Sendable {
    /// As the field's options say; zero for what follows from the number of rows.
    let lists: Int

    init(_ indexing: VectorIndexing) { lists = Int(indexing.lists) }

    /// Below so many rows a list its centroid costs more than it saves.
    static let rowsPerListMin = 32
    /// Rows that a centroid is the mean of while it is sought (256 at most in faiss; 64 lose
    /// nothing here).
    static let sampledPerList = 64
    /// Rounds of Lloyd's algorithm; the last ones move few rows.
    static let roundsMax = 10
    /// Training ends when fewer than one in so many sampled rows changed its list.
    static let settledShare = 100
    /// Lists are trained anew when there are so many times the rows that they were trained for.
    static let growthMax = 4
    /// Or when lists are so many times as uneven as they were then, and rows have come.
    static let unevennessGrowthMax = 2.0
    static let unevenRowsGrowth = 1.5

    func listCount(rowCount: Int) -> Int {
        let wanted = lists > 0 ? lists : Int(4 * Double(rowCount).squareRoot())
        return max(1, min(wanted, rowCount / Self.rowsPerListMin))
    }

    /// 8 × L^⅜. On real embeddings of 384 dimensions recall@10 is 0.97 at 62 probes of 250 lists
    /// (8,000 rows), 86 of 692 (30,000) and 112 of 1,372 (117,659); this gives 64, 93 and 121.
    static func defaultProbes(listCount: Int) -> Int {
        let root = Double(listCount).squareRoot()
        return Int((8 * (root * root.squareRoot()).squareRoot()).rounded(.up))
    }
}
