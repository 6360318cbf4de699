// The two ends of a connected socket.
import Glibc
import KyroPlatform

enum SocketAddress: Equatable, Sendable {
    /// 4 or 16 bytes.
    case ip([UInt8], port: UInt16)
    /// Empty at the end that has no name.
    case unix(path: String)
    /// There is no peer any more, or the family is not known.
    case unknown
}

extension Socket {
    static func localAddress(_ fd: Int32) -> SocketAddress {
        unsafe address { unsafe getsockname(fd, $0, &$1) }
    }

    static func peerAddress(_ fd: Int32) -> SocketAddress {
        unsafe address { unsafe getpeername(fd, $0, &$1) }
    }

    private static func address(
        _ ask: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Int32
    ) -> SocketAddress {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe ask($0, &size) }
        }
        guard status == 0 else { return .unknown }
        let count = min(Int(size), MemoryLayout<sockaddr_storage>.size)
        let bytes = unsafe withUnsafeBytes(of: &storage) { unsafe Array($0.prefix(count)) }
        func port() -> UInt16 { UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }
        switch Int32(storage.ss_family) {
        case AF_INET where count >= 8: return .ip(Array(bytes[4..<8]), port: port())
        case AF_INET6 where count >= 24: return .ip(Array(bytes[8..<24]), port: port())
        case AF_UNIX:
            let path = bytes.dropFirst(2).prefix { $0 != 0 }
            return .unix(path: String(decoding: path, as: UTF8.self))
        default: return .unknown
        }
    }
}
