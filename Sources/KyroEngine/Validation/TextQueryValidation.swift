// Whether a text query can be answered, and which fields it means.
import KyroIndex
import KyroModel

extension CheckedQuery {
    static func check(_ query: TextQuery, schema: Schema) throws(KyroError) -> TextLeg {
        guard query.query.utf8.count <= Limits.textBytesMax else {
            throw .overLimit(
                "text.query",
                "has \(query.query.utf8.count) bytes; the limit is \(Limits.textBytesMax)")
        }
        guard query.fields.count <= Limits.fieldsMax else {
            throw .overLimit(
                "text.fields",
                "has \(query.fields.count) entries; the limit is \(Limits.fieldsMax)")
        }
        var asked = FieldMap<Bool>()
        for name in query.fields {
            guard schema.texts[name] != nil else {
                throw missing(name, path: "text.fields", kind: "text", names: schema.texts.names)
            }
            asked[name] = true
        }
        let fields = query.fields.isEmpty ? schema.texts.names : asked.names
        var leg = TextLeg(
            query: query.query, fields: fields,
            boosts: try boosts(query.boosts, of: fields, schema: schema), scoring: query.scoring)
        try check(query, schema: schema, &leg)
        return leg
    }

    private static func check(
        _ query: TextQuery, schema: Schema, _ leg: inout TextLeg
    ) throws(KyroError) {
        let demandsMore = query.textOperator == .all || query.minimumShouldMatch > 0
        if query.textOperator == .all, query.minimumShouldMatch > 0 {
            throw .invalid(
                "text.minimum_should_match",
                "is \(query.minimumShouldMatch) beside the operator ALL, which demands every term; "
                    + "leave out one")
        }
        if let node = query.node {
            guard query.query.isEmpty else {
                throw .invalid("text.query", "is given beside text.node; leave out one")
            }
            guard !demandsMore else {
                throw .invalid(
                    "text.operator",
                    "and minimum_should_match are of text.query; set those of the nodes instead")
            }
            try TextNodeValidation.check(node, schema)
            leg.node = node
            leg.isStructured = true
        } else if demandsMore {
            leg.node = TextNode(
                .match(
                    query.query, query.textOperator,
                    minimumShouldMatch: query.minimumShouldMatch))
        }
        if leg.node != nil, query.scoring == .bm25f {
            throw .invalid(
                "text.scoring",
                "is BM25F, which is of text.query without ALL and minimum_should_match; leave out "
                    + "one")
        }
        if let highlight = query.highlight {
            try check(highlight, schema: schema)
            leg.highlight = highlight
        }
    }

    private static func check(_ query: HighlightQuery, schema: Schema) throws(KyroError) {
        let path = "text.highlight"
        guard query.fields.count <= Limits.fieldsMax else {
            throw .overLimit(
                path + ".fields",
                "has \(query.fields.count) entries; the limit is \(Limits.fieldsMax)")
        }
        for name in query.fields where schema.texts[name] == nil {
            throw missing(
                name, path: path + ".fields", kind: "text", names: schema.texts.names)
        }
        guard query.fragments <= Limits.fragmentsMax else {
            throw .overLimit(
                path + ".fragments",
                "is \(query.fragments); the limit is \(Limits.fragmentsMax)")
        }
        guard query.fragmentSize <= Limits.fragmentSizeMax else {
            throw .overLimit(
                path + ".fragment_size",
                "is \(query.fragmentSize); the limit is \(Limits.fragmentSizeMax)")
        }
        for (name, tag) in [("before", query.before), ("after", query.after)]
        where tag.utf8.count > Limits.highlightTagBytesMax {
            throw .overLimit(
                "\(path).\(name)",
                "has \(tag.utf8.count) bytes; the limit is \(Limits.highlightTagBytesMax)")
        }
    }

    private static func boosts(
        _ boosts: FieldMap<Double>, of fields: [String], schema: Schema
    ) throws(KyroError) -> [Double] {
        guard boosts.count <= Limits.fieldsMax else {
            throw .overLimit(
                "text.boosts", "has \(boosts.count) entries; the limit is \(Limits.fieldsMax)")
        }
        for (name, boost) in boosts.entries.map({ ($0.name, $0.value) }) {
            guard schema.texts[name] != nil else {
                throw missing(name, path: "text.boosts", kind: "text", names: schema.texts.names)
            }
            guard fields.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else {
                throw .invalid(
                    "text.boosts", "names \"\(name)\", which text.fields leaves out")
            }
            guard boost >= 0, boost <= Limits.boostMax else {
                throw .invalid(
                    "text.boosts",
                    "of \"\(name)\" is \(boost); it must lie in 0...\(Limits.boostMax)")
            }
        }
        return fields.map { boosts[$0] ?? 1 }
    }
}
