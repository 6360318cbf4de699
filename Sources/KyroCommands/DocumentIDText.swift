// Document ids on the command line and in tables.
import KyroModel

extension DocumentID {
    /// `#7` is the number 7; a JSON string in double quotes is that text; anything else is a text as
    /// it stands, also when it looks like a number.
    public init(argument: String) {
        if argument.hasPrefix("#"), let number = UInt64(argument.dropFirst()),
            !argument.hasPrefix("#+")
        {
            self = .number(number)
        } else if argument.hasPrefix("\""), case .string(let text)? = try? JSON(parsing: argument) {
            self = .text(text)
        } else {
            self = .text(argument)
        }
    }

    /// What `init(argument:)` reads back as this id.
    public var argument: String {
        switch self {
        case .number(let number): return "#\(number)"
        case .text(let text):
            return DocumentID(argument: text) == self ? text : JSON.string(text).text
        }
    }
}
