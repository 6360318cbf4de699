// What a command says of the recall of an answer.
import KyroCommands
import KyroModel
import Testing

@Suite struct RecallTextTests {
    @Test(
        "An exact answer is called so, and is not one of which nothing is known",
        arguments: [
            (
                RecallEstimate(target: 1, mean: 1, worstDecile: 1, samples: 0),
                "recall 1.000 asked: exact"
            ),
            (
                RecallEstimate(target: 0.97, mean: 0, worstDecile: 0, samples: 0, efSearch: 580),
                "recall 0.970 asked, ef 580; nothing is known yet of what it reaches"
            ),
            (
                RecallEstimate(
                    target: 0.97, mean: 0.975, worstDecile: 0.8, samples: 192, probes: 1_058),
                "recall 0.970 asked, 1,058 lists; estimated mean 0.975, worst tenth 0.800, from "
                    + "192 queries"
            ),
            (
                RecallEstimate(target: 0.99, mean: 0.998, worstDecile: 0.98, samples: 48),
                "recall 0.990 asked, scan of the codes; estimated mean 0.998, worst tenth 0.980, "
                    + "from 48 queries"
            ),
        ])
    func text(estimate: RecallEstimate, expected: String) {
        #expect(estimate.text == expected)
    }
}
