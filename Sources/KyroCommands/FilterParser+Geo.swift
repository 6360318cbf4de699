// What the filter language says of lists and of places.
import KyroModel

extension FilterParser {
    /// Behind "contains".
    mutating func contained(in field: String) throws(FilterSyntaxError) -> Filter {
        if take(keyword: "any") { return .containsAny(field: field, try list(after: "any")) }
        if take(keyword: "all") { return .containsAll(field: field, try list(after: "all")) }
        return .containsAny(field: field, [try value(after: "contains")])
    }

    /// Behind "within".
    mutating func place(of field: String) throws(FilterSyntaxError) -> Filter {
        if take(keyword: "box") {
            let place = position
            let numbers = try numbers(["south", "west", "north", "east"], after: "box")
            let box = GeoBox(
                south: numbers[0], west: numbers[1], north: numbers[2], east: numbers[3])
            guard box.south <= box.north else {
                throw failure(
                    "expected a south up to the north, \(box.north), found \(box.south)",
                    at: place + 1)
            }
            return .withinBox(field: field, box)
        }
        let place = position
        var metres = try number("a distance or \"box\" after \"within\"")
        guard metres >= 0 else {
            throw failure("expected a distance of 0 or more, found \(metres)", at: place)
        }
        if take(keyword: "km") { metres *= 1_000 } else { _ = take(keyword: "m") }
        guard take(keyword: "of") else {
            throw failure("expected \"m\", \"km\" or \"of\", found \(current.shown)")
        }
        let degrees = try numbers(["latitude", "longitude"], after: "of")
        return .withinDistance(
            field: field, center: GeoPoint(latitude: degrees[0], longitude: degrees[1]),
            metres: metres)
    }

    /// In parentheses, one for each name: degrees, of a latitude or a longitude by the name.
    private mutating func numbers(
        _ names: [String], after keyword: String
    ) throws(FilterSyntaxError) -> [Double] {
        guard take(symbol: "(") else {
            throw failure(
                "expected \"(\" and \(names.joined(separator: ", ")) after \"\(keyword)\", found "
                    + current.shown)
        }
        var numbers: [Double] = []
        for name in names {
            if !numbers.isEmpty, !take(symbol: ",") {
                throw failure("expected \",\" and the \(name), found \(current.shown)")
            }
            let place = position
            let degrees = try number("the \(name)")
            let bound = ["latitude", "south", "north"].contains(name) ? 90.0 : 180.0
            guard abs(degrees) <= bound else {
                throw failure(
                    "expected the \(name) in −\(Int(bound))...\(Int(bound)) degrees, found "
                        + "\(degrees)", at: place)
            }
            numbers.append(degrees)
        }
        guard take(symbol: ")") else {
            throw failure("expected \")\", found \(current.shown)")
        }
        return numbers
    }

    private mutating func number(_ what: String) throws(FilterSyntaxError) -> Double {
        switch current {
        case .int(let number):
            position += 1
            return Double(number)
        case .double(let number):
            position += 1
            return number
        case .word, .string, .timestamp, .symbol, .end:
            throw failure("expected \(what), found \(current.shown)")
        }
    }
}
