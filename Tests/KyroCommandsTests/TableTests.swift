// Tables and numbers for people.
import KyroCommands
import Testing

@Suite struct TableTests {
    @Test("Columns are as wide as their widest cell, by display width")
    func aligns() {
        var table = Table([.init("id"), .init("n", isRightAligned: true), .init("text")])
        table.append(["日本", "1", "a"])
        table.append(["b", "1000", ""])
        #expect(table.text() == "id       n  text\n日本     1  a\nb     1000\n")
    }

    @Test("The widest column that may be cut gives way first, and no narrower than its least")
    func shrinks() {
        var table = Table([.init("id", widthMin: 4), .init("text", widthMin: 8)])
        table.append(["abcdefgh", "the quick brown fox jumps"])
        #expect(table.text(width: 24) == "id        text\nabcdefgh  the quick bro…\n")
        #expect(table.text(width: 5) == "id    text\nabc…  the qui…\n")
    }

    @Test("A wide character is never cut in half")
    func truncates() {
        #expect(truncated("日本語", toWidth: 6) == "日本語")
        #expect(truncated("日本語", toWidth: 5) == "日本…")
        #expect(truncated("日本語", toWidth: 4) == "日…")
        #expect(truncated("abc", toWidth: 0) == "")
        #expect(displayWidth("e\u{301}👩‍👩‍👧é") == 4)
    }

    @Test("A cell holds nothing that a terminal obeys")
    func cells() {
        #expect(singleLine("a\u{1B}[31m\n\tb  c ") == "a [31m b c")
        #expect(singleLine("\n") == "")
    }

    @Test("Numbers")
    func numbers() {
        #expect(countText(0) == "0")
        #expect(countText(999) == "999")
        #expect(countText(1_000) == "1,000")
        #expect(countText(1_234_567) == "1,234,567")
        #expect(byteText(1_023) == "1023 B")
        #expect(byteText(1_536) == "1.5 KiB")
        #expect(byteText(20 << 20) == "20 MiB")
        #expect(decimal(1.25, places: 1) == "1.3")
        #expect(decimal(-0.04, places: 1) == "0.0")
        #expect(decimal(-0.5, places: 2) == "-0.50")
        #expect(decimal(2, places: 4) == "2.0000")
        #expect(decimal(.infinity, places: 2) == "inf")
    }

    @Test("Progress shows bar, rate and what is left, within the width")
    func progress() {
        let line = Progress.line(
            count: 5_000, fraction: 0.5, elapsedNanos: 2_000_000_000, width: 100)
        #expect(line.contains("[############------------]  50%"))
        #expect(line.contains("5,000 documents  2,500/s  2.0 s left"))
        let cut = Progress.line(
            count: 5_000, fraction: nil, elapsedNanos: 2_000_000_000, width: 10)
        #expect(cut == "5,000 doc…")
    }
}
