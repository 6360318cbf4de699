// Learning how a collection fuses the legs of its searches: judged queries go in, a version of fusion
// weights comes out, and every version tells what it was measured to be worth.

/// How relevant a document is to a query.
public struct Judgement: Equatable, Sendable {
    public var id: DocumentID
    /// The document's gain, 0 for none.
    public var grade: Double

    public init(id: DocumentID, grade: Double) {
        self.id = id
        self.grade = grade
    }
}

/// A query whose answers are known.
public struct JudgedQuery: Equatable, Sendable {
    public var vector: VectorQuery?
    public var sparse: SparseQuery?
    public var text: TextQuery?
    public var filter: Filter?
    public var timeRange: TimeRange?
    /// Documents that are not judged have a gain of 0.
    public var judgements: [Judgement]

    public init(judgements: [Judgement] = []) { self.judgements = judgements }
}

/// What is to be learnt, before the queries come.
public struct TuneStart: Equatable, Sendable {
    public var scope: Scope
    /// Parts that the queries are divided into; zero for the default.
    public var folds: UInt32 = 0
    /// Of each leg; zero for the default.
    public var candidates: UInt32 = 0
    public var minSeq: Sequence = .zero
    /// Measures, and keeps nothing.
    public var isDryRun = false

    public init(scope: Scope) { self.scope = scope }
}

/// A message of the caller's: the start first, then queries.
public enum TuneRequest: Equatable, Sendable {
    case start(TuneStart)
    case query(JudgedQuery)
}

public struct TuneProgress: Equatable, Sendable {
    /// Searched so far.
    public var queries: UInt64
    /// Of the fit, which begins when all queries have come.
    public var fitPercent: UInt32

    public init(queries: UInt64 = 0, fitPercent: UInt32 = 0) {
        self.queries = queries
        self.fitPercent = fitPercent
    }
}

public struct TuneOutcome: Equatable, Sendable {
    /// Of the tuning that holds the fusion from now on; zero for a dry run.
    public var version: UInt32
    public var fusion: LearnedFusion

    public init(version: UInt32, fusion: LearnedFusion) {
        self.version = version
        self.fusion = fusion
    }
}

/// A message of the server's: progress while it works, the outcome at the end.
public enum TuneResponse: Equatable, Sendable {
    case progress(TuneProgress)
    case outcome(TuneOutcome)
}

/// Legs that are fused, with the fields that they search.
public struct LegCombination: Equatable, Sendable {
    /// Nil where there is no such leg.
    public var vectorField: String?
    public var sparseField: String?
    /// Sorted, each once; empty for every text field, nil where there is no such leg.
    public var textFields: [String]?

    public init(
        vectorField: String? = nil, sparseField: String? = nil, textFields: [String]? = nil
    ) {
        self.vectorField = vectorField
        self.sparseField = sparseField
        self.textFields = textFields
    }
}

/// What the figures spoke for. The raw values are those of `kyrodb.v2.TuningChoice`.
public enum TuningChoice: UInt8, Sendable, CaseIterable {
    /// The fitted weights.
    case tuned = 0
    /// The leg that does best alone; the others order only what it does not find.
    case bestLeg = 1
    /// One for each leg, as if nothing had been learnt.
    case defaults = 2
}

/// Means of nDCG@10, all over the same queries; zero for a leg that is not there.
public struct TuningFigures: Equatable, Sendable {
    /// Of weights that were fitted to other queries.
    public var tuned = 0.0
    public var defaults = 0.0
    public var vector = 0.0
    public var sparse = 0.0
    public var text = 0.0

    public init() {}
}

/// One part of the queries, and the fusion fitted to all others.
public struct TuningFold: Equatable, Sendable {
    public var queryCount: UInt32
    public var figures: TuningFigures
    public var fusion: Fusion

    public init(queryCount: UInt32, figures: TuningFigures, fusion: Fusion) {
        self.queryCount = queryCount
        self.figures = figures
        self.fusion = fusion
    }
}

