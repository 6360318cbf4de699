// What .proto files declare, by file and by name.
import KyroDescriptors
import KyroModel
import KyroWire

/// Files in an order in which each stands behind those it imports.
package struct DescriptorPool: Sendable {
    package let files: [FileDescriptor]
    private let fileByName: [String: Int]
    private let fileBySymbol: [String: Int]
    private let messages: Set<String>

    /// Protos/, as it was when the server was built.
    package static let product: DescriptorPool = {
        do throws(KyroError) {
            return try DescriptorPool(descriptorSet: DescriptorSet.bytes)
        } catch {
            preconditionFailure("protoc made no descriptor set: \(error.message)")
        }
    }()

    /// - Parameter descriptorSet: a serialised `google.protobuf.FileDescriptorSet`.
    /// - Throws: MALFORMED_MESSAGE.
    package init(descriptorSet: [UInt8]) throws(KyroError) {
        files = try FileDescriptor.decode(descriptorSet: descriptorSet)
        var byName: [String: Int] = [:]
        var bySymbol: [String: Int] = [:]
        for (i, file) in files.enumerated() {
            byName[file.name] = i
            for symbol in file.symbols { bySymbol[symbol] = i }
        }
        fileByName = byName
        fileBySymbol = bySymbol
        messages = Set(files.flatMap { $0.messages })
    }

    /// Every service and its methods, in the order of the files.
    package var services: [ServiceDescriptor] { files.flatMap { $0.services } }

    func file(named name: String) -> Int? { fileByName[name] }
    func file(declaring symbol: String) -> Int? { fileBySymbol[symbol] }
    func hasMessage(_ name: String) -> Bool { messages.contains(name) }

    /// A file and those that it needs, itself first, without those that `sent` has.
    /// - Parameter sent: indices of files; gains the new ones.
    func serialised(_ file: Int, sent: inout Set<Int>) -> [[UInt8]] {
        var found = [file]
        sent.insert(file)
        var next = 0
        while next < found.count {
            for name in files[found[next]].dependencies {
                guard let index = fileByName[name], sent.insert(index).inserted else { continue }
                found.append(index)
            }
            next += 1
        }
        return found.map { files[$0].bytes }
    }
}
