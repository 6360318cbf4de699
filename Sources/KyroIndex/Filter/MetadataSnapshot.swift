// A metadata index in a snapshot.
//
//   version           varint: 1, or 2 where a field holds geo points
//   slot count        varint
//   event times       varint count, then per document: varint slot − previous slot,
//                     zigzag varint time − previous time (wrapping)
//   fields            varint count, then per field:
//     name            varint byte count, bytes
//     type            varint, the raw value of ValueType
//     presence        varint count, then per document: varint slot − previous slot
//     numbers         varint count, then per value: varint slot − previous slot (0 within a list),
//                     zigzag varint ordered key − previous key (wrapping)
//     or strings      varint count of values, then per value: varint byte count, bytes,
//                     varint count, per document: varint slot − previous slot
//     or points       varint count, then per point: varint slot − previous slot (0 within a list),
//                     zigzag f64 bits − previous bits (wrapping) of its latitude, of its longitude
//
// Previous slots, times, keys and bits begin at 0 in each list.
import KyroModel

extension MetadataIndex {
    private static let version = 1
    private static let versionWithPoints = 2

    /// Writes what concerns the slots below `slotCount`, while the writer goes on. Any thread that
    /// has learnt of them.
    public func write(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        var stream = IndexStreamWriter(sink)
        let fields = fields
        let hasPoints = fields.contains { $0.column.type.element == .geoPoint }
        try stream.write(hasPoints ? Self.versionWithPoints : Self.version)
        try stream.write(slotCount)
        let timed = (0..<slotCount).filter { eventTime(of: $0) != nil }
        try stream.write(timed.count)
        var slotBefore = 0
        var timeBefore: Int64 = 0
        for slot in timed {
            let time = eventTime(of: slot) ?? 0
            try stream.write(slot - slotBefore)
            try stream.write(signed: time &- timeBefore)
            slotBefore = slot
            timeBefore = time
        }
        try stream.write(fields.count)
        for (name, column) in fields {
            try stream.write(bytes: name)
            try stream.write(UInt64(column.type.rawValue))
            try column.write(to: &stream, slotCount: slotCount)
        }
        try stream.flush()
    }

    /// Reads a snapshot back.
    /// - Parameter slotCount: rows of the shard's collection; no slot may lie above.
    public convenience init(
        from source: any SnapshotSource, slotCount rows: Int
    ) throws(KyroError) {
        self.init()
        var stream = IndexStreamReader(source, what: "metadata index")
        let version = try stream.read()
        guard version == UInt64(Self.version) || version == UInt64(Self.versionWithPoints) else {
            throw stream.damaged("unknown version")
        }
        let slotCount = try stream.read(max: rows, "slot count")
        let timed = try stream.read(max: slotCount, "event times")
        var previous = -1
        var time: Int64 = 0
        for _ in 0..<timed {
            let slot = try stream.readSlot(after: &previous, below: slotCount)
            time &+= try stream.readSigned()
            setEventTime(time, slot: slot)
        }
        let fieldCount = try stream.read(max: Limits.fieldsMax, "fields")
        for _ in 0..<fieldCount {
            let bytes = try stream.readBytes(max: Limits.nameBytesMax)
            guard let name = String(validating: bytes, as: UTF8.self) else {
                throw stream.damaged("a field name that is not UTF-8")
            }
            let raw = try stream.read(max: Int(UInt8.max), "type")
            guard let type = ValueType(rawValue: UInt8(raw)) else {
                throw stream.damaged("type \(raw)")
            }
            let column = column(name, makingOf: type)
            guard column.isEmpty else { throw stream.damaged("a field twice") }
            try column.read(from: &stream, slotCount: slotCount)
        }
        guard stream.isAtEndOfPiece else { throw stream.damaged("bytes behind the end") }
    }
}

extension MetadataColumn {
    /// Whether no value was ever appended.
    var isEmpty: Bool {
        switch values {
        case .strings(let column): column.dictionary.count == 0
        case .numbers(let column): column.count == 0
        case .points(let column): column.count == 0
        }
    }

    fileprivate func write(
        to stream: inout IndexStreamWriter, slotCount: Int
    ) throws(KyroError) {
        let present = presence.mask(slotCount: slotCount)
        try stream.write(present.count())
        var previous = 0
        for slot in 0..<slotCount where present.contains(slot) {
            try stream.write(slot - previous)
            previous = slot
        }
        switch values {
        case .numbers(let column): try Self.write(column, to: &stream, slotCount: slotCount)
        case .strings(let column): try Self.write(column, to: &stream, slotCount: slotCount)
        case .points(let column): try Self.write(column, to: &stream, slotCount: slotCount)
        }
    }

