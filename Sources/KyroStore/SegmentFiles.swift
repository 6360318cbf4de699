// The files of one shard's log: numbered segments, and spares written in advance.
//
// `log-<ordinal>` holds batches; `spare-<number>` is a file of full size whose blocks exist, made
// ahead of time or left over from a segment that a snapshot has replaced; `*.new` is unfinished.
// Ordinals and numbers are 16 hexadecimal digits.
import KyroPlatform

final class SegmentFiles: Sendable {
    private struct Spares {
        var names: [String] = []
        var nextNumber: UInt64 = 1
    }

    let directory: String
    let fileSystem: any FileSystem
    let segmentBytes: Int
    private let sparesMax: Int
    private let spares = Locked(Spares())

    init(_ directory: String, _ fileSystem: any FileSystem, segmentBytes: Int, sparesMax: Int) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.segmentBytes = segmentBytes
        self.sparesMax = sparesMax
    }

    private static let zeroChunk = [UInt8](repeating: 0, count: 1 << 20)

    func path(_ name: String) -> String { "\(directory)/\(name)" }
    func path(ordinal: UInt64) -> String { Self.path(directory, ordinal: ordinal) }

    private static func digits(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    private static func number(of name: String, after prefix: String) -> UInt64? {
        guard name.hasPrefix(prefix) else { return nil }
        let digits = name.dropFirst(prefix.count)
        return digits.utf8.count == 16 ? UInt64(digits, radix: 16) : nil
    }

    /// The segments' ordinals in a directory of a log, rising.
    static func ordinals(
        in directory: String, _ fileSystem: any FileSystem
    ) throws(FileError) -> [UInt64] {
        try fileSystem.list(directory).compactMap { number(of: $0, after: "log-") }.sorted()
    }

    static func path(_ directory: String, ordinal: UInt64) -> String {
        "\(directory)/log-\(digits(ordinal))"
    }

    /// Takes stock: keeps good spares, drops the unfinished, and returns the segments' ordinals,
    /// rising.
    func scan() throws(FileError) -> [UInt64] {
        var ordinals: [UInt64] = []
        var found = Spares()
        for name in try fileSystem.list(directory) {
            if let ordinal = Self.number(of: name, after: "log-") {
                ordinals.append(ordinal)
            } else if let number = Self.number(of: name, after: "spare-") {
                found.nextNumber = max(found.nextNumber, number + 1)
                let size = try fileSystem.open(path(name), .read).size()
                if size == UInt64(segmentBytes), found.names.count < sparesMax {
                    found.names.append(name)
                } else {
                    try? fileSystem.unlink(path(name))
                }
            } else if name.hasPrefix("spare-"), name.hasSuffix(".new") {
                try? fileSystem.unlink(path(name))
            }
        }
        let stock = found
        spares.withLock { $0 = stock }
        return ordinals.sorted()
    }

    /// Whether `prepareSpare` has something to do. Any thread.
    var needsSpare: Bool { spares.withLock { $0.names.count < sparesMax } }

    var spareBytes: UInt64 {
        spares.withLock { UInt64($0.names.count) } * UInt64(segmentBytes)
    }

    private func takeNumber() -> UInt64 {
        spares.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
    }

    /// Writes one segment's worth of zeros, so that later syncs change no metadata. Any thread.
    func prepareSpare() throws(FileError) {
        guard needsSpare else { return }
        let name = "spare-\(Self.digits(takeNumber()))"
        let unfinished = path(name + ".new")
        do {
            let file = try fileSystem.open(unfinished, .createEmpty)
            var offset = 0
            while offset < segmentBytes {
                let count = min(Self.zeroChunk.count, segmentBytes - offset)
                try file.write(Self.zeroChunk, range: 0..<count, at: UInt64(offset))
                offset += count
            }
            try file.sync()
            try fileSystem.rename(unfinished, to: path(name))
        } catch {
            // A full disk should not keep half a spare; the first error is the one to tell.
            try? fileSystem.unlink(unfinished)
            throw error
        }
        spares.withLock { $0.names.append(name) }
    }

    /// A file of at least `byteCount` bytes under a spare's name.
    ///
    /// - Parameter isExact: a new file gets no more than that.
    func takeFile(byteCount: Int, isExact: Bool = false) throws(FileError) -> String {
        if byteCount <= segmentBytes, let name = spares.withLock({ $0.names.popLast() }) {
            return path(name)
        }
        let spare = path("spare-\(Self.digits(takeNumber()))")
        do {
            let file = try fileSystem.open(spare, .createEmpty)
            try file.allocate(UInt64(isExact ? byteCount : max(byteCount, segmentBytes)))
        } catch {
            try? fileSystem.unlink(spare)
            throw error
        }
        return spare
    }

    /// Gives back what `takeFile` gave and could not be used.
    func returnFile(_ path: String) {
        try? fileSystem.unlink(path)
    }

    /// Takes a segment out of the log: keeps it as a spare when it has the usual size and spares
    /// are wanted. Not durable before `syncDirectory`.
    ///
    /// - Parameter toBeAdded: spares retired since the directory was synced.
    /// - Returns: the name to add once the directory is synced.
    func retire(
        _ path: String, byteCount: UInt64, toBeAdded: Int
    ) throws(FileError) -> String? {
        let isWanted = spares.withLock { $0.names.count + toBeAdded < sparesMax }
        do {
            guard byteCount == UInt64(segmentBytes), isWanted else {
                try fileSystem.unlink(path)
                return nil
            }
            let name = "spare-\(Self.digits(takeNumber()))"
            try fileSystem.rename(path, to: self.path(name))
            return name
        } catch {
            // An earlier attempt got further than it could tell.
            if error.errno == .notFound { return nil }
            throw error
        }
    }

    func addSpares(_ names: [String]) {
        spares.withLock { $0.names.append(contentsOf: names) }
    }

    func syncDirectory() throws(FileError) { try fileSystem.syncDirectory(directory) }
}
