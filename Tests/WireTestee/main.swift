// Decodes messages for the protobuf oracles and writes back what it understood.
//
// Arguments: message names; their positions are the type numbers below. Standard input and output
// carry batches, all numbers little-endian uint32 unless said otherwise:
//
//     request batch   byte count | items: type (1 byte), length, message
//     answer batch    byte count | items: kind (1 byte), length, first, length, second
//
//     kind 0  understood: first = canonical encoding, second = errors of batch items, one a line:
//             index, tab, reason, tab, field with \ and line feeds escaped
//     kind 1  not understood: first = reason, tab, field; second = the message to the caller
import Glibc
import KyroModel
import KyroWire

typealias Understood = (bytes: [UInt8], itemErrors: String)

func itemErrors(_ mutations: [DecodedMutation]) -> String {
    var lines: [String] = []
    for (index, mutation) in mutations.enumerated() {
        guard case .failure(let error) = mutation else { continue }
        lines.append("\(index)\t\(error.reason)\t\(escaped(error.field ?? ""))")
    }
    return lines.joined(separator: "\n")
}

func escaped(_ text: String) -> String {
    var out = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": out.append(contentsOf: "\\\\".unicodeScalars)
        case "\n": out.append(contentsOf: "\\n".unicodeScalars)
        default: out.append(scalar)
        }
    }
    return String(out)
}

func decode(_ name: String, _ bytes: [UInt8]) throws(KyroError) -> Understood {
    switch name {
    case "Value": (try MetadataValue.decode(wire: bytes).encodeWire(), "")
    case "Document": (try Document.decode(wire: bytes).encodeWire(), "")
    case "Filter": (try Filter.decode(wire: bytes).encodeWire(), "")
    case "Projection": (try Projection.decode(wire: bytes).encodeWire(), "")
    case "CreateCollectionRequest":
        (try CreateCollectionRequest.decode(wire: bytes).encodeWire(), "")
    case "CreateCollectionResponse", "RebuildResponse", "SetRetentionResponse":
        (try CollectionDescription.decode(wire: bytes).encodeWire(), "")
    case "DescribeCollectionResponse":
        (try DescribeCollectionResponse.decode(wire: bytes).encodeWire(), "")
    case "DescribeCollectionRequest":
        (try DescribeCollectionRequest.decode(wire: bytes).encodeWire(), "")
    case "ListCollectionsRequest":
        (try ListCollectionsRequest.decode(wire: bytes).encodeWire(), "")
    case "ListCollectionsResponse":
        (try ListCollectionsResponse.decode(wire: bytes).encodeWire(), "")
    case "DropCollectionRequest": (try DropCollectionRequest.decode(wire: bytes).encodeWire(), "")
    case "DropCollectionResponse":
        (try DropCollectionResponse.decode(wire: bytes).encodeWire(), "")
    case "SetRetentionRequest": (try SetRetentionRequest.decode(wire: bytes).encodeWire(), "")
    case "TuneRequest": (try TuneRequest.decode(wire: bytes).encodeWire(), "")
    case "TuneResponse": (try TuneResponse.decode(wire: bytes).encodeWire(), "")
    case "RollBackTuningRequest": (try RollBackTuningRequest.decode(wire: bytes).encodeWire(), "")
    case "RollBackTuningResponse":
        (try RollBackTuningResponse.decode(wire: bytes).encodeWire(), "")
    case "RebuildRequest": (try RebuildRequest.decode(wire: bytes).encodeWire(), "")
    case "WriteRequest", "StreamRequest": try decodeBatch(name, bytes)
    case "WriteResponse": (try WriteResponse.decode(wire: bytes).encodeWire(), "")
    case "StreamResponse": (try StreamResponse.decode(wire: bytes).encodeWire(), "")
    case "SearchRequest": (try SearchRequest.decode(wire: bytes).encodeWire(), "")
    case "SearchResponse": (try SearchResponse.decode(wire: bytes).encodeWire(), "")
    case "SearchManyRequest": (try SearchManyRequest.decode(wire: bytes).encodeWire(), "")
    case "SearchManyResponse": (try SearchManyResponse.decode(wire: bytes).encodeWire(), "")
    case "LookupRequest": (try LookupRequest.decode(wire: bytes).encodeWire(), "")
    case "LookupResponse": (try LookupResponse.decode(wire: bytes).encodeWire(), "")
    case "ScanRequest": (try ScanRequest.decode(wire: bytes).encodeWire(), "")
    case "ScanResponse": (try ScanResponse.decode(wire: bytes).encodeWire(), "")
    default: try decodeOperation(name, bytes)
    }
}

