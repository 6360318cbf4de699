// Runs seeds and tells which fail.
//
//     kyro-simulator --seed N [--trace]
//     kyro-simulator --seeds A..<B [--jobs N] [--json] [--until-failures N]
//
// Ends with 0 when every seed passed, 1 when one did not, 2 when it was not understood.
import CLinux
import Glibc
import KyroSimulation

var seed: UInt64?
var range: Range<UInt64>?
var jobs = 1
var isTraced = false
var isJSON = false
var isWorker = false
var operations = 500
var failuresMax = 20

func fail(_ message: String) -> Never {
    put("kyro-simulator: \(message)", to: 2)
    exit(2)
}

// A life ends every few milliseconds; what it had is for the next one.
kyro_keep_memory()

var arguments = Array(CommandLine.arguments.dropFirst())
while !arguments.isEmpty {
    let name = arguments.removeFirst()
    func value() -> String {
        if arguments.isEmpty { fail("\(name) needs a value") }
        return arguments.removeFirst()
    }
    switch name {
    case "--seed": seed = UInt64(value())
    case "--seeds":
        let text = value()
        let bounds = text.split(separator: ".").map { $0.drop { $0 == "<" } }.map { UInt64($0) }
        guard bounds.count == 2, let low = bounds[0], let high = bounds[1], low <= high,
            text.contains("..<")
        else { fail("--seeds takes a range such as 0..<1000") }
        range = low..<high
    case "--jobs": jobs = Int(value()) ?? 0
    case "--operations": operations = Int(value()) ?? 0
    case "--until-failures": failuresMax = Int(value()) ?? 0
    case "--trace": isTraced = true
    case "--json": isJSON = true
    case "--worker": isWorker = true
    case "--help":
        put("kyro-simulator --seed N [--trace] | --seeds A..<B [--jobs N] [--json]")
        exit(0)
    default: fail("unknown option \(name)")
    }
}
guard jobs >= 1, jobs <= 256 else { fail("--jobs takes a number from 1 to 256") }
guard operations >= 1 else { fail("--operations takes a positive number") }

var options = SimulationOptions()
options.operations = operations

if let seed {
    exit(runOne(seed, options, isTraced: isTraced))
} else if let range {
    exit(
        isWorker
            ? work(range, stride: UInt64(jobs), options)
            : runMany(
                range, jobs: jobs, operations: operations, failuresMax: failuresMax,
                isJSON: isJSON))
} else {
    fail("--seed or --seeds is needed")
}
