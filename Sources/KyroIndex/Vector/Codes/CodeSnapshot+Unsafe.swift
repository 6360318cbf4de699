// The codes of a field in a snapshot: what all have in common, and the codes themselves where making
// them takes longer than reading them, or where they are all that is kept of the rows: encoding what
// codes stand for once more would give others. Codes that were never trained and follow from rows
// have no such section.
//
//   4                             "KVCO"
//   4                             version, 1
//   4, 4                          dimension, metric
//   4, 4                          kind (as VectorCodes), version of the codes
//   8                             seed of the rotation
//   8                             rows whose codes follow, R: all below the slot count, or 0
//
// of sq4 and bq:
//   dimension × 4                 centre, f32
//
// of pq:
//   8, 8                          scale, error when trained, f64
//   dimension × 256 × 4           codebook, f32: for each dimension that component of 256 centroids
//
// with R > 0:
//   R × bytes of a code           codes; of pq ⌈dimension / 4⌉ bytes
//   R × 2 × 4                     factor and bias of each row, f32
//   R × 8                         1 / length of each row, f64; under the cosine, of rows that are
//                                 kept nowhere else
import KyroBytes
import KyroModel

private let codesMagic: UInt32 = 0x4F43_564B
private let codesHeaderBytes = 40

extension VectorIndex {
    /// Whether a snapshot needs `writeCodes`: codes do not follow from its rows.
    public var needsCodesSection: Bool { codesVersion > 0 || rows.store.isAbsent }

    /// Writes what the codes of rows below `slotCount` are made with. One thread at a time; the
    /// writer and maintenance go on meanwhile.
    public func writeCodes(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        let rowCount = rows.rows(belowSlot: slotCount, rowCount: rows.count)
        let isAlone = rows.store.isAbsent
        try rows.codes.writeSection(
            rowCount: isAlone || rows.codes.model.kind.isDear ? rowCount : 0, to: sink)
        if isAlone, field.metric == .cosine {
            try rows.inverseNorms.write(rowCount: rowCount, to: sink)
        }
    }
}

extension CodeColumn {
    /// - Parameter rowCount: rows whose codes are written.
    fileprivate func writeSection(rowCount: Int, to sink: any SnapshotSink) throws(KyroError) {
        var header = ByteWriter(capacity: codesHeaderBytes)
        header.writeFixed32s([
            codesMagic, 1, UInt32(dimension), UInt32(model.metric.rawValue),
            UInt32(model.kind.rawValue), model.version,
        ])
        header.writeFixed64(model.seed)
        header.writeFixed64(UInt64(rowCount))
        if let quantiser = model.quantiser {
            header.writeFixed64(quantiser.scale.bitPattern)
            header.writeFixed64(model.trainedError.bitPattern)
            try sink.write(header.bytes)
            try write(quantiser.codebook, to: sink)
        } else {
            try sink.write(header.bytes)
            try write(model.centre, to: sink)
        }
        if rowCount > 0 { try write(rowCount: rowCount, to: sink) }
    }

    private func write(
        _ floats: BulkArray<Float>, to sink: any SnapshotSink
    ) throws(KyroError) {
        let step = VectorSnapshot.blockBytes / 4
        for first in stride(from: 0, to: floats.count, by: step) {
            let end = min(first + step, floats.count)
            var block = ByteWriter(capacity: (end - first) * 4)
            block.writeFixed32s((first..<end).map { floats[$0].bitPattern })
            try sink.write(block.bytes)
        }
    }
}

/// What `writeCodes` wrote, read back.
public struct RestoredCodes: Sendable {
    let column: CodeColumn
    /// Of rows that are kept nowhere else under the cosine.
    let inverseNorms: Column<Double>
    /// Rows whose codes are there.
    let rowCount: Int

