// Models from samples of rows, and how well a model still fits.
import CKernels
import KyroBytes
import KyroModel

/// Rows drawn from an index: count × dimension, one behind the other.
@safe struct CodeSample: Sendable {
    let dimension: Int
    let count: Int
    let rows: BulkArray<Float>

    @unsafe func row(_ i: Int) -> UnsafeMutablePointer<Float> {
        unsafe rows.pointer + i * dimension
    }
}

extension VectorRows {
    /// So many of the first `rowCount` rows, or all of them: one of each stretch, by a fixed seed.
    /// None where they are in a file that cannot be read.
    func sample(_ wanted: Int, rowCount: Int) -> CodeSample {
        let count = min(wanted, rowCount)
        let taken = BulkArray<Float>(repeating: 0, count: count * dimension)
        let scratch = RowScratch()
        var list: [UInt32] = []
        for i in 0..<count {
            let (first, end) = (i * rowCount / count, (i + 1) * rowCount / count)
            let row = first + Int(mix64(CodeModel.seed ^ UInt64(i)) % UInt64(end - first))
            list.append(UInt32(row))
            guard list.count == RowScratch.rowsMax || i == count - 1 else { continue }
            let into = unsafe taken.pointer + (i + 1 - list.count) * dimension
            do throws(KyroError) {
                try unsafe load(list, into: into, scratch: scratch)
            } catch {
                return CodeSample(dimension: dimension, count: 0, rows: taken)
            }
            list = []
        }
        return CodeSample(dimension: dimension, count: count, rows: taken)
    }
}

extension CodeModel {
    /// Rows that a model is made from: 40 for each centroid.
    static let sampleMin = 10_000
    private static let roundCount = 10
    /// Rows that show how well a model fits.
    static let measuredRows = 1_000

    /// - Parameter measured: the rows that `isOutworn` would be shown. With any others a few rows of
    ///   great length, met by the one look and not by the other, would pass for a change.
    /// - Precondition: the kind is one that is trained, and the sample is not empty.
    convenience init(
        kind: CodeKind, field: VectorField, version: UInt32, trainedOn sample: CodeSample,
        measured: CodeSample
    ) {
        precondition(kind.isTrained && sample.count > 0, "\(kind) of \(sample.count) rows")
        if kind == .pq {
            let quantiser = ProductQuantiser(
                trainedOn: sample, metric: field.metric, rounds: Self.roundCount)
            self.init(
                kind: kind, field: field, version: version, quantiser: quantiser,
                trainedError: quantiser.error(measured, metric: field.metric))
        } else {
            let mean = Self.mean(sample, metric: field.metric)
            self.init(kind: kind, field: field, version: version, centre: mean.map(finite))
        }
    }

    /// Whether codes of a new model would be clearly better for rows like these: a quarter less to
    /// be encoded, or where the codebooks were once half as far from their rows.
    func isOutworn(by sample: CodeSample) -> Bool {
        guard sample.count > 0 else { return false }
        if let quantiser {
            let error = quantiser.error(sample, metric: metric)
            return error > 1.5 * trainedError + 1e-12
        }
        guard kind.isRotated else { return false }
        let mean = Self.mean(sample, metric: metric)
        var fromMean = 0.0
        var fromCentre = 0.0
        for i in 0..<sample.count {
            let row = unsafe sample.row(i)
            let scale = unsafe Self.scale(row, dimension, metric)
            for d in 0..<dimension {
                let value = unsafe Double(row[d]) * scale
                let (a, b) = (value - mean[d], value - Double(centre[d]))
                fromMean += a * a
                fromCentre += b * b
            }
        }
        return fromCentre > 1.25 * fromMean && fromMean > 0
    }

    /// What a row is multiplied with to be what a model encodes.
    static func scale(
        _ row: UnsafePointer<Float>, _ dimension: Int, _ metric: Metric
    ) -> Double {
        guard metric == .cosine else { return 1 }
        let square = unsafe kyro_dot_f32(row, row, dimension)
        return square > 0 ? 1 / square.squareRoot() : 0
    }

