// Metadata columns taken over from those before a rebuild.
import KyroModel

extension MetadataIndex {
    /// Fields that some document has or had. Any thread.
    public var fieldCount: Int { fields.count }

    /// Takes over the event times of `slots`.
    /// - Precondition: the slots come in order, from call to call.
    public func takeEventTimes(from old: MetadataIndex, slots: Range<Int>, map: SlotMap) {
        for slot in slots {
            guard let new = map[slot], let time = old.eventTime(of: slot) else { continue }
            setEventTime(time, slot: new)
        }
    }

    /// Takes over one field in slots below `slotCount`, in the order of `fieldCount`.
    public func takeField(
        _ number: Int, from old: MetadataIndex, below slotCount: Int, map: SlotMap
    ) {
        let (bytes, source) = old.fields[number]
        let target = column(String(decoding: bytes, as: UTF8.self), makingOf: source.type)
        target.take(from: source, below: slotCount, map: map)
    }
}

extension MetadataColumn {
    func take(from old: MetadataColumn, below slotCount: Int, map: SlotMap) {
        old.presence.mask(slotCount: slotCount).forEach { slot in
            if let new = map[slot] { presence.insert(new) }
            return true
        }
        switch (old.values, values) {
        case (.numbers(let source), .numbers(let target)):
            for row in 0..<source.count {
                let slot = Int(source.owners[row])
                guard slot < slotCount else { return }
                if let new = map[slot] { target.append(source.keys[row], slot: new) }
            }
        case (.strings(let source), .strings(let target)):
            for value in 0..<source.dictionary.count {
                target.take(value, from: source, below: slotCount, map: map)
            }
        case (.points(let source), .points(let target)):
            for row in 0..<source.count {
                let slot = Int(source.owners[row])
                guard slot < slotCount else { return }
                if let new = map[slot] { target.append(source.point(row), slot: new) }
            }
        case (.numbers, _), (.strings, _), (.points, _):
            preconditionFailure("a field of \(old.type.name) became one of \(type.name)")
        }
    }
}

extension StringColumn {
    func take(_ value: Int, from old: StringColumn, below slotCount: Int, map: SlotMap) {
        var slots: [Int] = []
        _ = old.postings.forEach(value, below: slotCount) { slot in
            if let new = map[Int(slot)] { slots.append(new) }
        }
        guard !slots.isEmpty else { return }
        append(old.dictionary.bytes(value), slots: slots)
    }
}
