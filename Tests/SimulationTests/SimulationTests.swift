// A few seeds in the unit tests, and the promise that a seed is a run. `make test` runs more.
import KyroSimulation
import Testing

@Suite struct SimulationTests {
    @Test("What the engine holds is what the model allows", arguments: 0..<20 as Range<UInt64>)
    func seedPasses(seed: UInt64) {
        let report = simulate(seed: seed)
        #expect(report.violation == nil, "seed \(seed): kyro-simulator --seed \(seed) --trace")
        #expect(report.operations >= 500)
        #expect(report.crashes >= 3)
    }

    @Test("A seed is the same run every time", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func seedReproduces(seed: UInt64) {
        #expect(simulate(seed: seed).hash == simulate(seed: seed).hash, "seed \(seed)")
    }
}
