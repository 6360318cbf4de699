// The time that documents expire and scores decay by. Nothing else in the engine asks for the wall
// clock, and no order of writes or reads depends on it: that is what sequences are for.
import KyroPlatform

/// The system's wall clock, distrusted.
///
/// Its time is a known moment plus what CLOCK_BOOTTIME says has passed since, and never goes back:
/// what has expired stays so. While the system's clock is at most a day away it is followed, ahead
/// at once, back by going at half speed until it is reached. A larger step is not followed: the
/// clock is held, and goes on by itself. At a start the time is that of the log's last batch or
/// later; a system clock that is back more than a day, or ahead by more than a year, is not
/// followed, unless an operator accepts it, who may also set the time back.
///
/// A held clock keeps documents for too long, never too short.
public final class ExpiryClock: Sendable {
    /// What an operator sees.
    public struct Reading: Equatable, Sendable {
        /// Unix milliseconds.
        public var millis: Int64
        /// The system's clock minus this one.
        public var offsetMillis: Int64
        /// Whether the system's clock is not followed.
        public var isHeld: Bool
    }

    /// No correction of a clock that works is larger: time zones are not, leap seconds are not.
    static let stepMillisMax: Int64 = 86_400_000
    /// Longer than a server rests between two starts.
    static let absenceMillisMax: Int64 = 366 * 86_400_000

    private struct State {
        /// The time at `bootNanos`.
        var millis: Int64 = 0
        var bootNanos: UInt64 = 0
        /// Of the speed of time: 1 or 2.
        var divisor: UInt64 = 1
        var isHeld = false
        var isRunning = false
        /// The latest wall time in a log.
        var known: Int64 = 0
        var silentLogs: Int
    }

    private let time: any Clock
    private let acceptsSystem: Bool
    private let notice: @Sendable (String) -> Void
    private let state: Locked<State>

    /// - Parameters:
    ///   - logCount: how many logs there are; the clock runs when each has told what it knows.
    ///   - acceptsSystem: an operator vouches for the system's clock at this start.
    package init(
        _ time: any Clock, logCount: Int, acceptsSystem: Bool = false,
        notice: @escaping @Sendable (String) -> Void
    ) {
        self.time = time
        self.acceptsSystem = acceptsSystem
        self.notice = notice
        state = Locked(State(silentLogs: logCount))
    }

    // MARK: Start

    /// What a log tells, once for each; 0 for nothing.
    package func learn(_ wallMillis: Int64) {
        let isComplete = state.withLock { state in
            state.known = max(state.known, Self.bounded(wallMillis))
            state.silentLogs -= 1
            return state.silentLogs == 0
        }
        if isComplete { start() }
    }

    /// Far beyond any year, and far from overflow.
    private static func bounded(_ millis: Int64) -> Int64 {
        min(max(millis, -millisMax), millisMax)
    }

    private static let millisMax: Int64 = 1 << 52

    private func start() {
        let system = Self.bounded(time.wallMillis())
        let boot = time.bootNanos()
        let held: Int64? = state.withLock { state in
            state.bootNanos = boot
            state.isRunning = true
            let isAbsurd = state.known > 0 && system - state.known > Self.absenceMillisMax
            if acceptsSystem {
                state.millis = system
            } else {
                state.millis = isAbsurd ? state.known : max(system, state.known)
            }
            state.isHeld = abs(system - state.millis) > Self.stepMillisMax
            return state.isHeld ? system - state.millis : nil
        }
        if let held {
            tellHeld(
                "at the start the system's clock is \(Self.span(held)) the last time in the log")
        }
    }

    // MARK: Reading

    /// Unix milliseconds; never less than before. Any thread.
    public func nowMillis() -> Int64 { reading().millis }

    /// The later of this clock and the system's: what credentials expire by, for which too long is
    /// the worse mistake. Right before the clock runs as well.
    package func latestMillis() -> Int64 { max(reading().millis, Self.bounded(time.wallMillis())) }

    /// Any thread.
    public func reading() -> Reading {
        let (reading, wasHeld): (Reading, Bool) = state.withLock { state in
            guard state.isRunning else {
                return (Reading(millis: state.known, offsetMillis: 0, isHeld: false), false)
            }
            // Under the lock, so that one reading cannot be overtaken by a later one; the wall clock
            // first, so that what a thread was away between the two is time that passed. The other
            // way round it would be counted twice, and documents would expire that much too soon.
            let system = Self.bounded(time.wallMillis())
            let boot = max(time.bootNanos(), state.bootNanos)
            let passed = Int64((boot - state.bootNanos) / state.divisor / 1_000_000)
            let own = state.millis + passed
            let wasHeld = state.isHeld
            let offset = system - own
            state.isHeld = abs(offset) > Self.stepMillisMax
            var now = own
            if state.isHeld {
                Self.rebase(&state, to: own, boot, divisor: 1)
            } else if offset >= 0 {
                now = system
                (state.millis, state.bootNanos, state.divisor) = (system, boot, 1)
            } else {
                Self.rebase(&state, to: own, boot, divisor: 2)
            }
            return (
                Reading(millis: now, offsetMillis: system - now, isHeld: state.isHeld), wasHeld
            )
        }
        if reading.isHeld != wasHeld {
            if reading.isHeld {
                tellHeld("the system's clock is now \(Self.span(reading.offsetMillis)) ours")
            } else {
                notice("the system's clock is followed again")
            }
        }
        return reading
    }

    /// Changes the speed; at an unchanged speed the base stays, so that no fraction is lost.
    private static func rebase(
        _ state: inout State, to millis: Int64, _ bootNanos: UInt64, divisor: UInt64
    ) {
        guard state.divisor != divisor else { return }
        (state.millis, state.bootNanos, state.divisor) = (millis, bootNanos, divisor)
    }

    private func tellHeld(_ finding: String) {
        notice(
            "\(finding), and is not followed: documents expire by the time that passes; set the "
                + "clock right, or restart with --accept-clock if it is")
    }

    private static func span(_ millis: Int64) -> String {
        let days = millis.magnitude / UInt64(stepMillisMax)
        return "\(days) days \(millis < 0 ? "behind" : "ahead of")"
    }
}
