// Frames that ask for nothing, header bombs, and calls whose client is too slow.
import KyroHTTP2
import Testing

@Suite struct FloodTests {
    private static let preface =
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        + RawClient.frame(type: 4, flags: 0, id: 0, [])

    private func configuration(burst: UInt64) -> HTTP2Configuration {
        var configuration = HTTP2Configuration()
        configuration.idleFrameBurst = burst
        configuration.idleFramesPerSecond = 10
        return configuration
    }

    /// Kind, frame, and what it is counted as.
    static let floods: [(HTTP2Abuse, [UInt8])] = [
        (.pings, RawClient.frame(type: 6, flags: 0, id: 0, [UInt8](repeating: 1, count: 8))),
        (.pings, RawClient.frame(type: 6, flags: 1, id: 0, [UInt8](repeating: 1, count: 8))),
        (.settings, RawClient.frame(type: 4, flags: 0, id: 0, [])),
        (.priorities, RawClient.frame(type: 2, flags: 0, id: 9, [0, 0, 0, 0, 7])),
        (.windowUpdates, RawClient.frame(type: 8, flags: 0, id: 0, [0, 0, 0, 1])),
        (.emptyData, RawClient.frame(type: 0, flags: 0, id: 1, [])),
        (.emptyData, RawClient.frame(type: 0, flags: 8, id: 1, [2, 0, 0])),
        (.unknownFrames, RawClient.frame(type: 77, flags: 0, id: 1, [1, 2, 3])),
    ]

    @Test(arguments: floods.indices)
    func whatAsksForNothingIsForgivenOnlySoOften(_ index: Int) throws {
        let (kind, frame) = Self.floods[index]
        let server = ServerSession(configuration: configuration(burst: 20))
        try server.receive(
            Self.preface
                + RawClient.frame(type: 1, flags: 4, id: 1, RawClient.block(RawClient.standard)))
        for sent in 1...19 {
            try server.receive(frame)
            #expect(server.abuse == nil, "after \(sent) frames")
        }
        try server.receive(frame)
        try server.receive(frame)
        #expect(server.abuse == kind)
        while server.nextEvent() != nil {}
        try server.produce()
        #expect(server.goAwayCode == 11)
        server.outputWritten(server.output.count - server.outputOffset)
        #expect(server.isFinished)
    }

    @Test func timeAndAnswersMakeRoomForMore() throws {
        let server = ServerSession(configuration: configuration(burst: 20))
        try server.receive(Self.preface)
        let ping = RawClient.frame(type: 6, flags: 0, id: 0, [UInt8](repeating: 1, count: 8))
        for second in 1...20 {
            server.nowNanos = UInt64(second) * 1_000_000_000
            for _ in 0..<10 { try server.receive(ping) }
            try server.produce()
            server.outputWritten(server.output.count - server.outputOffset)
        }
        #expect(server.abuse == nil)
        // No time passes, but each call is answered: a header frame, data and a trailer.
        for call in 0..<20 {
            let id = Int32(2 * call + 1)
            try server.receive(
                RawClient.frame(type: 1, flags: 5, id: id, RawClient.block(RawClient.standard)))
            while let event = server.nextEvent() {
                if case .request(let stream) = event {
                    server.send([1], on: stream)
                    server.finish(stream, .success)
                }
            }
            try server.produce()
            server.outputWritten(server.output.count - server.outputOffset)
            for _ in 0..<8 { try server.receive(ping) }
        }
        #expect(server.abuse == nil)
    }

    @Test func aFloodInOneReadIsNotAnswered() throws {
        let server = ServerSession(configuration: configuration(burst: 20))
        let ping = RawClient.frame(type: 6, flags: 0, id: 0, [UInt8](repeating: 1, count: 8))
        try server.receive(Self.preface)
        try server.receive(Array(repeating: ping, count: 3_000).flatMap { $0 })
        #expect(server.abuse == .pings)
        try server.produce()
        #expect(server.output.count < 200, "\(server.output.count) bytes for the offender")
    }

    @Test func framesCutAtEveryByteAreCountedAlike() throws {
        let frames = Self.preface + (0..<30).flatMap { _ in Self.floods[0].1 }
        let server = ServerSession(configuration: configuration(burst: 20))
        for byte in frames { try server.receive([byte]) }
        #expect(server.abuse == .pings)
    }

    @Test func resetsThatTheServerIsMadeToSendAreCounted() throws {
        var configuration = HTTP2Configuration()
        configuration.resetBurst = 20
        configuration.resetsPerSecond = 1
        let server = ServerSession(configuration: configuration)
        try server.receive(Self.preface)
        for call in 0..<40 where server.abuse == nil {
            let id = Int32(2 * call + 1)
            let malformed = RawClient.block(RawClient.request([("UPPER", "x")]))
            try server.receive(RawClient.frame(type: 1, flags: 4, id: id, malformed))
            while server.nextEvent() != nil {}
            try server.produce()
            server.outputWritten(server.output.count - server.outputOffset)
        }
        #expect(server.abuse == .resets)
    }

    @Test func aFewBytesThatStandForAHugeHeaderListEndTheConnection() throws {
        let server = ServerSession()
        // An entry of 100 bytes goes into the table; then its index, again and again.
        let entry =
            [0x40, 6] + Array("x-bomb".utf8) + [100] + [UInt8](repeating: 0x76, count: 100)
        let block =
            RawClient.block(RawClient.standard) + entry + [UInt8](repeating: 0xBE, count: 5_000)
        try server.receive(Self.preface + RawClient.frame(type: 1, flags: 5, id: 1, block))
        #expect(server.abuse == .headerBomb)
    }

