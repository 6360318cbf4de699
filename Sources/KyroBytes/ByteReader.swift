// Reads bytes that somebody else wrote: a message from a peer, a record from a file.

/// Why bytes could not be read.
public enum ByteError: Error, Equatable, Sendable {
    /// The bytes end before the value does.
    case truncated
    /// A varint longer than ten bytes, or above 64 bits.
    case varintOverflow
    case invalidUTF8
}

/// A position in a byte array, and a limit that nested messages narrow. Every read checks the limit;
/// a failed read throws and leaves the reader unusable for anything but being dropped.
public struct ByteReader {
    @usableFromInline let bytes: [UInt8]
    @usableFromInline var cursor: Int
    @usableFromInline var limit: Int

    @inlinable public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        cursor = 0
        limit = bytes.count
    }

    /// - Precondition: `range` lies inside `bytes`.
    @inlinable public init(_ bytes: [UInt8], range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        self.bytes = bytes
        cursor = range.lowerBound
        limit = range.upperBound
    }

    /// Index into the whole array of the next byte.
    @inlinable public var position: Int { cursor }
    @inlinable public var remaining: Int { limit - cursor }
    @inlinable public var isAtEnd: Bool { cursor == limit }

    @inlinable public mutating func readByte() throws(ByteError) -> UInt8 {
        guard cursor < limit else { throw .truncated }
        defer { cursor += 1 }
        return bytes[cursor]
    }

    /// A base-128 varint, least significant group first, at most ten bytes. Bits above the 64th are
    /// dropped, as protobuf's own parsers do.
    @inlinable public mutating func readVarint() throws(ByteError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var position = cursor
        while position < limit {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 {
                cursor = position
                return value
            }
            shift += 7
            if shift >= 70 { throw .varintOverflow }
        }
        throw .truncated
    }

    @inlinable public mutating func readFixed32() throws(ByteError) -> UInt32 {
        guard remaining >= 4 else { throw .truncated }
        var value: UInt32 = 0
        for i in 0..<4 { value |= UInt32(bytes[cursor + i]) << (8 * UInt32(i)) }
        cursor += 4
        return value
    }

    @inlinable public mutating func readFixed64() throws(ByteError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated }
        var value: UInt64 = 0
        for i in 0..<8 { value |= UInt64(bytes[cursor + i]) << (8 * UInt64(i)) }
        cursor += 8
        return value
    }

    /// Where the next `count` bytes lie; steps over them.
    @inlinable public mutating func readRange(count: Int) throws(ByteError) -> Range<Int> {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { cursor += count }
        return cursor..<(cursor + count)
    }

    @inlinable public mutating func readBytes(count: Int) throws(ByteError) -> [UInt8] {
        let range = try readRange(count: count)
        return Array(bytes[range])
    }

    @inlinable public mutating func skip(count: Int) throws(ByteError) {
        _ = try readRange(count: count)
    }

    /// Strict UTF-8: no surrogates, no overlong forms.
    @inlinable public mutating func readString(count: Int) throws(ByteError) -> String {
        let range = try readRange(count: count)
        // Not `String(validating:as:)`, which is generic code of the library, not specialised.
        do throws(UTF8.ValidationError) {
            return String(copying: try UTF8Span(validating: bytes.span.extracting(range)))
        } catch {
            throw .invalidUTF8
        }
    }

    /// Narrows the reader to the next `count` bytes; hand the result to `leave`.
    @inlinable public mutating func enter(count: Int) throws(ByteError) -> Int {
        guard count >= 0, count <= remaining else { throw .truncated }
        let outer = limit
        limit = cursor + count
        return outer
    }

    /// Steps behind the nested bytes and restores the limit that `enter` returned.
    @inlinable public mutating func leave(_ outer: Int) {
        precondition(outer >= limit && outer <= bytes.count)
        cursor = limit
        limit = outer
    }
}
