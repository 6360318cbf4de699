// Remembers what was done to the files, in order, together with marks that the test sets.

public final class RecordingFileSystem: TappedFileSystem {
    public enum Entry: Equatable, Sendable {
        case file(FileEvent)
        /// Something outside the files, such as an acknowledgement.
        case mark(String)
    }

    public let inner: any FileSystem
    private let entries = Locked<[Entry]>([])
    private let hook: (@Sendable (FileEvent) -> Void)?

    /// - Parameter hook: called after each operation has succeeded and before it returns.
    public init(_ inner: any FileSystem, hook: (@Sendable (FileEvent) -> Void)? = nil) {
        self.inner = inner
        self.hook = hook
    }

    /// Everything so far, oldest first.
    public var log: [Entry] { entries.withLock { $0 } }

    /// Puts a mark between the operations before and after it.
    public func mark(_ text: String) { entries.withLock { $0.append(.mark(text)) } }

    public func forget() { entries.withLock { $0.removeAll() } }

    public func before(_ event: FileEvent) throws(FileError) -> ShortWrite? { nil }

    public func after(_ event: FileEvent) {
        entries.withLock { $0.append(.file(event)) }
        hook?(event)
    }
}
