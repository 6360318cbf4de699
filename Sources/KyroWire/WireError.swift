// Why a message could not be taken, and what its sender is told.
import KyroModel

/// The two ways in which bytes fail to be a request: they are not protobuf, or they are protobuf
/// that no domain value can hold. A path names the field from the message down, such as
/// `mutations[3].upsert.vectors["title"]`; it is empty for the message itself.
public enum WireError: Error, Equatable, Sendable {
    /// Not protobuf. `offset` counts bytes from the start of the outermost message.
    case malformed(path: String, offset: Int, problem: String)
    /// Legal protobuf without a meaning here.
    case invalid(path: String, problem: String)
    /// Legal protobuf beyond one of `Limits`.
    case overLimit(path: String, problem: String)

    /// The same error as the message around sees it.
    func inside(_ outer: String) -> WireError {
        switch self {
        case .malformed(let path, let offset, let problem):
            .malformed(path: join(outer, path), offset: offset, problem: problem)
        case .invalid(let path, let problem):
            .invalid(path: join(outer, path), problem: problem)
        case .overLimit(let path, let problem):
            .overLimit(path: join(outer, path), problem: problem)
        }
    }

    func inside(_ field: StaticString) -> WireError { inside(field.description) }

    /// Inside one element of a repeated field.
    func inside(_ field: StaticString, index: Int) -> WireError { inside("\(field)[\(index)]") }

    /// Inside the value of a map field.
    func inside(_ field: StaticString, key: String) -> WireError { inside("\(field)[\"\(key)\"]") }
}

private func join(_ outer: String, _ inner: String) -> String {
    if inner.isEmpty { return outer }
    return inner.utf8.first == UInt8(ascii: "[") ? outer + inner : outer + "." + inner
}

extension KyroError {
    /// What the sender of a message is told: malformed bytes are MALFORMED_MESSAGE, the rest is
    /// INVALID_FIELD or LIMIT_EXCEEDED; all are INVALID_ARGUMENT.
    public init(_ error: WireError) {
        switch error {
        case .malformed(let path, let offset, let problem):
            let place = path.isEmpty ? "the message" : path
            self.init(
                .malformedMessage, "\(place) is malformed at byte \(offset): \(problem)",
                field: path.isEmpty ? nil : path)
        case .invalid(let path, let problem):
            self.init(
                .invalidField, "\(path.isEmpty ? "the message" : path) \(problem)",
                field: path.isEmpty ? nil : path)
        case .overLimit(let path, let problem):
            self.init(
                .limitExceeded, "\(path.isEmpty ? "the message" : path) \(problem)",
                field: path.isEmpty ? nil : path)
        }
    }
}
