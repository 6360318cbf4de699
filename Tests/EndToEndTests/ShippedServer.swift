// The shipped server as a child process, and what the kernel tells of it.
import Foundation
import KyroClient
import KyroModel

enum Shipped {
    /// KYRODB_BIN, or what `make build` makes.
    static let folder: String = {
        if let folder = ProcessInfo.processInfo.environment["KYRODB_BIN"] { return folder }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return root.appendingPathComponent(".build/ship/release").path
    }()

    static let server = folder + "/kyrodb"

    /// Tests of the shipped binary are skipped, and say so, where there is none.
    static let isThere = FileManager.default.isExecutableFile(atPath: server)
    static let missing = "skipped: no shipped binary at \(server); run `make build` first"
}

struct ServerFailure: Error, CustomStringConvertible {
    var description: String
}

/// One `kyrodb serve` over a data folder of its own, which is removed with it.
final class ShippedServer {
    private let process = Process()
    private let folder: URL
    private let logPath: String
    private(set) var endpoint = Endpoint.local

    init(_ flags: String...) throws {
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("kyrodb-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        logPath = folder.appendingPathComponent("stderr").path
        let portFile = folder.appendingPathComponent("port").path
        try Data().write(to: URL(fileURLWithPath: logPath))
        process.executableURL = URL(fileURLWithPath: Shipped.server)
        process.arguments =
            [
                "serve", "--data", folder.appendingPathComponent("data").path,
                "--listen", "127.0.0.1:0", "--port-file", portFile,
            ] + flags
        process.standardError = FileHandle(forWritingAtPath: logPath)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        try waitUntilServing(portFile)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    private func waitUntilServing(_ portFile: String) throws {
        let deadline = Date(timeIntervalSinceNow: 30)
        while Date() < deadline, process.isRunning {
            if let text = try? String(contentsOfFile: portFile, encoding: .utf8) {
                endpoint = try Endpoint(
                    parsing: text.trimmingCharacters(in: .whitespacesAndNewlines))
                let connection = try Connection(to: endpoint)
                while Date() < deadline {
                    if try HealthClient(connection).check() == .serving { return }
                }
            }
            usleep(2_000)
        }
        throw ServerFailure(description: "kyrodb does not serve:\n\(log)")
    }

    func connect() throws -> Connection {
        try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
    }

    /// What it wrote to standard error.
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// SIGTERM, then the exit status.
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// By thread name: how often the thread has gone to wait, which a loop does after every burst.
    func waits(ofThreadsNamed prefix: String) -> [String: Int] {
        let tasks = "/proc/\(process.processIdentifier)/task"
        var counts: [String: Int] = [:]
        for task in (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? [] {
            let lines = Self.lines("\(tasks)/\(task)/status")
            guard let name = Self.value("Name", in: lines), name.hasPrefix(prefix) else { continue }
            counts[name] = Self.value("voluntary_ctxt_switches", in: lines).flatMap { Int($0) }
        }
        return counts
    }

    private static func lines(_ path: String) -> [Substring] {
        ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n")
    }

    private static func value(_ name: String, in lines: [Substring]) -> String? {
        lines.first { $0.hasPrefix(name + ":") }
            .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
    }
}
