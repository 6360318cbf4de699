// Protobuf's rules for fields that come again, come otherwise encoded, or are not known.
import KyroModel
import KyroWire
import Testing

@Suite struct MergeTests {
    @Test("The last scalar wins, messages merge")
    func merging() throws {
        let bytes = hex("0a 03 0a 01 61 48 01 48 02 0a 03 12 01 62 12 02 18 05 12 02 12 00")
        let request = try SearchRequest.decode(wire: bytes)
        #expect(request.scope == Scope(tenant: "a", namespace: "b"))
        #expect(request.limit == 2)
        #expect(request.vector == VectorQuery(vector: [], efSearch: 5))
    }

    @Test("A oneof's last member wins, and merges into itself alone")
    func oneofs() throws {
        // strings ["x"], strings ["y"]
        #expect(
            try MetadataValue.decode(wire: hex("32 03 0a 01 78 32 03 0a 01 79"))
                == .strings(["x", "y"]))
        // strings ["x"], int 5, strings ["y"]
        #expect(
            try MetadataValue.decode(wire: hex("32 03 0a 01 78 10 05 32 03 0a 01 79"))
                == .strings(["y"]))
        #expect(try MetadataValue.decode(wire: hex("10 05 4a 00")) == .bools([]))
        // ints and timestamps are different members of one message type
        #expect(
            try MetadataValue.decode(wire: hex("3a 02 08 01 52 02 08 02")) == .timestamps([2]))
        // all_of [exists], all_of [exists], any_of []
        let exists = "0a 04 0a 02 3a 00"
        #expect(
            try Filter.decode(wire: hex(exists + exists))
                == .all([.exists(field: ""), .exists(field: "")]))
        #expect(try Filter.decode(wire: hex(exists + "12 00")) == .any([]))
        // range: greater_than 1 then at_least 2
        #expect(
            try Filter.decode(wire: hex("32 08 12 02 10 01 1a 02 10 02"))
                == .range(
                    field: "", lower: Filter.Bound(.int64(2), isInclusive: true), upper: nil))
    }

    @Test("Repeated scalars come packed or not")
    func packing() throws {
        #expect(
            try MetadataValue.decode(wire: hex("3a 08 08 01 0a 02 02 03 08 04"))
                == .int64s([1, 2, 3, 4]))
        #expect(
            try MetadataValue.decode(wire: hex("4a 06 08 01 0a 02 00 05"))
                == .bools([true, false, true]))
        #expect(
            try MetadataValue.decode(
                wire: hex("42 13 09 00 00 00 00 00 00 f0 3f 0a 08 00 00 00 00 00 00 00 40"))
                == .doubles([1, 2]))
    }

    @Test("A map's last entry wins; a missing key is empty")
    func maps() throws {
        let id = "0a 02 08 01"
        let document = try Document.decode(
            wire: hex(id + "22 06 0a 01 61 12 01 78 22 03 0a 01 61 22 03 12 01 79"))
        #expect(document.texts == ["a": "", "": "y"])
        // Within one entry the value merges.
        let merged = try Document.decode(
            wire: hex(id + "2a 11 0a 01 61 12 05 32 03 0a 01 78 12 05 32 03 0a 01 79"))
        #expect(merged.metadata == ["a": .strings(["x", "y"])])
    }

    @Test("What is not known is skipped, and a known number under another wire type too")
    func unknown() throws {
        let bytes = hex(
            "f8 01 05 f9 01 01 02 03 04 05 06 07 08 fd 01 01 02 03 04 fa 01 02 61 62"
                + "fb 01 08 01 13 14 fc 01 4a 01 61 49 01 02 03 04 05 06 07 08 48 07")
        #expect(try SearchRequest.decode(wire: bytes).limit == 7)
    }

    @Test("Numbers are cut to their type")
    func truncation() throws {
        #expect(
            try SearchRequest.decode(wire: hex("48 87 80 80 80 10 70 80 80 80 80 10")).limit == 7)
        #expect(try SearchRequest.decode(wire: hex("70 80 80 80 80 10")).exact)
        #expect(
            try SearchRequest.decode(wire: hex("42 06 08 81 80 80 80 10")).fusion?.method == .rrf)
    }

    @Test("An absent scope has the default tenant and an empty namespace")
    func absentScope() throws {
        #expect(try SearchRequest.decode(wire: []).scope == Scope(namespace: ""))
        #expect(try SearchRequest.decode(wire: []).limit == 0)
    }
}
