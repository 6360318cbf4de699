// What protoc says of every .proto file of Protos/ and of those they import. DescriptorBytes is made
// by the build, see Plugins/DescriptorSet.

public enum DescriptorSet {
    /// A serialised `google.protobuf.FileDescriptorSet`; a file stands behind those it imports.
    public static let bytes: [UInt8] = {
        let digits = Array(DescriptorBytes.hexadecimal.utf8)
        precondition(digits.count % 2 == 0, "\(digits.count) digits are no whole bytes")
        func value(_ digit: UInt8) -> UInt8 {
            digit < UInt8(ascii: "a") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
        }
        return stride(from: 0, to: digits.count, by: 2).map {
            value(digits[$0]) << 4 | value(digits[$0 + 1])
        }
    }()
}
