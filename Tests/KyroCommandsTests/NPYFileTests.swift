// .npy headers and rows.
import Foundation
import KyroCommands
import Testing

@Suite struct NPYFileTests {
    private func header(_ text: String, version: UInt8 = 1) -> [UInt8] {
        let body = Array((text + "\n").utf8)
        var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0]
        for i in 0..<(version == 1 ? 2 : 4) { bytes.append(UInt8(body.count >> (8 * i) & 0xFF)) }
        return bytes + body
    }

    /// Writes a file, hands its path on, and removes it.
    private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        let url = FileManager.default.temporaryDirectory
            .appendingPathComponent("kyro-\(UUID().uuidString).npy")
        try Data(bytes).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        try body(url.path)
    }

    @Test("Headers of all versions are read", arguments: [UInt8(1), 2, 3])
    func versions(_ version: UInt8) throws {
        let bytes = header(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", version: version)
        let header = try NPYFile.Header(parsing: bytes)
        #expect(header.element == .float32)
        #expect(header.rowCount == 3 && header.dimension == 2)
        #expect(header.dataOffset == bytes.count)
    }

    static let refused: [(String, String)] = [
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }", "element type"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), }", "element type"),
        ("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", "Fortran"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }", "shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }", "shape"),
        ("{'descr': '<f4', 'shape': (3, 2), }", "no entry fortran_order"),
        ("", "no entry descr"),
    ]

    @Test("Other arrays are refused with a reason", arguments: refused)
    func refuses(_ text: String, _ problem: String) {
        do {
            let header = try NPYFile.Header(parsing: header(text))
            Issue.record("taken: \(header)")
        } catch {
            #expect("\(error)".contains(problem), "\(error)")
        }
    }

    @Test("A header cut anywhere is refused")
    func truncation() {
        let bytes = header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }")
        for count in 0..<bytes.count {
            #expect(throws: InputError.self) { try NPYFile.Header(parsing: Array(bytes[..<count])) }
        }
    }

    @Test("Rows of f32 and f16 come as floats, in any order")
    func rows() throws {
        let values: [Float] = (0..<6).map { Float($0) * 0.5 - 1 }
        let wide = values.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
        }
        let half: [UInt8] = [0x00, 0x3C, 0x00, 0xC0, 0xFF, 0x7B, 0x01, 0x00]
        try withFile(
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }") + wide
        ) { path in
            let file = try NPYFile(path: path)
            #expect(try file.row(2) == [1, 1.5])
            #expect(try file.row(0) == [-1, -0.5])
            #expect(try file.row(1) == [0, 0.5])
        }
        try withFile(
            header("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }") + half
        ) { path in
            let file = try NPYFile(path: path)
            #expect(try file.row(0) == [1, -2])
            #expect(try file.row(1) == [65_504, 0x1p-24])
        }
    }

    @Test("A file shorter than its header says is refused")
    func short() throws {
        try withFile(
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }") + [1, 2, 3]
        ) { path in
            #expect(throws: InputError.self) { try NPYFile(path: path) }
        }
    }

    @Test("Lines are numbered, and ends of either kind are cut")
    func lines() throws {
        let long = String(repeating: "x", count: 3 << 20)
        try withFile(Array("a\r\n\nb\n\(long)\nlast".utf8)) { path in
            var reader = LineReader(try InputFile(path: path))
            var lines: [Int] = []
            while let line = try reader.next() { lines.append(line.count) }
            #expect(lines == [1, 0, 1, 3 << 20, 4])
            #expect(reader.lineNumber == 5)
        }
    }
}
