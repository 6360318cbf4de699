// Cuts a stream of DATA into gRPC messages: one byte of flags, four of length, big-endian, then the
// message (gRPC over HTTP/2, "Length-Prefixed-Message").

/// A message as it stood on the wire.
struct WireMessage {
    var bytes: [UInt8]
    var isCompressed: Bool

    static let prefixBytes = 5
    var wireBytes: Int { bytes.count + Self.prefixBytes }
}

/// The message does not fit: what it announced.
struct MessageTooLarge: Error {
    let announcedBytes: Int
}

@safe struct MessageAssembler {
    private var prefix: (flags: UInt8, length: UInt32) = (0, 0)
    private var prefixBytes = 0
    private var body: [UInt8] = []
    /// More is reserved only as it arrives: an announced length alone costs no memory.
    private static let reservedBytesMax = 1 << 20

    /// True between messages: the stream may end here.
    var isEmpty: Bool { prefixBytes == 0 }
    /// Of the message that has begun.
    var bodyBytes: Int { body.count }

    /// Reads from `chunk` up to the end of the next message; nil when the chunk ends first.
    /// - Parameter offset: bytes of `chunk` already read; moved on.
    mutating func next(
        in chunk: UnsafeBufferPointer<UInt8>, from offset: inout Int, bytesMax: Int
    ) throws(MessageTooLarge) -> WireMessage? {
        while prefixBytes < WireMessage.prefixBytes {
            guard offset < chunk.count else { return nil }
            let byte = unsafe chunk[offset]
            offset += 1
            if prefixBytes == 0 {
                prefix = (byte, 0)
            } else {
                prefix.length = prefix.length << 8 | UInt32(byte)
            }
            prefixBytes += 1
            if prefixBytes == WireMessage.prefixBytes {
                guard Int(prefix.length) <= bytesMax else {
                    throw MessageTooLarge(announcedBytes: Int(prefix.length))
                }
                body = []
                body.reserveCapacity(min(Int(prefix.length), Self.reservedBytesMax))
            }
        }
        let take = min(Int(prefix.length) - body.count, chunk.count - offset)
        if take > 0 {
            unsafe body.append(
                contentsOf: UnsafeBufferPointer(rebasing: chunk[offset..<(offset + take)]))
            offset += take
        }
        guard body.count == Int(prefix.length) else { return nil }
        prefixBytes = 0
        defer { body = [] }
        return WireMessage(bytes: body, isCompressed: prefix.flags & 1 != 0)
    }
}
