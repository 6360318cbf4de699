// The command line of the measurement of text searches.
import Glibc

struct TextOptions {
    static let word = "text"
    static let usage = """
        Usage: kyrobench text [options]

        Asks text indexes in this process the same questions twice: by every posting of every term, and
        past the blocks of postings that cannot reach the answer. Both must give the same documents in
        the same order with the same scores, bit by bit. Counts postings and takes times.

        1. Random questions about each data set and about words that follow Zipf's law: judged queries,
           or one to six words of a document; title and text as two fields with boosts, BM25 summed and
           BM25F; a third under a filter that leaves a half, a sixteenth or a 256th; ten or a hundred
           hits; of now or of an earlier sequence. A fifth of the documents was changed and a tenth
           deleted meanwhile; ids are in no order.
        2. Pairs of terms in a large collection: the texts of the data sets over and over, each time with
           every word left out with a chance of 10 %, replaced by a word of another document with 10 %,
           and the order drawn anew. Each term is drawn from a random place of a random document; pairs
           of which both together are in fewer documents than --frequency are drawn again.

        What is measured
          --data FOLDER     of the data sets (default: $KYRODB_DATA)
          --sets NAMES      folders there with corpus.jsonl and, maybe, queries.jsonl (default
                            scifact,wordnet)
          --queries N       random questions altogether (default 100000)
          --documents N     of the large collection (default 1000000)
          --pairs N         of terms (default 1000)
          --frequency N     documents that have a term of a pair, both terms' added (default a
                            twentieth of the documents)
          --seed N          (default 1)
          --tiny            few of all: every code path, in a second

        What comes out, besides tables
          --json FILE       everything measured
          --strict          times must meet their targets, too

        A posting counts as scored when its part of a score is computed, for a document that is kept or
        for one that is given up. The tenth is asked of a million documents and more. Times are processor time of the searching thread.

        Exit status: 0; 1 when answers differ or more than a tenth of the pairs' postings is scored,
        with --strict also when a search that chooses for itself takes longer than all postings do; 2
        for a wrong command line or data that cannot be read.
        """

    /// The share of postings scored falls with their number: what is promised is promised of so many.
    static let provenDocuments = 1_000_000

    var dataFolder = ""
    var sets = ["scifact", "wordnet"]
    var queryCount = 100_000
    var documentCount = 1_000_000
    var pairCount = 1_000
    var frequency = 0
    var seed: UInt64 = 1
    var isTiny = false
    var jsonPath: String?
    var isStrict = false
    var wantsHelp = false

    /// - Parameter arguments: behind the word.
    init(_ arguments: ArraySlice<String>) throws {
        if let root = getenv("KYRODB_DATA") { dataFolder = String(cString: root) }
        var words = try OptionWords(arguments, of: Self.word, flags: ["--strict", "--tiny"])
        wantsHelp = words.wantsHelp
        isStrict = words.flag("--strict")
        isTiny = words.flag("--tiny")
        if isTiny { (queryCount, documentCount, pairCount) = (600, 20_000, 50) }
        words.take("--data", &dataFolder)
        if let names = words.text("--sets") { sets = names.split(separator: ",").map(String.init) }
        jsonPath = words.text("--json")
        try words.take("--queries", in: 1...100_000_000, &queryCount)
        try words.take("--documents", in: 1_000...100_000_000, &documentCount)
        try words.take("--pairs", in: 1...1_000_000, &pairCount)
        try words.take("--frequency", in: 1...100_000_000, &frequency)
        try words.takeSeed(&seed)
        try words.end()
        if frequency == 0 { frequency = documentCount / 20 }
        guard !dataFolder.isEmpty || wantsHelp else {
            throw BenchError("KYRODB_DATA names no folder of data sets; give --data FOLDER")
        }
    }
}
