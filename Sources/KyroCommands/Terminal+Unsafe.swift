// What the terminal is, and writing to it.
import Glibc

public enum Terminal {
    public static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    public static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Columns of the terminal behind `descriptor`; nil where there is none.
    public static func width(of descriptor: Int32 = STDOUT_FILENO) -> Int? {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return Int(size.ws_col)
    }

    /// Writes all of `text` to standard output. False when nobody reads it any more.
    @discardableResult
    public static func write(_ text: String) -> Bool { write(text, to: STDOUT_FILENO) }

    @discardableResult
    public static func writeError(_ text: String) -> Bool { write(text, to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        let bytes = Array(text.utf8)
        var position = 0
        while position < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.write(
                    descriptor, all.baseAddress.map { unsafe $0 + position },
                    all.count - position)
            }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            position += written
        }
        return true
    }

    public static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}

/// What the clocks of the machine say.
public enum Now {
    /// Unix time.
    public static var wallMillis: Int64 { read(CLOCK_REALTIME) / 1_000_000 }
    /// Only differences have a meaning.
    public static var monotonicNanos: Int64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
