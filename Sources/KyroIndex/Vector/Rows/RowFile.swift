// The rows of one field in a snapshot's file.
import KyroBytes
import KyroModel

/// Says to which index row numbers belong: those of a file are the numbers of the index that wrote
/// it, and another's after a rebuild.
final class RowNumbering: Sendable {}

struct RowFile: Sendable {
    let region: any SnapshotRegion
    let layout: VectorSnapshotLayout
    let numbering: RowNumbering

    var rowCount: Int { layout.rowCount }
    private var rowBytes: Int { layout.dimension * layout.format.elementBytes }

    /// - Returns: nil when the bytes are not such rows.
    init?(
        _ region: any SnapshotRegion, dimension: Int, format: RowFormat, numbering: RowNumbering
    ) throws(KyroError) {
        var header: [UInt8] = []
        let count = min(region.byteCount, UInt64(VectorSnapshotLayout.headerBytes))
        try region.read(at: 0, count: Int(count), into: &header)
        guard let layout = VectorSnapshotLayout(header), layout.dimension == dimension,
            layout.format == format,
            layout.values(max(0, layout.rowCount - 1)).upperBound <= region.byteCount
                || layout.rowCount == 0
        else { return nil }
        self.region = region
        self.layout = layout
        self.numbering = numbering
    }

    /// Rows of the file, one behind the other, unchecked.
    func read(_ rows: Range<Int>, into bytes: inout [UInt8]) throws(KyroError) {
        try region.read(
            at: layout.values(rows.lowerBound).lowerBound, count: rows.count * rowBytes,
            into: &bytes)
    }

    func willRead(_ row: Int) {
        region.willRead(at: layout.values(row).lowerBound, count: rowBytes)
    }

    func damaged(_ row: Int) -> KyroError {
        region.damaged(
            at: layout.values(row).lowerBound, "the checksum of a vector is wrong (row \(row))")
    }
}
