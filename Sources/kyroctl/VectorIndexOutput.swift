// What serves the vector fields of a collection, as a table.
import KyroCommands
import KyroModel

enum VectorIndexOutput {
    static func show(_ vectors: [VectorIndexStatus], _ session: Session) {
        guard !vectors.isEmpty else { return }
        var table = Table([
            .init("vectors", widthMin: 8), .init("index"), .init("codes"), .init("rerank"),
            .init("rows", isRightAligned: true), .init("indexed", isRightAligned: true),
            .init("dead", isRightAligned: true), .init("row bytes", isRightAligned: true),
            .init("code bytes", isRightAligned: true), .init("link bytes", isRightAligned: true),
        ])
        for status in vectors {
            table.append([
                status.field, status.kind.text, status.codes.text,
                status.rerank.text + (status.storage == .disk ? " on disk" : ""),
                countText(status.rows), countText(status.indexedRows),
                countText(status.deadRows), byteText(status.rowBytes),
                byteText(status.codeBytes), byteText(status.linkBytes),
            ])
        }
        session.write("\n")
        session.write(table)
        for status in vectors where status.rebuildRowsTotal > 0 {
            let (done, total) = (status.rebuildRowsDone, status.rebuildRowsTotal)
            session.write("\(status.field): \(rebuildProgress(done, of: total))\n")
        }
    }
}

/// Of a change under way.
func rebuildProgress(_ rowsDone: UInt64, of total: UInt64) -> String {
    let done = min(rowsDone, total)
    return "being rebuilt, \(countText(done)) of \(countText(total)) rows "
        + "(\(total == 0 ? 100 : 100 * done / total) %)"
}
