// Files in memory that know what the disk knows: `afterPowerCut` gives what would be left.
//
// What fdatasync covered is left for certain, and so is a directory's content when it was synced.
// Of what was written since, any set of 512-byte sectors may be left; of what was renamed, made or
// removed since, the first so many changes, as on a journalling file system.

public final class MemoryFileSystem: FileSystem {
    static let sectorBytes = 512

    enum PendingChange {
        case write(offset: Int, bytes: [UInt8])
        case resize(Int)
    }

    struct Inode {
        var live: [UInt8] = []
        var durable: [UInt8] = []
        /// What was done to the file since its last sync, in order.
        var pending: [PendingChange] = []
        /// Number of the open file that holds the lock.
        var lockHolder: Int?
    }

    enum EntryChange {
        case put(name: String, inode: Int)
        case remove(name: String)
        /// Atomic: a power cut sees the name at one place.
        case move(from: String, to: String, inode: Int)
    }

    struct Directory {
        var live: [String: Int] = [:]
        var durable: [String: Int] = [:]
        var pending: [EntryChange] = []
    }

    struct Disk {
        var inodes: [Inode] = []
        var directories: [String: Directory] = [:]
        var nextHandle = 1
        /// Bytes that all files together may have; nil for any number.
        var capacity: Int?
    }

    let disk: Locked<Disk>

    /// An empty disk with one directory, "/".
    public convenience init() {
        var disk = Disk()
        disk.directories[""] = Directory()
        self.init(disk)
    }

    private init(_ disk: consuming Disk) { self.disk = Locked(disk) }

    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let (parent, name) = Self.split(path)
        let opened = disk.withLock { disk -> Result<(Int, Int), FileError> in
            guard let directory = disk.directories[parent] else {
                return .failure(FileError(.open, path, .notFound))
            }
            let handle = disk.nextHandle
            disk.nextHandle += 1
            if let inode = directory.live[name] {
                if mode == .createEmpty { disk.inodes[inode].resize(to: 0) }
                return .success((inode, handle))
            }
            guard mode == .createEmpty || mode == .readWriteOrCreate else {
                return .failure(FileError(.open, path, .notFound))
            }
            let inode = disk.inodes.count
            disk.inodes.append(Inode())
            disk.directories[parent]?.change(.put(name: name, inode: inode))
            return .success((inode, handle))
        }
        let (inode, handle) = try opened.get()
        return MemoryFile(path: path, inode: inode, handle: handle, system: self)
    }

    public func rename(_ path: String, to target: String) throws(FileError) {
        let (parent, name) = Self.split(path)
        let (targetParent, targetName) = Self.split(target)
        precondition(parent == targetParent, "\(path) and \(target) lie in two directories")
        let isDone = disk.withLock { disk -> Bool in
            guard let inode = disk.directories[parent]?.live[name] else { return false }
            disk.directories[parent]?.change(.move(from: name, to: targetName, inode: inode))
            return true
        }
        if !isDone { throw FileError(.rename, path, .notFound) }
    }

    public func unlink(_ path: String) throws(FileError) {
        let (parent, name) = Self.split(path)
        let isDone = disk.withLock { disk -> Bool in
            guard disk.directories[parent]?.live[name] != nil else { return false }
            disk.directories[parent]?.change(.remove(name: name))
            return true
        }
        if !isDone { throw FileError(.unlink, path, .notFound) }
    }

    public func list(_ path: String) throws(FileError) -> [String] {
        let path = Self.trimmed(path)
        let names = disk.withLock { disk -> [String]? in
            guard let directory = disk.directories[path] else { return nil }
            let inner = disk.directories.keys.filter { $0 != path && Self.split($0).0 == path }
            return (directory.live.keys + inner.map { Self.split($0).1 }).sorted()
        }
        guard let names else { throw FileError(.list, path, .notFound) }
        return names
    }

    /// Directories are durable at once: nothing here depends on losing one.
    public func makeDirectory(_ path: String) throws(FileError) {
        let path = Self.trimmed(path)
        let parent = Self.split(path).0
        let isDone = disk.withLock { disk -> Bool in
            guard disk.directories[parent] != nil else { return false }
            if disk.directories[path] == nil { disk.directories[path] = Directory() }
            return true
        }
        if !isDone { throw FileError(.makeDirectory, path, .notFound) }
    }

    public func syncDirectory(_ path: String) throws(FileError) {
        let path = Self.trimmed(path)
        let isDone = disk.withLock { disk -> Bool in
            guard let live = disk.directories[path]?.live else { return false }
            disk.directories[path]?.durable = live
            disk.directories[path]?.pending.removeAll()
            return true
        }
        if !isDone { throw FileError(.syncDirectory, path, .notFound) }
    }

    /// Sets how many bytes all files together may have from now on; nil for any number. Files that
    /// are larger already stay, and nothing grows until there is room again.
    public func setCapacity(_ byteCount: Int?) { disk.withLock { $0.capacity = byteCount } }

    /// Bytes of all files that have a name.
    public var usedBytes: Int { disk.withLock { $0.usedBytes } }

    public func freeBytes(_ path: String) -> UInt64? {
        disk.withLock { disk in
            disk.capacity.map { UInt64(max(0, $0 - disk.usedBytes)) }
        }
    }

    /// What a machine finds when the power comes back; this file system goes on as it is.
    public func afterPowerCut(_ random: any RandomSource) -> MemoryFileSystem {
        let left = disk.withLock { disk -> Disk in
            var left = disk.separated
            for index in left.inodes.indices { left.inodes[index].cutPower(random) }
            for path in left.directories.keys.sorted() {
                left.directories[path]?.cutPower(random)
            }
            return left
        }
        return MemoryFileSystem(left)
    }

    /// Everything as it is now, as after the end of the process alone.
    public func copy() -> MemoryFileSystem {
        let same = disk.withLock { disk -> Disk in
            var same = disk.separated
            for index in same.inodes.indices { same.inodes[index].lockHolder = nil }
            return same
        }
        return MemoryFileSystem(same)
    }

    /// The machine comes up again with this very disk: as the end of the process left it, or as a
    /// power cut does. Files that are open from before must not be used any more.
    public func restart(powerCut random: (any RandomSource)?) {
        disk.withLock { disk in
            if let random {
                for index in disk.inodes.indices { disk.inodes[index].cutPower(random) }
                for path in disk.directories.keys.sorted() {
                    disk.directories[path]?.cutPower(random)
                }
            }
            var isNamed = Array(repeating: false, count: disk.inodes.count)
            for directory in disk.directories.values {
                for inode in directory.live.values { isNamed[inode] = true }
                for inode in directory.durable.values { isNamed[inode] = true }
            }
            for index in disk.inodes.indices {
                disk.inodes[index].lockHolder = nil
                if !isNamed[index] { disk.inodes[index] = Inode() }
            }
        }
    }

    /// A sync that fails, as Linux has it: what was written stays readable and counts as clean, any
    /// part of it may have reached the disk, and no later sync will bring the rest there.
    public func failSync(_ path: String, _ random: any RandomSource) {
        let (parent, name) = Self.split(path)
        disk.withLock { disk in
            guard let inode = disk.directories[parent]?.live[name] else { return }
            let live = disk.inodes[inode].live
            let holder = disk.inodes[inode].lockHolder
            disk.inodes[inode].cutPower(random)
            disk.inodes[inode].live = live
            disk.inodes[inode].lockHolder = holder
        }
    }

    /// Turns one bit over, as if the medium had; a second time puts it right.
    public func flipBit(_ bit: Int, of path: String, at offset: Int) {
        let (parent, name) = Self.split(path)
        disk.withLock { disk in
            guard let inode = disk.directories[parent]?.live[name] else { return }
            let mask = UInt8(1) << UInt8(bit & 7)
            if offset < disk.inodes[inode].live.count { disk.inodes[inode].live[offset] ^= mask }
            if offset < disk.inodes[inode].durable.count {
                disk.inodes[inode].durable[offset] ^= mask
            }
        }
    }

    private static func trimmed(_ path: String) -> String {
        path.utf8.last == UInt8(ascii: "/") ? String(path.utf8.dropLast()) ?? path : path
    }

    private static func split(_ path: String) -> (parent: String, name: String) {
        let bytes = path.utf8
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        return (String(path[..<slash]), String(path[bytes.index(after: slash)...]))
    }
}

