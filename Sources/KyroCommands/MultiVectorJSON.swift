// Multi-vectors as people write them: one list of numbers for each row.
import KyroModel

extension MultiVector {
    /// - Parameter name: of the field, for errors.
    public init(json: JSON, of name: String) throws(InputError) {
        guard case .array(let rows) = json else {
            throw InputError(
                "the multi-vector \"\(name)\" is \(json.kindName), not a list of lists of numbers")
        }
        self.init(dimension: 0, values: [])
        for (index, row) in rows.enumerated() {
            guard case .array(let numbers) = row else {
                throw InputError(
                    "the multi-vector \"\(name)\" holds \(row.kindName) in the place of row \(index), "
                        + "which is a list of numbers")
            }
            if index == 0 { dimension = numbers.count }
            guard numbers.count == dimension, dimension > 0 else {
                throw InputError(
                    "the multi-vector \"\(name)\" has \(numbers.count) numbers in row \(index) and "
                        + "\(dimension) in row 0; rows have one length, at least 1")
            }
            values += try LineMapping.floats(row, of: name)
        }
        guard !rows.isEmpty else {
            throw InputError("the multi-vector \"\(name)\" has no rows; leave it out instead")
        }
    }

    /// - Parameter name: of the field or the file, for errors.
    public init(parsing text: [UInt8], of name: String) throws(InputError) {
        let json: JSON
        do {
            json = try JSON(parsing: text)
        } catch {
            throw InputError("the multi-vector \"\(name)\" is not JSON: \(error)")
        }
        try self.init(json: json, of: name)
    }
}
