// Any part of a snapshot's section, as far as its blocks hold.
import KyroPlatform

/// Every block is checked once, when this is made; what is read afterwards comes from blocks that
/// held. One thread.
public final class SectionAccess {
    public let name: String
    public let byteCount: UInt64
    /// Blocks that do not hold.
    public let damaged: [DamagedBlock]
    private let reader: SnapshotReader
    /// The blocks read last, newest behind.
    private var cache: [(number: Int, data: [UInt8])] = []
    private static let cachedMax = 4

    /// - Returns: nil when the snapshot has no section of that name.
    public init?(_ reader: SnapshotReader, section name: String) throws(StoreError) {
        guard let byteCount = reader.byteCount(ofSection: name) else { return nil }
        self.reader = reader
        self.name = name
        self.byteCount = byteCount
        damaged = try reader.readBlocks(of: name) { _, _ in }
    }

    public func isReadable(_ range: Range<UInt64>) -> Bool {
        range.upperBound <= byteCount && !damaged.contains { $0.range.overlaps(range) }
    }

    /// The first readable byte at or behind `position`.
    public func nextReadable(from position: UInt64) -> UInt64 {
        var position = position
        for block in damaged where block.range.contains(position) {
            position = block.range.upperBound
        }
        return position
    }

    /// Where the readable bytes that begin at `position` end.
    public func readableEnd(from position: UInt64) -> UInt64 {
        damaged.first { $0.range.lowerBound >= position }?.range.lowerBound ?? byteCount
    }

    /// - Returns: nil when a part of it cannot be read.
    public func read(_ range: Range<UInt64>) -> [UInt8]? {
        guard isReadable(range) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(range.upperBound - range.lowerBound))
        let size = UInt64(SnapshotFormat.blockBytesMax)
        var position = range.lowerBound
        while position < range.upperBound {
            let number = Int(position / size)
            guard let data = block(number) else { return nil }
            let start = Int(position % size)
            let end = min(data.count, start + Int(range.upperBound - position))
            guard end > start else { return nil }
            bytes.append(contentsOf: data[start..<end])
            position += UInt64(end - start)
        }
        return bytes
    }

    private func block(_ number: Int) -> [UInt8]? {
        if let found = cache.last(where: { $0.number == number }) { return found.data }
        guard let data = try? reader.readBlock(number, of: name) else { return nil }
        if cache.count == Self.cachedMax { cache.removeFirst() }
        cache.append((number, data))
        return data
    }
}
