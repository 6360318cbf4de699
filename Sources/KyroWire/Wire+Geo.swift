// types.proto: geo points, and the filters over them.
import KyroModel

extension GeoPoint: WireDraft, WireEncodable {
    init() { self.init(latitude: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): latitude = try reader.double("lat")
        case (2, .fixed64): longitude = try reader.double("lon")
        default: try reader.skip(field)
        }
    }

    func finish() -> GeoPoint { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, latitude)
        sink.double(2, longitude)
    }
}

struct GeoPointListDraft: WireDraft {
    var points: [GeoPoint] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("points", appendingTo: &points)
        default: try reader.skip(field)
        }
    }

    func finish() -> [GeoPoint] { points }
}

struct GeoPointListOnWire: WireEncodable {
    let points: [GeoPoint]

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.messages(1, points) }
}

struct GeoDistanceDraft: WireDraft, WireEncodable {
    var field = ""
    var center: GeoPoint?
    var metres = 0.0

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes):
            var point = center ?? GeoPoint()
            try reader.message("center", into: &point)
            center = point
        case (3, .fixed64): metres = try reader.double("metres")
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> Filter {
        guard let center else {
            throw .invalid(path: "center", problem: "is missing: set lat and lon, in degrees")
        }
        return .withinDistance(field: field, center: center, metres: metres)
    }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.message(2, center)
        sink.double(3, metres)
    }
}

struct GeoBoxDraft: WireDraft, WireEncodable {
    var field = ""
    var box = GeoBox()

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .fixed64): box.south = try reader.double("south")
        case (3, .fixed64): box.west = try reader.double("west")
        case (4, .fixed64): box.north = try reader.double("north")
        case (5, .fixed64): box.east = try reader.double("east")
        default: try reader.skip(wire)
        }
    }

    func finish() -> Filter { .withinBox(field: field, box) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.double(2, box.south)
        sink.double(3, box.west)
        sink.double(4, box.north)
        sink.double(5, box.east)
    }
}
