// tuning.proto, second part: what was learnt, and TuneResponse.
import KyroModel

// MARK: LegCombination

/// The names alone, of a message that is there.
struct TextLegFieldsDraft: WireDraft, WireEncodable {
    var names: [String] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): names.append(try reader.string("names"))
        default: try reader.skip(field)
        }
    }

    func finish() -> [String] { names }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.strings(1, names) }
}

struct LegCombinationDraft: WireDraft {
    var vectorField: String?
    var sparseField: String?
    var text: TextLegFieldsDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): vectorField = try reader.string("vector_field")
        case (2, .bytes): sparseField = try reader.string("sparse_field")
        case (3, .bytes): try reader.message("text", into: &text)
        default: try reader.skip(field)
        }
    }

    func finish() -> LegCombination {
        LegCombination(
            vectorField: vectorField, sparseField: sparseField, textFields: text?.finish())
    }
}

extension LegCombination: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        if let vectorField { sink.presentString(1, vectorField) }
        if let sparseField { sink.presentString(2, sparseField) }
        if let textFields { sink.message(3, TextLegFieldsDraft(names: textFields)) }
    }
}

// MARK: LearnedFusion

extension TuningFigures: WireDraft, WireEncodable {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): tuned = try reader.double("tuned")
        case (2, .fixed64): defaults = try reader.double("defaults")
        case (3, .fixed64): vector = try reader.double("vector")
        case (4, .fixed64): sparse = try reader.double("sparse")
        case (5, .fixed64): text = try reader.double("text")
        default: try reader.skip(field)
        }
    }

    func finish() -> TuningFigures { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, tuned)
        sink.double(2, defaults)
        sink.double(3, vector)
        sink.double(4, sparse)
        sink.double(5, text)
    }
}

struct TuningFoldDraft: WireDraft {
    var queryCount: UInt32 = 0
    var figures = TuningFigures()
    var fusion = FusionDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): queryCount = try reader.uint32("queries")
        case (2, .bytes): try reader.message("figures", into: &figures)
        case (3, .bytes): try reader.message("fusion", into: &fusion)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TuningFold {
        TuningFold(
            queryCount: queryCount, figures: figures, fusion: try fusion.finish("fusion"))
    }
}

extension TuningFold: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, queryCount)
        sink.message(2, figures)
        sink.message(3, fusion)
    }
}

struct LearnedFusionDraft: WireDraft {
    var legs = LegCombinationDraft()
    var choice: Int32 = 0
    var fusion = FusionDraft()
    var queryCount: UInt32 = 0
    var figures = TuningFigures()
    var folds: [TuningFoldDraft] = []
    var reason = ""
    var timeMillis: Int64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("legs", into: &legs)
        case (2, .varint): choice = try reader.int32("choice")
        case (3, .bytes): try reader.message("fusion", into: &fusion)
        case (4, .varint): queryCount = try reader.uint32("queries")
        case (5, .bytes): try reader.message("figures", into: &figures)
        case (6, .bytes): try reader.message("folds", appendingTo: &folds)
        case (7, .bytes): reason = try reader.string("reason")
        case (8, .varint): timeMillis = try reader.int64("time_ms")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> LearnedFusion {
        var learned = LearnedFusion(
            legs: legs.finish(),
            choice: try enumValue(choice, "choice", TuningChoice.init(rawValue:)),
            fusion: try fusion.finish("fusion"), queryCount: queryCount)
        learned.figures = figures
        learned.folds = try finishList(folds, "folds")
        learned.reason = reason
        learned.timeMillis = timeMillis
        return learned
    }
}

extension LearnedFusion: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, legs)
        sink.uint(2, UInt32(choice.rawValue))
        sink.message(3, fusion)
        sink.uint(4, queryCount)
        sink.message(5, figures)
        sink.messages(6, folds)
        sink.string(7, reason)
        sink.int(8, timeMillis)
    }
}

struct TuningDraft: WireDraft {
    var version: UInt32 = 0
    var fusions: [LearnedFusionDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): version = try reader.uint32("version")
        case (2, .bytes): try reader.message("fusions", appendingTo: &fusions)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Tuning {
        Tuning(version: version, fusions: try finishList(fusions, "fusions"))
    }
}

extension Tuning: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, version)
        sink.messages(2, fusions)
    }
}

// MARK: TuneResponse

extension TuneProgress: WireDraft, WireEncodable {
    init() { self.init(queries: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): queries = try reader.varint("queries")
        case (2, .varint): fitPercent = try reader.uint32("fit_percent")
        default: try reader.skip(field)
        }
    }

    func finish() -> TuneProgress { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, queries)
        sink.uint(2, fitPercent)
    }
}

struct TuneOutcomeDraft: WireDraft {
    var version: UInt32 = 0
    var fusion = LearnedFusionDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): version = try reader.uint32("version")
        case (2, .bytes): try reader.message("fusion", into: &fusion)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TuneOutcome {
        TuneOutcome(version: version, fusion: try fusion.finish("fusion"))
    }
}

extension TuneOutcome: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, version)
        sink.message(2, fusion)
    }
}

enum TuneResponseDraft: WireDraft {
    case empty
    case progress(TuneProgress)
    case outcome(TuneOutcomeDraft)

    init() { self = .empty }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var progress = TuneProgress()
            if case .progress(let present) = self { progress = present }
            try reader.message("progress", into: &progress)
            self = .progress(progress)
        case (2, .bytes):
            var outcome = TuneOutcomeDraft()
            if case .outcome(let present) = self { outcome = present }
            self = .empty
            try reader.message("outcome", into: &outcome)
            self = .outcome(outcome)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TuneResponse {
        switch self {
        case .empty: throw .invalid(path: "", problem: "is empty: set progress or outcome")
        case .progress(let progress): .progress(progress)
        case .outcome(let outcome): .outcome(try outcome.finish("outcome"))
        }
    }
}

extension TuneResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> TuneResponse {
        try decodeMessage(TuneResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .progress(let progress): sink.message(1, progress)
        case .outcome(let outcome): sink.message(2, outcome)
        }
    }
}

// MARK: RollBackTuningResponse

struct RollBackTuningResponseDraft: WireDraft {
    var version: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): version = try reader.uint32("version")
        default: try reader.skip(field)
        }
    }

    func finish() -> RollBackTuningResponse { RollBackTuningResponse(version: version) }
}

extension RollBackTuningResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> RollBackTuningResponse {
        try decodeMessage(RollBackTuningResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.uint(1, version) }
}
