// Memory that searches reuse.
import KyroIndex
import KyroPlatform

/// Of one thread at a time.
struct SearchScratch: Sendable {
    var vector = VectorScratch()
    var text = TextScratch()
    var sparse = SparseScratch()
}

/// What no search uses just now, the last used first.
final class ScratchPool: Sendable {
    private static let keptMax = 32
    private let free = Locked<[SearchScratch]>([])

    func take() -> SearchScratch { free.withLock { $0.popLast() } ?? SearchScratch() }

    /// Takes the scratch over: a copy still in use would be copied in full by its next user.
    func giveBack(_ scratch: consuming SearchScratch) {
        let scratch = scratch
        free.withLock { if $0.count < Self.keptMax { $0.append(scratch) } }
    }

    /// They come again as searches need them.
    func drop() { free.withLock { $0.removeAll() } }
}
