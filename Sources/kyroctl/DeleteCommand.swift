// kyroctl delete.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let delete = Command(
        name: "delete", summary: "Delete documents by their ids.", positionals: "ID…",
        details: idHelp,
        examples: [
            ("delete -n commits grpc-go-4d88514f0a0f", "one document"),
            ("delete -n commits '#7' '#8'", "documents with numbers as ids"),
        ],
        run: runDelete)
}

private func runDelete(_ session: Session) throws -> ExitCode {
    let ids = session.arguments.positionals.map { DocumentID(argument: $0) }
    guard !ids.isEmpty else { throw UsageError("which documents? Name their ids") }
    let scope = try session.scope()
    let answer = try IngestClient(session.connection()).remove(ids, in: scope)
    var deleted: UInt64 = 0
    var missing: [JSON] = []
    var failed: [JSON] = []
    for (id, outcome) in zip(ids, answer.outcomes) {
        switch outcome {
        case .applied, .duplicate: deleted += 1
        case .notFound:
            missing.append(JSON(id))
            session.note("\(scope.namespace) has no document \(id.argument)")
        case .failed(let error):
            failed.append(JSON(id))
            session.note("\(id.argument): \(explanation(of: error))")
        }
    }
    if session.isJSON {
        session.write(
            .object([
                JSON.Member("deleted", JSON(deleted)), JSON.Member("not_found", .array(missing)),
                JSON.Member("failed", .array(failed)), JSON.Member("seq", JSON(answer.seq)),
            ]))
    } else {
        session.write("deleted \(deleted) of \(ids.count) documents\n")
    }
    return !failed.isEmpty ? .someFailed : !missing.isEmpty ? .notFound : .done
}
