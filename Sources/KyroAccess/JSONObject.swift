// An object of a configuration file, read strictly.
import KyroJSON
import KyroModel

struct JSONObject {
    private let members: [JSON.Member]
    private let field: String

    /// - Parameter known: members that there may be; nil for any.
    init(_ json: JSON, field: String, known: [String]? = nil) throws(KyroError) {
        let place = field.isEmpty ? "the file" : field
        guard case .object(let members) = json else {
            throw .invalid(place, "is \(json.kindName), not an object")
        }
        self.members = members
        self.field = field
        guard let known else { return }
        var seen: Set<String> = []
        for member in members {
            guard known.contains(member.name) else {
                throw .invalid(
                    path(member.name), "is unknown; known are \(known.joined(separator: ", "))")
            }
            guard seen.insert(member.name).inserted else {
                throw .invalid(path(member.name), "is there twice")
            }
        }
    }

    private func path(_ name: String) -> String { field.isEmpty ? name : "\(field).\(name)" }

    /// nil where it is absent or null.
    subscript(name: String) -> JSON? {
        guard let value = members.last(where: { $0.name == name })?.value, value != .null else {
            return nil
        }
        return value
    }

    func string(_ name: String) throws(KyroError) -> String {
        guard case .string(let text) = self[name] else {
            throw .invalid(path(name), "must be a string")
        }
        return text
    }

    func integer(_ name: String) throws(KyroError) -> Int64? {
        guard let value = self[name] else { return nil }
        guard case .int(let number) = value, number >= 0 else {
            throw .invalid(path(name), "must be an integer that is not negative")
        }
        return number
    }

    /// Empty where it is absent.
    func list(_ name: String, max: Int) throws(KyroError) -> [JSON] {
        guard let value = self[name] else { return [] }
        guard case .array(let elements) = value else {
            throw .invalid(path(name), "is \(value.kindName), not a list")
        }
        guard elements.count <= max else {
            throw .overLimit(path(name), "has \(elements.count) elements; the limit is \(max)")
        }
        return elements
    }

    func strings(_ name: String) throws(KyroError) -> [String] {
        var texts: [String] = []
        for element in try list(name, max: NameGrant.patternsMax) {
            guard case .string(let text) = element else {
                throw .invalid(path(name), "holds \(element.kindName); it must hold strings")
            }
            texts.append(text)
        }
        return texts
    }
}
