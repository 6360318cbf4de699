// Places on the Earth.

/// Degrees north and east. `Validation` keeps the latitude in [−90, 90] and the longitude in
/// [−180, 180], whose ends are one meridian.
public struct GeoPoint: Equatable, Sendable {
    public var latitude: Double
    public var longitude: Double

    public init(latitude: Double = 0, longitude: Double = 0) {
        self.latitude = latitude
        self.longitude = longitude
    }

    /// Whether both coordinates are numbers in their ranges.
    public var isOnEarth: Bool {
        (-90...90).contains(latitude) && (-180...180).contains(longitude)
    }
}

/// Between two parallels and two meridians, bounds included. A west that is greater than the east
/// crosses the antimeridian; a pole lies on every meridian.
public struct GeoBox: Equatable, Sendable {
    public var south: Double
    public var west: Double
    public var north: Double
    public var east: Double

    public init(south: Double = 0, west: Double = 0, north: Double = 0, east: Double = 0) {
        self.south = south
        self.west = west
        self.north = north
        self.east = east
    }

    @inlinable public func contains(latitude: Double, longitude: Double) -> Bool {
        guard south <= latitude, latitude <= north else { return false }
        if abs(latitude) == 90 { return true }
        if spans(longitude) { return true }
        return abs(longitude) == 180 && spans(-longitude)
    }

    @inlinable func spans(_ longitude: Double) -> Bool {
        west <= east
            ? west <= longitude && longitude <= east : west <= longitude || longitude <= east
    }
}
