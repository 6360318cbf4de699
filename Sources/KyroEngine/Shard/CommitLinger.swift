// For whom a group commit waits: callers that wrote with the last group are about to write again.

/// The estimate behind the wait. What was under way when a group ended, taken or waiting, comes
/// again within moments where callers write one after the other; a group that sets off with the
/// first of them makes the others wait for two syncs. A lone caller is never waited for: nothing
/// else was under way.
package struct CommitLinger {
    /// The longest wait; zero never waits.
    package let nanosMax: UInt64
    private var underWay = 0

    package init(nanosMax: UInt64) { self.nanosMax = nanosMax }

    /// How many commands more are worth waiting for when `count` are there. Three quarters of those
    /// expected will do: the last stragglers are not worth the time of the others.
    package func missing(after count: Int) -> Int {
        guard nanosMax > 0, count > 0 else { return 0 }
        return max(0, underWay - underWay / 4 - count)
    }

    /// Called before a group is acknowledged.
    ///
    /// - Parameters:
    ///   - commandCount: commands of the group.
    ///   - waiting: commands behind it.
    package mutating func groupEnds(commandCount: Int, waiting: Int) {
        underWay = commandCount + waiting
    }
}
