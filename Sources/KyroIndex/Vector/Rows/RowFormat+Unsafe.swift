// How the elements of a stored row are kept.
import CKernels

/// The raw values are those of the disk format.
enum RowFormat: UInt8, Sendable {
    case f32 = 0
    /// The upper half of a float, rounded to nearest, ties to even. What would round to infinity
    /// becomes the largest finite value, so that a finite row stays one.
    case bf16 = 1

    var elementBytes: Int {
        switch self {
        case .f32: 4
        case .bf16: 2
        }
    }

    /// - Parameter bytes: `count` elements at an address that is a multiple of `elementBytes`.
    @unsafe func decode(
        _ bytes: UnsafeRawPointer, count: Int, into floats: UnsafeMutablePointer<Float>
    ) {
        switch self {
        case .f32: unsafe kyro_copy_row(floats, bytes, count * 4)
        case .bf16:
            let halves = unsafe bytes.assumingMemoryBound(to: UInt16.self)
            for i in 0..<count {
                unsafe floats[i] = Float(bitPattern: UInt32(halves[i]) << 16)
            }
        }
    }

    /// - Parameter bytes: room for `count` elements, aligned as above.
    @unsafe func encode(
        _ floats: UnsafePointer<Float>, count: Int, into bytes: UnsafeMutableRawPointer
    ) {
        switch self {
        case .f32: unsafe kyro_copy_row(bytes, floats, count * 4)
        case .bf16:
            let halves = unsafe bytes.assumingMemoryBound(to: UInt16.self)
            unsafe kyro_encode_bf16(floats, count, halves)
            for i in 0..<count {
                // Infinity less one in the last place is the largest finite value.
                unsafe halves[i] &-= halves[i] & 0x7FFF == 0x7F80 ? 1 : 0
            }
        }
    }
}
