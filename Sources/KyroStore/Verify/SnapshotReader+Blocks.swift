// Reading a snapshot block by block, past those that do not hold.
import KyroBytes
import KyroPlatform

/// What becomes of a shard when a section cannot be read.
public enum SectionKind: Sendable {
    /// Says what the other sections are.
    case contents
    /// Documents, which nothing in the same file could replace.
    case documents
    /// Can be built anew from the documents.
    case derived

    public init(section name: String) {
        let derived = ["codes-", "graph-", "metadata-", "sparse-", "text-"]
        if derived.contains(where: { name.hasPrefix($0) }) {
            self = .derived
        } else {
            let documents = ["rows-", "vectors-", "vector-"]
            self = documents.contains { name.hasPrefix($0) } ? .documents : .contents
        }
    }
}

/// One place of a section that cannot be read.
public struct DamagedBlock: Equatable, Sendable {
    public var section: String
    /// Of the section's data.
    public var range: Range<UInt64>
    /// Of the file.
    public var offset: UInt64
    public var finding: String
}

extension SnapshotReader {
    /// Gives every block of a section to `body`, in order; nil stands for one that does not hold.
    ///
    /// - Parameter body: told where in the section's data the block begins.
    /// - Returns: what does not hold.
    public func readBlocks(
        of name: String, _ body: (_ start: UInt64, _ data: [UInt8]?) -> Void
    ) throws(StoreError) -> [DamagedBlock] {
        guard let number = sections.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) })
        else { return [] }
        let section = sections[number]
        var damaged: [DamagedBlock] = []
        var start: UInt64 = 0
        var block = 0
        while start < section.byteCount {
            let count = min(section.byteCount - start, UInt64(SnapshotFormat.blockBytesMax))
            let offset =
                section.offset + start + UInt64(block * SnapshotFormat.blockHeaderCount)
            do throws(StoreError) {
                body(start, try readBlock(number, block, at: offset, count: Int(count)))
            } catch {
                guard case .damaged(let damage) = error else { throw error }
                damaged.append(
                    DamagedBlock(
                        section: name, range: start..<(start + count), offset: offset,
                        finding: damage.finding))
                body(start, nil)
            }
            start += count
            block += 1
        }
        return damaged
    }

    /// One block's data. - Throws: `.damaged` when it does not hold.
    func readBlock(_ block: Int, of name: String) throws(StoreError) -> [UInt8] {
        let size = UInt64(SnapshotFormat.blockBytesMax)
        let start = UInt64(block) * size
        guard let number = sections.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }),
            start < sections[number].byteCount
        else { throw Self.damage(path, 0, "section \(name) has no block \(block)") }
        let offset =
            sections[number].offset + start + UInt64(block * SnapshotFormat.blockHeaderCount)
        return try readBlock(
            number, block, at: offset, count: Int(min(sections[number].byteCount - start, size)))
    }

    private func readBlock(
        _ number: Int, _ block: Int, at offset: UInt64, count: Int
    ) throws(StoreError) -> [UInt8] {
        let name = sections[number].name
        var bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(at: offset, count: SnapshotFormat.blockHeaderCount + count)
        } catch {
            throw Self.damage(path, offset, "block \(block) of section \(name): \(error)")
        }
        let data = SnapshotFormat.blockHeaderCount..<bytes.count
        guard bytes.count == SnapshotFormat.blockHeaderCount + count,
            Self.fixed32(bytes, 0) == UInt32(count),
            Self.fixed32(bytes, 4)
                == SnapshotFormat.blockCRC(section: number, block: block, bytes, data)
        else {
            throw Self.damage(
                path, offset, "the checksum of block \(block) of section \(name) is wrong")
        }
        bytes.removeFirst(SnapshotFormat.blockHeaderCount)
        return bytes
    }

    private static func fixed32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for i in 0..<4 { value |= UInt32(bytes[offset + i]) << (8 * UInt32(i)) }
        return value
    }
}
