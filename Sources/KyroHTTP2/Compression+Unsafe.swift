// gzip and deflate for single messages, through zlib.
import CZlib

/// What `grpc-encoding` names.
public enum MessageEncoding: Sendable {
    case identity
    case gzip
    /// zlib's format, as in HTTP.
    case deflate

    init?(_ name: [UInt8]) {
        switch String(decoding: name, as: UTF8.self) {
        case "identity", "": self = .identity
        case "gzip": self = .gzip
        case "deflate": self = .deflate
        default: return nil
        }
    }

    var name: StaticString {
        switch self {
        case .identity: "identity"
        case .gzip: "gzip"
        case .deflate: "deflate"
        }
    }

    static let accepted: StaticString = "identity,deflate,gzip"
}

/// What `grpc-accept-encoding` lists, of those there are here. Identity always is.
struct AcceptedEncodings {
    private(set) var gzip = false
    private(set) var deflate = false

    /// Adds the names of a list parted by commas and spaces. Comes with every request: looks at
    /// the bytes where they lie.
    @unsafe mutating func add(_ list: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for i in 0...list.count {
            let isEnd = unsafe i == list.count || list[i] == UInt8(ascii: ",")
            guard unsafe isEnd || list[i] == UInt8(ascii: " ") else { continue }
            let name = unsafe UnsafeBufferPointer(rebasing: list[start..<i])
            if unsafe name.count == 4 && name.elementsEqual("gzip".utf8) { gzip = true }
            if unsafe name.count == 7 && name.elementsEqual("deflate".utf8) { deflate = true }
            start = i + 1
        }
    }

    /// What to answer with: as was asked, if that is understood.
    func best(for asked: MessageEncoding) -> MessageEncoding {
        if asked == .deflate, deflate { return .deflate }
        if gzip { return .gzip }
        return deflate ? .deflate : .identity
    }
}

enum MessageCompression {
    enum Failure: Error, Equatable {
        /// More than the limit came out.
        case tooLarge
        case damaged
    }

    private static let stepBytes = 64 << 10
    /// What has become so much, and so many times its size, may be a bomb (zlib packs 1,032 to 1): it
    /// is measured to its end before it gets more memory.
    private static let bombBytes = 1 << 20
    private static let bombFactor = 32

    /// Inflates gzip or zlib (the header tells which), at most `bytesMax` bytes.
    static func inflate(_ bytes: [UInt8], bytesMax: Int) throws(Failure) -> [UInt8] {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        // 15 + 32: the largest window, gzip or zlib told apart by the header.
        guard unsafe inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, size) == Z_OK else {
            throw .damaged
        }
        defer { _ = unsafe inflateEnd(&stream) }
        var input = bytes
        var out: [UInt8] = []
        var result = Z_OK
        var isMeasured = false
        try unsafe input.withUnsafeMutableBufferPointer { source throws(Failure) in
            unsafe stream.next_in = source.baseAddress
            unsafe stream.avail_in = UInt32(source.count)
            while result == Z_OK, out.count <= bytesMax {
                let start = out.count
                let taken = source.count - Int(unsafe stream.avail_in)
                if !isMeasured, start > Self.bombBytes, start / Self.bombFactor > taken {
                    isMeasured = true
                    out.reserveCapacity(try measure(bytes, bytesMax: bytesMax) + 1)
                }
                let room = min(max(Self.stepBytes, start), bytesMax + 1 - start)
                guard room > 0 else { break }
                out.append(contentsOf: repeatElement(0, count: room))
                unsafe out.withUnsafeMutableBufferPointer { target in
                    unsafe stream.next_out = target.baseAddress.map { unsafe $0 + start }
                    unsafe stream.avail_out = UInt32(room)
                    result = unsafe CZlib.inflate(&stream, Z_NO_FLUSH)
                }
                out.removeLast(Int(unsafe stream.avail_out))
            }
        }
        guard out.count <= bytesMax else { throw .tooLarge }
        guard result == Z_STREAM_END, unsafe stream.avail_in == 0 else { throw .damaged }
        return out
    }

    /// What `bytes` inflate to; keeps none of it.
    private static func measure(_ bytes: [UInt8], bytesMax: Int) throws(Failure) -> Int {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, size) == Z_OK else {
            throw .damaged
        }
        defer { _ = unsafe inflateEnd(&stream) }
        var input = bytes
        var total = 0
        var result = Z_OK
        unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe stream.next_in = source.baseAddress
            unsafe stream.avail_in = UInt32(source.count)
            unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.stepBytes) { room in
                while result == Z_OK, total <= bytesMax {
                    unsafe stream.next_out = room.baseAddress
                    unsafe stream.avail_out = UInt32(room.count)
                    result = unsafe CZlib.inflate(&stream, Z_NO_FLUSH)
                    total += room.count - Int(unsafe stream.avail_out)
                }
            }
        }
        guard total <= bytesMax else { throw .tooLarge }
        guard result == Z_STREAM_END else { throw .damaged }
        return total
    }

    /// nil where zlib has no memory: send the message as it is.
    static func deflate(_ bytes: [UInt8], as encoding: MessageEncoding) -> [UInt8]? {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        let windowBits: Int32 = encoding == .gzip ? 15 + 16 : 15
        // Level 1: the network beside us is faster than any higher level.
        guard
            unsafe deflateInit2_(
                &stream, 1, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
                == Z_OK
        else { return nil }
        defer { _ = unsafe deflateEnd(&stream) }
        var out = [UInt8](
            repeating: 0, count: Int(unsafe deflateBound(&stream, UInt(bytes.count))))
        var input = bytes
        var result = Z_OK
        unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe out.withUnsafeMutableBufferPointer { target in
                unsafe stream.next_in = source.baseAddress
                unsafe stream.avail_in = UInt32(source.count)
                unsafe stream.next_out = target.baseAddress
                unsafe stream.avail_out = UInt32(target.count)
                result = unsafe CZlib.deflate(&stream, Z_FINISH)
            }
        }
        guard result == Z_STREAM_END else { return nil }
        out.removeLast(Int(unsafe stream.avail_out))
        return out
    }
}
