// Weights of text fields as an option gives them.
import KyroCommands
import KyroModel
import Testing

@Suite struct BoostTextTests {
    @Test func fieldsAreNamedByWhatStandsBeforeTheLastSign() throws {
        let boosts = try FieldMap(parsingBoosts: "title=3,a=b=0.5,body=0")
        #expect(boosts == ["title": 3, "a=b": 0.5, "body": 0])
    }

    @Test(arguments: ["", "title", "title=", "=3", "title=x", "title=-1", "title=nan", "title=1e7"])
    func whatIsNoWeightIsRefused(text: String) {
        #expect(throws: UsageError.self) { try FieldMap(parsingBoosts: text) }
    }
}
