// Which part of a log must stay: what a snapshot needs is the engine's to say, and whoever copies the
// log holds the rest until it has it.
import KyroPlatform

final class LogRetention: Sendable {
    private struct State {
        var first = LSN.zero
        var holds: [UInt64: LSN] = [:]
        var nextNumber: UInt64 = 0
    }

    private let state = Locked(State())

    /// Where the log's first segment begins.
    var first: LSN { state.withLock { $0.first } }

    func begin(at lsn: LSN) { state.withLock { $0.first = lsn } }

    func hold(from lsn: LSN) -> LogHold? {
        state.withLock { state in
            guard lsn >= state.first else { return nil }
            let number = state.nextNumber
            state.nextNumber += 1
            state.holds[number] = lsn
            return LogHold(self, number)
        }
    }

    fileprivate func move(_ number: UInt64, to lsn: LSN) {
        state.withLock { state in
            guard let held = state.holds[number] else { return }
            state.holds[number] = max(held, lsn)
        }
    }

    fileprivate func end(_ number: UInt64) {
        state.withLock { _ = $0.holds.removeValue(forKey: number) }
    }

    /// Decides what goes; from here on nobody can hold it.
    ///
    /// - Parameter bases: where each segment begins, the last one included, which stays.
    /// - Returns: how many segments lie wholly below `lsn` and below every hold.
    func release(below lsn: LSN, bases: [LSN]) -> Int {
        state.withLock { state in
            let limit = state.holds.values.reduce(lsn) { min($0, $1) }
            let count = bases.dropFirst().prefix { $0 <= limit }.count
            state.first = bases[count]
            return count
        }
    }
}

/// Keeps a log from some LSN on. Ends with its last reference.
public final class LogHold: Sendable {
    private let retention: LogRetention
    private let number: UInt64

    fileprivate init(_ retention: LogRetention, _ number: UInt64) {
        self.retention = retention
        self.number = number
    }

    deinit { retention.end(number) }

    /// Lets go of what lies below `lsn`.
    public func move(to lsn: LSN) { retention.move(number, to: lsn) }

    public func release() { retention.end(number) }
}
