// CRoaring bitmaps, private to one query.
import CRoaring

/// A set of slots whose size is that of its members and not of the collection. Never shared between
/// threads: the library is not safe for a reader beside a writer.
@safe final class RoaringSet {
    private let bitmap: UnsafeMutablePointer<roaring_bitmap_t>

    init() {
        guard let made = unsafe roaring_bitmap_create() else {
            preconditionFailure("out of memory: a bitmap")
        }
        unsafe bitmap = made
    }

    deinit { unsafe roaring_bitmap_free(bitmap) }

    var count: Int { Int(unsafe roaring_bitmap_get_cardinality(bitmap)) }

    /// Fastest when the slots ascend.
    func insert(_ slots: UnsafeBufferPointer<UInt32>) {
        guard let base = slots.baseAddress else { return }
        unsafe roaring_bitmap_add_many(bitmap, slots.count, base)
    }

    func insert(_ slots: [UInt32]) {
        unsafe slots.withUnsafeBufferPointer { unsafe insert($0) }
    }

    func formIntersection(_ other: RoaringSet) {
        unsafe roaring_bitmap_and_inplace(bitmap, other.bitmap)
    }

    func formUnion(_ other: RoaringSet) { unsafe roaring_bitmap_or_inplace(bitmap, other.bitmap) }

    /// Members, ascending.
    func members() -> [UInt32] {
        let count = count
        guard count > 0 else { return [] }
        return unsafe Array(unsafeUninitializedCapacity: count) { buffer, initialized in
            guard let base = buffer.baseAddress else { return }
            unsafe roaring_bitmap_to_uint32_array(bitmap, base)
            initialized = count
        }
    }
}
