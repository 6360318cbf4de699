// How one line of JSON becomes a document.
import KyroModel

public enum TimeUnit: String, Sendable, CaseIterable {
    case seconds = "s"
    case millis = "ms"

    var inMillis: Int64 { self == .seconds ? 1_000 : 1 }
}

/// Which member of a line goes where. A member that is named nowhere becomes metadata: texts,
/// integers (int64), other numbers (double), booleans, objects of `lat` and `lon` (geo points), and
/// lists of one of these. Null and empty lists say nothing and are left out.
public struct LineMapping: Sendable {
    public var idField = "id"
    /// Nil takes `title` and `text` where a line has them as texts.
    public var textFields: [String]?
    /// Lists of numbers.
    public var vectorFields: [String] = []
    /// Objects with `indices` and `values`.
    public var sparseFields: [String] = []
    /// Lists of lists of numbers.
    public var multiVectorFields: [String] = []
    /// Becomes the event time and no metadata.
    public var timeField: String?
    public var expiryField: String?
    /// Metadata of the type timestamp.
    public var timestampFields: [String] = []
    public var skippedFields: Set<String> = []
    /// Of numbers in the time, expiry and timestamp fields; texts there are RFC 3339.
    public var timeUnit: TimeUnit = .seconds
    /// Where a row that lies beside the line goes.
    public var rowVectorField = "vector"

    public init() {}

    private static let textFieldsDefault = ["title", "text"]

    /// The document of one line; `row` is its vector from a file beside it.
    public func document(
        line: [UInt8], row: [Float]? = nil
    ) throws(InputError) -> Document {
        let json: JSON
        do {
            json = try JSON(parsing: line)
        } catch {
            throw InputError("not JSON: \(error)")
        }
        guard case .object(let members) = json else {
            throw InputError("a document is an object, this is \(json.kindName)")
        }
        guard let idValue = json[idField] else {
            throw InputError("no field \"\(idField)\"; name another by --id-field")
        }
        var document = Document(id: try id(idValue))
        for member in members where member.name != idField && !skippedFields.contains(member.name) {
            try take(member, into: &document)
        }
        if let row {
            guard document.vectors[rowVectorField] == nil else {
                throw InputError(
                    "the vector \"\(rowVectorField)\" is in the line and in the file beside it; "
                        + "rename one by --vectors-as")
            }
            document.vectors[rowVectorField] = row
        }
        return document
    }

    private func id(_ value: JSON) throws(InputError) -> DocumentID {
        switch value {
        case .string(let text): return .text(text)
        case .int(let number) where number >= 0: return .number(UInt64(number))
        case .double(let number) where number >= 0 && number < 0x1p64 && number == number.rounded():
            guard number >= 0x1p63 else { break }
            throw InputError("the id is above 2^63 - 1; write such an id as a text")
        case .null, .bool, .int, .double, .array, .object: break
        }
        throw InputError(
            "\"\(idField)\" is \(value.kindName); an id is a text or an integer from 0")
    }

    private func take(_ member: JSON.Member, into document: inout Document) throws(InputError) {
        let (name, value) = (member.name, member.value)
        if value == .null { return }
        if name == timeField {
            document.eventTimeMillis = try time(value, of: name)
        } else if name == expiryField {
            document.expiresAtMillis = try time(value, of: name)
        } else if vectorFields.contains(name) {
            document.vectors[name] = try Self.floats(value, of: name)
        } else if sparseFields.contains(name) {
            document.sparseVectors[name] = try Self.sparse(value, of: name)
        } else if multiVectorFields.contains(name) {
            document.multiVectors[name] = try MultiVector(json: value, of: name)
        } else if timestampFields.contains(name) {
            document.metadata[name] = try timestamps(value, of: name)
        } else if let textFields {
            guard textFields.contains(name) else {
                return document.metadata[name] = try Self.metadata(value, of: name)
            }
            guard case .string(let text) = value else {
                throw InputError("the text field \"\(name)\" is \(value.kindName)")
            }
            document.texts[name] = text
        } else if Self.textFieldsDefault.contains(name), case .string(let text) = value {
            document.texts[name] = text
        } else {
            document.metadata[name] = try Self.metadata(value, of: name)
        }
    }

