// The threads that loops and workers run on.
import CLinux
import Glibc

/// A named thread: started by `init`, joined once.
@safe struct LoopThread {
    private let handle: pthread_t

    private final class Start {
        let name: String
        let body: () -> Void
        init(name: String, body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// - Parameter name: the kernel keeps 15 bytes of it.
    init(name: String, _ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let start = Start(name: String(name.prefix(15)), body: body)
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                _ = unsafe kyro_set_thread_name(start.name)
                start.body()
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        precondition(status == 0, "thread \(name) could not be started: errno \(status)")
        handle = thread
    }

    func join() { _ = pthread_join(handle, nil) }
}
