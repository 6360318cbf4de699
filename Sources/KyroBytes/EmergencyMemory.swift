// Memory set aside for the moment when there is none: many small allocations cannot be asked
// beforehand, and each of them would end the process.
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One region a process, mapped and never touched: it costs addresses and, where the kernel commits
/// strictly, a promise, but no page. Any thread.
public enum EmergencyMemory {
    private static let address = Atomic<UInt>(0)
    private static let wantedBytes = Atomic<Int>(0)

    /// Sets so much aside from now on.
    public static func hold(_ byteCount: Int) {
        precondition(byteCount > 0, "\(byteCount) bytes")
        guard
            wantedBytes.compareExchange(expected: 0, desired: byteCount, ordering: .relaxed)
                .exchanged
        else { return }
        restore()
    }

    public static var isHeld: Bool { address.load(ordering: .relaxed) != 0 }

    /// Frees it, when memory was refused.
    ///
    /// - Returns: whether there was something to free.
    @discardableResult
    public static func release() -> Bool {
        let region = address.exchange(0, ordering: .acquiringAndReleasing)
        guard region != 0 else { return false }
        unsafe munmap(
            UnsafeMutableRawPointer(bitPattern: region), wantedBytes.load(ordering: .relaxed))
        return true
    }

    /// Sets it aside again where it was released. Cheap when it was not.
    public static func restore() {
        let byteCount = wantedBytes.load(ordering: .relaxed)
        guard byteCount > 0, !isHeld else { return }
        let memory = unsafe mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { return }
        let region = UInt(bitPattern: memory)
        if !address.compareExchange(expected: 0, desired: region, ordering: .acquiringAndReleasing)
            .exchanged
        {
            unsafe munmap(memory, byteCount)
        }
    }
}
