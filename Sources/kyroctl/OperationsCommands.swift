// kyroctl snapshot and flush.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let snapshot = Command(
        name: "snapshot", summary: "Write a snapshot of every shard, so that restarts are short.",
        details: "Waits until the snapshot is on disk; give --timeout for large databases.",
        examples: [("snapshot --timeout 10m", "write a snapshot, wait up to ten minutes")],
        run: { session in
            _ = try session.arguments.positionals(exactly: [])
            let answer = try OperationsClient(session.connection()).snapshot()
            if session.isJSON {
                session.write(
                    .object([
                        JSON.Member("seq", JSON(answer.seq)),
                        JSON.Member("bytes", JSON(answer.bytes)),
                        JSON.Member("micros", JSON(answer.micros)),
                    ]))
            } else {
                session.write(
                    "snapshot at seq \(answer.seq.raw): \(byteText(answer.bytes)) in "
                        + "\(TimeSpan.text(micros: Int64(clamping: answer.micros)))\n")
            }
            return .done
        })

    static let flush = Command(
        name: "flush", summary: "Make everything acknowledged durable, whatever the fsync policy.",
        examples: [("flush", "returns when it is on disk")],
        run: { session in
            _ = try session.arguments.positionals(exactly: [])
            let answer = try OperationsClient(session.connection()).flush()
            if session.isJSON {
                session.write(.object([JSON.Member("durable_seq", JSON(answer.durable))]))
            } else {
                session.write("durable up to seq \(answer.durable.raw)\n")
            }
            return .done
        })
}
