// Directories of every format version are whole to verify, and repair saves all of them.
import Foundation
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct GoldenRepairTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/golden").path

    static var directories: [String] {
        let files = PosixFileSystem()
        let versions = ((try? files.list(golden)) ?? []).filter { $0.hasPrefix("v") }
        return versions.flatMap { version in
            // Of vector indexes there is one in a packed file, for golden.py.
            ["clean", "killed"].map { "\(golden)/\(version)/\($0)/data" }
        }
    }

    @Test(
        "a directory of an older version is whole, and repair loses nothing", arguments: directories
    )
    func golden(path: String) throws {
        let disk = MemoryFileSystem()
        try Self.copy(path, to: TestEngine.path, disk)
        let report = try DirectoryVerification.run(TestEngine.path, fileSystem: disk)
        #expect(report.isWhole, "\(report.findings)")
        #expect(report.recordCount > 10)
        let saved = try DirectoryRepair.run(TestEngine.path, to: "/saved", fileSystem: disk)
        #expect(saved.isComplete, "\(saved.losses) \(saved.doubts)")

        var settings = EngineSettings(shardCount: report.shardCount)
        settings.clock = ManualClock(nanos: 1, wallMillis: 1)
        let original = try TestEngine(disk.copy(), settings)
        let repaired = try TestEngine(disk, settings, path: "/saved")
        defer {
            original.close()
            repaired.close()
        }
        let tenants = Set(["default", "t", "other", "acme", ""])
        for tenant in tenants {
            let list = try original.engine.listCollections(ListCollectionsRequest(tenant: tenant))
            for collection in list.collections {
                let expected = try original.scan(collection.scope)
                #expect(try repaired.scan(collection.scope) == expected, "\(collection.scope)")
            }
        }
        // The original's parts may be made anew by now, for what older versions did not keep: documents
        // that expired long ago are not in the new ones.
        let documents = repaired.engine.status().shards.reduce(0) { $0 + $1.documents }
        #expect(documents == UInt64(saved.documentCount) && documents > 10)
        #expect(original.engine.status().shards.reduce(0) { $0 + $1.documents } <= documents)
    }

    private static func copy(_ path: String, to target: String, _ disk: MemoryFileSystem) throws {
        let files = PosixFileSystem()
        try disk.makeDirectory(target)
        for name in try files.list(path) {
            if name.hasPrefix("shard-") {
                try copy("\(path)/\(name)", to: "\(target)/\(name)", disk)
                continue
            }
            let bytes = try files.open("\(path)/\(name)", .read).readAll()
            try disk.open("\(target)/\(name)", .createEmpty).write(bytes, at: 0)
        }
    }
}
