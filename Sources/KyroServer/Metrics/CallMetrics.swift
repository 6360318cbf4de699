// How often each method was called, how it ended, and how long it took. Each loop counts for itself;
// the sums are made when somebody asks.
import KyroHTTP2
import KyroPlatform

/// The methods that are counted, by number, and where their cells lie within a loop's block.
package struct CallLayout: Sendable {
    /// Number 0 stands for every path that no method has.
    package static let unknownMethod = 0
    /// gRPC's codes are 0 to 16; what is no code counts as UNKNOWN.
    package static let codeCount = 17
    /// Upper bounds of the buckets in nanoseconds: a look-up takes less than the first, a backup more
    /// than the last.
    package static let boundsNanos: [UInt64] = [
        50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
        100_000_000, 250_000_000, 500_000_000,
        1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000,
    ]
    /// Of one method and code: a bucket each, one above the last bound, and the sum of nanoseconds.
    package static let cellsPerCode = boundsNanos.count + 2
    static let cellsPerMethod = 1 + codeCount * cellsPerCode

    /// "/service/method"; the first is empty.
    package let paths: [String]
    private let numbers: [String: Int]

    package init(paths: [String]) {
        let paths = [""] + paths.sorted()
        self.paths = paths
        numbers = Dictionary(
            zip(paths, paths.indices), uniquingKeysWith: { first, _ in first })
    }

    package var cellCount: Int { paths.count * Self.cellsPerMethod }

    package func number(of path: String) -> Int { numbers[path] ?? Self.unknownMethod }

    package static func started(_ method: Int) -> Int { method * cellsPerMethod }

    package static func first(_ method: Int, _ code: Int) -> Int {
        method * cellsPerMethod + 1 + code * cellsPerCode
    }

    package static func bucket(of nanos: UInt64) -> Int {
        for i in boundsNanos.indices where nanos <= boundsNanos[i] { return i }
        return boundsNanos.count
    }
}

/// What one loop counts. Touched on the loop; the block is read from anywhere.
///
/// `@unchecked Sendable`: so that it may be handed to its loop.
final class LoopCalls: @unchecked Sendable {
    private struct Ended {
        var call: ServerCall
        var code: Int32
    }

    let block: CounterBlock
    private let layout: CallLayout
    private let log: RequestLog
    /// Calls that have ended since the clock was read last.
    private var ended: [Ended] = []
    private var begun: UInt64

    /// - Parameter index: of the loop, so that the numbers of calls differ.
    init(layout: CallLayout, log: RequestLog, index: Int) {
        self.layout = layout
        self.log = log
        block = CounterBlock(count: layout.cellCount)
        begun = UInt64(index) << 48
    }

    func begin(_ call: ServerCall, nowNanos: UInt64) {
        begun += 1
        call.number = begun
        call.method = layout.number(of: call.path)
        call.begunNanos = nowNanos
        block.add(1, at: CallLayout.started(call.method))
    }

    /// What a caller is told in the trailers of a call that failed, or that it gave a name to.
    func names(for call: ServerCall, _ status: GRPCStatus) -> GRPCMetadata {
        let name = log.name(of: call)
        guard !status.isOK || name.isAsked else { return [] }
        var names: GRPCMetadata = [(RequestName.requestIDHeader, Array(name.requestID.utf8))]
        if let trace = name.trace {
            let next = trace.passedOn(spanID: name.spanID)
            names.append((RequestName.traceHeader, Array(next.utf8)))
        }
        return names
    }

    /// The call's answer is made, and not yet handed to the socket.
    func end(_ call: ServerCall, code: Int32) {
        ended.append(Ended(call: call, code: code))
    }

    /// Before answers are handed to the socket, so that whoever has one finds it counted: reads the
    /// clock once for all of them.
    func settle() {
        if ended.isEmpty { return }
        let now = EventLoop.monotonicNanos()
        for one in ended {
            let nanos = now - min(now, one.call.begunNanos)
            let code = (0..<CallLayout.codeCount).contains(Int(one.code)) ? Int(one.code) : 2
            let first = CallLayout.first(one.call.method, code)
            block.add(1, at: first + CallLayout.bucket(of: nanos))
            block.add(nanos, at: first + CallLayout.cellsPerCode - 1)
            if log.wants(nanos: nanos, code: one.code) {
                log.write(one.call, code: one.code, nanos: nanos)
            }
        }
        ended.removeAll(keepingCapacity: true)
    }
}

/// All loops' counts.
///
/// `@unchecked Sendable`: `loops` is made before the loops start.
final class CallMetrics: @unchecked Sendable {
    let layout: CallLayout
    private let loops: [LoopCalls]

    init(paths: [String], loopCount: Int, log: RequestLog) {
        let layout = CallLayout(paths: paths)
        self.layout = layout
        loops = (0..<max(1, loopCount)).map { LoopCalls(layout: layout, log: log, index: $0) }
    }

    func loop(_ index: Int) -> LoopCalls { loops[index] }

    struct Reading {
        /// Of a method and a code, with at least one call.
        struct Ended {
            var method: Int
            var code: Int
            var buckets: [UInt64]
            var sumNanos: UInt64
            var count: UInt64 { buckets.reduce(0, +) }
        }
        /// By method.
        var started: [UInt64]
        var ended: [Ended]
        /// By method; never below zero.
        var inFlight: [UInt64]
    }

    /// The sums at about this moment. Ends are read before beginnings, so that no call has ended and
    /// not begun.
    func read() -> Reading {
        let methods = layout.paths.indices
        var ended: [Reading.Ended] = []
        var endedCount = methods.map { _ in UInt64(0) }
        for method in methods {
            for code in 0..<CallLayout.codeCount {
                let first = CallLayout.first(method, code)
                let cells = (0..<CallLayout.cellsPerCode).map { cell in
                    loops.reduce(UInt64(0)) { $0 &+ $1.block.value(at: first + cell) }
                }
                let one = Reading.Ended(
                    method: method, code: code, buckets: Array(cells.dropLast()),
                    sumNanos: cells.last ?? 0)
                guard one.count > 0 else { continue }
                endedCount[method] += one.count
                ended.append(one)
            }
        }
        let started = methods.map { method in
            loops.reduce(UInt64(0)) { $0 &+ $1.block.value(at: CallLayout.started(method)) }
        }
        let inFlight = methods.map { started[$0] - min(started[$0], endedCount[$0]) }
        return Reading(started: started, ended: ended, inFlight: inFlight)
    }
}
