// Lets operations fail on demand: a full disk, a bad sector, a short write, the end of the process.

public final class FaultyFileSystem: TappedFileSystem {
    public enum Fault: Sendable {
        case fail(Errno)
        /// Writes so many bytes and fails. Any other operation just fails.
        case shortWrite(byteCount: Int, Errno)
        /// This operation and all that follow fail: the process is gone.
        case stop
    }

    private struct State {
        var mutations = 0
        var isStopped = false
    }

    public let inner: any FileSystem
    private let state = Locked(State())
    private let plan: @Sendable (FileEvent, Int) -> Fault?

    /// - Parameter plan: what shall happen to an operation, given how many mutations (operations
    ///   that can change the disk) came before it. Called under a lock.
    public init(
        _ inner: any FileSystem, plan: @escaping @Sendable (FileEvent, Int) -> Fault?
    ) {
        self.inner = inner
        self.plan = plan
    }

    /// Fails the mutation with this index and everything after it, half-writing if it is a write.
    public convenience init(_ inner: any FileSystem, stoppingAtMutation index: Int) {
        self.init(inner) { event, mutations in
            event.isMutation && mutations >= index ? .stop : nil
        }
    }

    /// How many operations that can change the disk were asked for.
    public var mutationCount: Int { state.withLock { $0.mutations } }

    public func before(_ event: FileEvent) throws(FileError) -> ShortWrite? {
        let fault: Fault? = state.withLock { state in
            if state.isStopped { return .fail(.inputOutput) }
            let fault = plan(event, state.mutations)
            if event.isMutation { state.mutations += 1 }
            if case .stop = fault { state.isStopped = true }
            return fault
        }
        switch fault {
        case nil: return nil
        case .fail(let errno):
            throw FileError(event.operation, event.path, offset: event.offset, errno)
        case .shortWrite(let byteCount, let errno):
            guard event.operation == .write else {
                throw FileError(event.operation, event.path, offset: event.offset, errno)
            }
            return ShortWrite(byteCount: byteCount, errno: errno)
        case .stop:
            if event.operation == .write, let byteCount = event.byteCount {
                return ShortWrite(byteCount: byteCount / 2, errno: .inputOutput)
            }
            throw FileError(event.operation, event.path, offset: event.offset, .inputOutput)
        }
    }

    public func after(_ event: FileEvent) {}
}
