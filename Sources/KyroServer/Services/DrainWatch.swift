// How a stream that would go on for ever learns that the server is stopping.

/// Lives and is asked on the stream's loop. End it when the call is over: until then the board holds
/// the stream.
final class DrainWatch {
    private(set) var isDraining = false
    private let health: HealthBoard
    private var watcher: Int?

    /// - Parameter began: called on the loop if the drain begins from now on.
    init(_ health: HealthBoard, _ reply: Reply, began: @escaping @Sendable (ServerCall) -> Void) {
        self.health = health
        let watch = LoopBound(self)
        watcher = health.watch { [health] in
            guard health.isDraining else { return }
            reply.onLoop { call in
                watch.value.isDraining = true
                began(call)
            }
        }
        // It may have begun before there was a watcher.
        isDraining = health.isDraining
    }

    func end() {
        if let watcher { health.unwatch(watcher) }
        watcher = nil
    }
}
