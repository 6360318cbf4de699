// Why a hit ranks where it does, in words.
import KyroCommands
import KyroModel
import Testing

@Suite struct ScoreTextTests {
    private func hit() -> Hit {
        var hit = Hit(id: .number(1), score: 0.8, seq: Sequence(1))
        hit.vector = LegScore(score: 0.5, rank: 2)
        hit.text = LegScore(score: 3, rank: 1)
        var details = ScoreDetails(fused: 1.6, decay: 0.5)
        details.vector = LegContribution(normalised: 0.6, weighted: 0.6)
        details.text = LegContribution(normalised: 0.5, weighted: 1)
        hit.details = details
        return hit
    }

    private func text(_ hit: Hit, takesGreatest: Bool = false) -> String? {
        scoreText(
            of: hit, weights: LegWeights(vector: 1, text: 2), takesGreatest: takesGreatest,
            isLone: false)
    }

    @Test func aSumIsWrittenOut() {
        #expect(
            text(hit())
                == "0.800000 = (1 × 0.600000 vector (0.500000, rank 2) + 2 × 0.500000 text "
                + "(3.000000, rank 1)) × 0.500000 age")
    }

    @Test func aFormulaTakesTheSumAsItsScore() {
        var formed = hit()
        formed.details?.decay = 1
        formed.details?.text = nil
        formed.details?.formula = 7
        #expect(
            text(formed, takesGreatest: true)
                == "7.000000 = formula where score 1.600000 = max(1 × 0.600000 vector (0.500000, "
                + "rank 2))")
    }

    @Test func withoutDetailsNothingIsSaid() {
        #expect(text(Hit(id: .number(1), score: 1, seq: Sequence(1))) == nil)
    }

    @Test func aFormulaWithoutAResultIsSaidToBeLast() {
        var missing = hit()
        missing.score = -Double.greatestFiniteMagnitude
        #expect(text(missing)?.hasPrefix("last, since its formula is missing") == true)
    }

    @Test func countsOfCandidatesAreRead() throws {
        #expect(
            try LegCandidates(parsing: "vector=200,text=5") == LegCandidates(vector: 200, text: 5))
        for wrong in ["", "vector", "vector=0", "vector=-1", "words=3", "vector=1,"] {
            #expect(throws: UsageError.self) { _ = try LegCandidates(parsing: wrong) }
        }
    }
}
