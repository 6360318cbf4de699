// Ids and names are bytes: what looks alike need not be the same.
import KyroModel
import Testing

@Suite struct IdentityTests {
    static let precomposed = "caf\u{E9}"
    static let decomposed = "cafe\u{301}"

    @Test func numbersSortBeforeTextsAndTextsByTheirBytes() {
        let sorted: [DocumentID] = [
            .number(0), .number(7), .number(.max), .text(""), .text("10"), .text("7"), .text("a"),
            .text(Self.decomposed), .text(Self.precomposed),
        ]
        #expect(sorted.shuffled().sorted() == sorted)
    }

    @Test func aNumberIsNotTheTextOfItsDigits() {
        #expect(DocumentID.number(7) != .text("7"))
        #expect(Set([DocumentID.number(7), .text("7")]).count == 2)
    }

    @Test func twoSpellingsOfOneCharacterAreTwoIds() {
        #expect(Self.precomposed == Self.decomposed)
        #expect(DocumentID.text(Self.precomposed) != .text(Self.decomposed))
        #expect(Scope(namespace: Self.precomposed) != Scope(namespace: Self.decomposed))
        #expect(Set([DocumentID.text(Self.precomposed), .text(Self.decomposed)]).count == 2)
    }

    @Test func anEmptyTenantIsTheDefaultOne() {
        #expect(Scope(tenant: "", namespace: "n") == Scope(namespace: "n"))
        #expect(Scope(tenant: "", namespace: "n").tenant == "default")
    }
}

@Suite struct FieldMapTests {
    @Test func fieldsAreKeptByTheBytesOfTheirNames() {
        var map: FieldMap<Int> = [:]
        let names = ["b", "a", "ab", "", IdentityTests.precomposed, IdentityTests.decomposed]
        for (value, name) in names.enumerated() { map[name] = value }
        #expect(map.count == names.count)
        for (value, name) in names.enumerated() { #expect(map[name] == value) }
        #expect(
            map.names.map { Array($0.utf8) }
                == names.map { Array($0.utf8) }.sorted {
                    $0.lexicographicallyPrecedes($1)
                })
    }

    @Test func theLastValueOfAFieldStays() {
        var map: FieldMap<Int> = ["x": 1, "y": 2]
        map["x"] = 3
        #expect(map["x"] == 3 && map.count == 2)
        map["x"] = nil
        map["absent"] = nil
        #expect(map["x"] == nil && map.names == ["y"])
    }

    @Test func theOrderOfSettingDoesNotMatter() {
        var forwards: FieldMap<Int> = [:]
        var backwards: FieldMap<Int> = [:]
        for value in 0..<50 { forwards["f\(value)"] = value }
        for value in (0..<50).reversed() { backwards["f\(value)"] = value }
        #expect(forwards == backwards)
    }
}
