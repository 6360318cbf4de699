// kyroctl ping.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let ping = Command(
        name: "ping", summary: "Ask whether the server serves, and how fast it answers.",
        options: [Option("count", short: "c", value: "N", "how many questions (default 5)")],
        examples: [
            ("ping", "five health checks"),
            ("ping -c 1000 --json", "a thousand, for scripts"),
        ],
        run: runPing)
}

private func runPing(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let count = try session.arguments.integer("count", in: 1...1_000_000) ?? 5
    let health = HealthClient(try session.connection())
    var nanos: [Int64] = []
    for _ in 0..<count {
        let start = Now.monotonicNanos
        guard try health.check() == .serving else {
            throw KyroError(
                .notServing, "\(session.server) answers, but does not serve yet or any more")
        }
        nanos.append(Now.monotonicNanos - start)
    }
    nanos.sort()
    let marks = [
        ("min", nanos[0]), ("p50", nanos[(count - 1) / 2]),
        ("p99", nanos[(count - 1) * 99 / 100]), ("max", nanos[count - 1]),
    ]
    if session.isJSON {
        session.write(
            .object(
                [JSON.Member("serving", .bool(true)), JSON.Member("count", .int(Int64(count)))]
                    + marks.map { JSON.Member("\($0.0)_micros", .double(Double($0.1) / 1_000)) }))
    } else {
        let text = marks.map { "\($0.0) \(TimeSpan.text(micros: $0.1 / 1_000))" }
        session.write(
            "\(session.server) serves; \(count) answers: \(text.joined(separator: ", "))\n")
    }
    return .done
}
