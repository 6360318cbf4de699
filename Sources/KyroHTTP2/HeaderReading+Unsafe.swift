// Reads the header fields that nghttp2 hands over one by one into a stream.

/// Paths seen on a connection: a client calls few methods, many times.
struct PathTable {
    private var paths: [(bytes: [UInt8], string: String)] = []
    private var last = 0
    /// A connection has one authority, most of them.
    private var authority: [UInt8] = []
    private static let countMax = 64

    @unsafe mutating func string(for bytes: UnsafeBufferPointer<UInt8>) -> String {
        if last < paths.count, unsafe equals(bytes, paths[last].bytes) { return paths[last].string }
        for i in paths.indices where unsafe equals(bytes, paths[i].bytes) {
            last = i
            return paths[i].string
        }
        let path = unsafe String(decoding: bytes, as: UTF8.self)
        if paths.count < Self.countMax { paths.append((unsafe Array(bytes), path)) }
        return path
    }

    @unsafe mutating func authority(for bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        if unsafe !equals(bytes, authority) { authority = unsafe Array(bytes) }
        return authority
    }

    private func equals(_ bytes: UnsafeBufferPointer<UInt8>, _ stored: [UInt8]) -> Bool {
        guard bytes.count == stored.count else { return false }
        for i in 0..<bytes.count where unsafe bytes[i] != stored[i] { return false }
        return true
    }
}

private func equals(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
    guard bytes.count == text.utf8CodeUnitCount else { return false }
    for i in 0..<bytes.count where unsafe bytes[i] != text.utf8Start[i] { return false }
    return true
}

private func hasPrefix(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
    guard bytes.count >= text.utf8CodeUnitCount else { return false }
    return unsafe equals(
        UnsafeBufferPointer(rebasing: bytes[0..<text.utf8CodeUnitCount]), text)
}

extension HTTP2Stream {
    /// - Parameter inTrailers: metadata goes to `trailers`, not to `metadata`.
    @unsafe func readField(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>,
        inTrailers: Bool, listBytesMax: Int, paths: inout PathTable
    ) {
        // RFC 9113 §6.5.2: the size of a field counts 32 bytes of overhead.
        head.listBytes += name.count + value.count + 32
        guard head.listBytes <= listBytesMax else {
            head.isTooLarge = true
            return
        }
        if unsafe name.first == UInt8(ascii: ":") {
            unsafe readPseudoField(name: name, value: value, paths: &paths)
        } else if unsafe !readProtocolField(name: name, value: value) {
            unsafe readMetadata(name: name, value: value, inTrailers: inTrailers)
        }
    }

    private func readPseudoField(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>,
        paths: inout PathTable
    ) {
        if unsafe equals(name, ":path") {
            path = unsafe paths.string(for: value)
        } else if unsafe equals(name, ":method") {
            head.isPost = unsafe equals(value, "POST")
        } else if unsafe equals(name, ":authority") {
            authority = unsafe paths.authority(for: value)
        } else if unsafe equals(name, ":status") {
            head.httpStatus = unsafe Int(String(decoding: value, as: UTF8.self)) ?? 0
        }
    }

    /// True when the field is the protocol's own and no metadata.
    private func readProtocolField(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        switch name.count {
        case 2 where unsafe equals(name, "te"):
            return true
        case 10 where unsafe equals(name, "user-agent"):
            return true
        case 11 where unsafe equals(name, "grpc-status"):
            head.status = unsafe Int32(String(decoding: value, as: UTF8.self)) ?? GRPCCode.unknown
        case 12 where unsafe equals(name, "content-type"):
            head.isGRPC = unsafe Self.isGRPC(contentType: value)
        case 12 where unsafe equals(name, "grpc-timeout"):
            timeoutNanos = unsafe GRPCTimeout.parse(Array(value))
            if timeoutNanos == nil { head.isMalformed = true }
        case 12 where unsafe equals(name, "grpc-message"):
            head.message = unsafe Array(value)
        case 13 where unsafe equals(name, "grpc-encoding"):
            head.encoding = unsafe MessageEncoding(Array(value))
        case 14 where unsafe equals(name, "content-length"):
            return true
        case 20 where unsafe equals(name, "grpc-accept-encoding"):
            unsafe head.accepted.add(value)
        case 23 where unsafe equals(name, "grpc-status-details-bin"):
            head.details = unsafe Base64.decode(Array(value)[...]) ?? []
        default:
            return unsafe hasPrefix(name, "grpc-") && !equals(name, "grpc-trace-bin")
        }
        return true
    }

    /// "application/grpc", "application/grpc+proto", "application/grpc;…", but not "…/grpc-web".
    private static func isGRPC(contentType value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard unsafe hasPrefix(value, "application/grpc") else { return false }
        let known = 16
        guard value.count > known else { return true }
        let next = unsafe value[known]
        if next == UInt8(ascii: ";") { return true }
        return unsafe hasPrefix(
            UnsafeBufferPointer(rebasing: value[known...]), "+proto")
    }

    private func readMetadata(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, inTrailers: Bool
    ) {
        let key = unsafe String(decoding: name, as: UTF8.self)
        guard key.hasSuffix("-bin") else {
            unsafe append((name: key, value: Array(value)), inTrailers: inTrailers)
            return
        }
        // Several values may share a field, parted by commas.
        for part in unsafe Array(value).split(
            separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        {
            guard let bytes = Base64.decode(part) else {
                head.isMalformed = true
                return
            }
            append((name: key, value: bytes), inTrailers: inTrailers)
        }
    }

    private func append(_ entry: (name: String, value: [UInt8]), inTrailers: Bool) {
        if inTrailers { trailers.append(entry) } else { metadata.append(entry) }
    }
}
