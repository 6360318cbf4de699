// Random flips in large files: what verify says, what opens, what comes back. `KYRODB_FLIPS=100000`
// asks for as many; otherwise a few.
import Foundation
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct RandomFlipTests {
    private static let flipsMax =
        Int(ProcessInfo.processInfo.environment["KYRODB_FLIPS"] ?? "") ?? scaled(120)

    @Test("random flips in large files are survived or refused, and never answered wrongly")
    func flips() throws {
        let bed = try DamagedBed(
            seed: 41, shardCount: 1, snapshots: 2, batches: 60, idsMax: 4_000,
            logSegmentBytes: 1 << 18, batchSize: 40)
        let paths = try bed.paths().filter { try bed.disk.size($0) > 0 }
        var sizes: [Int] = []
        for path in paths { sizes.append(try bed.disk.size(path)) }
        let total = sizes.reduce(0, +)
        var outcomes: [String: Int] = [:]
        let random = SeededRandomSource(seed: 42)
        var flips = 0
        var trial: UInt64 = 0
        while flips < Self.flipsMax {
            trial += 1
            let harmed = bed.disk.copy()
            // Half of the harms are single ones.
            let count = trial % 2 == 0 ? 1 : 1 + Int(random.next() % 24)
            for _ in 0..<min(count, Self.flipsMax - flips) {
                var byte = Int(random.next() % UInt64(total))
                var file = 0
                while byte >= sizes[file] {
                    byte -= sizes[file]
                    file += 1
                }
                try harmed.flipBit(paths[file], byte: byte, bit: Int(random.next() % 8))
                flips += 1
            }
            outcomes[try judge(harmed, bed, "trial \(trial)"), default: 0] += 1
        }
        print("\(flips) flips in \(trial) trials over \(total) bytes of \(paths.count) files:")
        for (outcome, count) in outcomes.sorted(by: { $0.key < $1.key }) {
            print("  \(count) \(outcome)")
        }
    }

    private func judge(
        _ harmed: MemoryFileSystem, _ bed: DamagedBed, _ what: Comment
    ) throws -> String {
        let report: VerifyReport
        do throws(StoreError) {
            report = try DirectoryVerification.run(TestEngine.path, fileSystem: harmed)
        } catch {
            return "cannot be checked"
        }
        let test: TestEngine
        do {
            test = try TestEngine(harmed, bed.settings)
        } catch {
            #expect(report.worst == .stopsServer, "\(error), \(report.findings), \(what)")
            return "refused by server and verify"
        }
        defer { test.close() }
        guard test.engine.status().shards[0].state == .serving else {
            #expect(report.worst == .stopsShard, "\(report.findings), \(what)")
            return "shard stopped, as verify said"
        }
        #expect(report.worst ?? .leftover <= .survivable, "\(report.findings), \(what)")
        #expect(report.findings.allSatisfy { $0.severity != .tear }, "it was sealed: \(what)")
        try bed.expectAll(test, what)
        return report.isWhole ? "where nothing is kept" : "survived, as verify said"
    }
}
