// What a collection has learnt, as the catalog keeps it.
//
// A tuning history, little-endian:
//   varint   active version, 0 for none
//   varint   next version
//   varint   count, then versions in rising order: varint version, varint count, learned fusions
//
// A learned fusion:
//   legs     u8: bit 0 vector, 1 sparse, 2 text; string vector field, string sparse field, varint
//            count and names of text fields, each where its bit is set
//   u8       choice
//   fusion, varint queries, figures, u64 Unix milliseconds, string reason
//   varint   count, then folds: varint queries, figures, fusion
//
// Figures are five f64: tuned, defaults, vector, sparse, text. A fusion is u8 method, u8
// normalisation, varint k of reciprocal ranks, and three f64: weights of vector, sparse and text.
import KyroBytes
import KyroModel

extension TuningHistory {
    func encode(into writer: inout ByteWriter) {
        writer.writeVarint(UInt64(activeVersion))
        writer.writeVarint(UInt64(nextVersion))
        writer.writeVarint(UInt64(versions.count))
        for tuning in versions {
            writer.writeVarint(UInt64(tuning.version))
            writer.writeVarint(UInt64(tuning.fusions.count))
            for fusion in tuning.fusions { fusion.encode(into: &writer) }
        }
    }

    static func decode(from reader: inout RecordReader) throws(StoreError) -> TuningHistory {
        let (active, next) = (try reader.varint32(), try reader.varint32())
        var versions: [Tuning] = []
        for _ in 0..<(try reader.count(bytesEach: 2)) {
            let version = try reader.varint32()
            var fusions: [LearnedFusion] = []
            for _ in 0..<(try reader.count(bytesEach: LearnedFusion.byteCountMin)) {
                fusions.append(try LearnedFusion.decode(from: &reader))
            }
            versions.append(Tuning(version: version, fusions: fusions))
        }
        guard
            let history = TuningHistory(
                activeVersion: active, nextVersion: next, versions: versions)
        else {
            throw reader.malformed("tuning \(active) of \(versions.count) up to \(next)")
        }
        return history
    }
}

extension LearnedFusion {
    static let byteCountMin = 80

    fileprivate func encode(into writer: inout ByteWriter) {
        legs.encode(into: &writer)
        writer.writeByte(choice.rawValue)
        fusion.encode(into: &writer)
        writer.writeVarint(UInt64(queryCount))
        figures.encode(into: &writer)
        writer.writeFixed64(UInt64(bitPattern: timeMillis))
        writer.writeString(reason)
        writer.writeVarint(UInt64(folds.count))
        for fold in folds {
            writer.writeVarint(UInt64(fold.queryCount))
            fold.figures.encode(into: &writer)
            fold.fusion.encode(into: &writer)
        }
    }

    fileprivate static func decode(
        from reader: inout RecordReader
    ) throws(StoreError) -> LearnedFusion {
        let legs = try LegCombination.decode(from: &reader)
        let raw = try reader.byte()
        guard let choice = TuningChoice(rawValue: raw) else {
            throw reader.malformed("choice \(raw)")
        }
        let fusion = try Fusion.decode(from: &reader)
        var learned = LearnedFusion(
            legs: legs, choice: choice, fusion: fusion, queryCount: try reader.varint32())
        learned.figures = try TuningFigures.decode(from: &reader)
        learned.timeMillis = Int64(bitPattern: try reader.fixed64())
        learned.reason = try reader.string()
        for _ in 0..<(try reader.count(bytesEach: 68)) {
            let queryCount = try reader.varint32()
            let figures = try TuningFigures.decode(from: &reader)
            learned.folds.append(
                TuningFold(
                    queryCount: queryCount, figures: figures,
                    fusion: try Fusion.decode(from: &reader)))
        }
        return learned
    }
}

extension LegCombination {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.writeByte(
            (vectorField == nil ? 0 : 1) | (sparseField == nil ? 0 : 2)
                | (textFields == nil ? 0 : 4))
        if let vectorField { writer.writeString(vectorField) }
        if let sparseField { writer.writeString(sparseField) }
        if let textFields {
            writer.writeVarint(UInt64(textFields.count))
            for name in textFields { writer.writeString(name) }
        }
    }

    fileprivate static func decode(
        from reader: inout RecordReader
    ) throws(StoreError) -> LegCombination {
        let legs = try reader.byte()
        guard legs < 8 else { throw reader.malformed("legs \(legs)") }
        var combination = LegCombination()
        if legs & 1 != 0 { combination.vectorField = try reader.string() }
        if legs & 2 != 0 { combination.sparseField = try reader.string() }
        if legs & 4 != 0 {
            var names: [String] = []
            for _ in 0..<(try reader.count(bytesEach: 1)) { names.append(try reader.string()) }
            combination.textFields = names
        }
        return combination
    }
}

extension TuningFigures {
    fileprivate func encode(into writer: inout ByteWriter) {
        for value in [tuned, defaults, vector, sparse, text] {
            writer.writeFixed64(value.bitPattern)
        }
    }

    fileprivate static func decode(
        from reader: inout RecordReader
    ) throws(StoreError) -> TuningFigures {
        var figures = TuningFigures()
        figures.tuned = Double(bitPattern: try reader.fixed64())
        figures.defaults = Double(bitPattern: try reader.fixed64())
        figures.vector = Double(bitPattern: try reader.fixed64())
        figures.sparse = Double(bitPattern: try reader.fixed64())
        figures.text = Double(bitPattern: try reader.fixed64())
        return figures
    }
}

extension Fusion {
    fileprivate func encode(into writer: inout ByteWriter) {
        let weights = weights ?? LegWeights()
        writer.writeByte(method.rawValue)
        writer.writeByte(normalisation.rawValue)
        writer.writeVarint(UInt64(rrfK))
        for weight in [weights.vector, weights.sparse, weights.text] {
            writer.writeFixed64(weight.bitPattern)
        }
    }

    /// - Throws: also for weights that a search would refuse: it goes by them unasked.
    fileprivate static func decode(from reader: inout RecordReader) throws(StoreError) -> Fusion {
        let raw = try reader.byte()
        guard let method = FusionMethod(rawValue: raw) else {
            throw reader.malformed("fusion method \(raw)")
        }
        let scale = try reader.byte()
        guard let normalisation = ScoreNormalisation(rawValue: scale) else {
            throw reader.malformed("normalisation \(scale)")
        }
        let rrfK = try reader.varint32()
        let weights = LegWeights(
            vector: Double(bitPattern: try reader.fixed64()),
            sparse: Double(bitPattern: try reader.fixed64()),
            text: Double(bitPattern: try reader.fixed64()))
        guard rrfK <= Limits.rrfKMax,
            [weights.vector, weights.sparse, weights.text].allSatisfy({ $0 >= 0 && $0.isFinite })
        else { throw reader.malformed("fusion k \(rrfK), weights \(weights)") }
        return Fusion(
            method: method, rrfK: rrfK, weights: weights, normalisation: normalisation)
    }
}
