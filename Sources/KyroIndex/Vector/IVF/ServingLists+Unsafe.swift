// The lists that serve, replaced beside their readers without a lock and freed by who replaces them.
import KyroModel
import Synchronization

/// Two places, one of which is current. A reader counts itself in at the current place, and out
/// again when it finds that another has become current meanwhile; else what lies there stays until
/// it has left. The one who replaces fills the other place when nobody is counted in there.
///
/// The four operations that this rests on (count in, look again; make current, look at the count)
/// are sequentially consistent: either the reader sees the new place, or the other sees the reader.
///
/// `@unchecked Sendable`: a place is written only while it is not current and has no readers.
@safe final class ServingLists: @unchecked Sendable {
    private let places: UnsafeMutablePointer<InvertedLists?>
    private let current = Atomic<Int>(0)
    /// Readers counted in at each place.
    private let readers: UnsafeMutablePointer<Atomic<Int>>

    init() {
        unsafe places = .allocate(capacity: 2)
        unsafe places.initialize(repeating: nil, count: 2)
        unsafe readers = .allocate(capacity: 2)
        for place in 0..<2 { unsafe (readers + place).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe places.deinitialize(count: 2)
        unsafe places.deallocate()
        unsafe readers.deinitialize(count: 2)
        unsafe readers.deallocate()
    }

    /// Any thread. What `body` is given is not freed while it runs; nil where there is nothing yet.
    func read<Result>(
        _ body: (InvertedLists?) throws(KyroError) -> Result
    ) throws(KyroError) -> Result {
        let place = enter()
        defer { leave(place) }
        return try body(unsafe places[place])
    }

    /// Of something that cannot fail.
    func look<Result>(_ body: (InvertedLists?) -> Result) -> Result {
        let place = enter()
        defer { leave(place) }
        return body(unsafe places[place])
    }

    /// False while readers have what served before; ask again later. Maintenance only.
    func tryReplace(by lists: InvertedLists) -> Bool {
        guard releaseReplaced() else { return false }
        let other = 1 - current.load(ordering: .relaxed)
        unsafe places[other] = lists
        current.store(other, ordering: .sequentiallyConsistent)
        return true
    }

    /// Frees what was replaced, unless it has readers. Maintenance only.
    @discardableResult
    func releaseReplaced() -> Bool {
        let other = 1 - current.load(ordering: .relaxed)
        guard unsafe readers[other].load(ordering: .sequentiallyConsistent) == 0 else {
            return false
        }
        unsafe places[other] = nil
        return true
    }

    private func enter() -> Int {
        while true {
            let place = current.load(ordering: .sequentiallyConsistent)
            unsafe readers[place].add(1, ordering: .sequentiallyConsistent)
            if current.load(ordering: .sequentiallyConsistent) == place { return place }
            leave(place)
        }
    }

    private func leave(_ place: Int) {
        unsafe readers[place].subtract(1, ordering: .releasing)
    }
}
