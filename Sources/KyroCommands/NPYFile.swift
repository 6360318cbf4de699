// Rows of a NumPy array file (NEP 1, "A Simple File Format for NumPy Arrays").
//
//     offset  bytes
//     0       6      93 'NUMPY'
//     6       2      version: 1.0, 2.0 or 3.0
//     8       2 | 4  length h of the header, little-endian: 2 bytes in version 1, else 4
//     10 | 12 h      a Python dictionary: 'descr', 'fortran_order', 'shape'
//     …              the elements, in C order

/// A two-dimensional array of little-endian f16, f32 or f64, read row by row as floats.
public final class NPYFile {
    public struct Header: Equatable, Sendable {
        public enum Element: Sendable {
            case float16
            case float32
            case float64

            var byteCount: Int {
                switch self {
                case .float16: 2
                case .float32: 4
                case .float64: 8
                }
            }
        }

        public var element: Element
        public var rowCount: Int
        public var dimension: Int
        /// Where the elements begin.
        public var dataOffset: Int
    }

    public let header: Header
    private let file: InputFile
    private var block: [UInt8] = []
    /// Rows that lie in `block`.
    private var blockRows = 0..<0

    private static let blockBytes = 1 << 20
    /// More than any header of numbers needs.
    private static let headerBytesMax = 65_536

    public init(path: String) throws(InputError) {
        file = try InputFile(path: path)
        let start = try file.read(count: Self.headerBytesMax, at: 0)
        do {
            header = try Header(parsing: start)
        } catch {
            throw InputError("\(path): \(error)")
        }
        let wanted =
            UInt64(header.dataOffset)
            + UInt64(header.rowCount * header.dimension * header.element.byteCount)
        let actual = try file.identity().byteCount
        guard actual >= wanted else {
            throw InputError(
                "\(path) has \(actual) bytes, but its header tells of \(wanted): it is cut short")
        }
    }

    /// Row `index` as floats. Rows asked in order cost one read a megabyte.
    /// - Precondition: `index` is below `header.rowCount`.
    public func row(_ index: Int) throws(InputError) -> [Float] {
        precondition(index >= 0 && index < header.rowCount, "\(index) of \(header.rowCount)")
        let rowBytes = header.dimension * header.element.byteCount
        if !blockRows.contains(index) {
            let count = min(max(1, Self.blockBytes / rowBytes), header.rowCount - index)
            block = try file.read(
                count: count * rowBytes, at: UInt64(header.dataOffset + index * rowBytes))
            guard block.count == count * rowBytes else {
                blockRows = 0..<0
                throw InputError("\(file.path) became shorter while it was read")
            }
            blockRows = index..<(index + count)
        }
        let start = (index - blockRows.lowerBound) * rowBytes
        return header.element.floats(block[start..<(start + rowBytes)])
    }
}

extension NPYFile.Header.Element {
    /// Little-endian elements as floats.
    func floats(_ bytes: ArraySlice<UInt8>) -> [Float] {
        var floats: [Float] = []
        floats.reserveCapacity(bytes.count / byteCount)
        var position = bytes.startIndex
        while position < bytes.endIndex {
            var bits: UInt64 = 0
            for i in 0..<byteCount { bits |= UInt64(bytes[position + i]) << UInt64(8 * i) }
            switch self {
            case .float16: floats.append(Float(Float16(bitPattern: UInt16(bits))))
            case .float32: floats.append(Float(bitPattern: UInt32(bits)))
            case .float64: floats.append(Float(Double(bitPattern: bits)))
            }
            position += byteCount
        }
        return floats
    }
}

extension NPYFile.Header {
    /// Reads the start of a file, up to where the elements begin.
    public init(parsing bytes: [UInt8]) throws(InputError) {
        guard bytes.count >= 10, bytes[0] == 0x93, bytes[1..<6].elementsEqual("NUMPY".utf8) else {
            throw InputError("not an .npy file")
        }
        guard (1...3).contains(bytes[6]) else {
            throw InputError("version \(bytes[6]) of the .npy format is unknown; 1 to 3 are read")
        }
        let lengthBytes = bytes[6] == 1 ? 2 : 4
        var length = 0
        for i in 0..<lengthBytes where 8 + i < bytes.count {
            length |= Int(bytes[8 + i]) << (8 * i)
        }
        dataOffset = 8 + lengthBytes + length
        guard dataOffset <= bytes.count else { throw InputError("the .npy header is cut short") }
        let text = String(decoding: bytes[(8 + lengthBytes)..<dataOffset], as: UTF8.self)

        let type = try Self.entry("descr", in: text)
        switch type.filter({ $0 != "'" && $0 != "\"" }) {
        case "<f2": element = .float16
        case "<f4": element = .float32
        case "<f8": element = .float64
        default:
            throw InputError("element type \(type) is not read; save it as float16 or float32")
        }
        guard try Self.entry("fortran_order", in: text) == "False" else {
            throw InputError("the array is in Fortran order; save numpy.ascontiguousarray(a)")
        }
        let shape = try Self.entry("shape", in: text)
        let extents = shape.filter { $0 != "(" && $0 != ")" && $0 != " " }
            .split(separator: ",").map { Int($0) ?? -1 }
        guard extents.count == 2, extents[0] >= 0, extents[1] > 0,
            !extents[0].multipliedReportingOverflow(by: extents[1] * 8).overflow
        else {
            throw InputError("the array's shape is \(shape); rows × dimension is needed")
        }
        rowCount = extents[0]
        dimension = extents[1]
    }

    /// The value of one dictionary entry, as it is written.
    private static func entry(_ name: String, in text: String) throws(InputError) -> String {
        for quote in ["'", "\""] {
            let characters = Array(text)
            let key = Array(quote + name + quote)
            guard characters.count >= key.count else { continue }
            for start in 0...(characters.count - key.count)
            where characters[start..<(start + key.count)].elementsEqual(key) {
                var rest = characters[(start + key.count)...].drop { $0 == " " || $0 == ":" }
                let isTuple = rest.first == "("
                rest =
                    isTuple
                    ? rest.prefix { $0 != ")" }
                    : rest.prefix { $0 != "," && $0 != "}" && $0 != " " }
                return String(rest)
            }
        }
        throw InputError("the .npy header has no entry \(name)")
    }
}
