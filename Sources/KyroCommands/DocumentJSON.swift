// Documents and collections as JSON, for scripts.
import KyroModel

extension JSON {
    public init(_ value: UInt64) { self = .int(Int64(clamping: value)) }

    public init(_ seq: KyroModel.Sequence) { self.init(seq.raw) }

    /// Numbers are numbers; those above 2^63 − 1 are written `"#…"`, since JSON readers lose them.
    public init(_ id: DocumentID) {
        switch id {
        case .number(let number):
            self = Int64(exactly: number).map { .int($0) } ?? .string("#\(number)")
        case .text(let text): self = .string(text)
        }
    }

    /// Timestamps are RFC 3339 texts.
    public init(_ value: MetadataValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .int64(let number): self = .int(number)
        case .double(let number): self = .double(number)
        case .bool(let flag): self = .bool(flag)
        case .timestamp(let millis): self = .string(Timestamp.text(millis: millis))
        case .strings(let texts): self = .array(texts.map { .string($0) })
        case .int64s(let numbers): self = .array(numbers.map { .int($0) })
        case .doubles(let numbers): self = .array(numbers.map { .double($0) })
        case .bools(let flags): self = .array(flags.map { .bool($0) })
        case .timestamps(let all):
            self = .array(all.map { .string(Timestamp.text(millis: $0)) })
        case .geoPoint(let point): self.init(point)
        case .geoPoints(let points): self = .array(points.map { JSON($0) })
        }
    }

    public init(_ point: GeoPoint) {
        self = .object([
            Member("lat", .double(point.latitude)), Member("lon", .double(point.longitude)),
        ])
    }

    public init(floats: [Float]) { self = .array(floats.map { .double(Double($0)) }) }

    public init(_ vector: SparseVector) {
        self = .object([
            Member("indices", .array(vector.indices.map { .int(Int64($0)) })),
            Member("values", JSON(floats: vector.values)),
        ])
    }

    /// A list of rows.
    public init(_ vector: MultiVector) {
        let rows = vector.dimension > 0 ? vector.rowCount : 0
        self = .array(
            (0..<rows).map { row in
                let from = row * vector.dimension
                return JSON(floats: Array(vector.values[from..<(from + vector.dimension)]))
            })
    }

    /// Parts that the document has not, or that were not asked for, are left out.
    public init(_ document: Document) {
        self = .object([Member("id", JSON(document.id))] + Self.parts(of: document))
    }

    /// All of a document but its id.
    public static func parts(of document: Document) -> [Member] {
        var members: [Member] = []
        if let millis = document.eventTimeMillis {
            members.append(Member("event_time", .string(Timestamp.text(millis: millis))))
        }
        if let millis = document.expiresAtMillis {
            members.append(Member("expires_at", .string(Timestamp.text(millis: millis))))
        }
        append("texts", document.texts, to: &members) { .string($0) }
        append("metadata", document.metadata, to: &members) { JSON($0) }
        append("vectors", document.vectors, to: &members) { JSON(floats: $0) }
        append("sparse_vectors", document.sparseVectors, to: &members) { JSON($0) }
        append("multi_vectors", document.multiVectors, to: &members) { JSON($0) }
        return members
    }

    private static func append<Value>(
        _ name: String, _ map: FieldMap<Value>, to members: inout [Member],
        _ json: (Value) -> JSON
    ) {
        guard !map.isEmpty else { return }
        members.append(
            Member(name, .object(map.map { Member($0.name, json($0.value)) })))
    }

    public init(_ statistics: MetadataStatistics) {
        self = .object([
            Member("field", .string(statistics.field)),
            Member("rows", JSON(statistics.rows)),
            Member("distinct_strings", JSON(statistics.distinctStrings)),
            Member("lowest", statistics.lowest.map { JSON($0) } ?? .null),
            Member("highest", statistics.highest.map { JSON($0) } ?? .null),
        ])
    }

    public init(_ collection: CollectionDescription) {
        let schema = collection.schema
        self = .object([
            Member("tenant", .string(collection.scope.tenant)),
            Member("namespace", .string(collection.scope.namespace)),
            Member("collection_id", .int(Int64(collection.id.raw))),
            Member("schema_version", .int(Int64(collection.schemaVersion))),
            Member("documents", JSON(collection.documentCount)),
            Member("durability", collection.durability.map { .string($0.text) } ?? .null),
            Member("retention_ms", .int(collection.retentionMillis)),
            Member(
                "vectors",
                .object(
                    schema.vectors.map {
                        Member(
                            $0.name,
                            .object([
                                Member("dimension", .int(Int64($0.value.dimension))),
                                Member("metric", .string($0.value.metric.text)),
                                Member("indexing", $0.value.indexing.json),
                            ]))
                    })),
            Member("sparse_vectors", .array(schema.sparseVectors.names.map { .string($0) })),
            Member(
                "texts",
                .object(
                    schema.texts.map {
                        Member(
                            $0.name,
                            .object([
                                Member("analyzer", .string($0.value.analyzer.text)),
                                Member("language", .string($0.value.language)),
                                Member("options", .string($0.value.optionsText)),
                                Member("k1", .double($0.value.bm25.k1)),
                                Member("b", .double($0.value.bm25.b)),
                            ]))
                    })),
            Member(
                "metadata",
                .object(schema.metadata.map { Member($0.name, .string($0.value.text)) })),
            Member(
                "multi_vectors",
                .object(
                    schema.multiVectors.map {
                        Member(
                            $0.name,
                            .object([Member("dimension", .int(Int64($0.value.dimension)))]))
                    })),
        ])
    }
}

extension MetadataValue {
    /// For a cell of a table.
    public var cell: String {
        switch self {
        case .string(let text): text
        case .timestamp(let millis): Timestamp.text(millis: millis)
        case .strings(let texts): texts.joined(separator: ", ")
        case .int64, .double, .bool: JSON(self).text
        case .int64s, .doubles, .bools: String(JSON(self).text.dropFirst().dropLast())
        case .timestamps(let all):
            all.map { Timestamp.text(millis: $0) }.joined(separator: ", ")
        case .geoPoint(let point): point.cell
        case .geoPoints(let points): points.map(\.cell).joined(separator: ", ")
        }
    }
}

extension GeoPoint {
    /// As the filter language writes it: `(48.85, 2.35)`.
    var cell: String { "(\(latitude), \(longitude))" }
}
