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
