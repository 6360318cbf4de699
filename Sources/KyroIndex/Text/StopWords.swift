// Words that carry no meaning of their own.

/// The 33 English stop words of Lucene's classic analyser.
let englishStopWords: Set<[UInt8]> = Set(
    """
    a an and are as at be but by for if in into is it no not of on or such that the their then \
    there these they this to was will with
    """.split(separator: " ").map { Array($0.utf8) })

/// Bytes of the longest of them: longer words are not looked up.
let englishStopWordBytesMax = 5
