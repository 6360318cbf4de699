// Pages of a ranking while everything changes.
import KyroBytes
import KyroEngine
import KyroModel
import KyroPlatform
import TestSupport
import Testing

@Suite struct PagingTests {
    static let scope = Scope(namespace: "paged")
    static let questions = scaled(300)

    /// The whole ranking is read first; then come writes, deletes and time between the pages.
    @Test(arguments: [20_261_123 as UInt64])
    func pagesTogetherAreTheOneAnswerWhateverIsWritten(seed: UInt64) throws {
        var lives = try Lives(seed: seed, scope: Self.scope)
        defer { lives.engines.forEach { $0.close() } }
        for round in 0..<6 { try lives.live(round: round, count: 80) }
        var pages = 0
        var hitCount = 0
        for question in 0..<Self.questions {
            var request = lives.world.question(Self.scope)
            if request.timeDecay != nil, question % 2 == 0 { request.timeDecay?.originMillis = nil }
            // Where scores are fused, the candidates make them.
            let isBare = legs(request) == 1 && request.fusion == nil && request.timeDecay == nil
            request.candidates = isBare ? 0 : 100
            request.offset = 0
            request.limit = isBare ? 300 : 100
            let whole = try lives.engines.map { try $0.search(request).hits }
            let wanted = whole.map { $0.map(signature) }
            for other in whole { try #require(other.map(bare) == whole[0].map(bare)) }
            var passed = Array(repeating: 0, count: lives.engines.count)
            request.paged = true
            var tokens = Array(repeating: [UInt8](), count: lives.engines.count)
            var done = Set<Int>()
            while done.count < lives.engines.count {
                for (number, engine) in lives.engines.enumerated() where !done.contains(number) {
                    request.limit = UInt32(1 + lives.world.dice.below(60))
                    request.pageToken = tokens[number]
                    request.explain = lives.world.dice.chance(50)
                    let page = try engine.search(request)
                    // The ranking of fused legs goes on behind the hundred.
                    let expected = wanted[number].dropFirst(passed[number])
                        .prefix(page.hits.count)
                    let isEqual = page.hits.map(signature).prefix(expected.count) == expected
                    try #require(
                        isEqual, "seed \(seed), question \(question), behind \(passed[number])")
                    passed[number] += page.hits.count
                    tokens[number] = page.nextPageToken
                    pages += 1
                    if page.nextPageToken.isEmpty {
                        done.insert(number)
                        #expect(passed[number] >= wanted[number].count)
                        if isBare { #expect(passed[number] == wanted[number].count) }
                        hitCount += passed[number]
                    } else {
                        #expect(page.hits.count == Int(request.limit))
                    }
                }
                if lives.world.dice.chance(60) { try lives.live(round: question, count: 4) }
                if lives.world.dice.chance(10) { lives.clock.advance(millis: 700) }
            }
        }
        print("RESULT paging: \(Self.questions) rankings, \(pages) pages, \(hitCount) hits")
    }

    private func legs(_ request: SearchRequest) -> Int {
        (request.vector == nil ? 0 : 1) + (request.sparse == nil ? 0 : 1)
            + (request.text == nil ? 0 : 1)
    }

    private func signature(_ hit: Hit) -> String { "\(hit.seq.raw) " + bare(hit) }

    /// Sequences are those of one engine.
    private func bare(_ hit: Hit) -> String {
        let legs = [hit.vector, hit.sparse, hit.text].map {
            $0.map { "\($0.score.bitPattern)#\($0.rank)" } ?? "-"
        }
        return "\(hit.id) \(hit.score.bitPattern) \(legs)"
    }

    // MARK: Tokens

    private func engine() throws -> TestEngine {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 1, metric: .innerProduct)
        let documents = (0..<30).map { number in
            var document = Document(
                id: number % 2 == 0 ? .number(UInt64(number)) : .text("é\(number)"))
            document.vectors["v"] = [Float(number / 3)]
            return Mutation.upsert(document)
        }
        try test.write(documents, to: Self.scope, creating: schema)
        return test
    }

    private var request: SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(vector: [1])
        request.exact = true
        request.limit = 10
        request.paged = true
        return request
    }

    @Test func theLastPageHasNoTokenAndNoDocumentComesTwice() throws {
        let test = try engine()
        defer { test.close() }
        var request = request
        request.offset = 5
        var sizes: [Int] = []
        var ids: [DocumentID] = []
        repeat {
            let page = try test.search(request)
            sizes.append(page.hits.count)
            ids += page.hits.map(\.id)
            request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty
        #expect(sizes == [10, 10, 5])
        #expect(Set(ids).count == 25)
        request.offset = 0
        request.limit = 30
        #expect(try test.search(request).nextPageToken == [])
        #expect(Array(try test.search(request).hits.map(\.id).dropFirst(5)) == ids)
    }

    @Test func everyDamagedTokenAndEveryOtherRequestIsRefused() throws {
        let test = try engine()
        defer { test.close() }
        let token = try test.search(request).nextPageToken
        func refusal(_ change: (inout SearchRequest) -> Void) throws -> KyroError {
            var changed = request
            changed.pageToken = token
            change(&changed)
            let error = try #require(throws: KyroError.self, "\(changed)") {
                try test.search(changed)
            }
            #expect(error.field == "page_token" && error.code == .invalidArgument)
            return error
        }
        for byte in token.indices {
            _ = try refusal { $0.pageToken[byte] ^= 0x10 }
            _ = try refusal {
                $0.pageToken = Array(token.prefix(byte + 1)) + (byte == token.count - 1 ? [0] : [])
            }
        }
        for change: (inout SearchRequest) -> Void in [
            { $0.vector?.vector = [2] }, { $0.filter = .exists(field: "x") }, { $0.candidates = 7 },
            { $0.exact = false }, { $0.timeRange = TimeRange(fromMillis: 1) },
            { $0.fusion = Fusion() },
        ] {
            #expect(try refusal(change).message.contains("belongs to another request"))
        }
        var allowed = request
        allowed.pageToken = token
        allowed.limit = 3
        allowed.offset = 2
        allowed.paged = false
        allowed.explain = true
        allowed.minSeq = Sequence(1)
        allowed.aggregations = [Aggregation(.count)]
        allowed.projection = .everything
        let page = try test.search(allowed)
        #expect(page.hits.count == 3 && page.aggregations.first?.documents == 30)
    }

    @Test func aTokenOfTheFutureIsRefused() throws {
        let test = try engine()
        defer { test.close() }
        var token = try test.search(request).nextPageToken
        token.replaceSubrange(9..<17, with: [255, 0, 0, 0, 0, 0, 0, 0])
        let crc = crc32c(Array(token.dropLast(4)))
        token.replaceSubrange(
            (token.count - 4)...,
            with: (0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt32($0))) })
        var request = request
        request.pageToken = token
        let error = try #require(throws: KyroError.self) { try test.search(request) }
        #expect(error.message.contains("sequence 255"))
    }
}
