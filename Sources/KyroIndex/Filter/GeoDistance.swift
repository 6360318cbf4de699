// Distances between places on the Earth.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

/// Great-circle distances on a sphere, by the haversine formula (Sinnott 1984, "Virtues of the
/// haversine"), which is exact for neighbours; the Earth's flattening is worth 0.5 % at most.
public enum GeoDistance {
    /// Metres: the mean radius R₁ of the Earth (Moritz 2000, "Geodetic reference system 1980").
    public static let earthRadius = 6_371_008.8

    /// The haversine of the angle between two points, in [0, 1]; 0 for the same place, however it
    /// is written, and monotonic in the distance.
    static func haversine(
        latitude: Double, cosine: Double, toLatitude: Double, longitudeGap: Double
    ) -> Double {
        let northward = sin(radians(toLatitude - latitude) / 2)
        let eastward = sin(radians(longitudeGap) / 2)
        return northward * northward
            + cosine * cosineOfLatitude(toLatitude) * eastward * eastward
    }

    /// Degrees between two meridians the shorter way round, in [0, 180].
    static func gap(_ a: Double, _ b: Double) -> Double {
        let gap = abs(a - b)
        return gap > 180 ? 360 - gap : gap
    }

    /// Zero at the poles, where the cosine of π/2 rounded would not be.
    static func cosineOfLatitude(_ latitude: Double) -> Double {
        abs(latitude) == 90 ? 0 : cos(radians(latitude))
    }

    static func radians(_ degrees: Double) -> Double { degrees * (.pi / 180) }

    /// Metres.
    public static func metres(_ a: GeoPoint, _ b: GeoPoint) -> Double {
        let share = haversine(
            latitude: a.latitude, cosine: cosineOfLatitude(a.latitude), toLatitude: b.latitude,
            longitudeGap: gap(a.longitude, b.longitude))
        return 2 * earthRadius * asin(min(1, share.squareRoot()))
    }
}

/// What lies within a distance of a center, ready to be asked for many points.
public struct GeoCircle {
    private let latitude: Double
    private let longitude: Double
    private let cosine: Double
    /// Of the radius.
    private let haversineMax: Double
    /// The bounding box in degrees: to the north and south, and to either side.
    private let latitudes: ClosedRange<Double>
    private let longitudeReach: Double

    /// Degrees that the box is too wide, above what its arithmetic loses: beside a pole the arcsine
    /// below is wrong by 10⁻⁶.
    private static let slack = 2e-6

    public init(center: GeoPoint, metres: Double) {
        latitude = center.latitude
        longitude = center.longitude
        cosine = GeoDistance.cosineOfLatitude(center.latitude)
        let angle = min(.pi, metres / GeoDistance.earthRadius)
        let half = sin(angle / 2)
        haversineMax = angle == .pi ? 1 : half * half
        let reach = angle * (180 / .pi) + Self.slack
        latitudes = (latitude - reach)...(latitude + reach)
        // A circle around a pole meets every meridian; any other touches two of them
        // (Bronstein, spherical right triangle).
        let holdsPole = abs(latitude) + reach >= 90
        longitudeReach =
            holdsPole
            ? 180 : asin(min(1, sin(angle) / cosine)) * (180 / .pi) + Self.slack
    }

    /// Few points pass the box: the others cost a nanosecond and no sine.
    @inline(__always)
    public func contains(latitude other: Double, longitude otherLongitude: Double) -> Bool {
        guard other >= latitudes.lowerBound, other <= latitudes.upperBound else { return false }
        let gap = GeoDistance.gap(otherLongitude, longitude)
        guard gap <= longitudeReach else { return false }
        if haversineMax == 1 { return true }
        return GeoDistance.haversine(
            latitude: latitude, cosine: cosine, toLatitude: other, longitudeGap: gap)
            <= haversineMax
    }
}
