// text.proto: structured text queries and highlights.
import KyroModel

// MARK: TextNode

/// A node while its fields arrive. A member of the oneof that comes again merges into itself and
/// replaces any other; `kind` lets go of it first, or its arrays would be copied as they grow.
struct TextNodeDraft: WireDraft {
    enum Kind: Sendable {
        case empty
        case terms(TermsNodeDraft)
        case match(MatchNodeDraft)
        case phrase(PhraseNodeDraft)
        case prefix(PrefixNodeDraft)
        case fuzzy(FuzzyNodeDraft)
        case boolean(BooleanNodeDraft)
    }

    var kind = Kind.empty
    var fields: [String] = []
    var boost = 0.0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var node = TermsNodeDraft()
            if case .terms(let present) = kind { node = present }
            kind = .empty
            try reader.message("terms", into: &node)
            kind = .terms(node)
        case (2, .bytes):
            var node = MatchNodeDraft()
            if case .match(let present) = kind { node = present }
            try reader.message("match", into: &node)
            kind = .match(node)
        case (3, .bytes):
            var node = PhraseNodeDraft()
            if case .phrase(let present) = kind { node = present }
            try reader.message("phrase", into: &node)
            kind = .phrase(node)
        case (4, .bytes):
            var node = PrefixNodeDraft()
            if case .prefix(let present) = kind { node = present }
            try reader.message("prefix", into: &node)
            kind = .prefix(node)
        case (5, .bytes):
            var node = FuzzyNodeDraft()
            if case .fuzzy(let present) = kind { node = present }
            try reader.message("fuzzy", into: &node)
            kind = .fuzzy(node)
        case (6, .bytes):
            var node = BooleanNodeDraft()
            if case .boolean(let present) = kind { node = present }
            kind = .empty
            try reader.message("boolean", into: &node)
            kind = .boolean(node)
        case (7, .bytes): fields.append(try reader.string("fields"))
        case (8, .fixed64): boost = try reader.double("boost")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TextNode {
        guard depth <= Limits.textDepthMax else {
            throw .overLimit(
                path: "", problem: "is nested deeper than \(Limits.textDepthMax): flatten it")
        }
        guard !isCut else {
            throw .overLimit(
                path: "", problem: "has more than \(Limits.textNodesMax) nodes: split the query")
        }
        return try build()
    }

    /// A leaf has depth 1. The reader bounds this recursion.
    private var depth: Int {
        guard case .boolean(let node) = kind else { return 1 }
        return 1 + (node.children.lazy.map(\.depth).max() ?? 0)
    }

    private var isCut: Bool {
        guard case .boolean(let node) = kind else { return false }
        return node.isCut || node.children.contains(where: \.isCut)
    }

    fileprivate func build() throws(WireError) -> TextNode {
        let built: TextNode.Kind
        switch kind {
        case .empty:
            throw .invalid(path: "", problem: "has no node: set one of the kinds of TextNode")
        case .terms(let node): built = .terms(node.terms)
        case .match(let node): built = try node.finish("match")
        case .phrase(let node): built = .phrase(node.text, slop: node.slop)
        case .prefix(let node): built = .prefix(node.text, expansions: node.expansions)
        case .fuzzy(let node):
            built = .fuzzy(
                node.text, edits: node.edits, prefixLength: node.prefixLength,
                expansions: node.expansions)
        case .boolean(let node):
            do { built = try node.build() } catch { throw error.inside("boolean") }
        }
        return TextNode(built, fields: fields, boost: boost == 0 ? 1 : boost)
    }
}

struct TermsNodeDraft: WireDraft {
    var terms: [String] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): terms.append(try reader.string("terms"))
        default: try reader.skip(field)
        }
    }

    func finish() -> [String] { terms }
}

struct MatchNodeDraft: WireDraft {
    var text = ""
    var textOperator: Int32 = 0
    var minimumShouldMatch: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): text = try reader.string("text")
        case (2, .varint): textOperator = try reader.int32("operator")
        case (3, .varint): minimumShouldMatch = try reader.uint32("minimum_should_match")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TextNode.Kind {
        .match(
            text, try enumValue(textOperator, "operator", TextOperator.init(rawValue:)),
            minimumShouldMatch: minimumShouldMatch)
    }
}

struct PhraseNodeDraft: WireDraft {
    var text = ""
    var slop: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): text = try reader.string("text")
        case (2, .varint): slop = try reader.uint32("slop")
        default: try reader.skip(field)
        }
    }

    func finish() {}
}

struct PrefixNodeDraft: WireDraft {
    var text = ""
    var expansions: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): text = try reader.string("text")
        case (2, .varint): expansions = try reader.uint32("expansions")
        default: try reader.skip(field)
        }
    }

    func finish() {}
}

