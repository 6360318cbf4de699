// Synthetic vectors as models make them: clusters in a space of few dimensions, seen through a linear
// map into many, plus noise. Row and query follow from their number and the seed alone.
import Glibc

struct LatentClusters: Sendable {
    static let latentDimension = 32
    static let clusterCount = 1_000
    /// Standard deviation of a row around its centre, whose components have 1: clusters overlap.
    static let spread: Float = 1
    /// Standard deviation of each component's noise; without it a component has about 1.2.
    static let noise: Float = 0.2

    let dimension: Int
    let seed: UInt64
    /// `clusterCount` × `latentDimension`.
    private let centres: [Float]
    /// `latentDimension` × `dimension`; columns of length about 1.
    private let map: [Float]

    init(dimension: Int, seed: UInt64) {
        self.dimension = dimension
        self.seed = seed
        var chance = Chance(seed)
        centres = (0..<(Self.clusterCount * Self.latentDimension)).map { _ in chance.normal() }
        let scale = 1 / Float(Self.latentDimension).squareRoot()
        map = (0..<(Self.latentDimension * dimension)).map { _ in scale * chance.normal() }
    }

    /// - Parameter row: `dimension` floats.
    func write(_ number: Int, to row: UnsafeMutablePointer<Float>) {
        var chance = Chance(seed ^ (UInt64(number) &+ 1) &* 0xD1B5_4A32_D192_ED03)
        addNoise(&chance, to: row)
        let centre = chance.below(Self.clusterCount) * Self.latentDimension
        map.withUnsafeBufferPointer { map in
            guard let map = map.baseAddress else { return }
            for latent in 0..<Self.latentDimension {
                let value = centres[centre + latent] + Self.spread * chance.normal()
                let column = map + latent * dimension
                for i in 0..<dimension { row[i] += value * column[i] }
            }
        }
    }

    /// Uniform, of the wanted deviation: sixteen bits a component.
    private func addNoise(_ chance: inout Chance, to row: UnsafeMutablePointer<Float>) {
        let scale = Self.noise * Float(12).squareRoot() / 65_536
        var word: UInt64 = 0
        for i in 0..<dimension {
            if i & 3 == 0 { word = chance.next() }
            row[i] = scale * Float(Int16(truncatingIfNeeded: word))
            word >>= 16
        }
    }
}

extension Chance {
    /// Uniform in (0, 1].
    private mutating func unit() -> Double { Double((next() >> 11) + 1) * 0x1p-53 }

    /// Standard normal (Box & Muller 1958).
    mutating func normal() -> Float {
        let radius = (-2 * log(unit())).squareRoot()
        return Float(radius * cos(2 * .pi * unit()))
    }
}
