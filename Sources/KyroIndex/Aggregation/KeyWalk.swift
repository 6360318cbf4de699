// The numbers of one field over all shards.
import KyroModel

/// Values as ordered keys, with the number of their row over all shards.
package struct KeyWalk {
    /// Empty for the event time.
    let field: String
    let parts: [AggregationRows]
    let cancellation: Cancellation

    package init(field: String, parts: [AggregationRows], cancellation: Cancellation) {
        self.field = field
        self.parts = parts
        self.cancellation = cancellation
    }

    /// Calls `body` with every value and its row; values of one row follow one another. `afterBatch`
    /// comes now and then.
    @inline(__always)
    func forEach(
        afterBatch: () throws(KyroError) -> Void = {}, _ body: (Int64, UInt64) -> Void
    ) throws(KyroError) {
        for (number, part) in parts.enumerated() {
            let base = UInt64(number) << 32
            if field.isEmpty {
                try part.metadata.forEachEventTime(
                    in: part, cancellation: cancellation, afterBatch: afterBatch
                ) { key, slot in body(key, base | UInt64(slot)) }
            } else if case .numbers(let column) = part.metadata.column(field)?.values {
                try column.forEach(in: part, cancellation: cancellation, afterBatch: afterBatch) {
                    key, slot in body(key, base | UInt64(slot))
                }
            }
        }
    }

    var documents: Int { parts.reduce(0) { $0 + $1.count } }
}

/// Counts rows, told of each of their values in turn.
struct RowCount {
    private(set) var count = 0
    private var last = UInt64.max

    @inline(__always)
    mutating func add(_ row: UInt64) {
        if row != last {
            count += 1
            last = row
        }
    }
}
