// Fields of a collection as words on a command line: `embedding:384:cosine`, `title:standard`.
import KyroModel

extension Metric {
    public var text: String {
        switch self {
        case .cosine: "cosine"
        case .innerProduct: "ip"
        case .l2: "l2"
        }
    }
}

extension AnalyzerKind {
    public var text: String {
        switch self {
        case .standard: "standard"
        case .code: "code"
        case .raw: "raw"
        }
    }
}

extension ValueType {
    /// `string`, or `string[]` for a list.
    public var text: String { isList ? element.text + "[]" : name }
}

extension Schema {
    /// `NAME:DIMENSION[:METRIC]`
    public mutating func addVector(_ text: String) throws(UsageError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count), !parts[0].isEmpty,
            let dimension = Int(parts[1]), (1...Limits.dimensionMax).contains(dimension)
        else {
            throw UsageError(
                "--vector is \"\(text)\"; write NAME:DIMENSION, such as embedding:384, with a "
                    + "dimension from 1 to \(Limits.dimensionMax)")
        }
        let metric = try Self.choice(
            parts.count == 3 ? parts[2] : "cosine", of: Metric.allCases, called: "metric",
            text: \.text)
        vectors[parts[0]] = VectorField(dimension: dimension, metric: metric)
    }

    /// `NAME[:ANALYZER[:LANGUAGE]]`
    public mutating func addText(_ text: String) throws(UsageError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), !parts[0].isEmpty else {
            throw UsageError(
                "--text is \"\(text)\"; write NAME, NAME:ANALYZER or NAME:ANALYZER:LANGUAGE")
        }
        let analyzer = try Self.choice(
            parts.count > 1 ? parts[1] : "standard", of: AnalyzerKind.allCases, called: "analyzer",
            text: \.text)
        texts[parts[0]] = TextField(
            analyzer: analyzer, language: parts.count > 2 ? parts[2] : TextField.defaultLanguage)
    }

    /// `NAME:TYPE`
    public mutating func addMetadata(_ text: String) throws(UsageError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw UsageError("--field is \"\(text)\"; write NAME:TYPE, such as stars:int64")
        }
        metadata[parts[0]] = try Self.choice(
            parts[1], of: ValueType.allCases, called: "type", text: \.text)
    }

    private static func choice<T>(
        _ word: String, of all: [T], called what: String, text: (T) -> String
    ) throws(UsageError) -> T {
        if let found = all.first(where: { text($0) == word }) { return found }
        throw UsageError(
            "\"\(word)\" is no \(what); choose one of "
                + all.map { text($0) }.joined(separator: ", "))
    }
}
