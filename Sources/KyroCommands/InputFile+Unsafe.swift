// Reading files and standard input, block by block.
import Glibc

/// A file, a directory entry or a line of input that cannot be used, said for people.
public struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}

/// An open file descriptor, closed with its owner.
public final class InputFile {
    public let path: String
    private let descriptor: Int32
    private let isOwned: Bool

    /// `-` is standard input.
    public init(path: String) throws(InputError) {
        self.path = path
        isOwned = path != "-"
        descriptor = isOwned ? unsafe open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO
        guard descriptor >= 0 else { throw InputError("cannot open \(path): \(errnoText())") }
    }

    deinit {
        if isOwned { close(descriptor) }
    }

    public struct Identity: Equatable, Sendable {
        public var byteCount: UInt64
        public var modifiedNanos: Int64
        public var isRegular: Bool
    }

    public func identity() throws(InputError) -> Identity {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw InputError("cannot read the state of \(path): \(errnoText())")
        }
        return Identity(
            byteCount: UInt64(status.st_size),
            modifiedNanos: Int64(status.st_mtim.tv_sec) * 1_000_000_000
                + Int64(status.st_mtim.tv_nsec),
            isRegular: status.st_mode & S_IFMT == S_IFREG)
    }

    /// The next bytes, at most `countMax`; empty at the end.
    public func read(countMax: Int) throws(InputError) -> [UInt8] {
        try readBlock(countMax: countMax, offset: nil)
    }

    /// Exactly `count` bytes from `offset`, or fewer at the end of the file.
    public func read(count: Int, at offset: UInt64) throws(InputError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let block = try readBlock(
                countMax: count - bytes.count, offset: offset + UInt64(bytes.count))
            if block.isEmpty { break }
            if bytes.isEmpty { bytes = block } else { bytes.append(contentsOf: block) }
        }
        return bytes
    }

    private func readBlock(countMax: Int, offset: UInt64?) throws(InputError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: countMax) { buffer, initialized in
            while true {
                let got =
                    if let offset {
                        unsafe pread(descriptor, buffer.baseAddress, countMax, off_t(offset))
                    } else {
                        unsafe Glibc.read(descriptor, buffer.baseAddress, countMax)
                    }
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                initialized = max(0, got)
                return
            }
        }
        guard failure == 0 else {
            throw InputError("cannot read \(path): \(errnoText(failure))")
        }
        return bytes
    }
}

/// What the C library calls an error number.
public func errnoText(_ number: Int32 = errno) -> String {
    unsafe String(cString: strerror(number))
}