    @Test func aStreamIsNotWrittenToBehindItsEnd() throws {
        let server = ServerSession()
        let request = RawClient.frame(
            type: 1, flags: 5, id: 1, RawClient.block(RawClient.standard))
        try server.receive(Self.preface + request)
        while let event = server.nextEvent() {
            if case .request(let stream) = event { server.finish(stream, .success) }
        }
        try server.produce()
        server.outputWritten(server.output.count - server.outputOffset)
        try server.receive(RawClient.frame(type: 0, flags: 0, id: 1, [1]))
        try server.produce()
        #expect(server.goAwayCode == 5)
    }

    @Test func aHeaderBlockThatDoesNotEndIsSeen() throws {
        let server = ServerSession()
        let block = RawClient.block(RawClient.standard)
        #expect(!server.isEstablished)
        try server.receive(Self.preface)
        #expect(server.isEstablished && server.headerBlockSinceNanos == nil)
        server.nowNanos = 7
        try server.receive(RawClient.frame(type: 1, flags: 0, id: 1, Array(block[..<9])))
        #expect(server.headerBlockSinceNanos == 7)
        server.nowNanos = 8
        let rest = RawClient.frame(type: 9, flags: 4, id: 1, Array(block[9...]))
        try server.receive(Array(rest.dropLast()))
        #expect(server.headerBlockSinceNanos == 7)
        try server.receive([rest[rest.count - 1]])
        #expect(server.headerBlockSinceNanos == nil)
    }
}

@Suite struct OverdueCallTests {
    private let second: UInt64 = 1_000_000_000

    @Test func aMessageThatTricklesInEndsItsCall() throws {
        var raw = try RawClient()
        let slow = try raw.open(RawClient.standard)
        let quick = try raw.open(RawClient.standard)
        raw.server.nowNanos = 100 * second
        try raw.data(slow, [0, 0, 0, 0, 9, 1])
        try raw.data(quick, [0, 0, 0, 0, 1, 1])
        #expect(raw.server.hasUnfinishedMessages)
        raw.server.nowNanos = 104 * second
        try raw.data(slow, [2])
        var report = raw.server.endOverdue(messageNanos: 5 * second, replyNanos: second)
        #expect(report.messages == 0)
        // Two bytes have earned 30 µs at 64 KiB/s.
        #expect(report.nextNanos == 105 * second + 30_000)
        raw.server.nowNanos = 105 * second + 30_000
        report = raw.server.endOverdue(messageNanos: 5 * second, replyNanos: second)
        #expect(report.messages == 1)
        try raw.turn()
        #expect(raw.seen[slow]?.status?.code == GRPCCode.deadlineExceeded)
        #expect(raw.seen[quick]?.status == nil)
        #expect(!raw.server.hasUnfinishedMessages)
    }

    @Test func bytesEarnTimeAndEachMessageHasItsOwn() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.standard)
        try raw.data(id, [0, 0, 2, 0, 0] + pattern(16_000))
        for _ in 0..<7 { try raw.data(id, pattern(16_000)) }
        // 128,000 bytes of 131,072: at 64 KiB/s that is nearly two seconds more.
        raw.server.nowNanos = 6 * second
        let report = raw.server.endOverdue(messageNanos: 5 * second, replyNanos: second)
        #expect(report.messages == 0)
        #expect((report.nextNanos ?? 0) > 6_900_000_000)
        // The end of that message and the first byte of the next, in one frame.
        try raw.data(id, pattern(3_072) + [0])
        raw.server.nowNanos = 10 * second
        #expect(raw.server.endOverdue(messageNanos: 5 * second, replyNanos: second).messages == 0)
        raw.server.nowNanos = 11 * second
        #expect(raw.server.endOverdue(messageNanos: 5 * second, replyNanos: second).messages == 1)
    }

    @Test func aClientWhoseWindowWeHoldIsNotSlow() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.standard)
        guard case .request(let stream)? = raw.events.first else {
            Issue.record("no request")
            return
        }
        raw.server.pauseReading(stream)
        try raw.data(id, [0, 0, 0, 0, 9, 1])
        raw.server.nowNanos = 60 * second
        #expect(raw.server.endOverdue(messageNanos: second, replyNanos: second).messages == 0)
        raw.server.resumeReading(stream)
        raw.server.nowNanos = 62 * second
        #expect(raw.server.endOverdue(messageNanos: second, replyNanos: second).messages == 1)
    }

    @Test func anAnswerThatNobodyTakesIsReset() throws {
        var shut = HTTP2Configuration()
        shut.streamWindowBytes = 10
        let wire = Wire(clientConfiguration: shut)
        var streams: [HTTP2Stream] = []
        var closed: [UInt32] = []
        wire.serve = { server, event in
            switch event {
            case .request(let stream):
                server.send(pattern(100), on: stream)
                server.finish(stream, .success)
                streams.append(stream)
            case .closed(let stream): closed.append(stream.closeCode)
            default: break
            }
        }
        let call = try wire.client.open(path: "/a.B/C")
        wire.client.pauseReading(call)
        wire.client.halfClose(call)
        try wire.pump()
        let stream = try #require(streams.first)
        #expect(stream.queuedBytes > 0)
        wire.server.nowNanos = 2 * second
        #expect(wire.server.endOverdue(messageNanos: second, replyNanos: 3 * second).replies == 0)
        wire.server.nowNanos = 3 * second
        #expect(wire.server.endOverdue(messageNanos: second, replyNanos: 3 * second).replies == 1)
        try wire.pump()
        #expect(closed == [8])
    }
}