extension MemoryFileSystem.Disk {
    var usedBytes: Int {
        directories.values.reduce(0) { total, directory in
            directory.live.values.reduce(total) { $0 + inodes[$1].live.count }
        }
    }

    /// To how many bytes an inode may grow, when it is asked to have `wanted`.
    func room(_ inode: Int, wanted: Int) -> Int {
        let count = inodes[inode].live.count
        guard let capacity, wanted > count else { return wanted }
        return min(wanted, count + max(0, capacity - usedBytes))
    }

    /// A copy with storage of its own. Two disks on two threads might share it until one of them
    /// writes; the thread sanitizer does not see the reference counts that make this safe.
    var separated: MemoryFileSystem.Disk {
        var copy = self
        copy.inodes = Self.separated(inodes)
        for index in copy.inodes.indices {
            copy.inodes[index].live = Self.separated(inodes[index].live)
            copy.inodes[index].durable = Self.separated(inodes[index].durable)
            copy.inodes[index].pending = Self.separated(inodes[index].pending)
        }
        copy.directories = directories.mapValues { directory in
            MemoryFileSystem.Directory(
                live: directory.live.mapValues { $0 },
                durable: directory.durable.mapValues { $0 },
                pending: Self.separated(directory.pending))
        }
        return copy
    }

    private static func separated<Element>(_ elements: [Element]) -> [Element] {
        var copy: [Element] = []
        copy.reserveCapacity(elements.count)
        copy.append(contentsOf: elements)
        return copy
    }
}

