// Seeded chance, and the hash that tells whether two runs were the same.
import KyroBytes

/// SplitMix64 (Steele, Lea & Flood 2014, figure 17).
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = mix64(seed &+ 0x5EED) }

    mutating func next() -> UInt64 {
        defer { state &+= 0x9E37_79B9_7F4A_7C15 }
        return mix64(state)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

    /// Uniform in [0, 1).
    mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }

    /// Another stream, which goes on by itself.
    mutating func fork() -> Dice { Dice(seed: next()) }
}

/// Everything that happened, in order, as one word.
struct RunHash {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ word: UInt64) { value = mix64(value ^ word) }

    mutating func add(_ text: String) {
        var word: UInt64 = 0
        for byte in text.utf8 { word = (word &* 31) &+ UInt64(byte) }
        add(word)
    }
}
