// Collections: made once, listed in pages, kept apart, dropped for good.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct CollectionsTests {
    @Test func tenantsSeeOnlyTheirOwn() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        defer { test.close() }
        let scopes = ["x", "y"].map { Scope(tenant: $0, namespace: "same") }
        for scope in scopes {
            var document = Document(id: .number(1))
            document.texts["t"] = "word of \(scope.tenant)"
            try test.write([.upsert(document)], to: scope, creating: Schema())
        }
        for scope in scopes {
            #expect(try test.scan(scope).map { $0.texts["t"] } == ["word of \(scope.tenant)"])
            var request = SearchRequest(scope: scope)
            request.text = TextQuery(query: "word x y")
            #expect(try test.search(request).hits.count == 1)
        }
        try test.write([.remove(.number(1))], to: scopes[0])
        #expect(try test.scan(scopes[1]).count == 1)
        #expect(try test.drop(scopes[0]) == 0)
        #expect(try test.describe(scopes[1]).documentCount == 1)
    }

    @Test func listsComeInPagesInTheOrderOfTheirNames() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        let names = ["b", "é", "a10", "a1", "z", "Z", "a"]
        for name in names { try test.create(Scope(tenant: "t", namespace: name)) }
        try test.create(Scope(tenant: "other", namespace: "q"))
        for pageSize in 1...8 as ClosedRange<UInt32> {
            var found: [String] = []
            var token = ""
            repeat {
                let page = try test.engine.listCollections(
                    ListCollectionsRequest(tenant: "t", pageSize: pageSize, pageToken: token))
                #expect(page.collections.count <= Int(pageSize))
                found += page.collections.map(\.scope.namespace)
                token = page.nextPageToken
            } while !token.isEmpty
            #expect(found == ["Z", "a", "a1", "a10", "b", "z", "é"])
        }
    }

    @Test func idsAreNeverGivenOutAgain() throws {
        let disk = MemoryFileSystem()
        let scope = Scope(namespace: "again")
        var ids: Set<CollectionID> = []
        for round in 0..<4 {
            let test = try TestEngine(disk)
            try test.create(scope)
            #expect(throws: KyroError.self) { try test.create(scope) }
            ids.insert(try test.describe(scope).id)
            try test.write([.upsert(Document(id: .number(UInt64(round))))], to: scope)
            if round % 2 == 0 { try test.snapshot() }
            #expect(try test.drop(scope) == 1)
            #expect(throws: KyroError.self) { try test.drop(scope) }
            test.close()
        }
        #expect(ids.count == 4)
    }

    /// Of two first writes with different dimensions one wins and the other is told.
    @Test(arguments: 0..<20)
    func oneOfTwoFirstWritesFixesTheDimension(round: Int) throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        defer { test.close() }
        let scope = Scope(namespace: "race")
        let outcomes = Locked<[Int: WriteOutcome]>([:])
        let writers = [2, 3].map { dimension in
            KyroThread(name: "writer-\(dimension)") {
                var document = Document(id: .number(UInt64(dimension)))
                document.vectors["v"] = Array(repeating: 1, count: dimension)
                let response = try? test.write([.upsert(document)], to: scope, creating: Schema())
                outcomes.withLock { $0[dimension] = response?.outcomes.first }
            }
        }
        writers.forEach { $0.join() }
        let found = outcomes.withLock { $0 }
        let winners = found.filter(\.value.isApplied).map(\.key)
        try #require(winners.count == 1, "\(found)")
        let loser = found.values.compactMap(\.error)
        #expect(loser.map(\.reason) == [KyroError.Reason.dimensionMismatch.rawValue])
        #expect(try test.describe(scope).schema.vectors["v"]?.dimension == winners[0])
        #expect(try test.scan(scope).count == 1)
    }

    /// Damage below what was synced stops the shard; everyone is told where, and nobody waits.
    @Test func aDamagedShardIsStoppedAndSaysWhy() throws {
        let disk = MemoryFileSystem()
        let scope = Scope(namespace: "damaged")
        let settings = EngineSettings(shardCount: 2)
        let test = try TestEngine(disk, settings)
        for id in 0..<40 as Range<UInt64> {
            try test.write([.upsert(Document(id: .number(id)))], to: scope, creating: Schema())
        }
        test.close()
        let directory = "\(TestEngine.path)/shard-0001"
        let name = try #require(try disk.list(directory).first { $0.hasPrefix("log-") })
        let file = try disk.open("\(directory)/\(name)", .readWrite)
        let byte = try file.read(at: 200, count: 1)
        try file.write([byte[0] ^ 1], at: 200)
        let after = try TestEngine(disk, settings)
        let status = after.engine.status().shards
        #expect(status.map(\.state) == [.serving, .stopped])
        #expect(status[1].problem.contains(name) && status[1].problem.contains("offset"))
        #expect(after.notices.withLock { $0.count } == 1)
        let read = #expect(throws: KyroError.self) { try after.scan(scope) }
        #expect(read?.reason == KyroError.Reason.shardStopped.rawValue)
        // The stopped shard's log may hold the sequences that a write would get.
        let written = #expect(throws: KyroError.self) {
            try after.write([.upsert(Document(id: .number(0)))], to: scope)
        }
        #expect(written?.reason == KyroError.Reason.shardStopped.rawValue)
        #expect(throws: KyroError.self) { try after.snapshot() }
        #expect(throws: KyroError.self) {
            try awaited { done in after.engine.flush(completion: done) }.get()
        }
        after.close()
    }

    @Test func anEngineThatDoesNotOpenLeavesNoThreadBehind() throws {
        let disk = MemoryFileSystem()
        let holder = try TestEngine(disk)
        defer { holder.close() }
        func threads() throws -> Int { try PosixFileSystem().list("/proc/self/task").count }
        let before = try threads()
        for _ in 0..<100 { #expect(throws: KyroError.self) { try TestEngine(disk) } }
        // Other tests have engines of their own, a few dozen threads at most.
        #expect(try threads() < before + 100)
    }

    /// Swift's own equality calls these names the same; the schema, the log and the wire do not.
    @Test func namesThatOnlyLookAlikeAreDifferent() throws {
        let disk = MemoryFileSystem()
        let names = ["\u{E9}", "e\u{301}"]
        var test = try TestEngine(disk)
        for tenant in names {
            let scope = Scope(tenant: tenant, namespace: "n")
            var document = Document(id: .text(tenant))
            for (index, name) in names.enumerated() {
                document.vectors[name] = Array(repeating: 1, count: 3 + index)
                document.sparseVectors[name] = SparseVector(indices: [UInt32(index)], values: [1])
                document.texts[name] = "word\(index)"
                document.metadata[name] = index == 0 ? .int64(1) : .string("x")
            }
            let response = try test.write([.upsert(document)], to: scope, creating: Schema())
            try #require(response.outcomes[0].isApplied)
            #expect(try test.scan(scope) == [document])
        }
        for round in 0..<3 {
            for tenant in names {
                let scope = Scope(tenant: tenant, namespace: "n")
                let documents = try test.scan(scope)
                #expect(documents.map(\.id) == [.text(tenant)], "round \(round)")
                #expect(documents.first?.vectors.count == 2)
                for (index, name) in names.enumerated() {
                    var request = SearchRequest(scope: scope)
                    request.vector = VectorQuery(
                        field: name, vector: Array(repeating: 1, count: 3 + index))
                    request.text = TextQuery(query: "word\(index)", fields: [name])
                    request.sparse = SparseQuery(
                        field: name, vector: SparseVector(indices: [UInt32(index)], values: [1]))
                    request.filter = .exists(field: name)
                    let hit = try #require(try test.search(request).hits.first)
                    #expect(hit.vector != nil && hit.sparse != nil && hit.text != nil)
                    request.text?.fields = names
                    #expect(try test.search(request).hits.count == 1)
                }
            }
            if round == 1 { try test.snapshot() }
            test.close()
            test = try TestEngine(disk)
        }
        test.close()
    }
}