func decodeBatch(_ name: String, _ bytes: [UInt8]) throws(KyroError) -> Understood {
    if name == "WriteRequest" {
        let request = try WriteRequest.decode(wire: bytes)
        return (request.encodeWire(), itemErrors(request.mutations))
    }
    let request = try StreamRequest.decode(wire: bytes)
    if case .batch(let batch) = request {
        return (request.encodeWire(), itemErrors(batch.mutations))
    }
    return (request.encodeWire(), "")
}

func decodeOperation(_ name: String, _ bytes: [UInt8]) throws(KyroError) -> Understood {
    switch name {
    case "StatusRequest": (try StatusRequest.decode(wire: bytes).encodeWire(), "")
    case "SnapshotRequest": (try SnapshotRequest.decode(wire: bytes).encodeWire(), "")
    case "FlushRequest": (try FlushRequest.decode(wire: bytes).encodeWire(), "")
    case "StatusResponse": (try StatusResponse.decode(wire: bytes).encodeWire(), "")
    case "SnapshotResponse": (try SnapshotResponse.decode(wire: bytes).encodeWire(), "")
    case "FlushResponse": (try FlushResponse.decode(wire: bytes).encodeWire(), "")
    case "CreateBackupRequest": (try CreateBackupRequest.decode(wire: bytes).encodeWire(), "")
    case "CreateBackupResponse": (try CreateBackupResponse.decode(wire: bytes).encodeWire(), "")
    case "HealthCheckRequest": (try HealthCheckRequest.decode(wire: bytes).encodeWire(), "")
    case "HealthCheckResponse": (try HealthCheckResponse.decode(wire: bytes).encodeWire(), "")
    case "Status": (encodeStatusDetails(for: try decodeStatusDetails(bytes)), "")
    default: throw KyroError(.unimplemented, "no message is called \(name)")
    }
}

/// Exactly `count` bytes of standard input, nil at its end.
func readInput(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let got = bytes.withUnsafeMutableBytes { buffer in
            read(0, buffer.baseAddress.map { $0 + filled }, count - filled)
        }
        guard got > 0 else { return nil }
        filled += got
    }
    return bytes
}

func writeOutput(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
        let put = bytes.withUnsafeBytes { buffer in
            write(1, buffer.baseAddress.map { $0 + sent }, bytes.count - sent)
        }
        guard put > 0 else { return false }
        sent += put
    }
    return true
}

func number(_ bytes: [UInt8], at offset: Int) -> Int {
    (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
}

func append(_ part: some Collection<UInt8>, to answer: inout [UInt8]) {
    for shift in stride(from: 0, to: 32, by: 8) {
        answer.append(UInt8(truncatingIfNeeded: part.count >> shift))
    }
    answer.append(contentsOf: part)
}

let names = Array(CommandLine.arguments.dropFirst())
while let header = readInput(4), let batch = readInput(number(header, at: 0)) {
    var answer: [UInt8] = [0, 0, 0, 0]
    var offset = 0
    while offset < batch.count {
        let name = names[Int(batch[offset])]
        let start = offset + 5
        offset = start + number(batch, at: offset + 1)
        do throws(KyroError) {
            let understood = try decode(name, Array(batch[start..<offset]))
            answer.append(0)
            append(understood.bytes, to: &answer)
            append(understood.itemErrors.utf8, to: &answer)
        } catch {
            answer.append(1)
            append("\(error.reason)\t\(error.field ?? "")".utf8, to: &answer)
            append(error.message.utf8, to: &answer)
        }
    }
    for i in 0..<4 { answer[i] = UInt8(truncatingIfNeeded: (answer.count - 4) >> (8 * i)) }
    guard writeOutput(answer) else { break }
}
