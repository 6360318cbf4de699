// References that are set once and read by many threads.

/// A fixed number of places for objects. One writer sets each place once, before it publishes the
/// place's number.
///
/// `@unchecked Sendable`: places are written before they are published and never after.
@safe final class ObjectList<Object: AnyObject & Sendable>: @unchecked Sendable {
    private let places: UnsafeMutablePointer<Object?>
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        unsafe places = .allocate(capacity: capacity)
        unsafe places.initialize(repeating: nil, count: capacity)
    }

    deinit {
        unsafe places.deinitialize(count: capacity)
        unsafe places.deallocate()
    }

    /// Writer only.
    func set(_ object: Object, at place: Int) {
        precondition(place >= 0 && place < capacity, "place \(place) of \(capacity)")
        unsafe places[place] = object
    }

    /// - Precondition: the place was published.
    subscript(place: Int) -> Object {
        precondition(place >= 0 && place < capacity, "place \(place) of \(capacity)")
        guard let object = unsafe places[place] else {
            preconditionFailure("place \(place) was never set")
        }
        return object
    }
}
