// How an index writes itself into a snapshot and reads itself back without knowing files.
import KyroBytes

/// Takes bytes in order. Calls are coarse: batch up to a megabyte.
public protocol SnapshotSink: AnyObject {
    func write(_ bytes: [UInt8]) throws(KyroError)
}

/// Gives the bytes back in the same order. A snapshot whose checksums hold but whose content does
/// not make sense is an error too: a reader checks every count and offset that it takes from here.
public protocol SnapshotSource: AnyObject {
    /// Exactly `count` bytes, or an error.
    func read(count: Int) throws(KyroError) -> [UInt8]
    /// Fills `target`, or throws.
    func read(into target: inout MutableRawSpan) throws(KyroError)
}

extension SnapshotSource {
    public func read(into target: inout MutableRawSpan) throws(KyroError) {
        let bytes = try read(count: target.byteCount)
        target.copy(bytes, range: 0..<bytes.count, to: 0)
    }
}

/// A part of a snapshot that was written, read here and there for as long as somebody holds this,
/// whatever becomes of the file's name. Any thread.
public protocol SnapshotRegion: AnyObject, Sendable {
    var byteCount: UInt64 { get }
    /// Exactly `count` bytes from `position` on become `bytes`, which is memory used again. Nobody
    /// has checked them: see `damaged`.
    ///
    /// - Throws: what the disk refused, when it has been reported as `damaged` reports.
    func read(at position: UInt64, count: Int, into bytes: inout [UInt8]) throws(KyroError)
    /// A hint that these bytes will be read soon.
    func willRead(at position: UInt64, count: Int)
    /// Reports that the bytes from `position` on are not those that were written, and returns the
    /// error for whoever needed them.
    func damaged(at position: UInt64, _ finding: String) -> KyroError
}
