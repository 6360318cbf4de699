// What goes on in the server while freshness is tested: documents that come and go, snapshots.
import KyroClient
import KyroModel
import KyroPlatform

/// Work on a thread and a connection of its own, until it is told to stop.
final class Background: Sendable {
    private struct State: Sendable {
        var isStopped = false
        var thread: KyroThread?
        var turns = 0
        var failure: KyroError?
    }

    private let state: Locked<State>
    private let allowance = Gate()

    /// - Parameter turn: one piece of work, told its number from 0; repeated without a pause.
    init(
        _ name: String, to endpoint: Endpoint, startsPaused: Bool = false,
        turn: @escaping @Sendable (Connection, Int) throws(KyroError) -> Void
    ) {
        state = Locked(State())
        let thread = KyroThread(name: name) { [state, allowance] in
            do throws(KyroError) {
                let connection = try Connection(
                    to: endpoint, timeouts: Timeouts(callMillis: 60_000))
                var number = 0
                while true {
                    if startsPaused { allowance.wait() }
                    if state.withLock({ $0.isStopped }) { return }
                    try turn(connection, number)
                    number += 1
                    state.withLock { $0.turns = number }
                }
            } catch {
                state.withLock { $0.failure = error }
            }
        }
        state.withLock { $0.thread = thread }
    }

    /// Lets a paused one do a turn; does nothing while it is still at the last.
    func allowTurn() { allowance.open() }

    /// Ends it behind its turn.
    /// - Returns: turns that were done.
    func stop() throws(KyroError) -> Int {
        let thread = state.withLock { state in
            state.isStopped = true
            return state.thread.take()
        }
        allowance.open()
        thread?.join()
        let (turns, failure) = state.withLock { ($0.turns, $0.failure) }
        if let failure { throw failure }
        return turns
    }
}
