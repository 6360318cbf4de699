// Whether a filter makes sense for a schema, before any shard is asked.
import KyroModel

/// Refuses what no evaluation should see: wrong types, reversed ranges, trees beyond the limits. A
/// field that the schema does not know is no error: it matches nothing.
public enum FilterValidation {
    /// Errors carry paths such as `filter.all_of[1].range.at_least`.
    public static func check(_ filter: Filter, _ schema: Schema) throws(KyroError) {
        var nodes = 0
        try check(filter, schema, path: "filter", depth: 1, nodes: &nodes)
    }

    public static func check(_ range: TimeRange) throws(KyroError) {
        guard let from = range.fromMillis, let to = range.toMillis, from > to else { return }
        throw .invalid("time_range", "is reversed: from \(from) is after to \(to)")
    }

    private static func check(
        _ filter: Filter, _ schema: Schema, path: String, depth: Int, nodes: inout Int
    ) throws(KyroError) {
        guard depth <= Limits.filterDepthMax else {
            throw .overLimit(path, "is nested deeper than \(Limits.filterDepthMax) levels")
        }
        nodes += 1
        guard nodes <= Limits.filterNodesMax else {
            throw .overLimit("filter", "has more than \(Limits.filterNodesMax) nodes")
        }
        switch filter {
        case .all(let children):
            for (i, child) in children.enumerated() {
                try check(
                    child, schema, path: "\(path).all_of[\(i)]", depth: depth + 1, nodes: &nodes)
            }
        case .any(let children):
            for (i, child) in children.enumerated() {
                try check(
                    child, schema, path: "\(path).any_of[\(i)]", depth: depth + 1, nodes: &nodes)
            }
        case .not(let child):
            try check(child, schema, path: path + ".negation", depth: depth + 1, nodes: &nodes)
        case .equals(let field, let value):
            try check(value, of: field, schema, path: path + ".equals.value")
        case .sqlNot(let child):
            try check(child, schema, path: path + ".sql_not", depth: depth + 1, nodes: &nodes)
        case .isIn(let field, let values):
            try check(values, of: field, schema, path: path + ".in_set.values")
        case .containsAny(let field, let values):
            try check(values, of: field, schema, path: path + ".contains_any.values")
        case .containsAll(let field, let values):
            try check(values, of: field, schema, path: path + ".contains_all.values")
        case .withinDistance(let field, let center, let metres):
            try check(center, metres, of: field, schema, path: path + ".within_distance")
        case .withinBox(let field, let box):
            try check(box, of: field, schema, path: path + ".within_box")
        case .range(let field, let lower, let upper):
            try checkRange(field, lower, upper, schema, path: path + ".range")
        case .exists: break
        case .prefix(let field, _):
            guard let type = schema.metadata[field], type.element != .string else { return }
            throw mismatch(path + ".prefix", "needs a string field", field, type)
        }
    }

    private static func check(
        _ values: [MetadataValue], of field: String, _ schema: Schema, path: String
    ) throws(KyroError) {
        guard values.count <= Limits.metadataListMax else {
            throw .overLimit(
                path, "has \(values.count) values, more than \(Limits.metadataListMax)")
        }
        for (i, value) in values.enumerated() {
            try check(value, of: field, schema, path: "\(path)[\(i)]")
        }
    }

    private static func check(
        _ center: GeoPoint, _ metres: Double, of field: String, _ schema: Schema, path: String
    ) throws(KyroError) {
        try check(center.latitude, within: 90, path: path + ".center.lat")
        try check(center.longitude, within: 180, path: path + ".center.lon")
        guard metres >= 0 else {
            throw .invalid(path + ".metres", "is \(metres); it must be 0 or more")
        }
        try checkHoldsPoints(field, schema, path: path)
    }

