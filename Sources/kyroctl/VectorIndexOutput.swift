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
            session.write("\(status.field): \(progress(of: status))\n")
        }
    }

    /// Of a change under way.
    static func progress(of status: VectorIndexStatus) -> String {
        let total = status.rebuildRowsTotal
        let done = min(status.rebuildRowsDone, total)
        return "being rebuilt, \(countText(done)) of \(countText(total)) rows "
            + "(\(total == 0 ? 100 : 100 * done / total) %)"
    }
}
