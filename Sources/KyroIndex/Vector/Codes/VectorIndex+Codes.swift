// What stands for the rows of an index, and when that should be made anew.
import KyroBytes
import KyroModel
import Synchronization

extension VectorIndex {
    /// The codes that there are: of product quantisation only once there were rows to train it with,
    /// and until then a byte a dimension.
    public var codes: VectorCodes { VectorCodes(rawValue: rows.codes.model.kind.rawValue) ?? .sq8 }

    /// The codes that a field asks for; never `automatic`.
    public static func codes(of field: VectorField) -> VectorCodes {
        VectorCodes(rawValue: CodeKind(field).rawValue) ?? .sq8
    }

    /// What a field whose rows stay in the snapshot keeps of them in memory: codes and their terms, for
    /// each byte of its rows in the file.
    public static func codeShare(of field: VectorField) -> Double {
        let kind = CodeKind(field)
        guard kind != .floats, field.dimension > 0 else { return 1 }
        let row = field.dimension * (field.indexing.rerank == .bf16 ? 2 : 4)
        return min(1, Double(kind.byteCount(dimension: field.dimension) + 8) / Double(row))
    }

    /// Zero while the codes are not made for these rows; one more with each training.
    public var codesVersion: UInt32 { rows.codes.model.version }

    /// Whether codes that are trained on the rows as they are now would be clearly better: an index
    /// made with `init(field:parameters:codesOf:)` has them. Looks at a sample, some milliseconds
    /// long, when there are a quarter more rows than when it last did, and remembers what it saw.
    /// Any thread.
    public var codesNeedTraining: Bool {
        let wanted = CodeKind(field)
        let rowCount = rows.count
        guard wanted.isTrained, rowCount >= CodeModel.sampleMin else { return false }
        if rows.codes.model.kind != wanted { return true }
        return codeFit.needsTraining(rowCount: rowCount) {
            rows.codes.model.isOutworn(
                by: rows.sample(CodeModel.measuredRows, rowCount: rowCount))
        }
    }

    /// An empty index of the same shape, with codes made for the rows of another: as they were
    /// there, or trained on a sample of them where that is better. Training takes seconds under
    /// product quantisation, and milliseconds else. Any thread, beside those of the other index.
    ///
    /// - Parameter field: of the same dimension and metric; its options may be others.
    public convenience init(
        field: VectorField, parameters: GraphParameters, codesOf other: VectorIndex
    ) {
        precondition(
            field.dimension == other.field.dimension && field.metric == other.field.metric,
            "\(field) for \(other.field)")
        let wanted = CodeKind(field)
        let old = other.rows.codes.model
        let rowCount = other.rows.count
        let isDue =
            old.kind == wanted ? other.codesNeedTraining : rowCount >= CodeModel.sampleMin
        let model: CodeModel
        let sample =
            wanted.isTrained && isDue
            ? other.rows.sample(CodeModel.sampleMin, rowCount: rowCount) : nil
        if let sample, sample.count > 0 {
            model = CodeModel(
                kind: wanted, field: field, version: old.version &+ 1, trainedOn: sample,
                measured: other.rows.sample(CodeModel.measuredRows, rowCount: rowCount))
        } else if old.kind == wanted || wanted == .pq && old.kind == .sq8 {
            model = old
        } else {
            model = CodeModel(untrained: field)
        }
        let rows = VectorRows(field: field, model: model)
        self.init(
            field: field, parameters: parameters, rows: rows,
            graph: VectorGraph(rows: rows, parameters: parameters))
    }
}

/// What was last seen of how well codes fit. Races between callers look once too often.
final class CodeFit: Sendable {
    private let rowCount = Atomic<Int>(0)
    private let isOutworn = Atomic<Bool>(false)

    func needsTraining(rowCount now: Int, look: () -> Bool) -> Bool {
        let last = rowCount.load(ordering: .relaxed)
        if last > 0, now < last + last / 4 { return isOutworn.load(ordering: .relaxed) }
        let seen = look()
        isOutworn.store(seen, ordering: .relaxed)
        rowCount.store(now, ordering: .relaxed)
        return seen
    }
}