    private static func check(
        _ box: GeoBox, of field: String, _ schema: Schema, path: String
    ) throws(KyroError) {
        try check(box.south, within: 90, path: path + ".south")
        try check(box.north, within: 90, path: path + ".north")
        try check(box.west, within: 180, path: path + ".west")
        try check(box.east, within: 180, path: path + ".east")
        guard box.south <= box.north else {
            throw .invalid(
                path, "is reversed: its south \(box.south) is above its north \(box.north)")
        }
        try checkHoldsPoints(field, schema, path: path)
    }

    private static func check(
        _ degrees: Double, within bound: Double, path: String
    ) throws(KyroError) {
        guard abs(degrees) <= bound else {
            throw .invalid(
                path, "is \(degrees); it must lie in −\(Int(bound))...\(Int(bound)) degrees")
        }
    }

    private static func checkHoldsPoints(
        _ field: String, _ schema: Schema, path: String
    ) throws(KyroError) {
        guard let type = schema.metadata[field], type.element != .geoPoint else { return }
        throw mismatch(path, "needs a field of geo points", field, type)
    }

    private static func checkRange(
        _ field: String, _ lower: Filter.Bound?, _ upper: Filter.Bound?, _ schema: Schema,
        path: String
    ) throws(KyroError) {
        for (bound, side) in [(lower, "lower"), (upper, "upper")] {
            guard let bound else { continue }
            if bound.value.type == .bool {
                throw KyroError(
                    .typeMismatch, "\(path) of \"\(field)\": bools have no order; use equals",
                    field: path)
            }
            try check(bound.value, of: field, schema, path: path + "." + name(bound, side))
        }
        if let type = schema.metadata[field], type.element == .bool || type.element == .geoPoint {
            let instead = type.element == .bool ? "equals" : "within_distance or within_box"
            throw mismatch(path, "needs a field with an order; use \(instead)", field, type)
        }
        guard let lower, let upper else { return }
        guard isOrdered(lower.value, upper.value) else {
            throw KyroError(
                .invalidField,
                "\(path) of \"\(field)\" is reversed: its lower bound is above its "
                    + "upper bound", field: path)
        }
    }

    private static func name(_ bound: Filter.Bound, _ side: String) -> String {
        side == "lower"
            ? (bound.isInclusive ? "at_least" : "greater_than")
            : (bound.isInclusive ? "at_most" : "less_than")
    }

    private static func check(
        _ value: MetadataValue, of field: String, _ schema: Schema, path: String
    ) throws(KyroError) {
        if value.type.isList {
            throw KyroError(
                .typeMismatch, "\(path) of \"\(field)\" is a \(value.type.name); give one value",
                field: path)
        }
        if case .geoPoint = value {
            throw KyroError(
                .typeMismatch,
                "\(path) of \"\(field)\" is a geo point, which is compared by within_distance or "
                    + "within_box", field: path)
        }
        if case .double(let number) = value, number.isNaN {
            throw .invalid(path, "of \"\(field)\" is NaN, which compares with nothing")
        }
        guard let type = schema.metadata[field], type.element != value.type else { return }
        if type.element == .double, value.type == .int64 { return }
        throw mismatch(path, "is a \(value.type.name)", field, type)
    }

    private static func mismatch(
        _ path: String, _ problem: String, _ field: String, _ type: ValueType
    ) -> KyroError {
        KyroError(
            .typeMismatch, "\(path) \(problem); the field \"\(field)\" is a \(type.name)",
            field: path)
    }

    /// Values of two types, possible where the field is unknown, are in order.
    private static func isOrdered(_ lower: MetadataValue, _ upper: MetadataValue) -> Bool {
        switch (lower, upper) {
        case (.string(let a), .string(let b)): !b.utf8.lexicographicallyPrecedes(a.utf8)
        case (.int64(let a), .int64(let b)), (.timestamp(let a), .timestamp(let b)): a <= b
        case (.double(let a), .double(let b)): a <= b
        case (.int64(let a), .double(let b)): Double(a) <= b
        case (.double(let a), .int64(let b)): a <= Double(b)
        default: true
        }
    }
}
