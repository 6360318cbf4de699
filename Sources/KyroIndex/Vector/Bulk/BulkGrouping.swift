// Entries put together by what they belong to: a counting sort that all workers take part in.
import KyroModel

/// What is to be grouped: up to `width` entries of each owner. Both verbs are called by several
/// threads at once, for different owners.
protocol BulkEntries: Sendable {
    var ownerCount: Int { get }
    var width: Int { get }
    /// Of an owner's entry `i`, or `BulkGrouping.none` where it has no more.
    func group(_ owner: Int, _ i: Int) -> UInt32
    func put(_ owner: Int, _ i: Int, at place: Int)
}

enum BulkGrouping {
    static let none = UInt32.max

    /// Each part of the owners has counts of its own: four bytes a group.
    static let partsMax = 4

    /// Gives each entry a place: group after group, within one in the order of owners, whatever the
    /// number of workers. Returns the first place of each group and the end of the last; nil when
    /// cancelled.
    ///
    /// - Parameter groupCount: above every group.
    static func place(
        _ entries: some BulkEntries, groupCount: Int, workers: any BulkWorkers,
        cancellation: Cancellation
    ) -> BulkArray<UInt32>? {
        let parts = max(1, min(workers.count, partsMax))
        let nexts = BulkArray<UInt32>(repeating: 0, count: parts * groupCount)
        run(parts, workers) { part in
            forEach(entries, part, of: parts, cancellation) { _, _, group in
                nexts[part * groupCount + group] += 1
            }
        }
        guard !cancellation.isCancelled else { return nil }
        let starts = BulkArray<UInt32>(toBeFilled: groupCount + 1)
        var next: UInt32 = 0
        for group in 0..<groupCount {
            starts[group] = next
            for part in 0..<parts {
                let own = nexts[part * groupCount + group]
                nexts[part * groupCount + group] = next
                next += own
            }
        }
        starts[groupCount] = next
        run(parts, workers) { part in
            forEach(entries, part, of: parts, cancellation) { owner, i, group in
                let place = nexts[part * groupCount + group]
                nexts[part * groupCount + group] = place + 1
                entries.put(owner, i, at: Int(place))
            }
        }
        return cancellation.isCancelled ? nil : starts
    }

    private static func run(
        _ parts: Int, _ workers: any BulkWorkers, _ body: @escaping @Sendable (Int) -> Void
    ) {
        let cursor = BulkCursor(count: parts, block: 1)
        workers.run { _ in
            while let part = cursor.take() { body(part.lowerBound) }
        }
    }

    @inline(__always) private static func forEach(
        _ entries: some BulkEntries, _ part: Int, of parts: Int, _ cancellation: Cancellation,
        _ body: (_ owner: Int, _ i: Int, _ group: Int) -> Void
    ) {
        let (count, width) = (entries.ownerCount, entries.width)
        for owner in (part * count / parts)..<((part + 1) * count / parts) {
            if owner % 4_096 == 0, cancellation.isCancelled { return }
            for i in 0..<width {
                let group = entries.group(owner, i)
                if group == none { break }
                body(owner, i, Int(group))
            }
        }
    }
}
