// A reference that is replaced now and then while others take it.
#if canImport(Glibc)
    import Glibc
#endif

/// What is taken stays whole for as long as it is held; who replaces it does so for those who come
/// later. The lock is held for a few instructions. It is pthread's, which the thread sanitizer knows.
///
/// `@unchecked Sendable`: `object` is touched under the lock alone.
@safe public final class SharedReference<Object: AnyObject & Sendable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var object: Object

    public init(_ object: Object) {
        self.object = object
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    public func take() -> Object {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return object
    }

    /// Puts another object into the place and returns the one that was there.
    ///
    /// - Parameter next: short work only.
    @discardableResult
    public func replace(_ next: (Object) -> Object) -> Object {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        let before = object
        object = next(before)
        return before
    }
}
