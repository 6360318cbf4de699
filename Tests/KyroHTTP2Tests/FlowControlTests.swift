// A reader that stalls costs bounded memory, at either end.
import KyroHTTP2
import Testing

@Suite struct FlowControlTests {
    @Test func pausedStreamStopsTheSenderAtItsWindow() throws {
        var configuration = HTTP2Configuration()
        configuration.streamWindowBytes = 100_000
        let wire = Wire(serverConfiguration: configuration)
        wire.serve = { server, event in
            if case .request(let stream) = event { server.pauseReading(stream) }
        }
        let call = try wire.client.open(path: "/a.B/C")
        let messages = (0..<100).map { pattern(10_000, seed: $0) }
        for message in messages { wire.client.send(message, on: call) }
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atServer[call.id]?.messages == [])
        #expect(wire.client.queuedBytes == 100 * 10_005 - 100_000)
        let stream = try #require(wire.serverStreams.first)
        wire.server.resumeReading(stream)
        wire.takeServerEvents()
        try wire.pump()
        #expect(wire.atServer[call.id]?.messages == messages)
        #expect(wire.atServer[call.id]?.halfClosed == 1)
        #expect(wire.client.queuedBytes == 0)
    }

    @Test func pausedStreamDoesNotHoldUpOthers() throws {
        var configuration = HTTP2Configuration()
        configuration.streamWindowBytes = 1 << 20
        configuration.connectionWindowBytes = 1 << 20
        configuration.heldBytesMax = 8 << 20
        let wire = Wire(serverConfiguration: configuration)
        wire.serve = { server, event in
            switch event {
            case .request(let stream) where stream.path == "/a.B/Stall":
                server.pauseReading(stream)
            case .message(let stream, let bytes): server.send(bytes, on: stream)
            case .halfClosed(let stream): server.finish(stream, .success)
            default: break
            }
        }
        let stalled = try wire.client.open(path: "/a.B/Stall")
        wire.client.send(pattern(5 << 20), on: stalled)
        let other = try wire.client.open(path: "/a.B/Echo")
        wire.client.send(pattern(3 << 20), on: other)
        wire.client.halfClose(other)
        try wire.pump()
        #expect(wire.atClient[other.id]?.status == .success)
        #expect(wire.atClient[other.id]?.messages.first?.count == 3 << 20)
        #expect(wire.client.queuedBytes == (5 << 20) + 5 - (1 << 20))
    }

    @Test func heldBytesOfAllStreamsTogetherAreBounded() throws {
        var configuration = HTTP2Configuration()
        configuration.streamWindowBytes = 1 << 20
        configuration.connectionWindowBytes = 1 << 20
        configuration.heldBytesMax = 2 << 20
        let wire = Wire(serverConfiguration: configuration)
        wire.serve = { server, event in
            if case .request(let stream) = event { server.pauseReading(stream) }
        }
        let total = 40 * ((1 << 20) + 5)
        for _ in 0..<40 {
            let call = try wire.client.open(path: "/a.B/C")
            wire.client.send(pattern(1 << 20), on: call)
        }
        try wire.pump()
        let received = total - wire.client.queuedBytes
        #expect(received >= 2 << 20 && received <= 4 << 20, "\(received) bytes were taken in")
        for stream in wire.serverStreams { wire.server.resumeReading(stream) }
        wire.serve = { _, _ in }
        wire.takeServerEvents()
        try wire.pump()
        #expect(wire.client.queuedBytes == 0)
        #expect(wire.atServer.values.allSatisfy { $0.messages.count == 1 })
    }

    @Test func stalledClientLeavesBytesQueuedAndIsToldWhenTheyDrain() throws {
        var configuration = HTTP2Configuration()
        configuration.streamWindowBytes = 65_535
        let wire = Wire(clientConfiguration: configuration)
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.pauseReading(call)
        try wire.pump()
        let stream = try #require(wire.serverStreams.first)
        for i in 0..<20 { wire.server.send(pattern(50_000, seed: i), on: stream) }
        try wire.pump()
        #expect(stream.queuedBytes == 20 * 50_005 - 65_535)
        #expect(wire.atServer[call.id]?.writable == 0)
        #expect(wire.server.output.count < 300_000)
        wire.client.resumeReading(call)
        try wire.pump()
        wire.takeClientEvents()
        try wire.pump()
        #expect(stream.queuedBytes == 0)
        #expect(wire.atServer[call.id]?.writable == 1)
        #expect(wire.atClient[call.id]?.messages.count == 20)
    }

    @Test func outputIsMadeOnDemandOnly() throws {
        var open = HTTP2Configuration()
        open.streamWindowBytes = 64 << 20
        open.connectionWindowBytes = 64 << 20
        let wire = Wire(clientConfiguration: open)
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.halfClose(call)
        try wire.pump()
        let stream = try #require(wire.serverStreams.first)
        wire.server.send(pattern(20 << 20), on: stream)
        try wire.server.produce()
        let first = wire.server.output.count
        #expect(first >= 256 << 10 && first < (256 << 10) + 20_000)
        // Asking again without writing makes no more.
        try wire.server.produce()
        #expect(wire.server.output.count == first)
        wire.server.finish(stream, .success)
        try wire.pump()
        #expect(wire.atClient[call.id]?.messages == [pattern(20 << 20)])
        #expect(wire.atClient[call.id]?.status == .success)
    }

    @Test func messagesBehindTheEndOfAPausedCallAreStillDelivered() throws {
        let wire = Wire()
        wire.serve = { server, event in
            guard case .halfClosed(let stream) = event else { return }
            for i in 0..<3 { server.send([UInt8(i)], on: stream) }
            server.finish(stream, .success)
        }
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.pauseReading(call)
        wire.client.halfClose(call)
        try wire.pump()
        #expect(wire.atClient[call.id]?.messages ?? [] == [])
        #expect(wire.atClient[call.id]?.status == nil)
        wire.client.resumeReading(call)
        wire.takeClientEvents()
        #expect(wire.atClient[call.id]?.messages == [[0], [1], [2]])
        #expect(wire.atClient[call.id]?.status == .success)
    }
}
