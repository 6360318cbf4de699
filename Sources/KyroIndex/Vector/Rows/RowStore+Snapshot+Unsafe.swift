// Rows into a snapshot and back.
import KyroBytes
import KyroModel

extension VectorRows {
    /// Writes the first `rowCount` rows in the format of the store.
    func write(rowCount: Int, to sink: any SnapshotSink) throws(KyroError) {
        switch store.place {
        case .floats(let column): try column.write(rowCount: rowCount, to: sink)
        case .halves(let column): try column.write(rowCount: rowCount, to: sink)
        case .disk(let rows):
            try forEachBlock(rowCount, rows.rowBytes) { block throws(KyroError) in
                var bytes = ByteWriter(capacity: block.count * rows.rowBytes)
                try rows.append(block, to: &bytes)
                try sink.write(bytes.bytes)
            }
        case .absent:
            let rowBytes = dimension * MemoryLayout<Float>.stride
            try forEachBlock(rowCount, rowBytes) { block throws(KyroError) in
                var bytes = ByteWriter(capacity: block.count * rowBytes)
                for row in block {
                    bytes.writeFixed32s(try floats(of: row).map(\.bitPattern))
                }
                try sink.write(bytes.bytes)
            }
        }
    }

    /// Appends the rows of these slots, which `source` has in `format`, and encodes them.
    ///
    /// - Parameters:
    ///   - encodedCount: so many of the first rows have their codes already.
    ///   - file: has the same rows and is to keep them.
    func restore(
        slots: [UInt32], format: RowFormat, from source: any SnapshotSource,
        encodedCount: Int = 0, file: RowFile? = nil
    ) throws(KyroError) {
        let rowBytes = dimension * format.elementBytes
        try forEachBlock(slots.count, rowBytes) { block throws(KyroError) in
            for row in block {
                reserve(row: row, slot: Int(slots[row]), isStored: file == nil)
                self.slots[row] = slots[row]
            }
            if case .floats(let column) = store.place, format == .f32 {
                try column.read(rows: block, from: source)
                for row in block {
                    unsafe encode(row: row, column.pointer(row), isEncoded: row < encodedCount)
                }
            } else {
                let bytes = try source.read(count: block.count * rowBytes)
                restore(block, bytes, format, encodedCount: encodedCount, isInFile: file != nil)
            }
            for row in block { publish(row: row, slot: Int(slots[row])) }
        }
        if case .disk(let rows) = store.place, let file { rows.begin(file, count: slots.count) }
    }

    private func restore(
        _ block: Range<Int>, _ bytes: [UInt8], _ format: RowFormat, encodedCount: Int,
        isInFile: Bool
    ) {
        let floats = UnsafeMutablePointer<Float>.allocate(capacity: dimension)
        defer { unsafe floats.deallocate() }
        let rowBytes = dimension * format.elementBytes
        for (i, row) in block.enumerated() {
            unsafe bytes.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                unsafe format.decode(base + i * rowBytes, count: dimension, into: floats)
            }
            if isInFile, case .disk(let rows) = store.place {
                rows.note(row, bytes: bytes, at: i * rowBytes)
                unsafe encode(row: row, floats, isEncoded: row < encodedCount)
            } else {
                unsafe put(row: row, floats, isEncoded: row < encodedCount)
            }
        }
    }

    private func forEachBlock(
        _ rowCount: Int, _ rowBytes: Int, _ body: (Range<Int>) throws(KyroError) -> Void
    ) throws(KyroError) {
        let rowsPerBlock = max(1, VectorSnapshot.blockBytes / rowBytes)
        var row = 0
        while row < rowCount {
            let end = min(rowCount, row + rowsPerBlock)
            try body(row..<end)
            row = end
        }
    }
}

extension VectorIndex {
    /// Whether rows are read from the snapshot, once there is one.
    public var keepsRowsOnDisk: Bool { if case .disk = rows.store.place { true } else { false } }

    /// Bytes of rows that are in memory until the next snapshot has them.
    public var bytesUntilSnapshot: Int {
        guard case .disk(let rows) = rows.store.place else { return 0 }
        return rows.bytesUntilInstall(rowCount: rowCount)
    }

    /// Reads its rows from what `writeRows` wrote, and frees the memory of those that are in there.
    /// The thread that wrote it, beside readers, the writer and maintenance.
    ///
    /// - Throws: what reading the header throws; nothing has changed then.
    public func adoptRows(in region: any SnapshotRegion) throws(KyroError) {
        guard case .disk(let rows) = rows.store.place else { return }
        guard
            let file = try RowFile(
                region, dimension: rows.dimension, format: rows.format, numbering: rows.numbering),
            file.rowCount <= rowCount
        else { throw region.damaged(at: 0, "not the rows that were written") }
        rows.install(file)
    }
}
