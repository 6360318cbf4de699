// Whether a document fits the limits and its collection's schema. What passes here is accepted by
// the log and by every index: nothing may fail after the log has it.
import KyroModel

/// Checks documents against one schema and collects the fields they add to it, so that of two
/// documents in one batch the first to carry a field decides its type.
struct DocumentValidation {
    /// What the catalog knows, with what this batch has added so far.
    private(set) var schema: Schema
    private(set) var addsFields = false

    init(schema: Schema) { self.schema = schema }

    /// Puts sparse vectors in ascending order of their indices.
    /// - Parameter path: names the document in errors, such as `mutations[3].upsert`.
    mutating func check(
        _ document: inout Document, path: @autoclosure () -> String
    ) throws(KyroError) {
        try NameValidation.check(document.id, field: path() + ".id")
        try SchemaValidation.checkCount(document.vectors.count, path() + ".vectors")
        try SchemaValidation.checkCount(document.sparseVectors.count, path() + ".sparse_vectors")
        try SchemaValidation.checkCount(document.texts.count, path() + ".texts")
        try SchemaValidation.checkCount(document.metadata.count, path() + ".metadata")
        try SchemaValidation.checkCount(document.multiVectors.count, path() + ".multi_vectors")
        // A document that is refused adds no field.
        var grown = schema
        for entry in document.vectors {
            var field: String { "\(path()).vectors[\"\(entry.name)\"]" }
            try NameValidation.check(entry.name, field: field)
            try Self.check(vector: entry.value, name: entry.name, field: field, schema: &grown)
        }
        for name in document.sparseVectors.names {
            var field: String { "\(path()).sparse_vectors[\"\(name)\"]" }
            try NameValidation.check(name, field: field)
            guard let sparse = document.sparseVectors[name] else { continue }
            document.sparseVectors[name] = try Self.normalised(sparse, field: field)
            if grown.sparseVectors[name] == nil { grown.sparseVectors[name] = SparseField() }
        }
        for entry in document.texts {
            var field: String { "\(path()).texts[\"\(entry.name)\"]" }
            try NameValidation.check(entry.name, field: field)
            let byteCount = entry.value.utf8.count
            guard byteCount <= Limits.textBytesMax else {
                throw .overLimit(
                    field, "has \(byteCount) bytes; the limit is \(Limits.textBytesMax)")
            }
            if grown.texts[entry.name] == nil { grown.texts[entry.name] = TextField() }
        }
        for entry in document.metadata {
            var field: String { "\(path()).metadata[\"\(entry.name)\"]" }
            try NameValidation.check(entry.name, field: field)
            try Self.check(value: entry.value, field: field)
            if let declared = grown.metadata[entry.name] {
                guard declared == entry.value.type else {
                    throw KyroError(
                        .typeMismatch,
                        "\(field) is \(entry.value.type.name); the collection has it as "
                            + "\(declared.name)",
                        field: field)
                }
            } else {
                grown.metadata[entry.name] = entry.value.type
            }
        }
        for entry in document.multiVectors {
            var field: String { "\(path()).multi_vectors[\"\(entry.name)\"]" }
            try NameValidation.check(entry.name, field: field)
            try Self.check(entry.value, field: field)
            if let declared = grown.multiVectors[entry.name] {
                try Self.check(entry.value, of: declared, field: field)
            } else {
                grown.multiVectors[entry.name] = MultiVectorField(dimension: entry.value.dimension)
            }
        }
        try checkSize(document, path: path())
        if grown != schema {
            try SchemaValidation.checkCount(grown.vectors.count, path() + ".vectors")
            try SchemaValidation.checkCount(grown.sparseVectors.count, path() + ".sparse_vectors")
            try SchemaValidation.checkCount(grown.texts.count, path() + ".texts")
            try SchemaValidation.checkCount(grown.metadata.count, path() + ".metadata")
            try SchemaValidation.checkCount(grown.multiVectors.count, path() + ".multi_vectors")
            schema = grown
            addsFields = true
        }
    }