    private static func write(
        _ column: NumberColumn, to stream: inout IndexStreamWriter, slotCount: Int
    ) throws(KyroError) {
        var count = column.count
        while count > 0, column.owners[count - 1] >= slotCount { count -= 1 }
        try stream.write(count)
        var slotBefore: UInt32 = 0
        var keyBefore: Int64 = 0
        for row in 0..<count {
            try stream.write(UInt64(column.owners[row] - slotBefore))
            try stream.write(signed: column.keys[row] &- keyBefore)
            slotBefore = column.owners[row]
            keyBefore = column.keys[row]
        }
    }

    private static func write(
        _ column: GeoColumn, to stream: inout IndexStreamWriter, slotCount: Int
    ) throws(KyroError) {
        var count = column.count
        while count > 0, column.owners[count - 1] >= slotCount { count -= 1 }
        try stream.write(count)
        var slotBefore: UInt32 = 0
        var before = (latitude: Int64(0), longitude: Int64(0))
        for row in 0..<count {
            let point = column.point(row)
            let latitude = Int64(bitPattern: point.latitude.bitPattern)
            let longitude = Int64(bitPattern: point.longitude.bitPattern)
            try stream.write(UInt64(column.owners[row] - slotBefore))
            try stream.write(signed: latitude &- before.latitude)
            try stream.write(signed: longitude &- before.longitude)
            slotBefore = column.owners[row]
            before = (latitude, longitude)
        }
    }

    private static func write(
        _ column: StringColumn, to stream: inout IndexStreamWriter, slotCount: Int
    ) throws(KyroError) {
        var lists: [(value: Int, count: Int)] = []
        for value in 0..<column.dictionary.count {
            let count = try column.postings.count(value, below: slotCount)
            if count > 0 { lists.append((value, count)) }
        }
        try stream.write(lists.count)
        for (value, count) in lists {
            try stream.write(bytes: column.dictionary.bytes(value))
            try stream.write(count)
            var rest = count
            var previous: UInt32 = 0
            try column.postings.forEachEntry(value) { slot throws(KyroError) in
                guard rest > 0 else { return false }
                rest -= 1
                try stream.write(UInt64(slot - previous))
                previous = slot
                return true
            }
        }
    }

    fileprivate func read(
        from stream: inout IndexStreamReader, slotCount: Int
    ) throws(KyroError) {
        let present = try stream.read(max: slotCount, "presence")
        var previous = -1
        for _ in 0..<present {
            presence.insert(try stream.readSlot(after: &previous, below: slotCount))
        }
        switch values {
        case .numbers(let column):
            let count = try stream.read(max: Int(UInt32.max), "numbers")
            var slot = 0
            var key: Int64 = 0
            for _ in 0..<count {
                slot += try stream.read(max: slotCount, "slot gap")
                guard slot < slotCount else { throw stream.damaged("slot \(slot)") }
                key &+= try stream.readSigned()
                column.append(key, slot: slot)
            }
        case .strings(let column):
            let count = try stream.read(max: Int(UInt32.max), "strings")
            for _ in 0..<count {
                let value = try stream.readBytes(max: Limits.metadataStringBytesMax)
                guard column.dictionary.find(value) == nil else {
                    throw stream.damaged("a value twice")
                }
                previous = -1
                for _ in 0..<(try stream.read(max: slotCount, "documents")) {
                    let slot = try stream.readSlot(after: &previous, below: slotCount)
                    column.append(value, slot: slot)
                }
            }
        case .points(let column): try Self.read(column, from: &stream, slotCount: slotCount)
        }
    }

    private static func read(
        _ column: GeoColumn, from stream: inout IndexStreamReader, slotCount: Int
    ) throws(KyroError) {
        var slot = 0
        var latitude: Int64 = 0
        var longitude: Int64 = 0
        for _ in 0..<(try stream.read(max: Int(UInt32.max), "points")) {
            slot += try stream.read(max: slotCount, "slot gap")
            guard slot < slotCount else { throw stream.damaged("slot \(slot)") }
            latitude &+= try stream.readSigned()
            longitude &+= try stream.readSigned()
            let point = GeoPoint(
                latitude: Double(bitPattern: UInt64(bitPattern: latitude)),
                longitude: Double(bitPattern: UInt64(bitPattern: longitude)))
            guard point.isOnEarth else { throw stream.damaged("a point that is not on Earth") }
            column.append(point, slot: slot)
        }
    }
}
