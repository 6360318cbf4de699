// Listens, spreads connections over loops, and ends them in order.
import KyroHTTP2
import KyroPlatform
import Synchronization

/// Life: `start`, then `drain` (any thread, once), then `join`.
///
/// `@unchecked Sendable`: `state` and the counters are behind a mutex and atomics; connections are
/// touched on their loops only.
public final class Server: @unchecked Sendable {
    private enum State {
        case idle
        case running(acceptor: Acceptor)
        case draining
    }

    public let configuration: ServerTransportConfiguration
    /// What was taken and what was refused, for metrics. Any thread.
    public let counters = TransportCounters()
    private let dispatcher: any CallDispatcher
    private let calls: CallMetrics?
    private let state = Locked(State.idle)
    private var acceptLoop: EventLoop?
    private(set) var loops: [ConnectionLoop] = []
    let number = TransportNumber.next()
    /// Of the TCP listener, once it listens.
    private(set) var boundPort: UInt16 = 0

    public convenience init(
        configuration: ServerTransportConfiguration, dispatcher: any CallDispatcher
    ) {
        self.init(configuration: configuration, dispatcher: dispatcher, calls: nil)
    }

    /// - Parameter calls: of as many loops as the configuration has.
    init(
        configuration: ServerTransportConfiguration, dispatcher: any CallDispatcher,
        calls: CallMetrics?
    ) {
        self.configuration = configuration
        self.dispatcher = dispatcher
        self.calls = calls
    }

    /// Listens and serves from here on.
    /// - Returns: the TCP port.
    @discardableResult
    public func start() throws(SocketError) -> UInt16 {
        let (tcp, port) = try Socket.listen(host: configuration.host, port: configuration.port)
        boundPort = port
        var listeners = [tcp]
        if let path = configuration.unixPath {
            do {
                listeners.append(try Socket.listen(path: path))
            } catch {
                Socket.close(tcp)
                throw error
            }
        }
        for i in 0..<max(1, configuration.loopCount) {
            loops.append(
                ConnectionLoop(
                    loop: try EventLoop(name: "kyro-io-\(i)"), configuration: configuration,
                    dispatcher: dispatcher, counters: counters, calls: calls?.loop(i)))
        }
        let loop = try EventLoop(name: "kyro-accept")
        let acceptor = Acceptor(
            loop: loop, listeners: listeners, targets: loops, configuration: configuration,
            counters: counters)
        acceptLoop = loop
        state.withLock { state in
            guard case .idle = state else { preconditionFailure("the server was started before") }
            state = .running(acceptor: acceptor)
        }
        for target in loops { target.loop.start() }
        loop.start()
        loop.execute { acceptor.start() }
        return port
    }

    /// The loops that serve connections, for work of one's own on them.
    public var eventLoops: [EventLoop] { loops.map { $0.loop } }

    public var connectionCount: Int { loops.reduce(0) { $0 + $1.connectionCount } }

    /// Takes no more connections, asks clients to open no more calls, lets those that run finish,
    /// and cuts off what is left after `timeoutMillis`. Returns at once; `join` waits.
    public func drain(timeoutMillis: Int) {
        let acceptor = state.withLock { state -> Acceptor? in
            guard case .running(let acceptor) = state else { return nil }
            state = .draining
            return acceptor
        }
        guard let acceptor, let acceptLoop else { return }
        let targets = loops
        acceptLoop.execute {
            // Behind this job no socket is handed to a loop any more.
            acceptor.stop()
            if let path = self.configuration.unixPath { Socket.removePath(path) }
            for target in targets {
                target.loop.execute { target.drain(timeoutMillis: timeoutMillis) }
            }
            acceptLoop.stop()
        }
    }

    /// Waits until a drain is over and all threads have ended.
    public func join() {
        acceptLoop?.join()
        for target in loops { target.loop.join() }
    }
}

/// Takes sockets from the kernel and gives each to the loop with the fewest.
///
/// `@unchecked Sendable`: touched on the accept loop only.
final class Acceptor: LoopChannel, @unchecked Sendable {
    private let loop: EventLoop
    private let listeners: [Int32]
    private let targets: [ConnectionLoop]
    private let connectionsMax: Int
    private let isPlaintext: Bool
    private let counters: TransportCounters
    private var registrations: [LoopRegistration] = []
    private var isPaused = false
    /// Given up to take and close a connection when there is no other descriptor: its client learns
    /// at once that it must come again.
    private var spare = Socket.spare()

    init(
        loop: EventLoop, listeners: [Int32], targets: [ConnectionLoop],
        configuration: ServerTransportConfiguration, counters: TransportCounters
    ) {
        self.loop = loop
        self.listeners = listeners
        self.targets = targets
        connectionsMax = configuration.connectionsMax
        isPlaintext = configuration.tls == nil
        self.counters = counters
    }

