// Learns that files were replaced or rewritten.

/// A thread that looks at some files every second; it costs a system call for each. Files on any kind
/// of volume are seen, links that are turned to another file as well.
public final class FileWatch: Sendable {
    private static let periodNanos: UInt64 = 1_000_000_000

    private struct State {
        var thread: KyroThread?
        var isStopping = false
    }

    private let gate = Gate()
    private let state = Locked(State())

    /// - Parameter changed: called on the watch's thread, once for each look that found a change.
    public init(_ paths: [String], changed: @escaping @Sendable () -> Void) {
        // Read here: what changes from now on is seen.
        let first = paths.map { FileStamp(of: $0) }
        let thread = KyroThread(name: "kyro-watch") { [gate, state] in
            var seen = first
            while true {
                _ = gate.wait(timeoutNanos: Self.periodNanos)
                if state.withLock({ $0.isStopping }) { return }
                let stamps = paths.map { FileStamp(of: $0) }
                guard stamps != seen else { continue }
                seen = stamps
                changed()
            }
        }
        state.withLock { $0.thread = thread }
    }

    /// One caller, once.
    public func stop() {
        let thread = state.withLock { state in
            state.isStopping = true
            return state.thread.take()
        }
        gate.open()
        thread?.join()
    }
}
