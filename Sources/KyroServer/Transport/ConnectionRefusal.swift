// What a client is told for whom there is no room.

enum ConnectionRefusal {
    /// SETTINGS, then GOAWAY: no stream was taken, ENHANCE_YOUR_CALM, and why in words, which gRPC
    /// clients put into their UNAVAILABLE (RFC 9113 §6.8).
    static let tooMany: [UInt8] = {
        let reason = Array("too many connections".utf8)
        let calm: UInt8 = 11
        let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
        let goAway: [UInt8] =
            [0, 0, UInt8(8 + reason.count), 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, calm]
        return settings + goAway + reason
    }()
}
