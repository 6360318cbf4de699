// The same documents and questions for PostgreSQL and Redis, in files, and the ratios of the answers.
import KyroCommands
import KyroModel
import KyroPlatform

struct HybridPeer {
    let options: HybridOptions
    let documents: HybridDocuments
    let folder: String

    private static let flushBytes = 1 << 22

    func measure(_ queries: [HybridQuery], own: HybridResult, _ report: FigureReport) throws {
        let script = options.peerScript
        guard fileExists(script) else {
            throw BenchError(
                "\(script) is missing: run from the repository's root, or give --peer-script, or "
                    + "--peer none")
        }
        note("peer: writing the documents to files")
        let start = clock.monotonicNanos()
        try writeDocuments()
        try writeQueries(queries, own)
        note("peer: files after \(fixed(secondsSince(start), 1)) s; now PostgreSQL and Redis")
        let output = folder + "/peer.jsonl"
        try PeerRun.run(
            ["bash", script] + (options.peer == .pgvector ? ["--pgvector"] : []) + [
                "--folder", folder, "--threads", String(options.threads),
                "--seconds", String(options.peerSeconds),
            ], output: output)
        let text = String(decoding: try wholeFile(output), as: UTF8.self)
        var found: [String: Double] = [:]
        for line in text.split(separator: "\n") {
            let line = try JSON(parsing: String(line))
            guard let name = line["name"]?.plainText, let value = line["value"]?.number else {
                throw BenchError("\(script) printed \(line.text)")
            }
            found[name] = value
            report.fact(name, value, line["unit"]?.plainText ?? "")
        }
        addRatios(found, own, report)
    }

    private func addRatios(
        _ found: [String: Double], _ own: HybridResult, _ report: FigureReport
    ) {
        for way in ["any word", "all words", "Redis hit"] {
            for (name, fraction) in [("p50", 0.5), ("p99", 0.99)] {
                let mine = own.millis(fraction)
                guard let theirs = found["stitched, \(way): \(name)"], mine > 0 else { continue }
                report.fact("stitched over KyroDB idle, \(way): \(name)", theirs / mine, "×")
            }
        }
    }

    // MARK: files

    /// `documents.jsonl`: number, text, channel, priority, event time in milliseconds, metadata.
    /// `vectors.npy`: one row each.
    private func writeDocuments() throws {
        let rowCount = documents.rowCount
        let vectors = try VectorFile(
            creating: folder + "/vectors.npy", rowCount: rowCount, dimension: documents.dimension)
        let file = try PosixFileSystem().open(folder + "/documents.jsonl", .createEmpty)
        let maker = DocumentMaker(documents, threads: options.threads)
        var bytes: [UInt8] = []
        var offset: UInt64 = 0
        for number in 0..<rowCount {
            let document = maker.document(number)
            let vector = document.vectors[HybridDocuments.vectorField] ?? []
            vectors.row(number).update(from: vector, count: vector.count)
            bytes += Array(line(number, document).text.utf8)
            bytes.append(UInt8(ascii: "\n"))
            if bytes.count > Self.flushBytes || number + 1 == rowCount {
                try file.write(bytes, at: offset)
                offset += UInt64(bytes.count)
                bytes.removeAll(keepingCapacity: true)
            }
        }
    }

    private func line(_ number: Int, _ document: Document) -> JSON {
        let metadata = document.metadata.map { JSON.Member($0.name, JSON($0.value)) }
        return .object([
            .init("id", .int(Int64(number))),
            .init("text", .string(document.texts[HybridDocuments.textField] ?? "")),
            .init("time", .int(document.eventTimeMillis ?? 0)),
            .init("metadata", .object(metadata)),
        ])
    }

    /// `queries.jsonl`: a question a line, with the ids that KyroDB answered.
    private func writeQueries(_ queries: [HybridQuery], _ own: HybridResult) throws {
        var text = ""
        for (query, answer) in zip(queries, own.answers) {
            let line = JSON.object([
                .init("text", .string(query.text)),
                .init("vector", JSON(floats: query.vector)),
                .init("channels", .array(query.channels.map { .string($0) })),
                .init("priority_below", query.priorityBelow.map { .int($0) } ?? .null),
                .init("from", .int(query.fromMillis)),
                .init("to", .int(query.toMillis)),
                .init("candidates", .int(Int64(HybridQuery.candidates))),
                .init("limit", .int(Int64(HybridQuery.limit))),
                .init("kyrodb", .array(answer.map { JSON($0) })),
            ])
            text += line.text + "\n"
        }
        try writeFile(text, to: folder + "/queries.jsonl")
    }
}

extension JSON {
    fileprivate var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        case .null, .bool, .string, .array, .object: nil
        }
    }
}
