// Room on the volume, and a few open files, kept for what has to be finished when there is none.
//
// `RESERVE` in the data directory is a file of zeros that nobody reads. When the volume is full it
// is emptied, and a clean stop, a dropped collection or the manifest that lets go of old log take
// its place. It is written again once the volume has twice its size free. Beside it some
// descriptors of the same file stay open, to be closed when no other file can be opened.
import KyroModel
import KyroPlatform

/// Any thread.
final class Reserve: Sendable {
    static let fileName = "RESERVE"
    /// What a seal, a manifest and a directory need at the same time, and one more of each.
    private static let descriptorCount = 6

    private struct Held {
        /// Of the file on the disk, as far as it is written.
        var isWhole = false
        var descriptors: [any File] = []
    }

    /// Zero for none.
    let byteCount: Int
    private let path: String
    private let fileSystem: any FileSystem
    private let held = Locked(Held())

    init(directory: String, fileSystem: any FileSystem, byteCount: Int) {
        path = "\(directory)/\(Self.fileName)"
        self.fileSystem = fileSystem
        self.byteCount = byteCount
    }

    var state: ReserveState {
        if byteCount == 0 { return .none }
        return held.withLock { $0.isWhole && !$0.descriptors.isEmpty } ? .held : .givenUp
    }

    /// Whether `make` has something to do.
    var isWanted: Bool { state == .givenUp }

    /// Writes the file and opens the descriptors, as far as they are missing. An error leaves what
    /// could be made.
    ///
    /// - Parameter isSure: whether there is known to be room; otherwise only where the volume has
    ///   twice as much free, or does not tell.
    func make(isSure: Bool) throws(FileError) {
        guard byteCount > 0 else { return }
        let result: Result<Void, FileError> = held.withLock { held in
            do throws(FileError) {
                if !held.isWhole { held.isWhole = try write(isSure: isSure) }
                while held.isWhole, held.descriptors.count < Self.descriptorCount {
                    held.descriptors.append(try fileSystem.open(path, .read))
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// - Returns: false when the volume has too little room to try.
    private func write(isSure: Bool) throws(FileError) -> Bool {
        let file = try fileSystem.open(path, .readWriteOrCreate)
        let size = try file.size()
        // Left whole by the run before: writing it again would only wear the disk.
        if size == UInt64(byteCount) { return true }
        if !isSure, let free = fileSystem.freeBytes(path), free < 2 * UInt64(byteCount) {
            return false
        }
        do {
            try file.truncate(to: 0)
            let zeros = [UInt8](repeating: 0, count: min(byteCount, 1 << 20))
            var offset = 0
            while offset < byteCount {
                let count = min(zeros.count, byteCount - offset)
                try file.write(zeros, range: 0..<count, at: UInt64(offset))
                offset += count
            }
        } catch {
            try? file.truncate(to: 0)
            throw error
        }
        return true
    }

    /// Lets go of what `shortage` is about.
    ///
    /// - Returns: whether there was something: then it is worth trying again, once.
    func giveUp(for shortage: StoreError) -> Bool {
        switch shortage {
        case .outOfFiles:
            return held.withLock { held in
                defer { held.descriptors = [] }
                return !held.descriptors.isEmpty
            }
        case .outOfSpace:
            return held.withLock { held in
                guard held.isWhole else { return false }
                held.isWhole = false
                do {
                    try fileSystem.open(path, .readWrite).truncate(to: 0)
                } catch {
                    held.descriptors = []
                    do { try fileSystem.unlink(path) } catch { return false }
                }
                return true
            }
        default: return false
        }
    }
}
