// One integer order for every number type.
import KyroModel

/// Maps numbers to integers that compare as they do, so that one scan serves all types.
enum OrderedKey {
    /// Both zeros get one key. NaN, which validation refuses, gets one above infinity.
    static func key(_ value: Double) -> Int64 {
        if value.isNaN { return .max }
        let bits = Int64(bitPattern: (value == 0 ? 0 : value).bitPattern)
        return bits >= 0 ? bits : bits ^ .max
    }

    /// The value behind a key of a double.
    static func double(_ key: Int64) -> Double {
        Double(bitPattern: UInt64(bitPattern: key >= 0 ? key : key ^ .max))
    }

    /// The key of a literal compared with a field of `element` type; nil where the types differ.
    static func key(_ value: MetadataValue, element: ValueType) -> Int64? {
        switch (value, element) {
        case (.int64(let number), .int64), (.timestamp(let number), .timestamp): number
        case (.int64(let number), .double): key(Double(number))
        case (.double(let number), .double): key(number)
        case (.bool(let flag), .bool): flag ? 1 : 0
        default: nil
        }
    }

    /// Keys of all values that compare with something.
    static func all(_ element: ValueType) -> ClosedRange<Int64> {
        element == .double ? key(-.infinity)...key(.infinity) : .min ... .max
    }
}
