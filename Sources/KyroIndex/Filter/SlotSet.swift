// A set of slots while a filter is being evaluated, in whichever form is smaller.
import KyroModel

/// Dense words cost the collection's size however few members there are: at ten million slots a
/// node would clear and walk 1.25 MB. Sets from posting lists with less than one member in 64 slots
/// therefore stay in CRoaring bitmaps until they meet a dense one.
enum SlotSet {
    case dense(SlotMask)
    case sparse(RoaringSet)

    /// Whether a set of about `count` members should be sparse. Words win below 64 Ki slots
    /// whatever the count: 8 KB are cleared in 100 ns, a bitmap's containers are not.
    static func prefersSparse(count: Int, slotCount: Int) -> Bool {
        slotCount > 1 << 16 && count < slotCount / 64
    }

    static func empty(slotCount: Int) -> SlotSet {
        slotCount > 1 << 16 ? .sparse(RoaringSet()) : .dense(SlotMask(slotCount: slotCount))
    }

    /// Whether it is known without counting that nothing is in it.
    var isKnownEmpty: Bool {
        switch self {
        case .dense: false
        case .sparse(let set): set.count == 0
        }
    }

    mutating func formIntersection(_ other: SlotSet) {
        switch (consume self, other) {
        case (.dense(var a), .dense(let b)):
            a.formIntersection(b)
            self = .dense(a)
        case (.sparse(let a), .sparse(let b)):
            a.formIntersection(b)
            self = .sparse(a)
        case (.sparse(let set), .dense(let mask)), (.dense(let mask), .sparse(let set)):
            let kept = RoaringSet()
            kept.insert(set.members().filter { mask.contains(Int($0)) })
            self = .sparse(kept)
        }
    }

    mutating func formUnion(_ other: SlotSet) {
        switch (consume self, other) {
        case (.dense(var a), .dense(let b)):
            a.formUnion(b)
            self = .dense(a)
        case (.sparse(let a), .sparse(let b)):
            a.formUnion(b)
            self = .sparse(a)
        case (.sparse(let set), .dense(var mask)), (.dense(var mask), .sparse(let set)):
            for slot in set.members() { mask.insert(Int(slot)) }
            self = .dense(mask)
        }
    }

    /// Everything below the slot count that is not in the set.
    func complement(slotCount: Int) -> SlotSet {
        var result = SlotMask(slotCount: slotCount, filledWith: true)
        switch self {
        case .dense(let mask): result.subtract(mask)
        case .sparse(let set):
            for slot in set.members() { result.remove(Int(slot)) }
        }
        return .dense(result)
    }

    consuming func mask(slotCount: Int) -> SlotMask {
        switch self {
        case .dense(let mask): return mask
        case .sparse(let set):
            var mask = SlotMask(slotCount: slotCount)
            for slot in set.members() { mask.insert(Int(slot)) }
            return mask
        }
    }
}
