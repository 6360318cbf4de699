// kyroctl ingest at work: lines into batches, batches into the stream, answers into a summary.
//
// A batch's client sequence is the number of its last line. The server's highest applied sequence is
// then a place in the file, whatever the size of the batches.
import KyroClient
import KyroCommands
import KyroModel

struct IngestRun {
    private let plan: IngestPlan
    private let session: Session
    private let rows: NPYFile?
    private let stream: IngestStream
    private var lines: LineReader
    private let fileBytes: UInt64?
    private var progress: Progress
    private let startNanos = Now.monotonicNanos

    private var batch: [DecodedMutation] = []
    private var batchLines: [UInt64] = []
    private var batchBytes = 0
    /// Lines of the batches that are not acknowledged, by client sequence.
    private var sentLines: [UInt64: [UInt64]] = [:]

    private var applied: UInt64 = 0
    /// Documents that the server had already from this producer.
    private var duplicates: UInt64 = 0
    private var skippedLines: UInt64 = 0
    private var badLines: UInt64 = 0
    private var refused: UInt64 = 0
    private var reported = 0
    private var seq = KyroModel.Sequence.zero

    /// Bytes of lines and rows that make a batch full: few enough for several batches to be under
    /// way within the server's credits of 8 MiB.
    private static let batchBytesMax = 1 << 20

    init(
        plan: IngestPlan, session: Session, file: InputFile, rows: NPYFile?, stream: IngestStream
    ) {
        self.plan = plan
        self.session = session
        self.rows = rows
        self.stream = stream
        lines = LineReader(file)
        let identity = try? file.identity()
        fileBytes = identity.flatMap { $0.isRegular ? $0.byteCount : nil }
        progress = Progress(
            isShown: Terminal.isErrorTerminal && !plan.isQuiet && !session.isJSON,
            width: Terminal.width(of: 2), nowNanos: Now.monotonicNanos)
    }

    mutating func all() throws -> ExitCode {
        do {
            try readAll()
            try sendBatch()
            try stream.finish()
        } catch {
            collectAcks()
            progress.clear()
            session.note(
                "stopped near line \(lines.lineNumber): \(countText(applied)) documents are "
                    + "applied; the same command goes on from there")
            throw error
        }
        collectAcks()
        progress.clear()
        if let rows, UInt64(rows.header.rowCount) > lines.lineNumber {
            session.note(
                "the vectors have \(rows.header.rowCount) rows for \(lines.lineNumber) lines: "
                    + "do they belong together?")
        }
        summarize()
        return badLines + refused > 0 ? .someFailed : .done
    }

    private mutating func readAll() throws {
        while let line = try lines.next() {
            let number = lines.lineNumber
            if number <= stream.lastClientSequence {
                skippedLines += 1
                continue
            }
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { continue }
            var row: [Float]?
            if let rows {
                guard number <= UInt64(rows.header.rowCount) else {
                    throw InputError(
                        "the vectors have only \(rows.header.rowCount) rows, and there is a "
                            + "line \(number)")
                }
                row = try rows.row(Int(number - 1))
            }
            do {
                let document = try plan.mapping.document(line: line, row: row)
                batch.append(.success(.upsert(document)))
                batchLines.append(number)
                batchBytes += line.count + 4 * (row?.count ?? 0)
            } catch {
                badLines += 1
                complain(line: number, error.description)
            }
            if batch.count >= plan.batchDocuments || batchBytes >= Self.batchBytesMax {
                try sendBatch()
            }
        }
    }

    private mutating func sendBatch() throws {
        guard let last = batchLines.last else { return }
        sentLines[last] = batchLines
        try stream.send(StreamBatch(clientSequence: last, mutations: batch))
        batch.removeAll(keepingCapacity: true)
        batchLines.removeAll(keepingCapacity: true)
        batchBytes = 0
        collectAcks()
    }

    private mutating func collectAcks() {
        for ack in stream.takeAcks() {
            guard let numbers = sentLines.removeValue(forKey: ack.clientSequence) else { continue }
            if ack.isDuplicate {
                duplicates += UInt64(numbers.count)
            } else {
                applied += UInt64(numbers.count - min(numbers.count, ack.errors.count))
            }
            seq = max(seq, ack.searchable)
            for item in ack.errors {
                refused += 1
                let index = Int(item.index)
                complain(
                    line: index < numbers.count ? numbers[index] : ack.clientSequence,
                    explanation(of: item.error))
            }
        }
        let fraction = fileBytes.map { $0 == 0 ? 1 : Double(lines.bytesRead) / Double($0) }
        progress.update(count: applied, fraction: fraction, nowNanos: Now.monotonicNanos)
    }

    private mutating func complain(line: UInt64, _ problem: String) {
        reported += 1
        guard reported <= plan.errorsShown else { return }
        progress.clear()
        session.note("line \(line): \(problem)")
        if reported == plan.errorsShown {
            session.note("more lines are left out of this report; see --errors")
        }
    }

    private func summarize() {
        let micros = max(1, (Now.monotonicNanos - startNanos) / 1_000)
        let rate = Double(applied) / (Double(micros) / 1e6)
        if session.isJSON {
            session.write(
                .object([
                    JSON.Member("applied", JSON(applied)),
                    JSON.Member("applied_before", JSON(duplicates)),
                    JSON.Member("lines_skipped", JSON(skippedLines)),
                    JSON.Member("bad_lines", JSON(badLines)),
                    JSON.Member("refused", JSON(refused)), JSON.Member("seq", JSON(seq)),
                    JSON.Member("reconnects", .int(Int64(stream.reconnects))),
                    JSON.Member("micros", .int(micros)),
                    JSON.Member("documents_per_second", .double(rate.rounded())),
                ]))
            return
        }
        guard !plan.isQuiet else { return }
        var text = "\(countText(applied)) documents in \(TimeSpan.text(micros: micros))"
        if applied > 0 { text += " (\(countText(UInt64(rate)))/s), searchable at seq \(seq.raw)" }
        if skippedLines > 0 {
            text +=
                "; \(countText(skippedLines)) lines were there from an earlier run, "
                + "--restart sends them again"
        }
        if duplicates > 0 { text += "; \(countText(duplicates)) were applied before" }
        if badLines > 0 { text += "; \(countText(badLines)) bad lines" }
        if refused > 0 { text += "; \(countText(refused)) refused" }
        session.write(text + "\n")
    }
}