struct FuzzyNodeDraft: WireDraft {
    var text = ""
    var edits: UInt32 = 0
    var prefixLength: UInt32 = 0
    var expansions: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): text = try reader.string("text")
        case (2, .varint): edits = try reader.uint32("edits")
        case (3, .varint): prefixLength = try reader.uint32("prefix_length")
        case (4, .varint): expansions = try reader.uint32("expansions")
        default: try reader.skip(field)
        }
    }

    func finish() {}
}

struct BooleanNodeDraft: WireDraft {
    var must: [TextNodeDraft] = []
    var should: [TextNodeDraft] = []
    var mustNot: [TextNodeDraft] = []
    var minimumShouldMatch: UInt32 = 0
    /// Whether nodes were left out because there were too many.
    var isCut = false

    fileprivate var children: [TextNodeDraft] { must + should + mustNot }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes), (2, .bytes), (3, .bytes):
            // Two bytes on the wire become a hundred in memory: the bound must hold while reading.
            reader.textNodeCount += 1
            guard reader.textNodeCount < Limits.textNodesMax else {
                isCut = true
                return try reader.skip(field)
            }
            switch field.number {
            case 1: try reader.message("must", appendingTo: &must)
            case 2: try reader.message("should", appendingTo: &should)
            default: try reader.message("must_not", appendingTo: &mustNot)
            }
        case (4, .varint): minimumShouldMatch = try reader.uint32("minimum_should_match")
        default: try reader.skip(field)
        }
    }

    func finish() {}

    fileprivate func build() throws(WireError) -> TextNode.Kind {
        .boolean(
            must: try Self.build(must, "must"), should: try Self.build(should, "should"),
            mustNot: try Self.build(mustNot, "must_not"), minimumShouldMatch: minimumShouldMatch)
    }

    private static func build(
        _ drafts: [TextNodeDraft], _ name: StaticString
    ) throws(WireError) -> [TextNode] {
        var nodes: [TextNode] = []
        nodes.reserveCapacity(drafts.count)
        for (index, draft) in drafts.enumerated() {
            do { nodes.append(try draft.build()) } catch {
                throw error.inside(name, index: index)
            }
        }
        return nodes
    }
}

extension TextNode: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch kind {
        case .terms(let terms): sink.message(1, TermsOnWire(terms: terms))
        case .match(let text, let operation, let minimum):
            sink.message(2, MatchOnWire(text: text, textOperator: operation, minimum: minimum))
        case .phrase(let text, let slop):
            sink.message(3, ExpandedOnWire(text: text, numbers: [slop]))
        case .prefix(let text, let expansions):
            sink.message(4, ExpandedOnWire(text: text, numbers: [expansions]))
        case .fuzzy(let text, let edits, let prefixLength, let expansions):
            sink.message(
                5, ExpandedOnWire(text: text, numbers: [edits, prefixLength, expansions]))
        case .boolean(let must, let should, let mustNot, let minimum):
            sink.message(
                6, BooleanOnWire(must: must, should: should, mustNot: mustNot, minimum: minimum))
        }
        sink.strings(7, fields)
        sink.double(8, boost == 1 ? 0 : boost)
    }
}

private struct TermsOnWire: WireEncodable {
    let terms: [String]

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.strings(1, terms) }
}

private struct MatchOnWire: WireEncodable {
    let text: String
    let textOperator: TextOperator
    let minimum: UInt32

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, text)
        sink.uint(2, UInt32(textOperator.rawValue))
        sink.uint(3, minimum)
    }
}

/// A text, and numbers from field 2 on.
private struct ExpandedOnWire: WireEncodable {
    let text: String
    let numbers: [UInt32]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, text)
        for (index, number) in numbers.enumerated() { sink.uint(UInt32(index) + 2, number) }
    }
}

private struct BooleanOnWire: WireEncodable {
    let must: [TextNode]
    let should: [TextNode]
    let mustNot: [TextNode]
    let minimum: UInt32

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, must)
        sink.messages(2, should)
        sink.messages(3, mustNot)
        sink.uint(4, minimum)
    }
}

// MARK: Highlights

extension HighlightQuery: WireDraft, WireEncodable {
    init() { self.init(fields: []) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): fields.append(try reader.string("fields"))
        case (2, .varint): fragments = try reader.uint32("fragments")
        case (3, .varint): fragmentSize = try reader.uint32("fragment_size")
        case (4, .bytes): before = try reader.string("before")
        case (5, .bytes): after = try reader.string("after")
        default: try reader.skip(field)
        }
    }

    func finish() -> HighlightQuery { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.strings(1, fields)
        sink.uint(2, fragments)
        sink.uint(3, fragmentSize)
        sink.string(4, before)
        sink.string(5, after)
    }
}

extension Highlight: WireDraft, WireEncodable {
    init() { self.init(field: "", fragments: []) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): self.field = try reader.string("field")
        case (2, .bytes): fragments.append(try reader.string("fragments"))
        default: try reader.skip(field)
        }
    }

    func finish() -> Highlight { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.strings(2, fragments)
    }
}
