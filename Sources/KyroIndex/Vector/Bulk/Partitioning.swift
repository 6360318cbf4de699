// Rows into overlapping partitions: each row joins those of its nearest pivots.
//
// Pivots are rows, drawn evenly. Where they are many they lie in groups around pivots of their own,
// and a row looks for its pivots in the nearest groups alone: with P pivots some 9 × √P comparisons
// a row in the place of P.
import KyroModel

@safe struct Partitioning: Sendable {
    /// Partitions of each row.
    let overlap: Int
    /// First place of each partition, and the end of the last.
    let starts: [Int]
    /// Member by place; a partition's members ascend.
    let members: BulkArray<UInt32>
    /// Place of member m in its t-th partition, nearest first, at m × overlap + t.
    let places: BulkArray<UInt32>

    var count: Int { starts.count - 1 }

    /// All rows in one partition.
    init(whole rows: BulkRows) {
        overlap = 1
        starts = [0, rows.count]
        members = BulkArray(repeating: 0, count: rows.count)
        places = BulkArray(repeating: 0, count: rows.count)
        for i in 0..<rows.count {
            members[i] = UInt32(i)
            places[i] = UInt32(i)
        }
    }

    /// The partitions of each row, in whose place its places come.
    private struct Choices: BulkEntries {
        let places: BulkArray<UInt32>
        let width: Int
        let members: BulkArray<UInt32>

        var ownerCount: Int { places.count / width }
        @inline(__always) func group(_ member: Int, _ t: Int) -> UInt32 {
            places[member * width + t]
        }
        @inline(__always) func put(_ member: Int, _ t: Int, at place: Int) {
            members[place] = UInt32(member)
            places[member * width + t] = UInt32(place)
        }
    }

    /// Nil when cancelled.
    init?(
        _ rows: BulkRows, parameters: BulkParameters, workers: any BulkWorkers,
        cancellation: Cancellation
    ) {
        let wanted = (rows.count * parameters.overlap - 1) / parameters.leafRows + 1
        let pivots = PivotTable.drawn(
            from: rows, count: min(wanted, rows.count), parameters: parameters,
            cancellation: cancellation)
        guard let pivots else { return nil }
        let overlap = min(parameters.overlap, pivots.count)
        let places = BulkArray<UInt32>(toBeFilled: rows.count * overlap)
        let cursor = BulkCursor(count: rows.count, block: PivotChooser.blockRows(of: rows.count))
        workers.run { _ in
            let chooser = PivotChooser(pivots, rows: rows, overlap: overlap)
            while let block = cursor.take(), !cancellation.isCancelled {
                chooser.choose(for: block.count, cancellation) { block.lowerBound + $0 }
                for (i, member) in block.enumerated() {
                    for t in 0..<overlap {
                        places[member * overlap + t] = UInt32(chooser.pivot(t, of: i))
                    }
                }
            }
        }
        guard !cancellation.isCancelled else { return nil }
        members = BulkArray(toBeFilled: places.count)
        let starts = BulkGrouping.place(
            Choices(places: places, width: overlap, members: members), groupCount: pivots.count,
            workers: workers, cancellation: cancellation)
        guard let starts else { return nil }
        self.starts = (0...pivots.count).map { Int(starts[$0]) }
        self.places = places
        self.overlap = overlap
    }
}
