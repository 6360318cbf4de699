// Bytes as text that survives a shell.

public enum Hex {
    public static func text(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Nil where `text` is not pairs of hexadecimal digits.
    public static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.map { $0.isASCII ? $0.hexDigitValue : nil }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
