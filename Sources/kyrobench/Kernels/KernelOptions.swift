// The command line of the benchmark of single kernels.

struct KernelOptions {
    static let word = "kernels"
    static let usage = """
        Usage: kyrobench kernels [options]

        Nanoseconds per distance of every kernel: over rows that the first-level cache holds, and over
        rows at random places of a large block of memory. Best run on a quiet machine.

          --dimension N  (default 768)
          --memory MIB   size of that block; several times the last cache (default 1024)
          --samples N    of each figure, at least 8 (default 64)
          --all          every instruction set that this machine has (default: the one in use)
          --tiny         8 samples over 16 MiB: for tests
          --seed N       of the places (default 1)
          --json FILE    write everything measured there

        Exit status: 0; 2 for a wrong command line.
        """

    var dimension = 768
    var memoryMiB = 1_024
    var sampleCount = 64
    var measuresAll = false
    var seed: UInt64 = 1
    var jsonPath: String?
    var wantsHelp = false

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        var rest = arguments
        while let name = rest.popFirst() {
            switch name {
            case "--help", "-h": wantsHelp = true
            case "--all": measuresAll = true
            case "--tiny":
                sampleCount = 8
                memoryMiB = 16
            default:
                guard let value = rest.popFirst() else {
                    throw BenchError("\(name) needs a value, or is unknown; see --help")
                }
                switch name {
                case "--dimension": dimension = try Self.number(name, value, in: 1...65_536)
                case "--memory": memoryMiB = try Self.number(name, value, in: 16...1_048_576)
                case "--samples": sampleCount = try Self.number(name, value, in: 8...100_000)
                case "--seed": seed = UInt64(try Self.number(name, value, in: 0...Int.max))
                case "--json": jsonPath = value
                default: throw BenchError("unknown option \"\(name)\"; see --help")
                }
            }
        }
    }

    private static func number(
        _ name: String, _ value: String, in range: ClosedRange<Int>
    ) throws -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw BenchError("\(name) is \"\(value)\"; it must be a number in \(range)")
        }
        return number
    }
}
