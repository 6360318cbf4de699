// Stream sockets without blocking, and the errors of the kernel about them.
import CLinux
import Glibc

/// A system call on a socket failed.
public struct SocketError: Error, Equatable, Sendable, CustomStringConvertible {
    public let operation: String
    public let errno: Int32

    /// Whether no descriptor was to be had.
    public var isOutOfFiles: Bool { Errno(errno).isOutOfFiles }

    public var description: String {
        "\(operation): \(unsafe String(cString: strerror(errno))) (errno \(errno))"
    }

    public init(operation: String, errno: Int32) {
        self.operation = operation
        self.errno = errno
    }

    static func last(_ operation: String) -> SocketError {
        SocketError(operation: operation, errno: Glibc.errno)
    }
}

/// What a read or a write without waiting did.
public enum SocketTransfer: Equatable, Sendable {
    /// At least one byte.
    case bytes(Int)
    /// Nothing now: wait for the loop.
    case wouldBlock
    /// The peer has ended its side (reads only).
    case endOfStream
    case failed(errno: Int32)
}

public enum Socket {
    /// Listens on an address of this host.
    /// - Parameters:
    ///   - host: a numeric address or a name; IPv6 without brackets.
    ///   - port: 0 lets the kernel choose.
    /// - Returns: the descriptor and the port it got.
    public static func listen(
        host: String, port: UInt16, backlog: Int32 = 1024
    ) throws(SocketError) -> (fd: Int32, port: UInt16) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, String(port), &hints, &found)
        guard status == 0, let address = unsafe found else {
            throw SocketError(operation: "resolve \(host)", errno: EADDRNOTAVAIL)
        }
        defer { unsafe freeaddrinfo(found) }
        let fd = socket(
            unsafe address.pointee.ai_family,
            Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw .last("socket") }
        setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
        guard unsafe bind(fd, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0 else {
            throw failure("bind \(host):\(port)", closing: fd)
        }
        guard Glibc.listen(fd, backlog) == 0 else {
            throw failure("listen on \(host):\(port)", closing: fd)
        }
        guard let bound = localPort(fd) else { throw failure("getsockname", closing: fd) }
        return (fd, bound)
    }

    /// Listens on a path of the file system; an old socket there is replaced.
    public static func listen(path: String, backlog: Int32 = 1024) throws(SocketError) -> Int32 {
        var address = try unixAddress(path)
        let fd = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0
        )
        guard fd >= 0 else { throw .last("socket") }
        unsafe unlink(path)
        let bound = unsafe withAddress(&address) { unsafe bind(fd, $0, $1) }
        guard bound == 0, Glibc.listen(fd, backlog) == 0 else {
            throw failure("listen on \(path)", closing: fd)
        }
        return fd
    }

    /// Connects and waits for it. The descriptor stays blocking.
    public static func connect(host: String, port: UInt16) throws(SocketError) -> Int32 {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, String(port), &hints, &found) == 0 else {
            throw SocketError(operation: "resolve \(host)", errno: EADDRNOTAVAIL)
        }
        defer { unsafe freeaddrinfo(found) }
        var error = SocketError(operation: "connect to \(host):\(port)", errno: ECONNREFUSED)
        var next = unsafe found
        while let address = unsafe next {
            let fd = socket(
                unsafe address.pointee.ai_family,
                Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            guard fd >= 0 else { throw .last("socket") }
            if unsafe Glibc.connect(fd, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0 {
                setNoDelay(fd)
                return fd
            }
            error = failure("connect to \(host):\(port)", closing: fd)
            unsafe next = address.pointee.ai_next
        }
        throw error
    }

    /// Connects to a path of the file system. The descriptor stays blocking.
    public static func connect(path: String) throws(SocketError) -> Int32 {
        var address = try unixAddress(path)
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw .last("socket") }
        guard unsafe withAddress(&address, { unsafe Glibc.connect(fd, $0, $1) }) == 0 else {
            throw failure("connect to \(path)", closing: fd)
        }
        return fd
    }

    /// Two ends of one stream inside this process.
    public static func pair() throws(SocketError) -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw .last("socketpair") }
        return (ends[0], ends[1])
    }

    /// Makes `read` on a blocking descriptor give up after so long, with `wouldBlock`.
    public static func setReadTimeout(_ fd: Int32, millis: Int) {
        var limit = timeval(tv_sec: millis / 1000, tv_usec: millis % 1000 * 1000)
        unsafe setsockopt(
            fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    public static func removePath(_ path: String) { _ = unsafe unlink(path) }

    /// nil when nobody waits any more.
    public static func accept(_ listener: Int32) throws(SocketError) -> Int32? {
        while true {
            let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            let fd = kyro_accept4(listener, flags)
            if fd >= 0 { return fd }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EAGAIN: return nil
            default: throw .last("accept")
            }
        }
    }

    /// A descriptor that is good for nothing but to be closed when another is needed; nil when there
    /// is none.
    public static func spare() -> Int32? {
        let fd = unsafe kyro_open("/dev/null", O_RDONLY | O_CLOEXEC, 0)
        return fd >= 0 ? fd : nil
    }

    public static func setNoDelay(_ fd: Int32) { setOption(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

    public static func setNonBlocking(_ fd: Int32) {
        let flags = kyro_fcntl_int(fd, F_GETFL, 0)
        _ = kyro_fcntl_int(fd, F_SETFL, flags | O_NONBLOCK)
    }

    /// Reads into the whole of `buffer`, without waiting where the descriptor does not block.
    public static func read(_ fd: Int32, into buffer: inout [UInt8]) -> SocketTransfer {
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(fd, $0.baseAddress, $0.count, 0)
            }
            if count > 0 { return .bytes(count) }
            if count == 0 { return .endOfStream }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .failed(errno: errno)
        }
    }

    /// Writes `bytes[from...]` or a part of it.
    public static func write(_ fd: Int32, _ bytes: [UInt8], from: Int) -> SocketTransfer {
        precondition(from >= 0 && from < bytes.count, "offset \(from) of \(bytes.count) bytes")
        while true {
            let count = unsafe bytes.withUnsafeBytes { source in
                unsafe Glibc.send(
                    fd, source.baseAddress.map { unsafe $0 + from }, bytes.count - from,
                    Int32(MSG_NOSIGNAL))
            }
            if count >= 0 { return .bytes(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .failed(errno: errno)
        }
    }

    /// The peer reads to the end of the stream; it may still send.
    public static func endOutput(_ fd: Int32) { _ = shutdown(fd, Int32(SHUT_WR)) }

    /// Such as `127.0.0.1:40112`, `[::1]:40112`, or `unix`; empty where there is no peer any more.
    public static func peerName(_ fd: Int32) -> String {
        var address = sockaddr_storage()
        var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let found = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard unsafe getpeername(fd, pointer, &count) == 0 else { return false }
                return unsafe getnameinfo(
                    pointer, count, &host, socklen_t(host.count), &port, socklen_t(port.count),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0
            }
        }
        guard found else { return "" }
        guard address.ss_family != sa_family_t(AF_UNIX) else { return "unix" }
        func text(_ characters: [CChar]) -> String {
            String(
                decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self
            )
        }
        let name = text(host)
        let place = text(port)
        return name.utf8.contains(UInt8(ascii: ":")) ? "[\(name)]:\(place)" : "\(name):\(place)"
    }

    public static func close(_ fd: Int32) { _ = Glibc.close(fd) }

    private static func unixAddress(_ path: String) throws(SocketError) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else {
            throw SocketError(operation: "socket at \(path)", errno: ENAMETOOLONG)
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        return address
    }

    private static func withAddress(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        return unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, size)
            }
        }
    }

    private static func setOption(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        unsafe setsockopt(fd, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func failure(_ operation: String, closing fd: Int32) -> SocketError {
        let error = SocketError.last(operation)
        _ = Glibc.close(fd)
        return error
    }

    private static func localPort(_ fd: Int32) -> UInt16? {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(fd, $0, &size)
            }
        }
        guard status == 0 else { return nil }
        // The port stands at the same place in IPv4 and IPv6 addresses.
        return unsafe withUnsafeBytes(of: &storage) {
            unsafe UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        }
    }
}
