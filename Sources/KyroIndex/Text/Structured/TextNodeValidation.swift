// Whether a structured text query can be answered, before any of it is.
import KyroModel

public enum TextNodeValidation {
    /// - Parameter path: of the node, for errors.
    public static func check(
        _ node: TextNode, _ schema: Schema, path: String = "text.node"
    ) throws(KyroError) {
        var size = Size()
        try check(node, schema, path: path, depth: 1, &size)
    }

    private struct Size {
        var nodes = 0
        var byteCount = 0
    }

    private static func check(
        _ node: TextNode, _ schema: Schema, path: String, depth: Int, _ size: inout Size
    ) throws(KyroError) {
        guard depth <= Limits.textDepthMax else {
            throw .overLimit(
                path, "is nested deeper than \(Limits.textDepthMax): flatten it")
        }
        size.nodes += 1
        guard size.nodes <= Limits.textNodesMax else {
            throw .overLimit(
                path, "is one of more than \(Limits.textNodesMax) nodes: split the query")
        }
        guard Limits.boostRange.contains(node.boost) else {
            throw .invalid(
                path + ".boost",
                "is \(node.boost); it must lie in \(Limits.boostRange.lowerBound)..."
                    + "\(Limits.boostRange.upperBound), or be 0 for 1")
        }
        guard node.fields.count <= Limits.fieldsMax else {
            throw .overLimit(
                path + ".fields",
                "has \(node.fields.count) entries; the limit is \(Limits.fieldsMax)")
        }
        for name in node.fields where schema.texts[name] == nil {
            let known = schema.texts.names
            throw KyroError(
                .fieldNotFound,
                "\(path).fields names \"\(name)\", but the collection's text fields are: "
                    + (known.isEmpty ? "none" : known.joined(separator: ", ")),
                field: path + ".fields")
        }
        switch node.kind {
        case .terms(let terms):
            guard !terms.isEmpty else {
                throw .invalid(path + ".terms", "is empty; it needs at least one term")
            }
            for term in terms { try checkText(term, path + ".terms.terms", &size) }
        case .match(let text, let operation, let minimum):
            try checkText(text, path + ".match.text", &size)
            if operation == .all, minimum > 0 {
                throw .invalid(
                    path + ".match.minimum_should_match",
                    "is \(minimum) beside the operator ALL, which demands every term; leave out one"
                )
            }
        case .phrase(let text, let slop):
            try checkText(text, path + ".phrase.text", &size)
            guard slop <= Limits.slopMax else {
                throw .overLimit(
                    path + ".phrase.slop", "is \(slop); the limit is \(Limits.slopMax)")
            }
        case .prefix(let text, let expansions):
            try checkText(text, path + ".prefix.text", &size)
            try check(expansions: expansions, path + ".prefix.expansions")
        case .fuzzy(let text, let edits, let prefixLength, let expansions):
            try checkText(text, path + ".fuzzy.text", &size)
            guard (1...Limits.editsMax).contains(edits) else {
                throw .invalid(
                    path + ".fuzzy.edits", "is \(edits); it must lie in 1...\(Limits.editsMax)")
            }
            guard prefixLength <= UInt32(Limits.textNodeBytesMax) else {
                throw .overLimit(
                    path + ".fuzzy.prefix_length",
                    "is \(prefixLength); the limit is \(Limits.textNodeBytesMax)")
            }
            try check(expansions: expansions, path + ".fuzzy.expansions")
        case .boolean(let must, let should, let mustNot, let minimum):
            let path = path + ".boolean"
            guard !must.isEmpty || !should.isEmpty else {
                throw .invalid(
                    path, "has neither must nor should; what must_not leaves has no score")
            }
            guard minimum <= UInt32(clamping: should.count) else {
                throw .invalid(
                    path + ".minimum_should_match",
                    "is \(minimum), but should has \(should.count) nodes")
            }
            for (name, nodes) in [("must", must), ("should", should), ("must_not", mustNot)] {
                for (index, child) in nodes.enumerated() {
                    try check(
                        child, schema, path: "\(path).\(name)[\(index)]", depth: depth + 1, &size)
                }
            }
        }
    }

    private static func checkText(
        _ text: String, _ path: String, _ size: inout Size
    ) throws(KyroError) {
        guard !text.isEmpty else { throw .invalid(path, "is empty; it needs a word") }
        size.byteCount += text.utf8.count
        guard size.byteCount <= Limits.textNodeBytesMax else {
            throw .overLimit(
                path,
                "brings the texts of the query to \(size.byteCount) bytes; the limit is "
                    + "\(Limits.textNodeBytesMax)")
        }
    }

    private static func check(expansions: UInt32, _ path: String) throws(KyroError) {
        guard expansions <= Limits.expansionsMax else {
            throw .overLimit(path, "is \(expansions); the limit is \(Limits.expansionsMax)")
        }
    }
}
