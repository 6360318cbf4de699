// What a filter may not say, and what the caller is told.
import KyroIndex
import KyroModel
import Testing

@Suite struct FilterValidationTests {
    private static func bound(_ value: MetadataValue) -> Filter.Bound {
        Filter.Bound(value, isInclusive: true)
    }

    private static func nested(_ depth: Int) -> Filter {
        (1..<depth).reduce(.exists(field: "int64")) { inner, _ in .not(inner) }
    }

    static let refused: [(Filter, KyroError.Reason, String)] = [
        (.equals(field: "int64", .string("x")), .typeMismatch, "filter.equals.value"),
        (.equals(field: "int64", .double(1)), .typeMismatch, "filter.equals.value"),
        (.equals(field: "timestamp", .int64(1)), .typeMismatch, "filter.equals.value"),
        (.equals(field: "int64", .int64s([1])), .typeMismatch, "filter.equals.value"),
        (.equals(field: "unknown", .double(.nan)), .invalidField, "filter.equals.value"),
        (
            .isIn(field: "string", [.string("a"), .bool(true)]), .typeMismatch,
            "filter.in_set.values[1]"
        ),
        (
            .isIn(field: "int64", Array(repeating: .int64(1), count: 4_097)), .limitExceeded,
            "filter.in_set.values"
        ),
        (
            .all([
                .exists(field: "x"),
                .range(
                    field: "int64", lower: bound(.int64(3)),
                    upper: bound(.int64(2))),
            ]), .invalidField, "filter.all_of[1].range"
        ),
        (
            .range(field: "string", lower: bound(.string("b")), upper: bound(.string("a"))),
            .invalidField, "filter.range"
        ),
        (
            .range(field: "double", lower: bound(.int64(3)), upper: bound(.double(2.5))),
            .invalidField, "filter.range"
        ),
        (
            .range(field: "bool", lower: bound(.bool(false)), upper: nil), .typeMismatch,
            "filter.range"
        ),
        (.range(field: "bool", lower: nil, upper: nil), .typeMismatch, "filter.range"),
        (
            .range(field: "double", lower: bound(.double(.nan)), upper: nil), .invalidField,
            "filter.range.at_least"
        ),
        (
            .any([
                .not(
                    .range(
                        field: "int64", lower: nil,
                        upper: Filter.Bound(
                            .string("x"),
                            isInclusive: false)))
            ]), .typeMismatch, "filter.any_of[0].negation.range.less_than"
        ),
        (.prefix(field: "int64", "1"), .typeMismatch, "filter.prefix"),
        (
            .sqlNot(.containsAll(field: "list of int64", [.int64(1), .bool(true)])), .typeMismatch,
            "filter.sql_not.contains_all.values[1]"
        ),
        (
            .containsAny(field: "string", Array(repeating: .string(""), count: 4_097)),
            .limitExceeded, "filter.contains_any.values"
        ),
        (
            .withinDistance(field: "int64", center: GeoPoint(), metres: 1), .typeMismatch,
            "filter.within_distance"
        ),
        (
            .withinDistance(field: "x", center: GeoPoint(latitude: 90.5), metres: 1),
            .invalidField, "filter.within_distance.center.lat"
        ),
        (
            .withinDistance(field: "x", center: GeoPoint(longitude: .nan), metres: 1),
            .invalidField, "filter.within_distance.center.lon"
        ),
        (
            .withinDistance(field: "x", center: GeoPoint(), metres: -1), .invalidField,
            "filter.within_distance.metres"
        ),
        (
            .withinDistance(field: "x", center: GeoPoint(), metres: .nan), .invalidField,
            "filter.within_distance.metres"
        ),
        (.withinBox(field: "string", GeoBox()), .typeMismatch, "filter.within_box"),
        (.withinBox(field: "x", GeoBox(south: 1)), .invalidField, "filter.within_box"),
        (.withinBox(field: "x", GeoBox(east: -181)), .invalidField, "filter.within_box.east"),
        (
            .equals(field: "geo point", .geoPoint(GeoPoint())), .typeMismatch,
            "filter.equals.value"
        ),
        (.equals(field: "geo point", .string("here")), .typeMismatch, "filter.equals.value"),
        (.prefix(field: "geo point", "1"), .typeMismatch, "filter.prefix"),
        (.range(field: "geo point", lower: nil, upper: nil), .typeMismatch, "filter.range"),
        (
            nested(33), .limitExceeded,
            "filter" + String(repeating: ".negation", count: 32)
        ),
        (.any(Array(repeating: .all([]), count: 4_096)), .limitExceeded, "filter"),
    ]

    @Test(arguments: refused)
    func refuses(_ filter: Filter, _ reason: KyroError.Reason, _ field: String) {
        let error = #expect(throws: KyroError.self) {
            try FilterValidation.check(filter, FilterSource.schema)
        }
        #expect(error?.reason == reason.rawValue)
        #expect(error?.field == field)
    }

    @Test(arguments: [
        Filter.all([]), .any([]), nested(32), .exists(field: "unknown"),
        .prefix(field: "unknown", "x"), .prefix(field: "list of string", ""),
        .equals(field: "unknown", .string("x")), .equals(field: "list of double", .int64(1)),
        .range(field: "int64", lower: bound(.int64(2)), upper: bound(.int64(2))),
        .range(field: "unknown", lower: bound(.int64(2)), upper: bound(.string("a"))),
        .range(field: "int64", lower: nil, upper: nil), .isIn(field: "string", []),
        .any(Array(repeating: .all([]), count: 4_095)),
        .containsAll(field: "int64", []), .containsAny(field: "unknown", [.string("x")]),
        .withinDistance(field: "list of geo point", center: GeoPoint(), metres: .infinity),
        .withinBox(field: "unknown", GeoBox(west: 180, east: -180)),
    ])
    func accepts(_ filter: Filter) throws {
        try FilterValidation.check(filter, FilterSource.schema)
    }

    @Test func aReversedTimeRangeIsRefused() throws {
        try FilterValidation.check(TimeRange(fromMillis: 5, toMillis: 5))
        try FilterValidation.check(TimeRange(fromMillis: 5))
        let error = #expect(throws: KyroError.self) {
            try FilterValidation.check(TimeRange(fromMillis: 6, toMillis: 5))
        }
        #expect(error?.field == "time_range")
    }
}
