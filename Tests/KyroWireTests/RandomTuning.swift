// Random messages of tuning.proto.
import KyroModel

extension Random {
    mutating func tuneStart() -> TuneStart {
        var start = TuneStart(scope: scope())
        start.folds = UInt32(below(21))
        start.candidates = UInt32(below(1_001))
        start.minSeq = Sequence(number())
        start.isDryRun = chance()
        return start
    }

    mutating func judgedQuery() -> JudgedQuery {
        let search = search()
        var query = JudgedQuery(
            judgements: list(5) { Judgement(id: $0.id(), grade: $0.double()) })
        query.vector = search.vector
        query.sparse = search.sparse
        query.text = search.text
        query.filter = search.filter
        query.timeRange = search.timeRange
        return query
    }

    mutating func figures() -> TuningFigures {
        var figures = TuningFigures()
        figures.tuned = double()
        figures.defaults = double()
        figures.vector = double()
        figures.sparse = double()
        figures.text = double()
        return figures
    }

    mutating func weightedFusion() -> Fusion {
        Fusion(
            method: chance() ? .weighted : .rrf,
            weights: LegWeights(vector: double(), sparse: double(), text: double()))
    }

    mutating func learnedFusion() -> LearnedFusion {
        let legs = LegCombination(
            vectorField: maybe { $0.text() }, sparseField: maybe { $0.text() },
            textFields: maybe { random in random.list(3) { $0.text() } })
        var learned = LearnedFusion(
            legs: legs, choice: TuningChoice.allCases[below(3)], fusion: weightedFusion(),
            queryCount: UInt32(below(900)))
        learned.figures = figures()
        learned.folds = list(3) {
            TuningFold(
                queryCount: UInt32($0.below(90)), figures: $0.figures(),
                fusion: $0.weightedFusion())
        }
        learned.reason = text()
        learned.timeMillis = signed()
        return learned
    }

    mutating func tuning() -> Tuning {
        Tuning(version: UInt32(below(99)), fusions: list(3) { $0.learnedFusion() })
    }
}
