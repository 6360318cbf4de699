// Memory of a bulk build, which its threads fill in places that they have to themselves.
import Glibc
import Synchronization

/// A fixed number of plain values.
///
/// `@unchecked Sendable`: between two meetings of all threads an element is written by at most one
/// of them, and then read by no other.
@safe final class BulkArray<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    let count: Int
    let pointer: UnsafeMutablePointer<Element>

    /// From this on memory comes in huge pages, where the system has some.
    private static var hugeBytes: Int { 1 << 22 }
    private static var pageBytes: Int { 1 << 21 }

    init(repeating value: Element, count: Int) {
        self.count = count
        unsafe pointer = Self.allocate(count)
        unsafe pointer.initialize(repeating: value, count: count)
    }

    /// Elements that are written before they are read, so that it is the thread which needs a page
    /// that has it made.
    init(toBeFilled count: Int) {
        self.count = count
        unsafe pointer = Self.allocate(count)
    }

    deinit { unsafe free(pointer) }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
        precondition(count >= 0, "\(count) elements")
        let (byteCount, isTooMany) = max(count, 1).multipliedReportingOverflow(
            by: MemoryLayout<Element>.stride)
        let isHuge = byteCount >= hugeBytes
        let alignment = isHuge ? pageBytes : 64
        var memory: UnsafeMutableRawPointer?
        let result = unsafe posix_memalign(&memory, alignment, byteCount)
        guard !isTooMany, result == 0, let memory = unsafe memory else {
            preconditionFailure("out of memory for \(count) elements of a bulk build")
        }
        if isHuge { unsafe madvise(memory, byteCount, 14 /* MADV_HUGEPAGE */) }
        return unsafe memory.bindMemory(to: Element.self, capacity: max(count, 1))
    }

    @inline(__always) subscript(index: Int) -> Element {
        get {
            assert(index >= 0 && index < count, "\(index) of \(count)")
            return unsafe pointer[index]
        }
        set {
            assert(index >= 0 && index < count, "\(index) of \(count)")
            unsafe pointer[index] = newValue
        }
    }
}

/// Pointers to the codes of rows, as kernels take them, that grow when more are wanted.
@safe struct CodeList: ~Copyable {
    private(set) var pointer: UnsafeMutablePointer<UnsafePointer<Int8>?>
    private var capacity: Int

    init(capacity: Int = 1) {
        self.capacity = max(capacity, 1)
        unsafe pointer = .allocate(capacity: self.capacity)
        unsafe pointer.initialize(repeating: nil, count: self.capacity)
    }

    deinit { unsafe pointer.deallocate() }

    /// What was in it is lost.
    mutating func reserve(_ count: Int) {
        if count > capacity { self = CodeList(capacity: count) }
    }
}

/// Hands out [0, count) in blocks, each to whoever comes first.
final class BulkCursor: Sendable {
    private let next = Atomic<Int>(0)
    private let count: Int
    private let block: Int

    init(count: Int, block: Int) {
        self.count = count
        self.block = block
    }

    func take() -> Range<Int>? {
        let (first, _) = next.add(block, ordering: .relaxed)
        return first < count ? first..<min(first + block, count) : nil
    }
}
