// One seed with its story, or many in processes of their own: a trap in one ends that one alone.
import Glibc
import KyroSimulation

/// One line at once, also when it goes into a pipe.
func put(_ line: String, to descriptor: Int32 = 1) {
    let bytes = Array((line + "\n").utf8)
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes {
            Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done)
        }
        if count <= 0 { return }
        done += count
    }
}

func describe(_ report: SimulationReport) -> String {
    "seed \(report.seed) hash \(String(report.hash, radix: 16)): \(report.operations) operations, "
        + "\(report.writes) writes, \(report.crashes) crashes (\(report.powerCuts) power cuts), "
        + "\(report.recoveries) recoveries, \(report.snapshots) snapshots, \(report.faults) faults, "
        + "\(report.flips) flips, \(report.refusals) refusals, \(report.fileCalls) calls"
}

/// A failing seed is run once more, with the end of its story.
func runOne(_ seed: UInt64, _ options: SimulationOptions, isTraced: Bool) -> Int32 {
    var options = options
    options.traceLines = isTraced ? 1_000_000 : 0
    let report = simulate(seed: seed, options)
    for line in report.trace { put(line) }
    put(describe(report))
    guard let violation = report.violation else { return 0 }
    if !isTraced { printStory(of: seed, options) }
    put("FAILED seed \(seed): \(violation)")
    return 1
}

private func printStory(of seed: UInt64, _ options: SimulationOptions) {
    var options = options
    options.traceLines = 40
    for line in simulate(seed: seed, options).trace.suffix(40) { put("    \(line)") }
}

/// The seed being run, for the handler of a trap.
nonisolated(unsafe) private var currentSeed: UInt64 = 0

private func reportTraps() {
    for signal in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
        Glibc.signal(signal) { number in
            var line: [UInt8] = Array("trap ".utf8)
            line += Array(String(currentSeed).utf8) + [10]
            _ = line.withUnsafeBytes { Glibc.write(1, $0.baseAddress, $0.count) }
            Glibc.signal(number, SIG_DFL)
            raise(number)
        }
    }
}

/// Every `stride`th seed. Lines to the parent: `ok N operations crashes micros`, `failed N text`,
/// `trap N`.
func work(_ range: Range<UInt64>, stride: UInt64, _ options: SimulationOptions) -> Int32 {
    reportTraps()
    var seed = range.lowerBound
    while seed < range.upperBound {
        currentSeed = seed
        let started = processorNanos()
        let report = simulate(seed: seed, options)
        let micros = (processorNanos() - started) / 1_000
        if let violation = report.violation {
            let line = violation.split(separator: "\n")[0]
            put("failed \(seed) \(line)")
        } else {
            put(
                "ok \(seed) \(report.operations) \(report.crashes) \(micros) \(report.hash) "
                    + "\(report.faults) \(report.flips)")
        }
        seed += stride
    }
    return 0
}

func nanos() -> UInt64 { nanos(of: CLOCK_MONOTONIC) }

/// What this process has had of a processor: other work on the machine does not count.
private func processorNanos() -> UInt64 { nanos(of: CLOCK_PROCESS_CPUTIME_ID) }

private func nanos(of clock: clockid_t) -> UInt64 {
    var now = timespec()
    clock_gettime(clock, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