    private static func mean(_ sample: CodeSample, metric: Metric) -> [Double] {
        var sums = [Double](repeating: 0, count: sample.dimension)
        for i in 0..<sample.count {
            let row = unsafe sample.row(i)
            let scale = unsafe scale(row, sample.dimension, metric) / Double(sample.count)
            for d in 0..<sample.dimension { sums[d] += unsafe Double(row[d]) * scale }
        }
        return sums
    }
}

extension ProductQuantiser {
    /// k-means in each group (Lloyd 1982), from rows of the sample.
    convenience init(trainedOn sample: CodeSample, metric: Metric, rounds: Int) {
        let dimension = sample.dimension
        var scale = 1.0
        if metric != .cosine {
            var square = 0.0
            for i in 0..<sample.count {
                let row = unsafe sample.row(i)
                square += unsafe kyro_dot_f32(row, row, dimension) / Double(sample.count)
            }
            scale = square > 0 ? 1 / square.squareRoot() : 1
        }
        self.init(
            dimension: dimension, scale: scale,
            codebook: BulkArray(repeating: 0, count: Self.centroidCount * dimension))
        let placed = BulkArray<Float>(repeating: 0, count: sample.count * dimension)
        for i in 0..<sample.count {
            let row = unsafe sample.row(i)
            let own = unsafe metric == .cosine ? CodeModel.scale(row, dimension, metric) : scale
            unsafe place(row, scale: own, into: placed.pointer + i * dimension)
        }
        for group in 0..<groupCount { train(group, placed, count: sample.count, rounds: rounds) }
    }

    private func train(_ group: Int, _ rows: BulkArray<Float>, count: Int, rounds: Int) {
        let range = dimensions(group)
        let k = Self.centroidCount
        for c in 0..<k {
            setCentroid(c, range, rows, Int(mix64(UInt64(group << 8 | c)) % UInt64(count)))
        }
        setHalves(group)
        var members = [Int](repeating: 0, count: k)
        var sums = [Double](repeating: 0, count: k * range.count)
        for round in 0..<rounds {
            for i in 0..<k { members[i] = 0 }
            for i in 0..<sums.count { sums[i] = 0 }
            for i in 0..<count {
                let c = Int(unsafe nearest(group, rows.pointer + i * dimension))
                members[c] += 1
                for (j, d) in range.enumerated() {
                    sums[c * range.count + j] += Double(rows[i * dimension + d])
                }
            }
            for c in 0..<k {
                if members[c] == 0 {
                    // Nobody's: to some row, unless it is the last round's.
                    let key = UInt64(round << 32 | group << 8 | c) ^ CodeModel.seed
                    setCentroid(c, range, rows, Int(mix64(key) % UInt64(count)))
                    continue
                }
                for (j, d) in range.enumerated() {
                    codebook[k * d + c] = Float(sums[c * range.count + j] / Double(members[c]))
                }
            }
            setHalves(group)
        }
    }

    private func setCentroid(
        _ c: Int, _ range: Range<Int>, _ rows: BulkArray<Float>, _ row: Int
    ) {
        for d in range { codebook[Self.centroidCount * d + c] = rows[row * dimension + d] }
    }

    /// Mean squared distance of rows from what their codes stand for, in the quantiser's scale.
    func error(_ sample: CodeSample, metric: Metric) -> Double {
        let y = BulkArray<Float>(repeating: 0, count: dimension)
        let decoded = BulkArray<Float>(repeating: 0, count: dimension)
        let codes = BulkArray<UInt8>(repeating: 0, count: groupCount)
        var total = 0.0
        for i in 0..<sample.count {
            let row = unsafe sample.row(i)
            let own = unsafe metric == .cosine ? CodeModel.scale(row, dimension, metric) : scale
            unsafe place(row, scale: own, into: y.pointer)
            for group in 0..<groupCount { codes[group] = unsafe nearest(group, y.pointer) }
            unsafe decode(codes.pointer, into: decoded.pointer)
            total += unsafe kyro_l2sq_f32(y.pointer, decoded.pointer, dimension)
        }
        return total / Double(max(1, sample.count))
    }
}
