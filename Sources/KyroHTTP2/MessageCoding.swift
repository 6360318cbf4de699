// Between a message as its user sees it and as it stands on the wire.

extension HTTP2Core {
    /// Below it a message gains nothing: it fits the packet that carries its header either way,
    /// and making a deflate state alone takes longer than sending it.
    private static let compressedBytesMin = 512

    /// - Parameter compressed: nil leaves it to the message: large enough, and smaller for it.
    func encode(
        _ message: [UInt8], of stream: HTTP2Stream, compressed: Bool? = nil
    ) -> WireMessage {
        guard stream.sendEncoding != .identity,
            compressed ?? (message.count >= Self.compressedBytesMin),
            let smaller = MessageCompression.deflate(message, as: stream.sendEncoding),
            compressed == true || smaller.count < message.count
        else { return WireMessage(bytes: message, isCompressed: false) }
        return WireMessage(bytes: smaller, isCompressed: true)
    }

    func decode(_ message: WireMessage, of stream: HTTP2Stream) -> Result<[UInt8], GRPCStatus> {
        guard message.isCompressed else { return .success(message.bytes) }
        guard let encoding = stream.head.encoding, encoding != .identity else {
            return .failure(
                GRPCStatus(
                    code: GRPCCode.internal,
                    message: "a message is compressed and grpc-encoding names no encoding"))
        }
        do {
            return .success(
                try MessageCompression.inflate(
                    message.bytes, bytesMax: configuration.messageBytesMax))
        } catch {
            switch error {
            case .tooLarge:
                return .failure(
                    GRPCStatus(
                        code: GRPCCode.resourceExhausted,
                        message: "message inflates to more than the limit of "
                            + "\(configuration.messageBytesMax) bytes"))
            case .damaged:
                return .failure(
                    GRPCStatus(
                        code: GRPCCode.internal, message: "a compressed message is damaged"))
            }
        }
    }
}
