// The disk of one simulated machine: files in memory behind calls that stop or fail when the seed
// says so, and a hash of everything that was asked of them.
import KyroBytes
import KyroPlatform

/// One thread.
///
/// `@unchecked Sendable`: the simulator is one thread.
final class SimulatedDisk: FileSystem, @unchecked Sendable {
    /// Calls that shall fail.
    struct Fault {
        var operations: Set<FileOperation>
        /// Calls that still succeed.
        var skip: Int
        /// Calls that fail then.
        var count: Int
        var errno: Errno
    }

    private(set) var memory = MemoryFileSystem()
    private var dice: Dice
    /// Calls that may change the disk until the process ends in the middle of one; nil for never.
    var callsToCrash: Int?
    /// The process is gone: nothing it still asks for happens.
    private(set) var isDown = false
    var fault: Fault?
    /// Calls that failed since the machine came up.
    private(set) var faultCount = 0
    private(set) var callCount = 0
    private(set) var hash = RunHash()
    let trace: ((String) -> Void)?

    init(dice: Dice, trace: ((String) -> Void)?) {
        self.dice = dice
        self.trace = trace
    }

    /// The process ends here, between two calls.
    func stop() { isDown = true }

    /// The machine comes up again.
    ///
    /// - Parameter powerCut: whether what was not synced is gone.
    func restart(powerCut: Bool) {
        let random: SeededRandomSource? = powerCut ? SeededRandomSource(seed: dice.next()) : nil
        memory.restart(powerCut: random)
        isDown = false
        callsToCrash = nil
        fault = nil
        faultCount = 0
    }

    /// Another disk takes the place of this one's content.
    func replace(with memory: MemoryFileSystem) {
        self.memory = memory
        isDown = false
        callsToCrash = nil
        fault = nil
        faultCount = 0
    }

    func note(_ word: UInt64) { hash.add(word) }

    // MARK: Calls

    enum Verdict {
        case go
        /// The call is the last one: it happens, and its caller never learns.
        case goAndStop
        /// So much is written, then the call fails.
        case partly(Int, Errno)
    }

    func begin(
        _ operation: FileOperation, _ path: String, _ offset: UInt64 = 0, _ byteCount: Int = 0,
        content: UInt32 = 0
    ) throws(FileError) -> Verdict {
        if isDown { throw FileError(operation, path, offset: offset, .inputOutput) }
        callCount += 1
        hash.add(path)
        hash.add(UInt64(content) << 32 ^ offset << 8 ^ UInt64(byteCount))
        trace?("    \(operation.rawValue) \(path) @\(offset) +\(byteCount)")
        if let left = callsToCrash, operation.mayChangeDisk {
            callsToCrash = left - 1
            if left <= 1 { return try crash(operation, path, offset, byteCount) }
        }
        if fault?.operations.contains(operation) == true {
            return try meetFault(operation, path, offset, byteCount)
        }
        return .go
    }

    private func crash(
        _ operation: FileOperation, _ path: String, _ offset: UInt64, _ byteCount: Int
    ) throws(FileError) -> Verdict {
        isDown = true
        let isBefore = dice.chance(50)
        trace?("    the process ends \(isBefore ? "before" : "in or after") this call")
        if operation == .write, byteCount > 0, dice.chance(60) {
            return .partly(dice.below(byteCount + 1), .inputOutput)
        }
        if isBefore { throw FileError(operation, path, offset: offset, .inputOutput) }
        return .goAndStop
    }

    private func meetFault(
        _ operation: FileOperation, _ path: String, _ offset: UInt64, _ byteCount: Int
    ) throws(FileError) -> Verdict {
        guard var fault else { return .go }
        defer { self.fault = fault.count > 0 ? fault : nil }
        if fault.skip > 0 {
            fault.skip -= 1
            return .go
        }
        fault.count -= 1
        faultCount += 1
        trace?("    fails: \(fault.errno)")
        if operation == .write, byteCount > 0, dice.chance(50) {
            return .partly(dice.below(byteCount), fault.errno)
        }
        if operation == .sync { memory.failSync(path, SeededRandomSource(seed: dice.next())) }
        throw FileError(operation, path, offset: offset, fault.errno)
    }

    func end(_ verdict: Verdict) {
        if case .goAndStop = verdict { isDown = true }
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let operation: FileOperation =
            switch mode {
            case .read, .readWrite: .open
            case .readWriteOrCreate, .createEmpty: .create
            }
        let verdict = try begin(operation, path)
        let file = try memory.open(path, mode)
        end(verdict)
        return SimulatedFile(file, self)
    }

    func rename(_ path: String, to target: String) throws(FileError) {
        let verdict = try begin(.rename, path)
        try memory.rename(path, to: target)
        end(verdict)
    }

    func unlink(_ path: String) throws(FileError) {
        let verdict = try begin(.unlink, path)
        try memory.unlink(path)
        end(verdict)
    }

    func list(_ path: String) throws(FileError) -> [String] {
        _ = try begin(.list, path)
        return try memory.list(path)
    }

    func makeDirectory(_ path: String) throws(FileError) {
        let verdict = try begin(.makeDirectory, path)
        try memory.makeDirectory(path)
        end(verdict)
    }

    func syncDirectory(_ path: String) throws(FileError) {
        let verdict = try begin(.syncDirectory, path)
        try memory.syncDirectory(path)
        end(verdict)
    }
}

final class SimulatedFile: File {
    private let inner: any File
    private let disk: SimulatedDisk

    init(_ inner: any File, _ disk: SimulatedDisk) {
        self.inner = inner
        self.disk = disk
    }

    var path: String { inner.path }

    func read(at offset: UInt64, count: Int) throws(FileError) -> [UInt8] {
        _ = try disk.begin(.read, path, offset, count)
        return try inner.read(at: offset, count: count)
    }

    func write(_ bytes: [UInt8], range: Range<Int>, at offset: UInt64) throws(FileError) {
        let verdict = try disk.begin(
            .write, path, offset, range.count, content: crc32c(bytes, range: range))
        if case .partly(let count, let errno) = verdict {
            let written = range.lowerBound..<(range.lowerBound + count)
            try inner.write(bytes, range: written, at: offset)
            throw FileError(.write, path, offset: offset, errno)
        }
        try inner.write(bytes, range: range, at: offset)
        disk.end(verdict)
    }

    func sync() throws(FileError) {
        let verdict = try disk.begin(.sync, path)
        try inner.sync()
        disk.end(verdict)
    }

    func truncate(to byteCount: UInt64) throws(FileError) {
        let verdict = try disk.begin(.truncate, path, byteCount)
        try inner.truncate(to: byteCount)
        disk.end(verdict)
    }

    func allocate(_ byteCount: UInt64) throws(FileError) {
        let verdict = try disk.begin(.allocate, path, byteCount)
        try inner.allocate(byteCount)
        disk.end(verdict)
    }

    func size() throws(FileError) -> UInt64 {
        _ = try disk.begin(.size, path)
        return try inner.size()
    }

    func lockExclusively() throws(FileError) -> Bool {
        _ = try disk.begin(.lock, path)
        return try inner.lockExclusively()
    }
}

extension FileOperation {
    fileprivate var mayChangeDisk: Bool {
        switch self {
        case .create, .write, .sync, .truncate, .allocate, .rename, .unlink, .makeDirectory,
            .syncDirectory:
            true
        case .open, .read, .size, .list, .lock: false
        }
    }
}
