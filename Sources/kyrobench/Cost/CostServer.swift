// A program that serves, writes HOST:PORT into a file, and whose processor time is read.
import Glibc
import KyroCommands
import KyroPlatform

final class CostServer {
    private(set) var port: UInt16 = 0
    private let process: pid_t

    /// - Parameters:
    ///   - words: of the command line; the first is the program's path.
    ///   - portFile: where it writes its address.
    init(_ words: [String], portFile: String) throws {
        unlink(portFile)
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, words[0], nil, nil, &arguments, environ)
        guard status == 0 else { throw BenchError("\(words[0]): \(errnoText(status))") }
        self.process = process
        let start = clock.monotonicNanos()
        while true {
            if let bytes = try? wholeFile(portFile), bytes.last == UInt8(ascii: "\n"),
                let text = String(decoding: bytes, as: UTF8.self).split(separator: ":").last,
                let number = UInt16(text.filter { $0.isNumber })
            {
                port = number
                return
            }
            guard secondsSince(start) < 30, waitpid(process, nil, WNOHANG) == 0 else {
                kill(process, SIGKILL)
                throw BenchError("\(words[0]) does not listen")
            }
            pause(seconds: 0.002)
        }
    }

    deinit {
        kill(process, SIGTERM)
        while waitpid(process, nil, 0) < 0, errno == EINTR {}
    }

    /// User and system time of all its threads so far.
    var cpuNanos: UInt64 {
        var id: clockid_t = 0
        guard clock_getcpuclockid(process, &id) == 0 else { return 0 }
        var time = timespec()
        guard clock_gettime(id, &time) == 0 else { return 0 }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
