// Distances and boxes on the Earth, against another formula and by hand.
import Glibc
import KyroIndex
import KyroModel
import TestSupport
import Testing

@Suite struct GeoTests {
    static let known: [(GeoPoint, GeoPoint, Double)] = [
        // A quarter of a great circle, half of one, and a degree of it.
        (GeoPoint(), GeoPoint(longitude: 90), 10_007_557.22),
        (GeoPoint(latitude: -90), GeoPoint(latitude: 90), 20_015_114.44),
        (GeoPoint(), GeoPoint(latitude: 1), 111_195.08),
        // Across the antimeridian.
        (GeoPoint(longitude: 179.5), GeoPoint(longitude: -179.5), 111_195.08),
        (GeoPoint(latitude: 20, longitude: 180), GeoPoint(latitude: 20, longitude: -180), 0),
        // Every meridian goes through a pole.
        (GeoPoint(latitude: 90, longitude: 5), GeoPoint(latitude: 90, longitude: -170), 0),
        (
            GeoPoint(latitude: 89, longitude: 0), GeoPoint(latitude: 89, longitude: 180),
            222_390.16
        ),
    ]

    @Test(arguments: known)
    func distancesThatAreKnown(_ a: GeoPoint, _ b: GeoPoint, _ metres: Double) {
        #expect(abs(GeoDistance.metres(a, b) - metres) < 0.01)
        #expect(abs(GeoDistance.metres(b, a) - metres) < 0.01)
        #expect(metres > 0 || GeoDistance.metres(a, b) == 0)
    }

    @Test func distancesEqualTheAngleBetweenVectors() {
        var source = FilterSource(seed: 71)
        for _ in 0..<scaled(20_000) {
            let (a, b) = (source.point(), source.point())
            let metres = angle(a, b) * GeoDistance.earthRadius
            // Beside the antipodes a haversine tells centimetres at best.
            #expect(abs(GeoDistance.metres(a, b) - metres) < 0.2, "\(a) \(b)")
        }
    }

    /// The box before the sine leaves out nothing: radii around the very distance.
    @Test func circlesHoldWhatIsNearer() {
        var source = FilterSource(seed: 72)
        var inside = 0
        for _ in 0..<scaled(50_000) {
            let center = source.point()
            var point = source.point()
            if source.chance(50) {
                // Close by, across poles and the antimeridian too.
                let step = pow(10, Double.random(in: -7...1, using: &source.generator))
                point.latitude = max(
                    -90, min(90, center.latitude + (source.chance(50) ? step : -step)))
                point.longitude = center.longitude + (source.chance(50) ? step : -step)
                if point.longitude > 180 { point.longitude -= 360 }
                if point.longitude < -180 { point.longitude += 360 }
            }
            let metres = GeoDistance.metres(center, point)
            func holds(_ radius: Double) -> Bool {
                GeoCircle(center: center, metres: radius).contains(
                    latitude: point.latitude, longitude: point.longitude)
            }
            #expect(holds(metres * (1 + 1e-9) + 0.1), "\(center) \(point) \(metres)")
            if metres > 1, metres < 2e7 {
                #expect(!holds(metres * (1 - 1e-9) - 0.1), "\(center) \(point) \(metres)")
                inside += 1
            }
            #expect(holds(.infinity))
        }
        #expect(inside > 0)
    }

    @Test(arguments: [
        (170.0, -170.0, 180.0, true), (170, -170, -180, true), (170, -170, 0, false),
        (170, -170, 170, true), (170, -170, -170, true), (170, -170, -169.9, false),
        (100, 180, -180, true), (-180, -100, 180, true), (-180, 180, 33, true),
        (10, 20, 15, true), (10, 20, 180, false), (180, 180, -180, true), (20, 10, 15, false),
    ])
    func boxesCrossTheAntimeridian(
        _ west: Double, _ east: Double, _ longitude: Double, _ isInside: Bool
    ) {
        let box = GeoBox(south: -5, west: west, north: 90, east: east)
        #expect(box.contains(latitude: 0, longitude: longitude) == isInside)
        #expect(!box.contains(latitude: -5.1, longitude: longitude))
        #expect(box.contains(latitude: 90, longitude: longitude), "a pole is on every meridian")
    }
}