    func start() {
        for fd in listeners {
            do {
                registrations.append(try loop.register(fd: fd, channel: self))
            } catch {
                Log.error("a listener could not be watched", ["error": error])
            }
        }
    }

    func ready(_ readiness: LoopReadiness) {
        for listener in listeners {
            var accepted = 0
            do {
                while let fd = try Socket.accept(listener) {
                    place(fd)
                    accepted += 1
                }
            } catch {
                Log.warning("connections cannot be accepted for now", ["error": error])
                // Those just accepted may be gone already and give their descriptors back: whoever
                // comes behind them is refused only where a pause has not helped.
                if error.isOutOfFiles, accepted == 0 { refuseOne(listener) }
                pause()
            }
        }
    }

    private func place(_ fd: Int32) {
        let total = targets.reduce(0) { $0 + $1.connectionCount }
        guard total < connectionsMax,
            let target = targets.min(by: { $0.connectionCount < $1.connectionCount })
        else { return refuse(fd, .connectionLimit) }
        counters.noteAccepted()
        target.adopt(fd)
    }

    private func refuse(_ fd: Int32, _ refusal: TransportRefusal) {
        counters.note(refusal)
        // A client that speaks no HTTP/2 learns nothing, nor one that waits for TLS.
        if isPlaintext {
            _ = Socket.write(fd, ConnectionRefusal.tooMany, from: 0)
            Socket.endOutput(fd)
        }
        Socket.close(fd)
    }

    private func refuseOne(_ listener: Int32) {
        guard let fd = spare else { return }
        Socket.close(fd)
        if let accepted = try? Socket.accept(listener) { refuse(accepted, .noDescriptor) }
        spare = Socket.spare()
    }

    /// Out of descriptors: waiting sockets would keep the loop awake for nothing.
    private func pause() {
        guard !isPaused else { return }
        isPaused = true
        for registration in registrations {
            loop.update(registration, readable: false, writable: false)
        }
        loop.schedule(afterNanos: 100_000_000) { [self] in
            isPaused = false
            if spare == nil { spare = Socket.spare() }
            for registration in registrations {
                loop.update(registration, readable: true, writable: false)
            }
        }
    }

    func stop() {
        for registration in registrations { loop.unregister(registration) }
        registrations = []
        for fd in listeners { Socket.close(fd) }
        if let spare { Socket.close(spare) }
        spare = nil
    }
}

/// A loop and the connections that live on it.
///
/// `@unchecked Sendable`: the counter is atomic; `connections` is touched on the loop only.
final class ConnectionLoop: @unchecked Sendable {
    let loop: EventLoop
    private let configuration: ServerTransportConfiguration
    private let dispatcher: any CallDispatcher
    private let counters: TransportCounters
    private let calls: LoopCalls?
    private let count = Atomic<Int>(0)
    private var connections: [ObjectIdentifier: Connection] = [:]
    private var isDraining = false
    /// Of connections that are gone.
    private var past = ConnectionTraffic()

    /// On the loop.
    var report: (ConnectionTraffic, [ConnectionReport]) {
        var totals = past
        for connection in connections.values { totals.add(connection.traffic) }
        return (totals, connections.values.map { $0.report })
    }

    init(
        loop: EventLoop, configuration: ServerTransportConfiguration,
        dispatcher: any CallDispatcher, counters: TransportCounters, calls: LoopCalls?
    ) {
        self.calls = calls
        self.loop = loop
        self.configuration = configuration
        self.dispatcher = dispatcher
        self.counters = counters
    }

    /// Includes sockets that are on their way to the loop.
    var connectionCount: Int { count.load(ordering: .relaxed) }

    /// Called by the acceptor.
    func adopt(_ fd: Int32) {
        count.add(1, ordering: .relaxed)
        let accepted = loop.execute { [self] in
            Socket.setNoDelay(fd)
            let connection = Connection(
                fd: fd, loop: loop, configuration: configuration, dispatcher: dispatcher,
                counters: counters, calls: calls
            ) { [unowned self] connection in self.forget(connection) }
            connections[ObjectIdentifier(connection)] = connection
            connection.start()
        }
        if !accepted {
            Socket.close(fd)
            count.subtract(1, ordering: .relaxed)
        }
    }

    private func forget(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = nil
        past.add(connection.traffic)
        count.subtract(1, ordering: .relaxed)
        if isDraining, connections.isEmpty { loop.stop() }
    }

    func drain(timeoutMillis: Int) {
        isDraining = true
        if connections.isEmpty { return loop.stop() }
        loop.schedule(afterNanos: UInt64(max(0, timeoutMillis)) * 1_000_000) { [self] in
            for connection in Array(connections.values) { connection.close() }
        }
        for connection in Array(connections.values) { connection.beginDrain() }
    }
}
