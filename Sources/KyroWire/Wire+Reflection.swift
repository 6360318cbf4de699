// grpc/reflection/v1/reflection.proto, which v1alpha equals.
import KyroModel

public struct ReflectionRequest: Equatable, Sendable {
    public enum Query: Equatable, Sendable {
        case file(name: String)
        case fileContainingSymbol(String)
        case fileContainingExtension(of: String, number: Int32)
        case extensionNumbers(of: String)
        case services(String)
    }

    public var host: String
    /// nil where the client asked for nothing, or for something that this version does not know.
    public var query: Query?

    public init(host: String = "", query: Query? = nil) {
        self.host = host
        self.query = query
    }
}

public struct ReflectionResponse: Equatable, Sendable {
    public enum Answer: Equatable, Sendable {
        /// Serialised files, the one asked for first.
        case files([[UInt8]])
        case extensionNumbers(of: String, [Int32])
        case services([String])
        case error(KyroError)
    }

    /// Comes back in the answer.
    public var request: ReflectionRequest
    public var answer: Answer

    public init(to request: ReflectionRequest, _ answer: Answer) {
        self.request = request
        self.answer = answer
    }
}

struct ExtensionDraft: WireDraft, WireEncodable {
    var type = ""
    var number: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): type = try reader.string("containing_type")
        case (2, .varint): number = try reader.int32("extension_number")
        default: try reader.skip(field)
        }
    }

    func finish() {}

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, type)
        sink.int(2, Int64(number))
    }
}

extension ReflectionRequest: WireDraft, WireEncodable {
    init() { self.init(host: "", query: nil) }

    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> ReflectionRequest {
        try decodeMessage(ReflectionRequest.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): host = try reader.string("host")
        case (3, .bytes): query = .file(name: try reader.string("file_by_filename"))
        case (4, .bytes):
            query = .fileContainingSymbol(try reader.string("file_containing_symbol"))
        case (5, .bytes):
            var asked = ExtensionDraft()
            if case .fileContainingExtension(let type, let number)? = query {
                asked = ExtensionDraft(type: type, number: number)
            }
            try reader.message("file_containing_extension", into: &asked)
            query = .fileContainingExtension(of: asked.type, number: asked.number)
        case (6, .bytes):
            query = .extensionNumbers(of: try reader.string("all_extension_numbers_of_type"))
        case (7, .bytes): query = .services(try reader.string("list_services"))
        default: try reader.skip(field)
        }
    }

    func finish() -> ReflectionRequest { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, host)
        switch query {
        case nil: break
        case .file(let name): sink.presentString(3, name)
        case .fileContainingSymbol(let symbol): sink.presentString(4, symbol)
        case .fileContainingExtension(let type, let number):
            sink.message(5, ExtensionDraft(type: type, number: number))
        case .extensionNumbers(let type): sink.presentString(6, type)
        case .services(let text): sink.presentString(7, text)
        }
    }
}

extension ReflectionResponse: WireEncodable {
    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, request.host)
        sink.message(2, request)
        switch answer {
        case .files(let files): sink.message(4, FilesOnWire(files: files))
        case .extensionNumbers(let type, let numbers):
            sink.message(5, ExtensionNumbersOnWire(type: type, numbers: numbers))
        case .services(let names): sink.message(6, ServicesOnWire(names: names))
        case .error(let error): sink.message(7, ErrorOnWire(error: error))
        }
    }
}

private struct FilesOnWire: WireEncodable {
    let files: [[UInt8]]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for file in files { sink.bytes(1, file) }
    }
}

private struct ExtensionNumbersOnWire: WireEncodable {
    let type: String
    let numbers: [Int32]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, type)
        sink.packedVarints(2, numbers) { UInt64(bitPattern: Int64($0)) }
    }
}

private struct ServicesOnWire: WireEncodable {
    let names: [String]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for name in names { sink.message(1, Named(name: name)) }
    }

    private struct Named: WireEncodable {
        let name: String

        func encode<Sink: WireSink>(into sink: inout Sink) { sink.string(1, name) }
    }
}

private struct ErrorOnWire: WireEncodable {
    let error: KyroError

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(1, Int64(error.code.rawValue))
        sink.string(2, error.message)
    }
}
