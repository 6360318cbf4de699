// Calls between a client and a server session.
import KyroHTTP2
import Testing

@Suite struct SessionTests {
    @Test func unaryCallCarriesMessageMetadataAndTrailers() throws {
        let wire = Wire()
        wire.serve = { server, event in
            guard case .halfClosed(let stream) = event else { return }
            server.sendInitialMetadata(
                [(name: "x-first", value: Array("1".utf8))], on: stream)
            server.send([1, 2, 3], on: stream)
            server.finish(
                stream, .success,
                trailers: [
                    (name: "x-last", value: Array("z".utf8)),
                    (name: "x-b-bin", value: [0, 255, 7]),
                ])
        }
        let call = try wire.client.open(
            path: "/a.B/C", timeoutNanos: 5_000_000_000,
            metadata: [
                (name: "X-Token", value: Array("abc".utf8)), (name: "k-bin", value: [0, 1, 254]),
            ])
        wire.client.send([9, 8], on: call)
        wire.client.halfClose(call)
        try wire.pump()

        let stream = try #require(wire.serverStreams.first)
        #expect(stream.path == "/a.B/C")
        #expect(stream.timeoutNanos == 5_000_000_000)
        #expect(stream.metadata.map { $0.name } == ["x-token", "k-bin"])
        #expect(stream.metadata.map { $0.value } == [Array("abc".utf8), [0, 1, 254]])
        #expect(wire.atServer[call.id]?.messages == [[9, 8]])
        #expect(wire.atServer[call.id]?.halfClosed == 1)
        #expect(wire.atServer[call.id]?.closed == 1)
        let seen = try #require(wire.atClient[call.id])
        #expect(seen.messages == [[1, 2, 3]])
        #expect(seen.initialMetadata?.map { $0.name } == ["x-first"])
        #expect(seen.status == .success)
        #expect(seen.trailers.map { $0.name } == ["x-last", "x-b-bin"])
        #expect(seen.trailers.last?.value == [0, 255, 7])
        #expect(wire.client.streamCount == 0 && wire.server.streamCount == 0)
    }

    @Test(arguments: [1, 2, 3, 5, 7, 16, 100])
    func everyKindOfCallWorksInChunks(chunkBytes: Int) throws {
        let wire = Wire()
        wire.chunkBytes = chunkBytes
        wire.serveEcho()
        // Messages each way: unary, client streaming, bidirectional; the empty message too.
        for sizes in [[3], [0], [1, 0, 2, 300], [], [70_000, 5]] {
            let call = try wire.client.open(path: "/a.B/Echo")
            let sent = sizes.map { pattern($0, seed: $0) }
            for message in sent { wire.client.send(message, on: call) }
            wire.client.halfClose(call)
            try wire.pump()
            #expect(wire.atServer[call.id]?.messages ?? [] == sent)
            #expect(wire.atClient[call.id]?.messages ?? [] == sent)
            #expect(wire.atClient[call.id]?.status == .success)
            #expect(wire.atClient[call.id]?.finishedCount == 1)
        }
    }

