// What one connection may make the other end keep.
import KyroHTTP2
import Testing

@Suite struct BudgetTests {
    private func configuration(unfinishedBytesMax: Int) -> HTTP2Configuration {
        var configuration = HTTP2Configuration()
        configuration.unfinishedBytesMax = unfinishedBytesMax
        return configuration
    }

    /// A message of which all but the last byte is sent.
    private func unfinished(_ byteCount: Int) -> [UInt8] {
        let length = UInt32(byteCount)
        return [0] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
            + pattern(byteCount - 1)
    }

    private func send(
        _ bytes: [UInt8], _ id: Int32, to client: inout RawClient, endStream: Bool = false
    ) throws {
        for start in stride(from: 0, to: bytes.count, by: 16_000) {
            let end = min(bytes.count, start + 16_000)
            try client.data(
                id, Array(bytes[start..<end]), endStream: endStream && end == bytes.count)
        }
    }

    @Test func unfinishedMessagesOfAllStreamsTogetherAreBounded() throws {
        var client = try RawClient(configuration: configuration(unfinishedBytesMax: 250_000))
        let ids = try (0..<3).map { _ in try client.open(RawClient.standard) }
        for id in ids { try send(unfinished(100_000), id, to: &client) }
        #expect(client.seen[ids[0]]?.status == nil && client.seen[ids[1]]?.status == nil)
        let status = try #require(client.seen[ids[2]]?.status)
        #expect(status.code == GRPCCode.resourceExhausted)
        #expect(status.message.contains("250000"), "\(status.message)")
        // The others go on, and what ends makes room again.
        try client.data(ids[0], [1], endStream: true)
        #expect(client.messages.count == 1)
        let next = try client.open(RawClient.standard)
        try send(unfinished(100_000), next, to: &client)
        #expect(client.seen[next]?.status == nil)
        // A reset gives back what was begun.
        try client.send(type: 3, flags: 0, id: ids[1], [0, 0, 0, 8])
        let last = try client.open(RawClient.standard)
        try send(unfinished(100_000), last, to: &client)
        #expect(client.seen[last]?.status == nil)
    }

    @Test func keptMessagesCountUntilTheClientEndsItsSideOrTheStreamCloses() throws {
        let wire = Wire(serverConfiguration: configuration(unfinishedBytesMax: 1_000))
        var answers: [Bool] = []
        wire.serve = { server, event in
            if case .message(let stream, let bytes) = event {
                answers.append(server.hold(bytes.count, of: stream))
            }
        }
        func call() throws -> HTTP2Stream {
            let call = try wire.client.open(path: "/a.B/C")
            wire.client.send(pattern(600), on: call)
            try wire.pump()
            return call
        }
        let first = try call()
        _ = try call()
        wire.client.halfClose(first)
        try wire.pump()
        let third = try call()
        wire.client.cancel(third)
        try wire.pump()
        _ = try call()
        _ = try call()
        #expect(answers == [true, false, true, true, false])
    }

    @Test func outputForgetsWhatWasWrittenThoughTheSocketNeverTakesAllOfIt() throws {
        var open = HTTP2Configuration()
        open.streamWindowBytes = 64 << 20
        open.connectionWindowBytes = 64 << 20
        let wire = Wire(clientConfiguration: open)
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.halfClose(call)
        try wire.pump()
        let stream = try #require(wire.serverStreams.first)
        wire.server.send(pattern(8 << 20), on: stream)
        wire.server.finish(stream, .success)
        var longest = 0
        while true {
            try wire.server.produce()
            longest = max(longest, wire.server.output.count)
            let offset = wire.server.outputOffset
            let waiting = wire.server.output.count - offset
            if waiting < 100_000 { break }
            let taken = Array(wire.server.output[offset..<(offset + 90_000)])
            wire.server.outputWritten(90_000)
            try wire.client.receive(taken)
            wire.takeClientEvents()
        }
        try wire.pump()
        #expect(wire.atClient[call.id]?.messages == [pattern(8 << 20)])
        #expect(longest < 1 << 20, "\(longest) bytes of output were kept")
    }

    @Test(arguments: [false, true])
    func statusThatNoHeaderBlockHoldsEndsTheCallAllTheSame(withMessage: Bool) throws {
        let wire = Wire()
        wire.serve = { server, event in
            guard case .halfClosed(let stream) = event else { return }
            if withMessage { server.send([1], on: stream) }
            let message = String(repeating: "x", count: 100_000)
            server.finish(stream, GRPCStatus(code: GRPCCode.notFound, message: message))
        }
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.status?.code == GRPCCode.internal)
        #expect(wire.atServer[call.id]?.closed == 1)
    }

    @Test func framesThatWaitAreCounted() throws {
        let wire = Wire()
        try wire.pump()
        for _ in 0..<50 { wire.server.ping(pattern(8)) }
        #expect(wire.server.queuedFrames == 50)
        try wire.pump()
        #expect(wire.server.queuedFrames == 0)
    }
}
