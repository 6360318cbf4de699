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
        var ends = [Int](repeating: 0, count: pivots.count + 1)
        for i in 0..<places.count { ends[Int(places[i]) + 1] += 1 }
        for i in 0..<pivots.count { ends[i + 1] += ends[i] }
        starts = ends
        members = BulkArray(toBeFilled: places.count)
        for member in 0..<rows.count {
            if member % 4_096 == 0, cancellation.isCancelled { return nil }
            for i in (member * overlap)..<((member + 1) * overlap) {
                let partition = Int(places[i])
                let place = ends[partition]
                ends[partition] += 1
                members[place] = UInt32(member)
                places[i] = UInt32(place)
            }
        }
        self.places = places
        self.overlap = overlap
    }
}