    private func checkSize(
        _ document: Document, path: @autoclosure () -> String
    ) throws(KyroError) {
        let byteCount = document.approximateByteCount
        guard byteCount <= Limits.documentBytesMax else {
            throw .overLimit(
                path(), "has \(byteCount) bytes; the limit is \(Limits.documentBytesMax)")
        }
    }

    /// Also what a rescoring query has to satisfy.
    static func check(
        _ vector: MultiVector, field: @autoclosure () -> String
    ) throws(KyroError) {
        try SchemaValidation.checkDimension(vector.dimension, field: field() + ".dimension")
        guard !vector.values.isEmpty, vector.values.count % vector.dimension == 0 else {
            throw .invalid(
                field(),
                "has \(vector.values.count) values, which are not whole rows of dimension "
                    + "\(vector.dimension); it needs at least one row")
        }
        guard vector.values.allSatisfy(\.isFinite) else {
            throw .invalid(field(), "contains NaN or infinity; every component must be finite")
        }
    }

    /// Also what a rescoring query has to satisfy.
    static func check(
        _ vector: MultiVector, of declared: MultiVectorField, field: @autoclosure () -> String
    ) throws(KyroError) {
        guard vector.dimension == declared.dimension else {
            throw KyroError(
                .dimensionMismatch,
                "\(field()) has rows of \(vector.dimension) dimensions; the collection has it with "
                    + "\(declared.dimension)",
                field: field())
        }
    }

    /// Also what a query vector has to satisfy.
    static func check(
        vector: [Float], metric: Metric, field: @autoclosure () -> String
    ) throws(KyroError) {
        var squares = 0.0
        for value in vector {
            guard value.isFinite else {
                throw .invalid(field(), "contains NaN or infinity; every component must be finite")
            }
            squares += Double(value) * Double(value)
        }
        guard metric != .cosine || squares > 0 else {
            throw .invalid(field(), "is the zero vector, which has no direction under cosine")
        }
    }

    private static func check(
        vector: [Float], name: String, field: @autoclosure () -> String, schema: inout Schema
    ) throws(KyroError) {
        guard let declared = schema.vectors[name] else {
            try SchemaValidation.checkDimension(vector.count, field: field() + ".dimension")
            try check(vector: vector, metric: .cosine, field: field())
            schema.vectors[name] = VectorField(dimension: vector.count)
            return
        }
        guard vector.count == declared.dimension else {
            throw KyroError(
                .dimensionMismatch,
                "\(field()) has \(vector.count) dimensions; the collection has it with "
                    + "\(declared.dimension)",
                field: field())
        }
        try check(vector: vector, metric: declared.metric, field: field())
    }

    /// Sorted by index; refuses unequal lengths, a repeated index and what is not finite.
    static func normalised(
        _ sparse: SparseVector, field: @autoclosure () -> String
    ) throws(KyroError) -> SparseVector {
        guard sparse.indices.count == sparse.values.count else {
            throw .invalid(
                field(),
                "has \(sparse.indices.count) indices and \(sparse.values.count) values; "
                    + "there must be as many of each")
        }
        guard sparse.indices.count <= Limits.sparseEntriesMax else {
            throw .overLimit(
                field(),
                "has \(sparse.indices.count) entries; the limit is \(Limits.sparseEntriesMax)")
        }
        guard sparse.values.allSatisfy(\.isFinite) else {
            throw .invalid(field(), "contains NaN or infinity; every value must be finite")
        }
        let isAscending = zip(sparse.indices, sparse.indices.dropFirst()).allSatisfy { $0 < $1 }
        if isAscending { return sparse }
        let positions = sparse.indices.indices.sorted { sparse.indices[$0] < sparse.indices[$1] }
        let sorted = SparseVector(
            indices: positions.map { sparse.indices[$0] },
            values: positions.map { sparse.values[$0] })
        for (a, b) in zip(sorted.indices, sorted.indices.dropFirst()) where a == b {
            throw .invalid(field(), "has index \(a) twice; each index may occur once")
        }
        return sorted
    }

