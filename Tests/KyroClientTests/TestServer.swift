// A small gRPC server on loopback: one connection at a time, and told by a test what to answer.
import Glibc
import KyroHTTP2
import Synchronization

/// What a test's handler may do with the connection it is called on.
final class Peer {
    let session: ServerSession
    /// Set to drop the socket without a word.
    var hangsUp = false
    /// Connections accepted before this one.
    let number: Int

    init(session: ServerSession, number: Int) {
        self.session = session
        self.number = number
    }
}

final class TestServer: Sendable {
    typealias Handler = @Sendable (ServerEvent, Peer) -> Void

    let port: UInt16
    private let listener: Int32
    private let isStopping = Atomic<Bool>(false)

    /// Listens on a port that the system chooses, and serves on a thread of its own.
    init(handler: @escaping Handler) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                precondition(bind(listener, general, size) == 0, "bind: errno \(errno)")
                precondition(getsockname(listener, general, &size) == 0)
            }
        }
        precondition(listen(listener, 8) == 0, "listen: errno \(errno)")
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        let work = Work { [self] in serve(handler) }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, Unmanaged.passRetained(work).toOpaque())
        pthread_detach(thread)
    }

    /// No connection is accepted any more.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private final class Work {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    private func serve(_ handler: Handler) {
        var count = 0
        while !isStopping.load(ordering: .relaxed) {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { break }
            serve(descriptor, Peer(session: ServerSession(), number: count), handler)
            close(descriptor)
            count += 1
        }
        close(listener)
    }

    private func serve(_ descriptor: Int32, _ peer: Peer, _ handler: Handler) {
        var input = [UInt8](repeating: 0, count: 1 << 16)
        let session = peer.session
        while !peer.hangsUp {
            do {
                while let event = session.nextEvent() { handler(event, peer) }
                if peer.hangsUp { return }
                try session.produce()
                while session.outputOffset < session.output.count {
                    let sent = session.output.withUnsafeBytes { all in
                        send(
                            descriptor, all.baseAddress.map { $0 + session.outputOffset },
                            all.count - session.outputOffset, Int32(MSG_NOSIGNAL))
                    }
                    guard sent > 0 else { return }
                    session.outputWritten(sent)
                    try session.produce()
                    while let event = session.nextEvent() { handler(event, peer) }
                }
                let got = recv(descriptor, &input, input.count, 0)
                guard got > 0 else { return }
                try session.receive(input, count: got)
            } catch {
                return
            }
        }
    }
}