    private func time(_ value: JSON, of name: String) throws(InputError) -> Int64 {
        switch value {
        case .int(let number):
            let (millis, overflow) = number.multipliedReportingOverflow(by: timeUnit.inMillis)
            if !overflow { return millis }
        case .double(let number):
            let millis = (number * Double(timeUnit.inMillis)).rounded()
            if abs(millis) < 9e18 { return Int64(millis) }
        case .string(let text):
            do {
                return try Timestamp.parse(text)
            } catch {
                throw InputError("the time field \"\(name)\": \(error)")
            }
        case .null, .bool, .array, .object:
            throw InputError("the time field \"\(name)\" is \(value.kindName)")
        }
        throw InputError("the time field \"\(name)\" is beyond 64 bits of milliseconds")
    }

    private func timestamps(_ value: JSON, of name: String) throws(InputError) -> MetadataValue? {
        guard case .array(let elements) = value else {
            return .timestamp(try time(value, of: name))
        }
        var millis: [Int64] = []
        for element in elements { millis.append(try time(element, of: name)) }
        return millis.isEmpty ? nil : .timestamps(millis)
    }
}

extension LineMapping {
    static func floats(_ value: JSON, of name: String) throws(InputError) -> [Float] {
        guard case .array(let elements) = value else {
            throw InputError("the vector \"\(name)\" is \(value.kindName), not a list of numbers")
        }
        var floats: [Float] = []
        floats.reserveCapacity(elements.count)
        for element in elements {
            switch element {
            case .int(let number): floats.append(Float(number))
            case .double(let number): floats.append(Float(number))
            case .null, .bool, .string, .array, .object:
                throw InputError("the vector \"\(name)\" holds \(element.kindName)")
            }
        }
        return floats
    }

    static func sparse(_ value: JSON, of name: String) throws(InputError) -> SparseVector {
        guard case .array(let numbers)? = value["indices"], let weights = value["values"] else {
            throw InputError(
                "the sparse vector \"\(name)\" needs {\"indices\": […], \"values\": […]}")
        }
        var indices: [UInt32] = []
        for number in numbers {
            guard case .int(let index) = number, let index = UInt32(exactly: index) else {
                throw InputError(
                    "the sparse vector \"\(name)\" has an index that is no integer of 32 bits")
            }
            indices.append(index)
        }
        return SparseVector(indices: indices, values: try floats(weights, of: name))
    }

    /// Nil for what says nothing.
    static func metadata(_ value: JSON, of name: String) throws(InputError) -> MetadataValue? {
        switch value {
        case .null: return nil
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int64(number)
        case .double(let number): return .double(number)
        case .string(let text): return .string(text)
        case .array(let elements): return try list(elements, of: name)
        case .object: return .geoPoint(try point(value, of: name))
        }
    }

    private static func point(_ value: JSON, of name: String) throws(InputError) -> GeoPoint {
        guard case .object(let members) = value, members.count == 2,
            let latitude = value["lat"].flatMap(degrees),
            let longitude = value["lon"].flatMap(degrees)
        else {
            throw InputError(
                "\"\(name)\" is an object and no geo point {\"lat\": …, \"lon\": …}; leave it out "
                    + "by --skip-field \(name)")
        }
        return GeoPoint(latitude: latitude, longitude: longitude)
    }

    private static func degrees(_ value: JSON) -> Double? {
        switch value {
        case .int(let number): Double(number)
        case .double(let number): number
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// The first element decides the type, except that one double makes all numbers doubles.
    private static func list(
        _ elements: [JSON], of name: String
    ) throws(InputError) -> MetadataValue? {
        var strings: [String] = []
        var integers: [Int64] = []
        var doubles: [Double] = []
        var bools: [Bool] = []
        var points: [GeoPoint] = []
        for element in elements {
            switch element {
            case .string(let text): strings.append(text)
            case .bool(let flag): bools.append(flag)
            case .int(let number):
                integers.append(number)
                doubles.append(Double(number))
            case .double(let number): doubles.append(number)
            case .object: points.append(try point(element, of: name))
            case .null, .array:
                throw InputError(
                    "the list \"\(name)\" holds \(element.kindName); "
                        + "leave it out by --skip-field \(name)")
            }
        }
        if elements.isEmpty { return nil }
        if strings.count == elements.count { return .strings(strings) }
        if bools.count == elements.count { return .bools(bools) }
        if points.count == elements.count { return .geoPoints(points) }
        if integers.count == elements.count { return .int64s(integers) }
        if doubles.count == elements.count { return .doubles(doubles) }
        throw InputError("the list \"\(name)\" mixes types; its elements must be of one type")
    }
}
