// What health says while shards come and go.
import KyroModel
import KyroPlatform
import KyroServer
import KyroWire
import Testing

@Suite struct HealthBoardTests {
    private func board(_ shards: [ShardState], isRecovered: Bool = true) -> HealthBoard {
        let board = HealthBoard(HealthBoard.productNeeds)
        board.expect(shardCount: shards.count)
        for (i, shard) in shards.enumerated() { board.setShard(i, shard) }
        if isRecovered { board.setRecovered() }
        return board
    }

    /// Shards, and whether "" and Search, Ingest, Operations, and the shards serve.
    @Test(
        arguments: [
            ([ShardState.serving, .serving], [true, true, true], [true, true]),
            ([.serving, .recovering], [false, false, true], [true, false]),
            ([.serving, .readOnly], [true, false, true], [true, false]),
            ([.stopped, .serving], [false, false, true], [false, true]),
        ] as [([ShardState], [Bool], [Bool])])
    func servicesFollowTheirShards(
        shards: [ShardState], services: [Bool], each: [Bool]
    ) {
        let board = board(shards)
        func serves(_ name: String) -> Bool {
            let status = board.status(of: name)
            #expect(status == .serving || status == .notServing, "\(name)")
            return status == .serving
        }
        #expect(serves("") == services[0])
        #expect(serves("kyrodb.v2.Search") == services[0])
        #expect(serves("kyrodb.v2.Ingest") == services[1])
        #expect(serves("kyrodb.v2.Operations") == services[2])
        #expect(serves("grpc.health.v1.Health") == services[2])
        for (i, wanted) in each.enumerated() { #expect(serves("kyrodb.shard.\(i)") == wanted) }
    }

    @Test func nothingServesBeforeTheRecoveryIsOverOrBehindADrain() {
        let early = board([.serving], isRecovered: false)
        #expect(early.status(of: "") == .notServing)
        let late = board([.serving])
        #expect(late.status(of: "") == .serving)
        late.setDraining()
        for (name, status) in late.statuses { #expect(status == .notServing, "\(name)") }
    }

    @Test(arguments: [
        "kyrodb.shard.1", "kyrodb.shard.-1", "kyrodb.shard.00", "kyrodb.shard.+0", "kyrodb.shard.",
        "kyrodb.shard", "no.such.Service", "kyrodb.v2",
    ])
    func otherNamesAreUnknown(name: String) {
        #expect(board([.serving]).status(of: name) == .serviceUnknown)
    }

    @Test func watchersHearOfEveryChange() {
        let board = board([.serving])
        let heard = Locked(0)
        let watch = board.watch { heard.withLock { $0 += 1 } }
        board.setShard(0, .readOnly)
        #expect(heard.withLock { $0 } == 1)
        board.unwatch(watch)
        board.setDraining()
        #expect(heard.withLock { $0 } == 1)
    }
}
