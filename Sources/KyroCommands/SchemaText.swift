// Fields of a collection as words on a command line: `embedding:384:cosine,codes=sq4`,
// `title:standard`.
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
    /// `string`, or `string[]` for a list; `geo` for a geo point.
    public var text: String {
        isList ? element.text + "[]" : self == .geoPoint ? "geo" : name
    }
}

extension Schema {
    /// `NAME:DIMENSION[:METRIC][,OPTION=VALUE]…`
    /// `NAME:DIMENSION`.
    public mutating func addMultiVector(_ text: String) throws(UsageError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let dimension = Int(parts[1]),
            (1...Limits.dimensionMax).contains(dimension)
        else {
            throw UsageError(
                "--multi-vector is \"\(text)\"; write NAME:DIMENSION, such as tokens:128, with a "
                    + "dimension from 1 to \(Limits.dimensionMax)")
        }
        multiVectors[String(parts[0])] = MultiVectorField(dimension: dimension)
    }

    public mutating func addVector(_ text: String) throws(UsageError) {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        var indexing = VectorIndexing.default
        if parts.count > 1, let last = parts.popLast() {
            let pieces = last.split(
                separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
            parts.append(String(pieces[0]))
            if pieces.count > 1 { indexing = try VectorIndexing(parsing: String(pieces[1])) }
        }
        guard (2...3).contains(parts.count), !parts[0].isEmpty,
            let dimension = Int(parts[1]), (1...Limits.dimensionMax).contains(dimension)
        else {
            throw UsageError(
                "--vector is \"\(text)\"; write NAME:DIMENSION, such as embedding:384, with a "
                    + "dimension from 1 to \(Limits.dimensionMax), then :METRIC and ,OPTION=VALUE")
        }
        let metric = try choice(
            parts.count == 3 ? parts[2] : "cosine", of: Metric.allCases, called: "metric",
            text: \.text)
        vectors[parts[0]] = VectorField(
            dimension: dimension, metric: metric, indexing: indexing)
    }

    /// `NAME[:ANALYZER[:LANGUAGE]][,OPTION=VALUE]…`
    public mutating func addText(_ text: String) throws(UsageError) {
        let pieces = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = pieces[0].split(separator: ":", omittingEmptySubsequences: false)
            .map(String.init)
        guard (1...3).contains(parts.count), !parts[0].isEmpty else {
            throw UsageError(
                "--text is \"\(text)\"; write NAME, NAME:ANALYZER or NAME:ANALYZER:LANGUAGE, "
                    + "then ,OPTION=VALUE")
        }
        let analyzer = try choice(
            parts.count > 1 ? parts[1] : "standard", of: AnalyzerKind.allCases, called: "analyzer",
            text: \.text)
        var field = TextField(
            analyzer: analyzer, language: parts.count > 2 ? parts[2] : TextField.defaultLanguage)
        if pieces.count > 1 { try field.apply(String(pieces[1])) }
        texts[parts[0]] = field
    }

    /// `NAME:TYPE`
    public mutating func addMetadata(_ text: String) throws(UsageError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw UsageError("--field is \"\(text)\"; write NAME:TYPE, such as stars:int64")
        }
        metadata[parts[0]] = try choice(
            parts[1], of: ValueType.allCases, called: "type", text: \.text)
    }
}
