// A connected stream socket for one thread.
import Glibc

/// Why a socket could not be used.
struct SocketError: Error {
    /// What was tried, such as "connect".
    var operation: String
    /// The C library's words for it.
    var problem: String
    /// Nobody listens there, or the name means no address.
    var isRefused = false
    var isTimeout = false

    init(_ operation: String, errno number: Int32) {
        self.operation = operation
        problem = unsafe String(cString: strerror(number))
        isRefused = number == ECONNREFUSED || number == ENOENT
        isTimeout = number == ETIMEDOUT
    }

    init(_ operation: String, problem: String) {
        self.operation = operation
        self.problem = problem
    }
}

/// Differences count, the value itself means nothing.
func monotonicNanos() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

func pause(millis: Int64) { usleep(UInt32(clamping: millis * 1_000)) }

/// Sends never block; receives block in slices of `sliceNanos`, so that waiting for an answer costs
/// one system call and deadlines still hold.
final class Socket {
    private let descriptor: Int32
    /// What `receive` filled.
    private(set) var input = [UInt8](repeating: 0, count: Socket.inputBytes)

    /// A common answer in one read.
    private static let inputBytes = 64 << 10
    private static let sliceNanos: Int64 = 250_000_000

    static let eitherWay = POLLIN | POLLOUT

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// The server learns at once that nobody is here any more.
    func disconnect() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Tries every address of a name in the order of the resolver.
    static func connect(
        to endpoint: Endpoint, deadlineNanos: Int64
    ) throws(SocketError) -> Socket {
        switch endpoint {
        case .unix(let path): return try connect(unixPath: path, deadlineNanos: deadlineNanos)
        case .tcp(let host, let port):
            return try connect(host: host, port: port, deadlineNanos: deadlineNanos)
        }
    }

    private static func connect(
        host: String, port: UInt16, deadlineNanos: Int64
    ) throws(SocketError) -> Socket {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else {
            throw SocketError(
                "resolve \(host)", problem: unsafe String(cString: gai_strerror(code)))
        }
        defer { unsafe freeaddrinfo(list) }
        var failure = SocketError("resolve \(host)", problem: "the name has no address")
        var entry = unsafe list
        while let address = unsafe entry {
            do {
                let socket = unsafe try connect(
                    family: address.pointee.ai_family, address: address.pointee.ai_addr,
                    byteCount: address.pointee.ai_addrlen, deadlineNanos: deadlineNanos)
                socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
                return socket
            } catch {
                failure = error
            }
            unsafe entry = address.pointee.ai_next
        }
        throw failure
    }

    private static func connect(
        unixPath: String, deadlineNanos: Int64
    ) throws(SocketError) -> Socket {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(unixPath.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.count < capacity else { throw SocketError("connect", errno: ENAMETOOLONG) }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
        let result: Result<Socket, SocketError> = unsafe withUnsafePointer(to: &address) {
            pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                do throws(SocketError) {
                    return .success(
                        unsafe try connect(
                            family: AF_UNIX, address: general,
                            byteCount: socklen_t(MemoryLayout<sockaddr_un>.size),
                            deadlineNanos: deadlineNanos))
                } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
    }

    private static func connect(
        family: Int32, address: UnsafePointer<sockaddr>?, byteCount: socklen_t,
        deadlineNanos: Int64
    ) throws(SocketError) -> Socket {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(family, type | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("open a socket", errno: errno) }
        let socket = Socket(descriptor: descriptor)
        if unsafe Glibc.connect(descriptor, address, byteCount) != 0 {
            guard errno == EINPROGRESS || errno == EINTR else {
                throw SocketError("connect", errno: errno)
            }
            guard try socket.wait(for: POLLOUT, deadlineNanos: deadlineNanos) else {
                throw SocketError("connect", errno: ETIMEDOUT)
            }
            var number: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size)
            guard number == 0 else { throw SocketError("connect", errno: number) }
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        var slice = timeval(tv_sec: 0, tv_usec: suseconds_t(sliceNanos / 1_000))
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &slice, socklen_t(MemoryLayout<timeval>.size))
        return socket
    }

    private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        unsafe setsockopt(
            descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends from `offset` on; returns the bytes the system took, zero when it can take none now.
    func send(_ bytes: [UInt8], from offset: Int) throws(SocketError) -> Int {
        precondition(offset >= 0 && offset <= bytes.count, "\(offset) of \(bytes.count) bytes")
        while true {
            let sent = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.send(
                    descriptor, all.baseAddress.map { unsafe $0 + offset }, all.count - offset,
                    Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            if sent >= 0 { return sent }
            if errno == EINTR { continue }
            if errno == EAGAIN { return 0 }
            throw SocketError("send", errno: errno)
        }
    }

    enum Received {
        /// That many bytes of `input`.
        case bytes(Int)
        case nothingYet
        case closed
    }

    /// Waits until `deadlineNanos` at most; a deadline in the past only looks.
    func receive(deadlineNanos: Int64) throws(SocketError) -> Received {
        while true {
            let left = deadlineNanos == .max ? .max : deadlineNanos - monotonicNanos()
            var flags: Int32 = 0
            if left < Self.sliceNanos {
                flags = Int32(MSG_DONTWAIT)
                if left > 0, try !wait(for: POLLIN, deadlineNanos: deadlineNanos) {
                    return .nothingYet
                }
            }
            let got = unsafe input.withUnsafeMutableBytes { all in
                unsafe recv(descriptor, all.baseAddress, all.count, flags)
            }
            if got > 0 { return .bytes(got) }
            if got == 0 { return .closed }
            if errno == EINTR { continue }
            guard errno == EAGAIN else { throw SocketError("receive", errno: errno) }
            if left < Self.sliceNanos { return .nothingYet }
        }
    }

    /// Waits for POLLIN, POLLOUT or both; false when the deadline came first.
    func wait(for events: Int32, deadlineNanos: Int64) throws(SocketError) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        while true {
            var millis: Int32 = -1
            if deadlineNanos != .max {
                let left = max(0, deadlineNanos - monotonicNanos())
                millis = Int32(clamping: (left + 999_999) / 1_000_000)
            }
            let ready = unsafe poll(&entry, 1, millis)
            if ready > 0 { return true }
            if ready == 0 { return false }
            guard errno == EINTR else { throw SocketError("poll", errno: errno) }
        }
    }
}