    @Test func bidirectionalCallAnswersBeforeTheClientEnds() throws {
        let wire = Wire()
        wire.serveEcho()
        let call = try wire.client.open(path: "/a.B/Echo")
        for i in 0..<5 {
            wire.client.send([UInt8(i)], on: call)
            try wire.pump()
            #expect(wire.atClient[call.id]?.messages.count == i + 1)
        }
        #expect(wire.atClient[call.id]?.status == nil)
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.status == .success)
    }

    @Test func serverStreamingSendsManyMessages() throws {
        let wire = Wire()
        let messages = (0..<500).map { pattern($0, seed: $0) }
        wire.serve = { server, event in
            guard case .halfClosed(let stream) = event else { return }
            for message in messages { server.send(message, on: stream) }
            server.finish(stream, .success)
        }
        let call = try wire.client.open(path: "/a.B/List")
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.messages == messages)
        #expect(wire.atClient[call.id]?.status == .success)
    }

    @Test func bigMessagesPassSmallWindows() throws {
        var small = HTTP2Configuration()
        small.streamWindowBytes = 65_535
        small.connectionWindowBytes = 65_535
        small.heldBytesMax = 1 << 20
        let wire = Wire(clientConfiguration: small, serverConfiguration: small)
        wire.serveEcho()
        let big = pattern(3_000_000)
        let calls = try (0..<4).map { _ in try wire.client.open(path: "/a.B/Echo") }
        for call in calls {
            wire.client.send(big, on: call)
            wire.client.halfClose(call)
        }
        try wire.pump()
        for call in calls {
            #expect(wire.atClient[call.id]?.messages == [big])
            #expect(wire.atClient[call.id]?.status == .success)
        }
        #expect(wire.client.queuedBytes == 0 && wire.server.queuedBytes == 0)
    }

    @Test func errorsCarryTextAndDetails() throws {
        let wire = Wire()
        let status = GRPCStatus(
            code: GRPCCode.notFound, message: "no \"collection\" 100% — ähm\n",
            details: [0, 200, 1])
        wire.serve = { server, event in
            guard case .request(let stream) = event else { return }
            server.finish(stream, status)
            // Only the first end counts.
            server.finish(stream, .success)
            server.send([1], on: stream)
        }
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.send(pattern(1000), on: call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.status == status)
        #expect(wire.atClient[call.id]?.messages == [])
        #expect(wire.atServer[call.id]?.closed == 1)
        #expect(wire.client.streamCount == 0 && wire.server.streamCount == 0)
    }

    @Test func errorAfterMessagesComesBehindThem() throws {
        let wire = Wire()
        wire.serve = { server, event in
            guard case .halfClosed(let stream) = event else { return }
            server.send([1], on: stream)
            server.finish(stream, GRPCStatus(code: GRPCCode.aborted, message: "half way"))
        }
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.messages == [[1]])
        #expect(
            wire.atClient[call.id]?.status
                == GRPCStatus(code: GRPCCode.aborted, message: "half way"))
    }

    @Test func clientCancelReachesTheServer() throws {
        let wire = Wire()
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.send(pattern(10), on: call)
        try wire.pump()
        #expect(wire.atServer[call.id]?.closed == 0)
        wire.client.cancel(call)
        try wire.pump()
        #expect(wire.atServer[call.id]?.closed == 1)
        #expect(wire.serverStreams.first?.closeCode == 8)
        #expect(wire.atClient[call.id]?.status?.code == GRPCCode.cancelled)
        #expect(wire.atClient[call.id]?.finishedCount == 1)
    }

    @Test func serverResetEndsTheClientsCall() throws {
        let wire = Wire()
        wire.serve = { server, event in
            guard case .message(let stream, _) = event else { return }
            server.send(pattern(100_000), on: stream)
            server.reset(stream, code: 11)
        }
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.send([1], on: call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.status?.code == GRPCCode.resourceExhausted)
        #expect(wire.atServer[call.id]?.closed == 1)
        #expect(wire.server.queuedBytes == 0)
    }

    @Test func oversizedMessageIsRefusedByItsPrefix() throws {
        var configuration = HTTP2Configuration()
        configuration.messageBytesMax = 1000
        let wire = Wire(serverConfiguration: configuration)
        wire.serveEcho()
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.send(pattern(1000), on: call)
        wire.client.send(pattern(1001), on: call)
        wire.client.send(pattern(3), on: call)
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atServer[call.id]?.messages == [pattern(1000)])
        #expect(wire.atServer[call.id]?.failed?.code == GRPCCode.resourceExhausted)
        #expect(wire.atClient[call.id]?.status?.code == GRPCCode.resourceExhausted)
        #expect(wire.atServer[call.id]?.closed == 1)
        let next = try wire.client.open(path: "/a.B/C")
        wire.client.send([1], on: next)
        wire.client.halfClose(next)
        try wire.pump()
        #expect(wire.atClient[next.id]?.status == .success)
    }

    @Test func messagesAreCompressedBothWaysWhenTheClientAsks() throws {
        let wire = Wire()
        wire.serveEcho()
        let call = try wire.client.open(path: "/a.B/C", encoding: .gzip)
        let message = Array(repeatElement(Array("kyro".utf8), count: 50_000).joined())
        wire.client.send(message, on: call)
        wire.client.halfClose(call)
        try wire.client.produce()
        #expect(wire.client.output.count < 10_000)
        try wire.pump()
        #expect(wire.atServer[call.id]?.messages == [message])
        #expect(wire.atClient[call.id]?.messages == [message])
        #expect(wire.atClient[call.id]?.status == .success)
    }

    @Test func compressedBombIsRefused() throws {
        var configuration = HTTP2Configuration()
        configuration.messageBytesMax = 100_000
        let wire = Wire(serverConfiguration: configuration)
        let call = try wire.client.open(path: "/a.B/C", encoding: .gzip)
        wire.client.send([UInt8](repeating: 0, count: 5_000_000), on: call)
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atServer[call.id]?.messages == [])
        #expect(wire.atClient[call.id]?.status?.code == GRPCCode.resourceExhausted)
    }

    @Test func pingComesBack() throws {
        let wire = Wire()
        wire.client.ping(Array("12345678".utf8))
        wire.server.ping(Array("abcdefgh".utf8))
        try wire.pump()
        #expect(Set(wire.pongs) == [Array("12345678".utf8), Array("abcdefgh".utf8)])
    }

    @Test func drainLetsRunningCallsFinishAndRefusesNewOnes() throws {
        let wire = Wire()
        let first = try wire.client.open(path: "/a.B/C")
        wire.client.send([1], on: first)
        try wire.pump()
        wire.server.beginDrain()
        // On its way while the first GOAWAY is: still taken.
        let second = try wire.client.open(path: "/a.B/D")
        wire.client.halfClose(second)
        try wire.pump()
        #expect(wire.goAways >= 1)
        #expect(wire.client.isGoingAway)
        #expect(throws: HTTP2Error.noMoreStreams) { try wire.client.open(path: "/a.B/E") }
        #expect(!wire.server.isFinished)
        #expect(wire.atServer[second.id]?.paths == ["/a.B/D"])
        for stream in wire.serverStreams {
            wire.server.send([7], on: stream)
            wire.server.finish(stream, .success)
        }
        try wire.pump()
        #expect(wire.atClient[first.id]?.messages == [[7]])
        #expect(wire.atClient[first.id]?.status == .success)
        #expect(wire.atClient[second.id]?.status == .success)
        #expect(wire.server.isFinished)
    }

    @Test func lostConnectionEndsEveryCallOnce() throws {
        let wire = Wire()
        let calls = try (0..<10).map { _ in try wire.client.open(path: "/a.B/C") }
        try wire.pump()
        wire.client.connectionLost()
        wire.takeClientEvents()
        wire.server.connectionLost()
        wire.takeServerEvents()
        for call in calls {
            #expect(wire.atClient[call.id]?.status?.code == GRPCCode.unavailable)
            #expect(wire.atClient[call.id]?.finishedCount == 1)
            #expect(wire.atServer[call.id]?.closed == 1)
        }
    }

    @Test func callsAboveTheLimitWaitInTheClient() throws {
        var configuration = HTTP2Configuration()
        configuration.concurrentStreamsMax = 2
        let wire = Wire(serverConfiguration: configuration)
        try wire.pump()
        let calls = try (0..<5).map { _ in try wire.client.open(path: "/a.B/C") }
        for call in calls { wire.client.halfClose(call) }
        try wire.pump()
        #expect(wire.serverStreams.count == 2)
        var next = 0
        while next < wire.serverStreams.count {
            wire.server.finish(wire.serverStreams[next], .success)
            next += 1
            try wire.pump()
        }
        #expect(calls.allSatisfy { wire.atClient[$0.id]?.status == .success })
    }
}
