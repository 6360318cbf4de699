// A memory limit for a server, by the control groups of Linux (version 1 or 2).
import Glibc
import KyroCommands
import KyroPlatform

/// A group of its own under the root of the memory controller; gone when released, by which time no
/// process may be in it. Needs root.
final class ControlGroup {
    let folder: String
    private let isUnified: Bool

    /// - Throws: `BenchError` where this machine gives no such group.
    init(name: String) throws {
        let unified = "/sys/fs/cgroup/cgroup.controllers"
        isUnified = fileExists(unified)
        folder = (isUnified ? "/sys/fs/cgroup/" : "/sys/fs/cgroup/memory/") + name
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
            throw BenchError("\(folder): \(errnoText()); a memory limit needs root and cgroups")
        }
    }

    deinit { rmdir(folder) }

    func limit(bytes: Int) throws {
        let file = isUnified ? "/memory.max" : "/memory.limit_in_bytes"
        try write(String(bytes), to: file)
        if isUnified {
            try? write("0", to: "/memory.swap.max")
        } else {
            try? write("0", to: "/memory.swappiness")
        }
    }

    /// Words before a command that put it into the group from its first instruction on.
    var launcher: [String] {
        ["/bin/sh", "-c", "echo $$ > \(folder)/cgroup.procs && exec \"$@\"", "sh"]
    }

    /// Processes that the kernel has killed for want of memory.
    func killCount() throws -> Int {
        let name = isUnified ? "/memory.events" : "/memory.oom_control"
        let text = String(decoding: try wholeFile(folder + name), as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix("oom_kill ") {
            return Int(line.dropFirst("oom_kill ".count)) ?? 0
        }
        return 0
    }

    private func write(_ text: String, to name: String) throws {
        let file = open(folder + name, O_WRONLY)
        guard file >= 0 else { throw BenchError("\(folder)\(name): \(errnoText())") }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw BenchError("\(folder)\(name): \(errnoText())")
        }
    }
}
