// For whom a group commit waits: callers that wrote with the last group are about to write again.

/// The estimate behind the wait. What was under way when a group ended, taken or waiting, comes
/// again within moments where callers write one after the other; a group that sets off with the
/// first of them makes the others wait for two syncs. A lone caller is never waited for: nothing
/// else was under way. And no wait is longer than half of what it may save, a sync: where that takes
/// 60 µs, callers are better served at once.
package struct CommitLinger {
    /// The longest wait; zero never waits.
    package let nanosMax: UInt64
    private var underWay = 0
    private var syncNanos: UInt64 = 0

    package init(nanosMax: UInt64) { self.nanosMax = nanosMax }

    /// The longest wait by now.
    package var waitNanos: UInt64 { min(nanosMax, syncNanos / 2) }

    /// How many commands more are worth waiting for when `count` are there. Three quarters of those
    /// expected will do: the last stragglers are not worth the time of the others.
    package func missing(after count: Int) -> Int {
        guard waitNanos > 0, count > 0 else { return 0 }
        return max(0, underWay - underWay / 4 - count)
    }

    /// Called before a group is acknowledged.
    ///
    /// - Parameters:
    ///   - commandCount: commands of the group.
    ///   - waiting: commands behind it.
    ///   - syncNanos: what its sync took; nil when it had none.
    package mutating func groupEnds(commandCount: Int, waiting: Int, syncNanos: UInt64?) {
        underWay = commandCount + waiting
        self.syncNanos = syncNanos ?? self.syncNanos
    }
}
