// Reading a file on a disk that may refuse parts of it.
import KyroPlatform

/// A file's bytes; what the disk refused is zero, which no checksum takes for content.
struct PatientReading {
    var bytes: [UInt8]
    /// Refused pieces, as ranges of offsets.
    var refused: [Range<Int>] = []
    var error: FileError?

    /// What one bad sector costs at most.
    private static let pieceBytes = 4 << 10

    init(_ file: any File) throws(StoreError) {
        let size = try storing { () throws(FileError) in Int(clamping: try file.size()) }
        do throws(FileError) {
            bytes = try file.read(at: 0, count: size)
        } catch {
            self.error = error
            bytes = [UInt8](repeating: 0, count: size)
            var offset = 0
            while offset < size {
                let end = min(size, offset + Self.pieceBytes)
                if let piece = try? file.read(at: UInt64(offset), count: end - offset) {
                    bytes.replaceSubrange(offset..<(offset + piece.count), with: piece)
                } else {
                    refused.append(offset..<end)
                }
                offset = end
            }
        }
    }
}
