// What the benchmark asks of the operating system: files, the machine's names, a server process.
import Glibc
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform

let clock = SystemClock()

func fileExists(_ path: String) -> Bool { access(path, R_OK) == 0 }

func wholeFile(_ path: String) throws -> [UInt8] {
    let file = try InputFile(path: path)
    var bytes: [UInt8] = []
    while true {
        let block = try file.read(countMax: 1 << 20)
        if block.isEmpty { return bytes }
        bytes += block
    }
}

func pause(seconds: Double) { usleep(UInt32(seconds * 1_000_000)) }

func secondsSince(_ startNanos: UInt64) -> Double {
    Double(clock.monotonicNanos() - startNanos) / 1e9
}

enum Machine {
    static var cpu: String {
        let text = (try? wholeFile("/proc/cpuinfo")).map { String(decoding: $0, as: UTF8.self) }
        let line = text?.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last.map { $0.drop { $0 == " " } }.map(String.init)
            ?? "unknown"
    }

    /// Of the last minute, as it was when first asked: above the number of cores others were at work.
    static let loadAverage: Double = {
        let text = (try? wholeFile("/proc/loadavg")).map { String(decoding: $0, as: UTF8.self) }
        return text?.split(separator: " ").first.flatMap { Double($0) } ?? -1
    }()

    static var kernel: String {
        let text = try? wholeFile("/proc/sys/kernel/osrelease")
        return text.map { String(decoding: $0.filter { $0 > 32 }, as: UTF8.self) } ?? "unknown"
    }
}

/// A server with a data directory of its own. What is made for it is gone at `stop`, unless the
/// folder came from the caller.
final class ServerProcess {
    let endpoint: Endpoint
    /// Holds `data`.
    let folder: String
    private let ownsFolder: Bool
    private let process: pid_t

    /// - Parameters:
    ///   - binary: path of kyrodb.
    ///   - folder: with the data of an earlier one; nil for a new one.
    ///   - options: words of its command line besides the usual.
    ///   - launcher: words before the command, of a program that turns into it.
    init(
        binary: String, folder given: String? = nil, options: [String] = [],
        launcher: [String] = []
    ) throws {
        folder = try given ?? Self.makeFolder()
        ownsFolder = given == nil
        let portFile = folder + "/port"
        unlink(portFile)
        let words =
            launcher + [
                binary, "serve", "--data", folder + "/data", "--listen", "127.0.0.1:0",
                "--port-file", portFile, "--quiet",
            ] + options
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, words[0], nil, nil, &arguments, environ)
        guard status == 0 else { throw BenchError("\(binary): \(errnoText(status))") }
        self.process = process
        let start = clock.monotonicNanos()
        while !fileExists(portFile) {
            var state: Int32 = 0
            guard waitpid(process, &state, WNOHANG) == 0 else {
                throw BenchError("\(binary) ended at its start")
            }
            guard secondsSince(start) < 30 else {
                Glibc.kill(process, SIGKILL)
                throw BenchError("\(binary) does not listen after 30 s")
            }
            pause(seconds: 0.002)
        }
        let address = String(decoding: try wholeFile(portFile), as: UTF8.self)
        endpoint = try Endpoint(parsing: address.filter { !$0.isWhitespace })
    }

    /// - Parameter parent: of the new folder; nil for $TMPDIR or /tmp.
    static func makeFolder(in parent: String? = nil) throws -> String {
        let parent = parent ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((parent + "/kyrobench-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else { throw BenchError("\(parent): \(errnoText())") }
        return String(cString: made)
    }

    /// Processor time that the server has used, in seconds, to a hundredth.
    var cpuSeconds: Double {
        guard let bytes = try? wholeFile("/proc/\(process)/stat"),
            let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return 0 }
        // proc_pid_stat(5): utime and stime are fields 14 and 15; field 3 follows the name.
        let fields = String(decoding: bytes[(nameEnd + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
        else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Resident memory that no file backs.
    var anonymousBytes: Int {
        guard let bytes = try? wholeFile("/proc/\(process)/status") else { return 0 }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let words = lines.first { $0.hasPrefix("RssAnon:") }?.split(separator: " ") ?? []
        return words.count > 1 ? (Int(words[1]) ?? 0) * 1_024 : 0
    }

    /// Asks the server to stop and waits for it; answers its exit status.
    @discardableResult
    func stop() -> Int32 {
        Glibc.kill(process, SIGTERM)
        return ended()
    }

    /// Ends the server without a word, as a crash does.
    func kill() {
        Glibc.kill(process, SIGKILL)
        _ = ended()
    }

    private func ended() -> Int32 {
        var state: Int32 = 0
        while waitpid(process, &state, 0) < 0, errno == EINTR {}
        if ownsFolder { removeTree(folder) }
        return state & 0x7f == 0 ? (state >> 8) & 0xff : 128 + (state & 0x7f)
    }
}

/// Removes a folder and everything in it, following no link.
func removeTree(_ path: String) {
    for name in (try? PosixFileSystem().list(path)) ?? [] where name != "." && name != ".." {
        let entry = path + "/" + name
        if unlink(entry) != 0 { removeTree(entry) }
    }
    rmdir(path)
}
