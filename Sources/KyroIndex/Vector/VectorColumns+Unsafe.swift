// Columns as bytes of a snapshot and back. Hosts are little-endian, as the format is.
import KyroBytes
import KyroModel
import Synchronization

extension Column {
    /// Row after row, without the padding between them.
    func write(rowCount: Int, to sink: any SnapshotSink) throws(KyroError) {
        let byteCount = width * MemoryLayout<Element>.stride
        let rowsPerBlock = max(1, VectorSnapshot.blockBytes / byteCount)
        var row = 0
        while row < rowCount {
            let end = min(rowCount, row + rowsPerBlock)
            var block: [UInt8] = []
            block.reserveCapacity((end - row) * byteCount)
            for next in row..<end {
                unsafe block.append(
                    contentsOf: UnsafeRawBufferPointer(start: pointer(next), count: byteCount))
            }
            try sink.write(block)
            row = end
        }
    }

    /// - Precondition: the rows are reserved.
    func read(rowCount: Int, from source: any SnapshotSource) throws(KyroError) {
        let byteCount = width * MemoryLayout<Element>.stride
        let rowsPerBlock = max(1, VectorSnapshot.blockBytes / byteCount)
        var row = 0
        while row < rowCount {
            let end = min(rowCount, row + rowsPerBlock)
            let block = try source.read(count: (end - row) * byteCount)
            guard block.count == (end - row) * byteCount else {
                throw VectorSnapshot.damaged("it ends early")
            }
            unsafe block.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                for next in row..<end {
                    unsafe UnsafeMutableRawPointer(pointer(next)).copyMemory(
                        from: base + (next - row) * byteCount, byteCount: byteCount)
                }
            }
            row = end
        }
    }
}

extension AtomicColumn32 {
    /// Cells of `lists`; what is above `bound` (row + 1 of a row not below it) is left out and the
    /// cells behind it move up.
    func write(lists: Range<Int>, bound: Int, to sink: any SnapshotSink) throws(KyroError) {
        let listsPerBlock = max(1, VectorSnapshot.blockBytes / (width * 4))
        var list = lists.lowerBound
        while list < lists.upperBound {
            let end = min(lists.upperBound, list + listsPerBlock)
            var block = ByteWriter(capacity: (end - list) * width * 4)
            for next in list..<end {
                var written = 0
                for i in 0..<width {
                    let cell = load(next, i)
                    guard cell != 0, Int(cell) <= bound else { continue }
                    block.writeFixed32(cell)
                    written += 1
                }
                block.writeZeros(count: (width - written) * 4)
            }
            try sink.write(block.bytes)
            list = end
        }
    }

    /// - Precondition: the lists are reserved.
    func read(listCount: Int, bound: Int, from source: any SnapshotSource) throws(KyroError) {
        let listsPerBlock = max(1, VectorSnapshot.blockBytes / (width * 4))
        var list = 0
        while list < listCount {
            let end = min(listCount, list + listsPerBlock)
            let block = try source.read(count: (end - list) * width * 4)
            var reader = ByteReader(block)
            do throws(ByteError) {
                for next in list..<end {
                    for i in 0..<width {
                        let cell = try reader.readFixed32()
                        guard Int(cell) <= bound else { throw .truncated }
                        store(cell, next, i)
                    }
                }
            } catch {
                throw VectorSnapshot.damaged("a neighbour list leads outside or ends early")
            }
            list = end
        }
    }
}

extension VectorRows {
    static var rowsMax: Int { unsafe CandidatePool.rowsMax }

    /// Fills an empty set of rows.
    func read(count: Int, from source: any SnapshotSource) throws(KyroError) {
        var restored: [UInt32] = []
        let slotsPerBlock = VectorSnapshot.blockBytes / 4
        while restored.count < count {
            let wanted = min(slotsPerBlock, count - restored.count)
            var reader = ByteReader(try source.read(count: wanted * 4))
            for _ in 0..<wanted {
                guard let slot = try? reader.readFixed32(),
                    restored.last.map({ $0 < slot }) ?? true
                else { throw VectorSnapshot.damaged("its slots do not ascend") }
                restored.append(slot)
            }
        }
        for (row, slot) in restored.enumerated() {
            reserve(row: row, slot: Int(slot))
            slots[row] = slot
        }
        try terms.read(rowCount: count, from: source)
        if metric == .cosine { try inverseNorms.read(rowCount: count, from: source) }
        try codes.read(rowCount: count, from: source)
        try values.read(rowCount: count, from: source)
        for (row, slot) in restored.enumerated() { publish(row: row, slot: Int(slot)) }
    }
}

extension VectorGraph {
    /// A list of a layer may lead only to rows that are in the layer.
    func checkHeights(rowCount: Int) throws(KyroError) {
        for row in 0..<rowCount {
            let height = height(UInt32(row))
            guard height > 0 else { continue }
            for layer in 1...height {
                for i in 0..<upper.width {
                    let cell = upper.load(Int(upperList[row]) + layer - 1, i)
                    if cell == 0 { break }
                    guard self.height(cell - 1) >= layer else {
                        throw VectorSnapshot.damaged("a neighbour is not in its layer")
                    }
                }
            }
        }
    }
}
