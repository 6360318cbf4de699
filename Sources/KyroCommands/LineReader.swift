// Lines of a file, one at a time, numbered from 1.

/// A line ends with a newline or with the file; a carriage return before the newline goes too.
public struct LineReader {
    /// Of one line: a document's bound, and room for JSON's spelling of its vectors.
    public static let lineBytesMax = 64 << 20
    private static let blockBytes = 1 << 20

    private let file: InputFile
    private var block: [UInt8] = []
    private var position = 0
    /// Lines given out.
    public private(set) var lineNumber: UInt64 = 0
    /// Bytes of the lines given out, newlines included.
    public private(set) var bytesRead: UInt64 = 0

    public init(_ file: InputFile) { self.file = file }

    /// Nil at the end of the file.
    public mutating func next() throws(InputError) -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if position == block.count {
                block = try file.read(countMax: Self.blockBytes)
                position = 0
                guard !block.isEmpty else { break }
            }
            let end = block[position...].firstIndex(of: UInt8(ascii: "\n"))
            line.append(contentsOf: block[position..<(end ?? block.count)])
            guard line.count <= Self.lineBytesMax else {
                throw InputError(
                    "line \(lineNumber + 1) of \(file.path) is longer than "
                        + "\(Self.lineBytesMax >> 20) MiB; is this JSON Lines?")
            }
            if let end {
                position = end + 1
                bytesRead += UInt64(line.count + 1)
                lineNumber += 1
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                return line
            }
            position = block.count
        }
        guard !line.isEmpty else { return nil }
        bytesRead += UInt64(line.count)
        lineNumber += 1
        return line
    }
}
