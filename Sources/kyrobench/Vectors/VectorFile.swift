// Rows in a NumPy file that is mapped, so that this process and the peers read the same pages and
// neither counts them as memory of its index.
//
//     0     10     93 'NUMPY', version 1.0, length of the header: 118
//     10    118    {'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns), }, spaces, \n
//     128   …      the elements, little-endian, row by row
import Glibc
import KyroCommands

/// `@unchecked Sendable`: each row is written by one thread, and read only when all are written.
final class VectorFile: @unchecked Sendable {
    static let headerBytes = 128

    let path: String
    let rowCount: Int
    let dimension: Int
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int

    /// Makes the file; rows begin as zero.
    init(creating path: String, rowCount: Int, dimension: Int) throws {
        self.path = path
        self.rowCount = rowCount
        self.dimension = dimension
        byteCount = Self.headerBytes + rowCount * dimension * 4
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("\(path): \(errnoText())") }
        defer { close(file) }
        // Room is taken now: a full disk would otherwise end the process at a write.
        let status = posix_fallocate(file, 0, off_t(byteCount))
        guard status == 0 else { throw BenchError("\(path): \(errnoText(status))") }
        guard
            let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
            base != MAP_FAILED
        else { throw BenchError("\(path): \(errnoText())") }
        self.base = base
        let header = Self.header(type: "<f4", rows: rowCount, columns: dimension)
        for (i, byte) in header.enumerated() {
            base.storeBytes(of: byte, toByteOffset: i, as: UInt8.self)
        }
    }

    deinit { munmap(base, byteCount) }

    static func header(type: String, rows: Int, columns: Int) -> [UInt8] {
        var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
        let length = headerBytes - 10
        precondition(text.utf8.count < length, "\(text.utf8.count) bytes of header")
        text += String(repeating: " ", count: length - 1 - text.utf8.count) + "\n"
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length), 0] + Array(text.utf8)
    }

    /// `dimension` floats.
    func row(_ index: Int) -> UnsafeMutablePointer<Float> {
        precondition(index >= 0 && index < rowCount, "row \(index) of \(rowCount)")
        return (base + Self.headerBytes + index * dimension * 4)
            .assumingMemoryBound(to: Float.self)
    }

    func floats(_ index: Int) -> [Float] {
        Array(UnsafeBufferPointer(start: row(index), count: dimension))
    }

    /// Brings a row to length 1: cosine and inner product are then the same, and no peer pays for
    /// the difference. A row of zeros stays.
    func normalise(_ index: Int) {
        let row = row(index)
        var square = 0.0
        for i in 0..<dimension { square += Double(row[i]) * Double(row[i]) }
        guard square > 0 else { return }
        let factor = Float(1 / square.squareRoot())
        for i in 0..<dimension { row[i] *= factor }
    }
}
