// Indexes of every kind of codes over the same rows.
import KyroIndex
import KyroModel

extension VectorFixture {
    /// The same rows under other options, with codes trained on them where there are enough.
    func recoded(
        _ indexing: VectorIndexing, parameters: GraphParameters
    ) throws -> VectorFixture {
        var copy = self
        var field = index.field
        field.indexing = indexing
        copy.index = VectorIndex(field: field, parameters: parameters, codesOf: index)
        var map = SlotMap()
        for slot in 0..<slotCount { map.append(slot) }
        try copy.index.takeRows(from: index, 0..<index.rowCount, below: slotCount, map: map)
        return copy
    }

    /// Gives the index the graph of all its rows at once.
    func build() -> Bool { bulkGraph().map { index.install($0) } ?? false }
}

/// Rows of a space of few dimensions, where clusters overlap, seen through a linear map into many,
/// plus noise: as models make them.
struct LatentVectors {
    let dimension: Int
    private let centres: [[Float]]
    /// 32 × dimension.
    private let map: [[Float]]
    private let seed: UInt64

    init(dimension: Int, clusterCount: Int = 300, seed: UInt64) {
        self.dimension = dimension
        self.seed = seed
        var numbers = SeededNumbers(seed: seed)
        centres = (0..<clusterCount).map { _ in (0..<32).map { _ in numbers.normal() } }
        map = (0..<32).map { _ in (0..<dimension).map { _ in numbers.normal() / 5.657 } }
    }

    subscript(number: Int) -> [Float] {
        var numbers = SeededNumbers(seed: seed ^ (UInt64(number) &+ 1) &* 0xD1B5_4A32_D192_ED03)
        let centre = centres[numbers.below(centres.count)]
        var row = (0..<dimension).map { _ in 0.2 * numbers.normal() }
        for latent in 0..<32 {
            let value = centre[latent] + numbers.normal()
            for i in 0..<dimension { row[i] += value * map[latent][i] }
        }
        return row
    }
}
