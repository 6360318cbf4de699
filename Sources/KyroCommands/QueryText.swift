// Vectors and weights as options give them.
import KyroModel

public enum VectorSource {
    private static let fileBytesMax = 16 << 20

    /// A JSON list of numbers; `-` for one on standard input; or a file: row `row` of an .npy, else
    /// a JSON list.
    public static func read(_ source: String, row: Int) throws(InputError) -> [Float] {
        if source.hasPrefix("[") { return try floats(Array(source.utf8), of: "--vector") }
        if source.hasSuffix(".npy") {
            let file = try NPYFile(path: source)
            guard row < file.header.rowCount else {
                throw InputError(
                    "\(source) has rows 0 to \(file.header.rowCount - 1), not a row \(row)")
            }
            return try file.row(row)
        }
        return try floats(try text(of: source), of: name(of: source))
    }

    /// A JSON list of lists of numbers; `-` for one on standard input; or a file: all rows of an
    /// .npy, else a JSON list.
    public static func multi(_ source: String) throws(InputError) -> MultiVector {
        if source.hasPrefix("[") {
            return try MultiVector(parsing: Array(source.utf8), of: "--rescore")
        }
        if source.hasSuffix(".npy") {
            let file = try NPYFile(path: source)
            guard file.header.rowCount <= Limits.rescoreRowsMax else {
                throw InputError(
                    "\(source) has \(file.header.rowCount) rows; the limit is "
                        + "\(Limits.rescoreRowsMax)")
            }
            var vector = MultiVector(dimension: file.header.dimension, values: [])
            for row in 0..<file.header.rowCount { vector.values += try file.row(row) }
            return vector
        }
        return try MultiVector(parsing: try text(of: source), of: name(of: source))
    }

    private static func name(of source: String) -> String {
        source == "-" ? "standard input" : source
    }

    private static func text(of source: String) throws(InputError) -> [UInt8] {
        let file = try InputFile(path: source)
        var bytes: [UInt8] = []
        while true {
            let block = try file.read(countMax: 1 << 16)
            if block.isEmpty { break }
            bytes.append(contentsOf: block)
            guard bytes.count <= fileBytesMax else {
                throw InputError("\(source) is longer than \(fileBytesMax >> 20) MiB")
            }
        }
        return bytes
    }

    private static func floats(_ bytes: [UInt8], of source: String) throws(InputError) -> [Float] {
        let json: JSON
        do {
            json = try JSON(parsing: bytes)
        } catch {
            throw InputError("\(source) is no JSON list of numbers: \(error)")
        }
        return try LineMapping.floats(json, of: source)
    }

    /// `{"indices": […], "values": […]}`
    public static func sparse(_ text: String) throws(InputError) -> SparseVector {
        do {
            return try LineMapping.sparse(JSON(parsing: text), of: "--sparse")
        } catch let error as JSONError {
            throw InputError("--sparse is no JSON: \(error)")
        } catch let error as InputError {
            throw error
        } catch {
            throw InputError("--sparse: \(error)")
        }
    }
}

extension LegWeights {
    /// `vector=1,text=0.5`: legs that are not named weigh 1.
    public init(parsing text: String) throws(UsageError) {
        self.init()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: "=", omittingEmptySubsequences: false)
            guard pair.count == 2, let weight = Double(pair[1]), weight.isFinite, weight >= 0 else {
                throw UsageError(
                    "--weights: \"\(part)\" is no weight; write vector=1,sparse=1,text=0.5")
            }
            switch pair[0] {
            case "vector": vector = weight
            case "sparse": sparse = weight
            case "text": self.text = weight
            default:
                throw UsageError(
                    "--weights: \"\(pair[0])\" is no leg; legs are vector, sparse and text")
            }
        }
    }
}

extension FieldMap<Double> {
    /// `title=3,body=1`: fields that are not named weigh 1.
    public init(parsingBoosts text: String) throws(UsageError) {
        self.init()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let split = part.lastIndex(of: "="), split > part.startIndex,
                let boost = Double(part[part.index(after: split)...]),
                boost >= 0, boost <= Limits.boostMax
            else {
                throw UsageError(
                    "--boosts: \"\(part)\" is no weight of a field; write title=3,body=1")
            }
            self[String(part[..<split])] = boost
        }
    }
}

extension LegCandidates {
    /// `vector=200,text=50`: legs that are not named take what the search says.
    public init(parsing text: String) throws(UsageError) {
        self.init()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: "=", omittingEmptySubsequences: false)
            guard pair.count == 2, let count = UInt32(pair[1]), count > 0 else {
                throw UsageError(
                    "--leg-candidates: \"\(part)\" is no count; write vector=200,sparse=50,text=100"
                )
            }
            switch pair[0] {
            case "vector": vector = count
            case "sparse": sparse = count
            case "text": self.text = count
            default:
                throw UsageError(
                    "--leg-candidates: \"\(pair[0])\" is no leg; legs are vector, sparse and text")
            }
        }
    }
}

/// Names of options that choose.
public enum FusionName: String, CaseIterable, Sendable {
    case weighted, rrf, max

    public var method: FusionMethod {
        switch self {
        case .weighted: .weighted
        case .rrf: .rrf
        case .max: .max
        }
    }
}

public enum NormalisationName: String, CaseIterable, Sendable {
    case minMax = "min-max"
    case zScore = "z-score"
    case distribution

    public var normalisation: ScoreNormalisation {
        switch self {
        case .minMax: .minMax
        case .zScore: .zScore
        case .distribution: .distribution
        }
    }
}

public enum DecayShapeName: String, CaseIterable, Sendable {
    case exponential, linear, gauss

    public var shape: DecayShape {
        switch self {
        case .exponential: .exponential
        case .linear: .linear
        case .gauss: .gauss
        }
    }
}

public enum MissingGroupName: String, CaseIterable, Sendable {
    case alone, together, dropped

    public var missing: MissingGroup {
        switch self {
        case .alone: .alone
        case .together: .together
        case .dropped: .dropped
        }
    }
}
