// A lock with a condition that threads wait on, the ground under queues and gates.
import CLinux

/// pthread's mutex and condition variable on the monotonic clock, in memory of their own, since
/// neither may move.
@safe @usableFromInline final class Monitor {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition = .allocate(capacity: 1)
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    @usableFromInline func lock() { unsafe pthread_mutex_lock(mutex) }
    @usableFromInline func unlock() { unsafe pthread_mutex_unlock(mutex) }
    @usableFromInline func wakeOne() { unsafe pthread_cond_signal(condition) }
    @usableFromInline func wakeAll() { unsafe pthread_cond_broadcast(condition) }

    /// Locked: waits while `isBlocked`.
    @usableFromInline func wait(while isBlocked: () -> Bool) {
        while isBlocked() { unsafe pthread_cond_wait(condition, mutex) }
    }

    /// Locked: waits while `isBlocked`, at most so long.
    @usableFromInline func wait(timeoutNanos: UInt64, while isBlocked: () -> Bool) {
        guard timeoutNanos > 0, isBlocked() else { return }
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanos = UInt64(deadline.tv_nsec) + timeoutNanos % 1_000_000_000
        deadline.tv_sec += Int(timeoutNanos / 1_000_000_000) + Int(nanos / 1_000_000_000)
        deadline.tv_nsec = Int(nanos % 1_000_000_000)
        while isBlocked() {
            let status = unsafe pthread_cond_timedwait(condition, mutex, &deadline)
            if status == ETIMEDOUT { return }
        }
    }
}
