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
        var words = try OptionWords(arguments, of: Self.word, flags: ["--all", "--tiny"])
        wantsHelp = words.wantsHelp
        measuresAll = words.flag("--all")
        if words.flag("--tiny") { (sampleCount, memoryMiB) = (8, 16) }
        try words.take("--dimension", in: 1...65_536, &dimension)
        try words.take("--memory", in: 16...1_048_576, &memoryMiB)
        try words.take("--samples", in: 8...100_000, &sampleCount)
        try words.takeSeed(&seed)
        jsonPath = words.text("--json")
        try words.end()
    }
}
