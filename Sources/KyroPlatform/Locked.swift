// A value behind a lock. Synchronization's Mutex would do, but its futex lives in a library that
// the thread sanitizer cannot see into: every use is reported as a race. pthread's lock it knows.
import CLinux

/// One value that threads take turns with.
///
/// Inlinable, since a generic call across modules looks its types up at run time.
///
/// `@unchecked Sendable`: `value` is touched under the lock alone.
@safe public final class Locked<Value>: @unchecked Sendable {
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline var value: Value

    public init(_ value: consuming sending Value) {
        self.value = value
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Short work only: who waits here, waits on a thread of its own.
    @inlinable public func withLock<Result, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}
