// google/protobuf/descriptor.proto, as far as one must know what a .proto file declares.
import KyroModel

/// One .proto file.
public struct FileDescriptor: Sendable {
    /// As other files import it.
    public let name: String
    /// The files that it imports.
    public let dependencies: [String]
    public let services: [ServiceDescriptor]
    /// Full names of everything that it declares, services and their methods included.
    public let symbols: [String]
    /// Full names of its messages, nested ones included.
    public let messages: [String]
    /// The serialised FileDescriptorProto.
    public let bytes: [UInt8]

    /// Reads a serialised `google.protobuf.FileDescriptorSet`.
    /// - Throws: MALFORMED_MESSAGE.
    public static func decode(descriptorSet bytes: [UInt8]) throws(KyroError) -> [FileDescriptor] {
        try decodeMessage(FileDescriptorSetDraft.self, bytes)
    }
}

public struct ServiceDescriptor: Sendable {
    /// `kyrodb.v2.Search`
    public let name: String
    public let methods: [MethodDescriptor]
}

public struct MethodDescriptor: Sendable {
    public let name: String
    /// `/kyrodb.v2.Search/Search`
    public let path: String
    public let isClientStreaming: Bool
    public let isServerStreaming: Bool
}

struct FileDescriptorSetDraft: WireDraft {
    private var files: [FileDescriptor] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            let bytes = try reader.byteString("file")
            var inner = WireReader(bytes)
            var file = FileDraft()
            do throws(WireError) { try inner.readFields(into: &file) } catch {
                throw error.inside("file", index: files.count)
            }
            files.append(file.finish(bytes))
        default: try reader.skip(field)
        }
    }

    func finish() -> [FileDescriptor] { files }
}

private struct FileDraft: WireDraft {
    var name = ""
    var package = ""
    var dependencies: [String] = []
    var messages: [MessageNames] = []
    var enums: [EnumNames] = []
    var services: [ServiceNames] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .bytes): package = try reader.string("package")
        case (3, .bytes): dependencies.append(try reader.string("dependency"))
        case (4, .bytes): try reader.message("message_type", appendingTo: &messages)
        case (5, .bytes): try reader.message("enum_type", appendingTo: &enums)
        case (6, .bytes): try reader.message("service", appendingTo: &services)
        default: try reader.skip(field)
        }
    }

    func finish() {}

    func finish(_ bytes: [UInt8]) -> FileDescriptor {
        let scope = package.isEmpty ? "" : package + "."
        var symbols: [String] = []
        var messageNames: [String] = []
        for message in messages { message.add(to: &symbols, &messageNames, scope: scope) }
        for names in enums { names.add(to: &symbols, scope: scope) }
        let described = services.map { $0.described(scope: scope) }
        for service in described {
            symbols.append(service.name)
            symbols += service.methods.map { "\(service.name).\($0.name)" }
        }
        return FileDescriptor(
            name: name, dependencies: dependencies, services: described, symbols: symbols,
            messages: messageNames, bytes: bytes)
    }
}

/// DescriptorProto: the message, its fields, and what it nests.
private struct MessageNames: WireDraft {
    var name = ""
    var members: [String] = []
    var nested: [MessageNames] = []
    var enums: [EnumNames] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .bytes): members.append(try reader.declaredName("field"))
        case (3, .bytes): try reader.message("nested_type", appendingTo: &nested)
        case (4, .bytes): try reader.message("enum_type", appendingTo: &enums)
        case (8, .bytes): members.append(try reader.declaredName("oneof_decl"))
        default: try reader.skip(field)
        }
    }

    func finish() {}

    func add(to symbols: inout [String], _ messages: inout [String], scope: String) {
        let full = scope + name
        symbols.append(full)
        messages.append(full)
        symbols += members.map { full + "." + $0 }
        for message in nested { message.add(to: &symbols, &messages, scope: full + ".") }
        for names in enums { names.add(to: &symbols, scope: full + ".") }
    }
}

/// EnumDescriptorProto. Its values are named beside it, not inside it, as in C++.
private struct EnumNames: WireDraft {
    var name = ""
    var values: [String] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .bytes): values.append(try reader.declaredName("value"))
        default: try reader.skip(field)
        }
    }

    func finish() {}

    func add(to symbols: inout [String], scope: String) {
        symbols.append(scope + name)
        symbols += values.map { scope + $0 }
    }
}

private struct ServiceNames: WireDraft {
    var name = ""
    var methods: [MethodDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .bytes): try reader.message("method", appendingTo: &methods)
        default: try reader.skip(field)
        }
    }

    func finish() {}

    func described(scope: String) -> ServiceDescriptor {
        let full = scope + name
        return ServiceDescriptor(
            name: full,
            methods: methods.map {
                MethodDescriptor(
                    name: $0.name, path: "/\(full)/\($0.name)",
                    isClientStreaming: $0.isClientStreaming,
                    isServerStreaming: $0.isServerStreaming)
            })
    }
}

private struct MethodDraft: WireDraft {
    var name = ""
    var isClientStreaming = false
    var isServerStreaming = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (5, .varint): isClientStreaming = try reader.bool("client_streaming")
        case (6, .varint): isServerStreaming = try reader.bool("server_streaming")
        default: try reader.skip(field)
        }
    }

    func finish() {}
}

/// What is declared with a name in field 1, whatever else: fields, oneofs, enum values.
private struct NameDraft: WireDraft {
    var name = ""

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        default: try reader.skip(field)
        }
    }

    func finish() {}
}

extension WireReader {
    fileprivate mutating func declaredName(_ name: StaticString) throws(WireError) -> String {
        var draft = NameDraft()
        try message(name, into: &draft)
        return draft.name
    }
}

extension [FileDescriptor] {
    /// A serialised `google.protobuf.FileDescriptorSet` of these.
    public var serialisedSet: [UInt8] { encodeMessage(FileDescriptorSetOnWire(files: self)) }
}

private struct FileDescriptorSetOnWire: WireEncodable {
    let files: [FileDescriptor]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for file in files { sink.bytes(1, file.bytes) }
    }
}
