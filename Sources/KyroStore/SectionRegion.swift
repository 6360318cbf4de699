// A section of a snapshot that is read here and there, long after it was written.
import KyroBytes
import KyroModel
import KyroPlatform

/// Keeps the file open, whatever becomes of its name. Bytes are read with pread and not mapped: what
/// the disk refuses is an error of one search then, and not a signal to the process. Any thread.
public final class SectionRegion: SnapshotRegion {
    public let byteCount: UInt64
    private let section: SnapshotFormat.Section
    private let file: any File
    private let path: String
    private let onDamage: @Sendable (StoreError.Damage) -> Void

    private static let blockBytes = UInt64(SnapshotFormat.blockBytesMax)
    private static let headerBytes = UInt64(SnapshotFormat.blockHeaderCount)

    init(
        _ section: SnapshotFormat.Section, file: any File, path: String,
        onDamage: @escaping @Sendable (StoreError.Damage) -> Void
    ) {
        self.section = section
        self.file = file
        self.path = path
        self.onDamage = onDamage
        byteCount = section.byteCount
    }

    public func read(
        at position: UInt64, count: Int, into bytes: inout [UInt8]
    ) throws(KyroError) {
        let end = position + UInt64(count)
        precondition(
            count > 0 && end <= byteCount, "bytes \(position) ..< \(end) of \(byteCount)")
        let first = position / Self.blockBytes
        let last = (end - 1) / Self.blockBytes
        let storedCount = count + Int((last - first) * Self.headerBytes)
        do throws(FileError) {
            try file.read(at: place(position), count: storedCount, into: &bytes)
        } catch {
            let problem = StoreError.from(error)
            if problem.isShortage { throw problem.kyroError }
            throw damaged(at: position, "\(error)")
        }
        guard bytes.count == storedCount else {
            throw damaged(at: position, "the file ends inside a block")
        }
        // The headers of the blocks behind the first lie between; the last goes first.
        for block in stride(from: last, to: first, by: -1) {
            let header = block * Self.blockBytes - position + (block - first - 1) * Self.headerBytes
            bytes.removeSubrange(Int(header)..<Int(header + Self.headerBytes))
        }
    }

    public func willRead(at position: UInt64, count: Int) {
        file.willRead(at: place(position), count: count)
    }

    public func damaged(at position: UInt64, _ finding: String) -> KyroError {
        // A block is damaged once, however many rows are in it.
        let block = position / Self.blockBytes
        let damage = StoreError.Damage(
            path: path, offset: section.offset + block * (Self.blockBytes + Self.headerBytes),
            finding: "block \(block) of section \(section.name): \(finding)",
            affected: "vectors that are in this snapshot alone",
            advice: Self.advice)
        onDamage(damage)
        return KyroError(
            code: .dataLoss, reason: KyroError.Reason.internal.rawValue,
            message: "\(StoreError.damaged(damage))")
    }

    private static let advice =
        "check the disk and restart the server, which then takes them from the snapshot before and "
        + "the log"

    /// Of the file.
    private func place(_ position: UInt64) -> UInt64 {
        section.offset + position + (position / Self.blockBytes + 1) * Self.headerBytes
    }
}

extension SnapshotReader {
    /// A section whose blocks were checked, or written, by the caller.
    ///
    /// - Parameter onDamage: told what cannot be read, by the thread that needs it.
    /// - Returns: nil when the snapshot has no section of that name.
    public func region(
        ofSection name: String, onDamage: @escaping @Sendable (StoreError.Damage) -> Void
    ) -> SectionRegion? {
        sections.first { $0.name.utf8.elementsEqual(name.utf8) }.map {
            SectionRegion($0, file: file, path: path, onDamage: onDamage)
        }
    }
}