extension MemoryFileSystem.Directory {
    mutating func change(_ change: MemoryFileSystem.EntryChange) {
        Self.apply(change, to: &live)
        pending.append(change)
    }

    mutating func cutPower(_ random: any RandomSource) {
        let count = Int(random.next() % UInt64(pending.count + 1))
        for change in pending[..<count] { Self.apply(change, to: &durable) }
        live = durable
        pending.removeAll()
    }

    private static func apply(
        _ change: MemoryFileSystem.EntryChange, to entries: inout [String: Int]
    ) {
        switch change {
        case .put(let name, let inode): entries[name] = inode
        case .remove(let name): entries[name] = nil
        case .move(let from, let to, let inode):
            entries[from] = nil
            entries[to] = inode
        }
    }
}

extension MemoryFileSystem.Inode {
    mutating func write(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        Self.put(bytes, at: offset, in: &live)
        pending.append(.write(offset: offset, bytes: Array(bytes)))
    }

    mutating func resize(to count: Int) {
        Self.resize(&live, to: count)
        pending.append(.resize(count))
    }

    mutating func sync() {
        for change in pending {
            switch change {
            case .write(let offset, let bytes): Self.put(bytes[...], at: offset, in: &durable)
            case .resize(let count): Self.resize(&durable, to: count)
            }
        }
        pending.removeAll()
    }

    mutating func cutPower(_ random: any RandomSource) {
        for change in pending {
            switch change {
            case .resize(let count):
                if random.next() & 1 == 0 { Self.resize(&durable, to: count) }
            case .write(let offset, let bytes):
                var start = 0
                while start < bytes.count {
                    let sector = MemoryFileSystem.sectorBytes
                    let end = min(bytes.count, start + sector - (offset + start) % sector)
                    if random.next() & 1 == 0 {
                        Self.put(bytes[start..<end], at: offset + start, in: &durable)
                    }
                    start = end
                }
            }
        }
        live = durable
        pending.removeAll()
        lockHolder = nil
    }

    private static func put(_ bytes: ArraySlice<UInt8>, at offset: Int, in target: inout [UInt8]) {
        if target.count < offset + bytes.count { resize(&target, to: offset + bytes.count) }
        target.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
    }

    private static func resize(_ target: inout [UInt8], to count: Int) {
        if target.count > count {
            target.removeLast(target.count - count)
        } else {
            target.append(contentsOf: repeatElement(0, count: count - target.count))
        }
    }
}

final class MemoryFile: File {
    let path: String
    private let inode: Int
    private let handle: Int
    private let system: MemoryFileSystem

    init(path: String, inode: Int, handle: Int, system: MemoryFileSystem) {
        self.path = path
        self.inode = inode
        self.handle = handle
        self.system = system
    }

    deinit {
        system.disk.withLock { disk in
            if disk.inodes[inode].lockHolder == handle { disk.inodes[inode].lockHolder = nil }
        }
    }

    func read(at offset: UInt64, count: Int) throws(FileError) -> [UInt8] {
        system.disk.withLock { disk in
            let size = disk.inodes[inode].live.count
            let start = Int(min(offset, UInt64(size)))
            return Array(disk.inodes[inode].live[start..<min(size, start + count)])
        }
    }

    func write(_ bytes: [UInt8], range: Range<Int>, at offset: UInt64) throws(FileError) {
        let isWhole = system.disk.withLock { disk -> Bool in
            // As on a disk, what has room is written.
            let end = disk.room(inode, wanted: Int(offset) + range.count)
            let count = max(0, min(range.count, end - Int(offset)))
            let written = range.lowerBound..<(range.lowerBound + count)
            if count > 0 { disk.inodes[inode].write(bytes[written], at: Int(offset)) }
            return count == range.count
        }
        if !isWhole { throw full(.write, at: offset) }
    }

    private func full(_ operation: FileOperation, at offset: UInt64) -> FileError {
        FileError(operation, path, offset: offset, .noSpace, freeBytes: system.freeBytes(path))
    }

    func sync() throws(FileError) { system.disk.withLock { $0.inodes[inode].sync() } }

    func truncate(to byteCount: UInt64) throws(FileError) {
        system.disk.withLock { $0.inodes[inode].resize(to: Int(byteCount)) }
    }

    func allocate(_ byteCount: UInt64) throws(FileError) {
        let isDone = system.disk.withLock { disk -> Bool in
            guard disk.inodes[inode].live.count < Int(byteCount) else { return true }
            guard disk.room(inode, wanted: Int(byteCount)) == Int(byteCount) else { return false }
            disk.inodes[inode].resize(to: Int(byteCount))
            return true
        }
        if !isDone { throw full(.allocate, at: byteCount) }
    }

    func size() throws(FileError) -> UInt64 {
        system.disk.withLock { UInt64($0.inodes[inode].live.count) }
    }

    func lockExclusively() throws(FileError) -> Bool {
        system.disk.withLock { disk in
            guard disk.inodes[inode].lockHolder ?? handle == handle else { return false }
            disk.inodes[inode].lockHolder = handle
            return true
        }
    }
}
