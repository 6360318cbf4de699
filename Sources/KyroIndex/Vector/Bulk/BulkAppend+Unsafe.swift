// Many rows taken in at once: copied and encoded by all workers, then shown.
import KyroBytes
import KyroModel

extension VectorIndex {
    /// As `append` of so many vectors, of the slots from `slot` on; false when there is no memory for
    /// them, and then nothing was stored. Touching fresh memory takes most of the time that a row
    /// needs, and codes of half a byte the rest: both are shared by the workers here. Shard's writer
    /// only.
    ///
    /// - Parameter vector: hands vector `i` of [0, count) to the body; called by all workers.
    public func append(
        count: Int, from slot: Slot, workers: any BulkWorkers,
        vector: @escaping @Sendable (_ i: Int, _ body: (Span<Float>) -> Void) -> Void
    ) -> Bool {
        guard tryReserve(vectors: count, slotCount: slot.index + count) else { return false }
        rows.append(count: count, from: slot.index, workers: workers, vector: vector)
        return true
    }
}

extension VectorRows {
    /// Rows of a block that one worker takes.
    private static let blockRows = 256

    /// - Precondition: there is room.
    fileprivate func append(
        count: Int, from slot: Int, workers: any BulkWorkers,
        vector: @escaping @Sendable (_ i: Int, _ body: (Span<Float>) -> Void) -> Void
    ) {
        let first = self.count
        for i in 0..<count {
            reserve(row: first + i, slot: slot + i)
            slots[first + i] = UInt32(slot + i)
        }
        if store.isFloats {
            let cursor = BulkCursor(count: count, block: Self.blockRows)
            workers.run { _ in
                let scratch = CodeScratch()
                while let block = cursor.take() {
                    for i in block {
                        vector(i) { self.fill(row: first + i, $0, scratch) }
                    }
                }
            }
        } else {
            // Of other forms one is made at a time.
            for i in 0..<count {
                vector(i) { floats in
                    precondition(floats.count == dimension, "\(floats.count) for \(dimension)")
                    unsafe floats.withUnsafeBufferPointer { source in
                        guard let from = source.baseAddress else { return }
                        unsafe put(row: first + i, from)
                    }
                }
            }
        }
        for i in 0..<count { publish(row: first + i, slot: slot + i) }
    }

    /// Stores and encodes a row as given. Several threads at once, each with rows of its own.
    private func fill(row: Int, _ floats: Span<Float>, _ scratch: CodeScratch) {
        precondition(floats.count == dimension, "\(floats.count) floats for \(dimension)")
        unsafe floats.withUnsafeBufferPointer { source in
            guard let from = source.baseAddress else { return }
            unsafe encode(row: row, store.write(row, from), scratch: scratch)
        }
    }
}
