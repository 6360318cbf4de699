// What a server's connections have carried, for those who look at them.
import KyroPlatform
import Synchronization

/// Counted on the connection's loop. Times are the loop's; 0 stands for never.
struct ConnectionTraffic: Sendable {
    var callsStarted: Int64 = 0
    /// Those that ended with status OK.
    var callsSucceeded: Int64 = 0
    var callsFailed: Int64 = 0
    /// Streams that were closed by both sides in order.
    var streamsSucceeded: Int64 = 0
    var streamsFailed: Int64 = 0
    var messagesSent: Int64 = 0
    var messagesReceived: Int64 = 0
    var pingsSent: Int64 = 0
    var callNanos: UInt64 = 0
    var sentNanos: UInt64 = 0
    var receivedNanos: UInt64 = 0

    mutating func begin(nowNanos: UInt64) {
        callsStarted += 1
        callNanos = nowNanos
    }

    mutating func end(isOK: Bool) { if isOK { callsSucceeded += 1 } else { callsFailed += 1 } }

    mutating func close(isRegular: Bool) {
        if isRegular { streamsSucceeded += 1 } else { streamsFailed += 1 }
    }

    mutating func send(nowNanos: UInt64) {
        messagesSent += 1
        sentNanos = nowNanos
    }

    mutating func receive(nowNanos: UInt64) {
        messagesReceived += 1
        receivedNanos = nowNanos
    }

    mutating func add(_ other: ConnectionTraffic) {
        callsStarted += other.callsStarted
        callsSucceeded += other.callsSucceeded
        callsFailed += other.callsFailed
        callNanos = max(callNanos, other.callNanos)
    }
}

/// Numbers of servers and sockets: one sequence for the process, as channelz wants it.
enum TransportNumber {
    private static let last = Atomic<Int64>(0)

    static func next() -> Int64 { last.add(1, ordering: .relaxed).newValue }
}

struct ConnectionReport: Sendable {
    let number: Int64
    let local: SocketAddress
    let peer: SocketAddress
    /// IANA's name of the cipher; nil in plaintext.
    let cipher: String?
    let traffic: ConnectionTraffic
}

struct ServerReport: Sendable {
    let number: Int64
    let port: UInt16
    /// Over all connections that there have been.
    var totals = ConnectionTraffic()
    /// Those that are open, by number.
    var connections: [ConnectionReport] = []
}

extension Server {
    /// Asks every loop; calls `completion` on one of them when all have answered.
    func report(_ completion: @escaping @Sendable (ServerReport) -> Void) {
        struct Gathered {
            var waiting: Int
            var report: ServerReport
        }
        let targets = loops
        let gathered = Locked(
            Gathered(
                waiting: targets.count,
                report: ServerReport(number: number, port: boundPort)))
        @Sendable func answered(_ part: (ConnectionTraffic, [ConnectionReport])?) {
            let whole = gathered.withLock { gathered -> ServerReport? in
                if let (totals, connections) = part {
                    gathered.report.totals.add(totals)
                    gathered.report.connections += connections
                }
                gathered.waiting -= 1
                return gathered.waiting == 0 ? gathered.report : nil
            }
            guard var whole else { return }
            whole.connections.sort { $0.number < $1.number }
            completion(whole)
        }
        for target in targets {
            let isAsked = target.loop.execute { answered(target.report) }
            if !isAsked { answered(nil) }
        }
    }
}
