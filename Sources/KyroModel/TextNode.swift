// Structured text queries: words, phrases and beginnings of words under must, should and must not.

/// The raw values are those of `kyrodb.v2.TextOperator`.
public enum TextOperator: UInt8, Sendable {
    /// Any of the terms.
    case any = 0
    /// All of them, in one of the fields.
    case all = 1
}

/// One node of a structured text query. What matches scores by BM25, summed over fields and nodes.
public struct TextNode: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// Any of these terms as they are in the index, not analysed.
        case terms([String])
        /// Any or all of a text's terms in one field, or at least so many of them; zero for what the
        /// operator says.
        case match(String, TextOperator, minimumShouldMatch: UInt32)
        /// A text's terms in order, with up to `slop` words between or out of place.
        case phrase(String, slop: UInt32)
        /// Terms that begin so. At most `expansions` are searched for, zero for the default.
        case prefix(String, expansions: UInt32)
        /// Terms within so many edits, 1 or 2, after their first `prefixLength` characters.
        case fuzzy(String, edits: UInt32, prefixLength: UInt32, expansions: UInt32)
        /// All of `must`, none of `mustNot`, and at least `minimumShouldMatch` of `should`; zero for
        /// one where there is no `must`, else for none.
        case boolean(
            must: [TextNode], should: [TextNode], mustNot: [TextNode], minimumShouldMatch: UInt32)
    }

    public var kind: Kind
    /// Where this node and those below it look; empty for where the one above does.
    public var fields: [String]
    /// Scores are multiplied by it.
    public var boost: Double

    public init(_ kind: Kind, fields: [String] = [], boost: Double = 1) {
        self.kind = kind
        self.fields = fields
        self.boost = boost
    }

    public static func match(_ text: String) -> TextNode {
        TextNode(.match(text, .any, minimumShouldMatch: 0))
    }

    public static func boolean(
        must: [TextNode] = [], should: [TextNode] = [], mustNot: [TextNode] = [],
        minimumShouldMatch: UInt32 = 0
    ) -> TextNode {
        TextNode(
            .boolean(
                must: must, should: should, mustNot: mustNot,
                minimumShouldMatch: minimumShouldMatch))
    }
}

/// Which parts of its stored texts come with a hit.
public struct HighlightQuery: Equatable, Sendable {
    /// Empty for those that are searched.
    public var fields: [String]
    /// Of each field; zero for the default.
    public var fragments: UInt32
    /// In characters; zero for the default.
    public var fragmentSize: UInt32
    /// Around each word found; both empty for `<em>` and `</em>`.
    public var before: String
    public var after: String

    public init(
        fields: [String] = [], fragments: UInt32 = 0, fragmentSize: UInt32 = 0, before: String = "",
        after: String = ""
    ) {
        self.fields = fields
        self.fragments = fragments
        self.fragmentSize = fragmentSize
        self.before = before
        self.after = after
    }
}

/// Of one field of a hit.
public struct Highlight: Equatable, Sendable {
    public var field: String
    /// Best first.
    public var fragments: [String]

    public init(field: String, fragments: [String]) {
        self.field = field
        self.fragments = fragments
    }
}
