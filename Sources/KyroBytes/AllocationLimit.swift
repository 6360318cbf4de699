// Lets tests refuse memory: how many chunks a thread may still make.

#if canImport(Glibc)
    import Glibc
#endif

/// Each thread's own, so that tests beside each other do not meet it.
package enum AllocationLimit {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key, nil)
        return key
    }()

    /// Chunks that this thread may still make; nil, as at first, for any number.
    package static var remaining: Int? {
        get {
            let value = UInt(bitPattern: unsafe pthread_getspecific(key))
            return value == 0 ? nil : Int(value) - 1
        }
        set {
            let value = newValue.map { UInt($0) + 1 } ?? 0
            unsafe pthread_setspecific(key, UnsafeRawPointer(bitPattern: value))
        }
    }

    /// Counts one more; false when it may not be made.
    static func take() -> Bool {
        guard let remaining else { return true }
        guard remaining > 0 else { return false }
        Self.remaining = remaining - 1
        return true
    }
}
