// The parent of the workers: collects what they say and adds it up.
import Glibc
import KyroSimulation

/// What all workers together have done.
struct Tally {
    var passed: UInt64 = 0
    var failed: [(seed: UInt64, why: String)] = []
    var operations: UInt64 = 0
    var crashes: UInt64 = 0
    var micros: UInt64 = 0
    var faults: UInt64 = 0
    var flips: UInt64 = 0
    /// Of all runs, whatever their order.
    var hash: UInt64 = 0

    mutating func take(_ line: Substring) {
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, let seed = UInt64(words[1]) else { return }
        switch words[0] {
        case "ok" where words.count == 3:
            let numbers = words[2].split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count == 6 else { return }
            passed += 1
            operations += numbers[0]
            crashes += numbers[1]
            micros += numbers[2]
            hash ^= numbers[3]
            faults += numbers[4]
            flips += numbers[5]
        case "failed": failed.append((seed, words.count == 3 ? String(words[2]) : ""))
        case "trap": failed.append((seed, "the process trapped"))
        default: return
        }
    }

    var microsPerSeed: Double { passed == 0 ? 0 : Double(micros) / Double(passed) }
}

private struct Worker {
    var process: pid_t
    var output: Int32
    var text: [UInt8] = []
}

/// - Parameter failuresMax: after so many the rest is not run.
func runMany(
    _ range: Range<UInt64>, jobs: Int, operations: Int, failuresMax: Int, isJSON: Bool
) -> Int32 {
    let started = nanos()
    var workers = (0..<jobs).compactMap { job -> Worker? in
        let low = min(range.upperBound, range.lowerBound + UInt64(job))
        return spawn([
            "--worker", "--seeds", "\(low)..<\(range.upperBound)", "--jobs", "\(jobs)",
            "--operations", "\(operations)",
        ])
    }
    guard workers.count == jobs else { fail("a worker could not be started") }
    var tally = Tally()
    var told = started
    while workers.contains(where: { $0.output >= 0 }) {
        readSome(&workers, &tally)
        if nanos() - told > 5_000_000_000 {
            told = nanos()
            progress(tally, of: range, since: started)
        }
        if tally.failed.count >= failuresMax {
            for worker in workers where worker.output >= 0 { kill(worker.process, SIGTERM) }
        }
    }
    for worker in workers {
        var status: Int32 = 0
        waitpid(worker.process, &status, 0)
    }
    let seconds = Double(nanos() - started) / 1e9
    let isWhole = tally.passed + UInt64(tally.failed.count) == UInt64(range.count)
    printResult(tally, of: range, seconds: seconds, isJSON: isJSON)
    if !isWhole, tally.failed.isEmpty { put("FAILED: workers ended before their last seed") }
    return isWhole && tally.failed.isEmpty ? 0 : 1
}

private func progress(_ tally: Tally, of range: Range<UInt64>, since started: UInt64) {
    let seconds = Double(nanos() - started) / 1e9
    put(
        "\(tally.passed) of \(range.count) seeds passed, \(tally.failed.count) failed, "
            + "\(Int(seconds)) s", to: 2)
}

private func printResult(
    _ tally: Tally, of range: Range<UInt64>, seconds: Double, isJSON: Bool
) {
    let millis = (tally.microsPerSeed / 10).rounded() / 100
    if isJSON {
        let failed = tally.failed.map { "{\"seed\":\($0.seed),\"why\":\(quoted($0.why))}" }
        put(
            "{\"seeds\":\(range.count),\"passed\":\(tally.passed),\"operations\":"
                + "\(tally.operations),\"crashes\":\(tally.crashes),\"faults\":\(tally.faults),"
                + "\"flips\":\(tally.flips),\"millis_per_seed\":\(millis),\"seconds\":"
                + "\((seconds * 10).rounded() / 10),\"hash\":\"\(String(tally.hash, radix: 16))\","
                + "\"failed\":[\(failed.joined(separator: ","))]}")
        return
    }
    for (seed, why) in tally.failed.sorted(by: { $0.seed < $1.seed }) {
        put("FAILED seed \(seed): \(why)")
        put("    kyro-simulator --seed \(seed) --trace")
    }
    put(
        "RESULT \(tally.passed) of \(range.count) seeds passed: \(tally.operations) operations, "
            + "\(tally.crashes) crashes, \(tally.faults) faults, \(tally.flips) flips, "
            + "\(millis) ms a seed, hash \(String(tally.hash, radix: 16))")
}

private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        default: result.unicodeScalars.append(scalar.value < 0x20 ? " " : scalar)
        }
    }
    return result + "\""
}

// MARK: Processes

private func spawn(_ arguments: [String]) -> Worker? {
    var pipes: [Int32] = [0, 0]
    guard pipe(&pipes) == 0 else { return nil }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
    posix_spawn_file_actions_addclose(&actions, pipes[0])
    posix_spawn_file_actions_addclose(&actions, pipes[1])
    var words: [UnsafeMutablePointer<CChar>?] = (["kyro-simulator"] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    let status = posix_spawn(&process, "/proc/self/exe", &actions, nil, words, environ)
    close(pipes[1])
    guard status == 0 else { return nil }
    return Worker(process: process, output: pipes[0])
}

/// Waits up to a second for something to read.
private func readSome(_ workers: inout [Worker], _ tally: inout Tally) {
    var polls = workers.map { pollfd(fd: $0.output, events: Int16(POLLIN), revents: 0) }
    guard poll(&polls, nfds_t(polls.count), 1_000) > 0 else { return }
    for index in polls.indices where polls[index].revents != 0 {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(workers[index].output, &buffer, buffer.count)
        if count <= 0 {
            close(workers[index].output)
            workers[index].output = -1
            continue
        }
        workers[index].text += buffer[..<count]
        while let end = workers[index].text.firstIndex(of: 10) {
            let line = String(decoding: workers[index].text[..<end], as: UTF8.self)
            tally.take(line[...])
            workers[index].text.removeFirst(end + 1)
        }
    }
}
