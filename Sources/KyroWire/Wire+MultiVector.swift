// types.proto: MultiVector.
import KyroModel

struct MultiVectorDraft: WireDraft {
    var dimension: UInt32 = 0
    var vectors = DenseVectorDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): dimension = try reader.uint32("dimension")
        case (2, .bytes): try reader.message("vectors", into: &vectors)
        default: try reader.skip(field)
        }
    }

    /// Whether the rows are whole, the engine says.
    func finish() throws(WireError) -> MultiVector {
        MultiVector(dimension: Int(dimension), values: try vectors.finish("vectors"))
    }
}

struct MultiVectorOnWire: WireEncodable {
    let vector: MultiVector
    let encoding: VectorEncoding

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, UInt32(clamping: vector.dimension))
        sink.message(2, DenseVectorOnWire(values: vector.values, encoding: encoding))
    }
}