/// How one combination of legs is fused where a search does not say.
public struct LearnedFusion: Equatable, Sendable {
    public var legs: LegCombination
    public var choice: TuningChoice
    public var fusion: Fusion
    public var queryCount: UInt32
    /// Over all queries, each in the fold that was not trained on it.
    public var figures = TuningFigures()
    public var folds: [TuningFold] = []
    /// Why this choice, in words.
    public var reason = ""
    /// Unix milliseconds.
    public var timeMillis: Int64 = 0

    public init(
        legs: LegCombination, choice: TuningChoice, fusion: Fusion, queryCount: UInt32
    ) {
        self.legs = legs
        self.choice = choice
        self.fusion = fusion
        self.queryCount = queryCount
    }
}

/// One version of all that a collection has learnt.
public struct Tuning: Equatable, Sendable {
    /// From 1, never given out twice in a collection.
    public var version: UInt32
    /// One for each combination of legs.
    public var fusions: [LearnedFusion]

    public init(version: UInt32, fusions: [LearnedFusion]) {
        self.version = version
        self.fusions = fusions
    }

    public func fusion(of legs: LegCombination) -> LearnedFusion? {
        fusions.first { $0.legs == legs }
    }
}

/// Versions of a collection's tuning, and which of them searches go by.
public struct TuningHistory: Equatable, Sendable {
    /// Zero where none is active.
    public private(set) var activeVersion: UInt32
    /// Ascending, the latest and the active one among them.
    public private(set) var versions: [Tuning]
    /// Of the next version.
    public private(set) var nextVersion: UInt32

    public init() {
        activeVersion = 0
        versions = []
        nextVersion = 1
    }

    /// - Returns: nil where the versions are not in order, or the active one is not there.
    public init?(activeVersion: UInt32, nextVersion: UInt32, versions: [Tuning]) {
        guard versions.count <= Limits.tuningsMax,
            zip(versions, versions.dropFirst()).allSatisfy({ $0.version < $1.version }),
            (versions.first?.version ?? 1) > 0, (versions.last?.version ?? 0) < nextVersion,
            activeVersion == 0 || versions.contains(where: { $0.version == activeVersion })
        else { return nil }
        self.activeVersion = activeVersion
        self.nextVersion = nextVersion
        self.versions = versions
    }

    public var active: Tuning? { versions.last { $0.version == activeVersion } }

    /// A new version: the active one with this fusion in the place of that of the same legs. Beyond
    /// `Limits.tuningsMax` the oldest version goes that is not active; so does, beyond
    /// `Limits.tunedCombinationsMax`, the fusion that was learnt first.
    public mutating func add(_ fusion: LearnedFusion) {
        var fusions = (active?.fusions ?? []).filter { $0.legs != fusion.legs }
        if fusions.count >= Limits.tunedCombinationsMax { fusions.removeFirst() }
        fusions.append(fusion)
        versions.append(Tuning(version: nextVersion, fusions: fusions))
        activeVersion = nextVersion
        nextVersion += 1
        if versions.count > Limits.tuningsMax { versions.removeFirst() }
    }

    /// - Parameter version: zero for none.
    /// - Returns: false where there is no such version.
    public mutating func rollBack(to version: UInt32) -> Bool {
        guard version == 0 || versions.contains(where: { $0.version == version }) else {
            return false
        }
        activeVersion = version
        return true
    }
}

public struct RollBackTuningRequest: Equatable, Sendable {
    public var scope: Scope
    /// Zero for none: searches are fused as if nothing had been learnt.
    public var version: UInt32

    public init(scope: Scope, version: UInt32) {
        self.scope = scope
        self.version = version
    }
}

public struct RollBackTuningResponse: Equatable, Sendable {
    /// Zero for none.
    public var version: UInt32

    public init(version: UInt32) { self.version = version }
}
