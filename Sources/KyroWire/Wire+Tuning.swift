// tuning.proto, first part: what a caller sends.
import KyroModel

// MARK: JudgedQuery

struct JudgementDraft: WireDraft {
    var id = DocumentIDDraft()
    var grade = 0.0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("id", into: &id)
        case (2, .fixed64): grade = try reader.double("grade")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Judgement {
        Judgement(id: try id.finish("id"), grade: grade)
    }
}

extension Judgement: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, id)
        sink.double(2, grade)
    }
}

struct JudgedQueryDraft: WireDraft {
    var vector: VectorQueryDraft?
    var sparse: SparseQueryDraft?
    var text: TextQueryDraft?
    var filter: FilterDraft?
    var timeRange: TimeRange?
    var judgements: [JudgementDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("vector", into: &vector)
        case (2, .bytes): try reader.message("sparse", into: &sparse)
        case (3, .bytes): try reader.message("text", into: &text)
        case (4, .bytes): try reader.message("filter", into: &filter)
        case (5, .bytes): try reader.message("time_range", into: &timeRange)
        case (6, .bytes): try reader.message("judgements", appendingTo: &judgements)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> JudgedQuery {
        var query = JudgedQuery(judgements: try finishList(judgements, "judgements"))
        query.vector = try vector?.finish("vector")
        query.sparse = try sparse?.finish("sparse")
        query.text = try text?.finish("text")
        query.filter = try filter?.finish("filter")
        query.timeRange = timeRange
        return query
    }
}

extension JudgedQuery: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, vector)
        sink.message(2, sparse)
        sink.message(3, text)
        sink.message(4, filter)
        sink.message(5, timeRange)
        sink.messages(6, judgements)
    }
}

// MARK: TuneRequest

struct TuneStartDraft: WireDraft {
    var scope = ScopeDraft()
    var folds: UInt32 = 0
    var candidates: UInt32 = 0
    var minSeq: UInt64 = 0
    var isDryRun = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .varint): folds = try reader.uint32("folds")
        case (3, .varint): candidates = try reader.uint32("candidates")
        case (4, .varint): minSeq = try reader.varint("min_seq")
        case (5, .varint): isDryRun = try reader.bool("dry_run")
        default: try reader.skip(field)
        }
    }

    func finish() -> TuneStart {
        var start = TuneStart(scope: scope.finish())
        start.folds = folds
        start.candidates = candidates
        start.minSeq = Sequence(minSeq)
        start.isDryRun = isDryRun
        return start
    }
}

extension TuneStart: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.uint(2, folds)
        sink.uint(3, candidates)
        sink.uint(4, minSeq.raw)
        sink.bool(5, isDryRun)
    }
}

enum TuneRequestDraft: WireDraft {
    case empty
    case start(TuneStartDraft)
    case query(JudgedQueryDraft)

    init() { self = .empty }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var start = TuneStartDraft()
            if case .start(let present) = self { start = present }
            self = .empty
            try reader.message("start", into: &start)
            self = .start(start)
        case (2, .bytes):
            var query = JudgedQueryDraft()
            if case .query(let present) = self { query = present }
            self = .empty
            try reader.message("query", into: &query)
            self = .query(query)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TuneRequest {
        switch self {
        case .empty: throw .invalid(path: "", problem: "is empty: set start or query")
        case .start(let start): .start(start.finish())
        case .query(let query): .query(try query.finish("query"))
        }
    }
}

extension TuneRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> TuneRequest {
        try decodeMessage(TuneRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .start(let start): sink.message(1, start)
        case .query(let query): sink.message(2, query)
        }
    }
}

// MARK: RollBackTuningRequest

struct RollBackTuningRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var version: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .varint): version = try reader.uint32("version")
        default: try reader.skip(field)
        }
    }

    func finish() -> RollBackTuningRequest {
        RollBackTuningRequest(scope: scope.finish(), version: version)
    }
}

extension RollBackTuningRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> RollBackTuningRequest {
        try decodeMessage(RollBackTuningRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.uint(2, version)
    }
}
