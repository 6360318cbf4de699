// Any bytes of a section, read from a snapshot that was finished: across blocks, and past damage.
import KyroBytes
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct SectionRegionTests {
    private static let byteCount = 3_300_000

    private struct Bed {
        let disk: MemoryFileSystem
        let path: String
        let region: SectionRegion
        let bytes: [UInt8]
        let damages = Locked<[StoreError.Damage]>([])
        let refused = Locked<Range<UInt64>?>(nil)

        init() throws {
            disk = try newDisk()
            bytes = (0..<UInt64(byteCount)).map { UInt8(truncatingIfNeeded: mix64($0)) }
            let writer = try SnapshotWriter(
                directory: "/log", fileSystem: disk, identity: testIdentity, seq: Sequence(7),
                lsn: LSN(64))
            for (name, content) in [("before", [1, 2, 3]), ("rows", bytes), ("behind", [4])] {
                writer.begin(section: name)
                try writer.write(content)
                try writer.finishSection()
            }
            let reference = try writer.finish()
            path = "/log/\(reference.fileName)"
            let (refused, damages) = (refused, damages)
            let faulty = FaultyFileSystem(disk) { event, _ in
                guard event.operation == .read, let range = refused.withLock({ $0 }),
                    let offset = event.offset, let count = event.byteCount,
                    range.overlaps(offset..<(offset + UInt64(count)))
                else { return nil }
                return .fail(.inputOutput)
            }
            let reader = try SnapshotReader(
                directory: "/log", fileSystem: faulty, identity: testIdentity,
                reference: reference)
            let found = reader.region(ofSection: "rows") { damage in
                damages.withLock { $0.append(damage) }
            }
            region = try #require(found)
            #expect(reader.region(ofSection: "none") { _ in } == nil)
        }
    }

    @Test("any range comes back, however many blocks it crosses, when the name is gone too")
    func ranges() throws {
        let bed = try Bed()
        #expect(bed.region.byteCount == UInt64(Self.byteCount))
        var ranges = [0..<1, 0..<Self.byteCount, (Self.byteCount - 1)..<Self.byteCount]
        for block in 1...3 {
            let edge = block << 20
            ranges += [(edge - 1)..<edge, edge..<(edge + 1), (edge - 1)..<(edge + 1)]
            ranges += [(edge - 700)..<(edge + 900)]
        }
        for seed in 0..<300 as Range<UInt64> {
            let start = Int(mix64(2 * seed) % UInt64(Self.byteCount - 1))
            let longest = min(Self.byteCount - start, seed % 3 == 0 ? 1_500_000 : 4_000)
            ranges.append(start..<(start + 1 + Int(mix64(2 * seed + 1) % UInt64(longest))))
        }
        try bed.disk.unlink(bed.path)
        var found: [UInt8] = []
        for range in ranges {
            let end = min(range.upperBound, Self.byteCount)
            try bed.region.read(
                at: UInt64(range.lowerBound), count: end - range.lowerBound, into: &found)
            #expect(found == Array(bed.bytes[range.lowerBound..<end]), "\(range)")
        }
        #expect(bed.damages.withLock { $0.isEmpty })
    }

    @Test("what the disk refuses, and a file that was cut, are told and thrown")
    func refusal() throws {
        let bed = try Bed()
        var found: [UInt8] = []
        bed.refused.withLock { $0 = 2_200_000..<2_200_001 }
        try bed.region.read(at: 100, count: 5_000, into: &found)
        let error = #expect(throws: KyroError.self) {
            try bed.region.read(at: 2_199_000, count: 5_000, into: &found)
        }
        #expect(error?.code == .dataLoss && error?.message.contains(bed.path) == true)
        let told = try #require(bed.damages.withLock { $0.first })
        // The block's beginning, as the scrub says it: header of the file, two sections before.
        #expect(told.offset == 64 + (8 + 3) + 2 * ((1 << 20) + 8))
        bed.refused.withLock { $0 = nil }
        try bed.region.read(at: 2_199_000, count: 5_000, into: &found)
        #expect(found == Array(bed.bytes[2_199_000..<2_204_000]))
        try bed.disk.open(bed.path, .readWrite).truncate(to: 3_000_000)
        #expect(throws: KyroError.self) {
            try bed.region.read(at: 2_999_000, count: 5_000, into: &found)
        }
        #expect(bed.damages.withLock { $0.count } == 2)
    }
}