    private static func check(
        value: MetadataValue, field: @autoclosure () -> String
    ) throws(KyroError) {
        func check(_ string: String) throws(KyroError) {
            let byteCount = string.utf8.count
            guard byteCount <= Limits.metadataStringBytesMax else {
                throw .overLimit(
                    field(),
                    "has a string of \(byteCount) bytes; the limit is "
                        + "\(Limits.metadataStringBytesMax)")
            }
        }
        func check(count: Int) throws(KyroError) {
            guard count <= Limits.metadataListMax else {
                throw .overLimit(
                    field(), "has \(count) elements; the limit is \(Limits.metadataListMax)")
            }
        }
        func check(_ number: Double) throws(KyroError) {
            guard number.isFinite else { throw .invalid(field(), "is NaN or infinite") }
        }
        func check(_ point: GeoPoint) throws(KyroError) {
            guard point.isOnEarth else {
                throw .invalid(
                    field(),
                    "is at latitude \(point.latitude), longitude \(point.longitude); they must lie "
                        + "in −90...90 and −180...180")
            }
        }
        switch value {
        case .string(let string): try check(string)
        case .double(let number): try check(number)
        case .int64, .bool, .timestamp: return
        case .strings(let strings):
            try check(count: strings.count)
            for string in strings { try check(string) }
        case .doubles(let numbers):
            try check(count: numbers.count)
            for number in numbers { try check(number) }
        case .int64s(let values), .timestamps(let values): try check(count: values.count)
        case .bools(let values): try check(count: values.count)
        case .geoPoint(let point): try check(point)
        case .geoPoints(let points):
            try check(count: points.count)
            for point in points { try check(point) }
        }
    }
}

extension Document {
    /// Bytes of the values, near enough to the stored size to bound it.
    var approximateByteCount: Int {
        var total = 64
        for entry in vectors { total += entry.name.utf8.count + 4 * entry.value.count }
        for entry in sparseVectors {
            total += entry.name.utf8.count + 8 * entry.value.indices.count
        }
        for entry in texts { total += entry.name.utf8.count + entry.value.utf8.count }
        for entry in metadata { total += entry.name.utf8.count + entry.value.byteCount }
        for entry in multiVectors { total += entry.name.utf8.count + 4 * entry.value.values.count }
        return total
    }

    /// This document with an update's parts replaced or removed.
    func applying(_ update: PartialUpdate) -> Document {
        var result = self
        for name in update.removedVectors { result.vectors[name] = nil }
        for name in update.removedSparseVectors { result.sparseVectors[name] = nil }
        for name in update.removedTexts { result.texts[name] = nil }
        for name in update.removedMetadata { result.metadata[name] = nil }
        for name in update.removedMultiVectors { result.multiVectors[name] = nil }
        if update.clearsEventTime { result.eventTimeMillis = nil }
        if update.clearsExpiry { result.expiresAtMillis = nil }
        for entry in update.set.vectors { result.vectors[entry.name] = entry.value }
        for entry in update.set.sparseVectors { result.sparseVectors[entry.name] = entry.value }
        for entry in update.set.texts { result.texts[entry.name] = entry.value }
        for entry in update.set.metadata { result.metadata[entry.name] = entry.value }
        for entry in update.set.multiVectors { result.multiVectors[entry.name] = entry.value }
        if let time = update.set.eventTimeMillis { result.eventTimeMillis = time }
        if let time = update.set.expiresAtMillis { result.expiresAtMillis = time }
        return result
    }
}

extension MetadataValue {
    var byteCount: Int {
        switch self {
        case .string(let value): value.utf8.count
        case .int64, .double, .timestamp: 8
        case .bool: 1
        case .strings(let values): values.reduce(0) { $0 + $1.utf8.count + 4 }
        case .int64s(let values), .timestamps(let values): 8 * values.count
        case .doubles(let values): 8 * values.count
        case .bools(let values): values.count
        case .geoPoint: 16
        case .geoPoints(let points): 16 * points.count
        }
    }
}
