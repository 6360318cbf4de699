// What is refused, with the reason and the field that the sender is told.
import KyroModel
import KyroWire
import Testing

@Suite struct RejectionTests {
    /// What decoding throws, nil when it does not.
    func problem<T>(_ decode: ([UInt8]) throws(KyroError) -> T, _ bytes: [UInt8]) -> KyroError? {
        do throws(KyroError) {
            _ = try decode(bytes)
            return nil
        } catch {
            return error
        }
    }

    func createCollectionRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(CreateCollectionRequest.decode, bytes)
    }

    func lookupRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(LookupRequest.decode, bytes)
    }

    func searchManyRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(SearchManyRequest.decode, bytes)
    }

    func searchManyResponseProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(SearchManyResponse.decode, bytes)
    }

    func searchRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(SearchRequest.decode, bytes)
    }

    func statusRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(StatusRequest.decode, bytes)
    }

    func streamRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(StreamRequest.decode, bytes)
    }

    func streamResponseProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(StreamResponse.decode, bytes)
    }

    func writeRequestProblem(_ bytes: [UInt8]) -> KyroError? {
        problem(WriteRequest.decode, bytes)
    }

    /// A length-delimited field.
    func field(_ number: UInt8, _ body: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = body.count
        while rest >= 0x80 {
            length.append(UInt8(rest & 0x7F | 0x80))
            rest >>= 7
        }
        return [number << 3 | 2] + length + [UInt8(rest)] + body
    }

    @Test(
        "Bytes that are not protobuf are malformed, at a byte",
        arguments: [
            ("48", "limit is malformed at byte 1: the bytes end before the value does"),
            ("48 80 80 80 80 80 80 80 80 80 80 00", "a varint has more than ten bytes"),
            ("0a 05 0a 01", "scope is malformed at byte 2: 5 bytes are announced"),
            ("0a 03 0a 01 ff", "scope.tenant_id is malformed at byte 4: a string is not UTF-8"),
            ("12 04 12 02 0a 05", "vector.vector.values"),
            ("12 05 12 03 0a 01 00", "1 bytes are not whole floats"),
            ("00 01", "the field number is 0"),
            ("fb ff ff ff 1f", "the field number is above 2^29 - 1"),
            ("8a 80 80 80 80 00 00", "a tag has more than five bytes"),
            ("0a 80 80 80 80 80 00", "a length has more than five bytes"),
            ("4e", "wire type 6 does not exist"),
            ("4f", "wire type 7 does not exist"),
            ("4c", "group 9 ends without a beginning"),
            ("fb 01 fc 02", "group 31 ends as group 47"),
            ("fb 01", "the bytes end before the value does"),
        ])
    func malformed(_ bytes: String, _ part: String) throws {
        let error = try #require(searchRequestProblem(hex(bytes)))
        #expect(error.reason == "MALFORMED_MESSAGE")
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains(part), "\(error.message)")
    }

    @Test(
        "Legal protobuf without a meaning names the field",
        arguments: [
            ("12 00", "vector.vector"),
            ("1a 00", "sparse.vector"),
            ("1a 06 12 04 0a 02 01 02", "sparse.vector"),
            ("12 0e 12 0c 0a 04 00 00 00 00 12 04 00 00 00 00", "vector.vector"),
            ("12 05 12 03 12 01 00", "vector.vector.packed"),
            ("12 04 12 02 18 03", "vector.vector.format"),
            ("2a 00", "filter"),
            ("2a 04 0a 02 0a 00", "filter.all_of.filters[0]"),
            ("2a 02 22 00", "filter.equals.value"),
            ("2a 04 2a 02 12 00", "filter.in_set.values[0]"),
            ("2a 04 32 02 2a 00", "filter.range.at_most"),
            ("2a 02 1a 00", "filter.negation"),
            ("42 02 08 05", "fusion.method"),
            ("62 02 28 02", "projection.vector_encoding"),
        ])
    func meaningless(_ bytes: String, _ path: String) throws {
        let error = try #require(searchRequestProblem(hex(bytes)))
        #expect(error.reason == "INVALID_FIELD")
        #expect(error.field == path)
        #expect(error.message.hasPrefix(path), "\(error.message)")
    }

    @Test("A bad item is that item's error, bad bytes are the batch's")
    func itemErrors() throws {
        let good = field(2, field(3, hex("08 01")))
        let noValue = field(2, field(1, hex("0a 02 08 01 2a 07 0a 05") + Array("files".utf8)))
        let empty = field(2, [])
        let request = try WriteRequest.decode(wire: good + noValue + empty + good)
        let errors = request.mutations.map { mutation -> String? in
            if case .failure(let error) = mutation { error.field } else { nil }
        }
        #expect(errors == [nil, "mutations[1].upsert.metadata[\"files\"]", "mutations[2]", nil])
        let broken = good + field(2, field(1, hex("0a 02 08")))
        let error = try #require(writeRequestProblem(broken))
        #expect(error.reason == "MALFORMED_MESSAGE")
        #expect(error.field == "mutations[1].upsert.id")
    }

    @Test("A filter may be 32 deep; deeper is over the limit, beyond 100 messages malformed")
    func filterDepth() throws {
        let leaf = field(7, hex("0a 01 66"))
        func nested(_ count: Int) -> [UInt8] {
            field(5, (0..<count).reduce(leaf) { inner, _ in field(3, inner) })
        }
        #expect(searchRequestProblem(nested(31)) == nil)
        for count in [32, 60, 97, 98] {
            let error = try #require(searchRequestProblem(nested(count)))
            #expect(error.reason == "LIMIT_EXCEEDED", "\(count)")
            #expect(error.field == "filter")
        }
        let error = try #require(searchRequestProblem(nested(99)))
        #expect(error.reason == "MALFORMED_MESSAGE")
    }

    @Test("Lists that would cost much more memory than bytes are bounded while they are read")
    func amplification() throws {
        let filters = (0..<Limits.filterNodesMax + 1).flatMap { _ in field(1, field(7, [])) }
        let search = field(5, field(1, filters))
        #expect(searchRequestProblem(search)?.reason == "LIMIT_EXCEEDED")
        #expect(searchRequestProblem(search)?.field == "filter")
        let ids = (0..<Limits.lookupIDsMax + 1).flatMap { _ in field(2, hex("08 01")) }
        #expect(lookupRequestProblem(ids)?.field == "ids")
        #expect(lookupRequestProblem(Array(ids.dropLast(4))) == nil)
        let mutations = (0..<Limits.batchMutationsMax + 1).flatMap { _ in hex("12 00") }
        #expect(writeRequestProblem(mutations)?.field == "mutations")
        #expect(writeRequestProblem(Array(mutations.dropLast(2))) == nil)
    }

    @Test("A schema that declares a name twice is refused")
    func schemaTwice() throws {
        let vector = field(1, hex("0a 01 61 10 03"))
        let request = field(2, vector + vector)
        let error = try #require(createCollectionRequestProblem(request))
        #expect(error.field == "schema.vectors[1].name")
        let unknown = field(2, field(4, hex("0a 01 61")))
        #expect(
            createCollectionRequestProblem(unknown)?.field == "schema.metadata[0].type")
    }

    @Test("Messages that must say something are refused when they say nothing")
    func emptyMessages() {
        #expect(streamRequestProblem([]) != nil)
        #expect(streamResponseProblem([]) != nil)
        #expect(searchManyRequestProblem([])?.field == "search")
        #expect(searchManyResponseProblem([]) != nil)
        #expect(lookupRequestProblem(hex("12 00"))?.field == "ids[0]")
        #expect(statusRequestProblem([]) == nil)
        #expect(statusRequestProblem(hex("08"))?.reason == "MALFORMED_MESSAGE")
    }
}