    /// - Parameter slotCount: rows of the shard's collection.
    /// - Throws: `internal` when the bytes are not codes of the field's kind, and what `source`
    ///   throws. Rows that are kept beside their codes can be encoded anew.
    public init(
        from source: any SnapshotSource, field: VectorField, slotCount: Int
    ) throws(KyroError) {
        let header = try Header(from: source, field: field, slotCount: slotCount)
        let kind = header.kind
        let model: CodeModel
        if kind == .pq {
            let scale = Double(bitPattern: try Self.readFixed64(from: source))
            let error = Double(bitPattern: try Self.readFixed64(from: source))
            guard scale.isFinite, scale > 0, error.isFinite, error >= 0 else {
                throw VectorSnapshot.damaged("the scale of its codes is \(scale)")
            }
            let codebook = try Self.readFloats(
                ProductQuantiser.centroidCount * field.dimension, from: source)
            let quantiser = ProductQuantiser(
                dimension: field.dimension, scale: scale, codebook: codebook)
            model = CodeModel(
                kind: kind, field: field, version: header.version, seed: header.seed,
                quantiser: quantiser, trainedError: error)
        } else {
            let centre = try Self.readFloats(
                kind.isRotated ? field.dimension : 0, from: source)
            model = CodeModel(
                kind: kind, field: field, version: header.version, seed: header.seed,
                centre: (0..<centre.count).map { centre[$0] })
        }
        column = CodeColumn(model: model, values: Column(width: field.dimension))
        inverseNorms = Column()
        rowCount = header.rowCount
        guard rowCount > 0 else { return }
        for row in 0..<rowCount { column.reserve(row: row) }
        try column.read(rowCount: rowCount, from: source)
        guard field.indexing.rerank == .none, field.metric == .cosine else { return }
        for row in 0..<rowCount { inverseNorms.reserve(row: row) }
        try inverseNorms.read(rows: 0..<rowCount, from: source)
    }

    private struct Header {
        let kind: CodeKind
        let version: UInt32
        let seed: UInt64
        let rowCount: Int

        init(
            from source: any SnapshotSource, field: VectorField, slotCount: Int
        ) throws(KyroError) {
            var reader = ByteReader(try source.read(count: codesHeaderBytes))
            do throws(ByteError) {
                guard try reader.readFixed32() == codesMagic, try reader.readFixed32() == 1,
                    Int(try reader.readFixed32()) == field.dimension,
                    try reader.readFixed32() == UInt32(field.metric.rawValue),
                    let raw = UInt8(exactly: try reader.readFixed32()),
                    let kind = CodeKind(rawValue: raw), kind == CodeKind(field),
                    kind.isTrained || field.indexing.rerank == .none
                else { throw .truncated }
                self.kind = kind
                version = try reader.readFixed32()
                seed = try reader.readFixed64()
                let count = try reader.readFixed64()
                guard count <= UInt64(slotCount), count < UInt64(VectorRows.rowsMax),
                    count == 0 || kind.isDear || field.indexing.rerank == .none
                else { throw .truncated }
                rowCount = Int(count)
            } catch {
                throw VectorSnapshot.damaged("the header of its codes does not hold")
            }
        }
    }

    private static func readFixed64(
        from source: any SnapshotSource
    ) throws(KyroError) -> UInt64 {
        var reader = ByteReader(try source.read(count: 8))
        guard let value = try? reader.readFixed64() else {
            throw VectorSnapshot.damaged("its codes end early")
        }
        return value
    }

    private static func readFloats(
        _ count: Int, from source: any SnapshotSource
    ) throws(KyroError) -> BulkArray<Float> {
        let floats = BulkArray<Float>(repeating: 0, count: count)
        let step = VectorSnapshot.blockBytes / 4
        for first in stride(from: 0, to: count, by: step) {
            let end = min(first + step, count)
            var reader = ByteReader(try source.read(count: (end - first) * 4))
            for i in first..<end {
                guard let bits = try? reader.readFixed32(), Float(bitPattern: bits).isFinite
                else { throw VectorSnapshot.damaged("what its codes are made with is no number") }
                floats[i] = Float(bitPattern: bits)
            }
        }
        return floats
    }
}
