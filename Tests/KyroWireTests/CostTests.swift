// What a message may cost to decode: time in proportion to its bytes, and lists that are bounded
// while they are read.
import KyroModel
import KyroWire
import Testing

@Suite struct CostTests {
    /// A length-delimited field.
    private func field(_ number: UInt8, _ body: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = body.count
        while rest >= 0x80 {
            length.append(UInt8(rest & 0x7F | 0x80))
            rest >>= 7
        }
        return [number << 3 | 2] + length + [UInt8(rest)] + body
    }

    private func repeated(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
        var all: [UInt8] = []
        all.reserveCapacity(bytes.count * count)
        for _ in 0..<count { all += bytes }
        return all
    }

    /// Fields that come again and again, each merging into what is there. At 300,000 of them a copy
    /// of the whole at each takes minutes: the limit is far from what a busy machine needs.
    private static let countMax = 300_000

    @Test(
        "A list that arrives in many pieces is not copied for each",
        .timeLimit(.minutes(1)),
        arguments: [
            ("strings", "32 02 0a 00"), ("ints", "3a 02 08 01"),
            ("doubles", "42 09 09 00 00 00 00 00 00 f0 3f"),
            ("packed doubles", "42 0a 0a 08 00 00 00 00 00 00 f0 3f"), ("bools", "4a 02 08 01"),
            ("timestamps", "52 02 08 01"),
        ])
    func pieces(_ name: String, _ piece: String) throws {
        let value = try MetadataValue.decode(wire: repeated(hex(piece), Self.countMax))
        let count =
            switch value {
            case .strings(let values): values.count
            case .int64s(let values), .timestamps(let values): values.count
            case .doubles(let values): values.count
            case .bools(let values): values.count
            default: 0
            }
        #expect(count == Self.countMax, "\(name)")
    }

    @Test(
        "A filter that arrives in many pieces is not copied for each", .timeLimit(.minutes(1)))
    func filterPieces() throws {
        let ints = repeated(field(6, field(3, hex("3a 02 08 01"))), Self.countMax)
        guard case .range(_, let lower?, nil) = try Filter.decode(wire: ints),
            case .int64s(let values) = lower.value
        else {
            Issue.record("no range with a lower bound")
            return
        }
        #expect(values.count == Self.countMax)
    }

    @Test("A set of values is bounded while it is read")
    func setValues() throws {
        let piece = field(5, field(2, hex("10 01")))
        let most = repeated(piece, Limits.filterNodesMax)
        guard case .isIn(_, let values) = try Filter.decode(wire: most) else {
            Issue.record("no in_set")
            return
        }
        #expect(values.count == Limits.filterNodesMax)
        expectLimit("in_set.values", 4_096) { try Filter.decode(wire: most + piece) }
    }

    @Test("Maps by field name are bounded while they are read", .timeLimit(.minutes(1)))
    func maps() throws {
        let id = hex("0a 02 08 01")
        for (number, name) in [
            (2, "vectors"), (3, "sparse_vectors"), (4, "texts"), (5, "metadata"),
        ] as [(UInt8, String)] {
            func entries(_ count: Int) -> [UInt8] {
                let value: [UInt8] = number == 5 ? hex("12 02 10 01") : []
                var bytes: [UInt8] = []
                // Descending: each new name moves all before it.
                for i in (0..<count).reversed() {
                    let letters = [i / 676 % 26, i / 26 % 26, i % 26]
                    let key = field(1, letters.map { UInt8(97 + $0) })
                    bytes += field(number, key + value)
                }
                return bytes
            }
            let most = id + entries(Limits.fieldsMax)
            // A name that is there already may come again.
            #expect(throws: Never.self) { try Document.decode(wire: most + entries(5)) }
            let flood = id + entries(17_576) + entries(17_576)
            expectLimit(name, 256) { try Document.decode(wire: flood) }
            // In a batch it is that item's error.
            let good = field(2, field(3, hex("08 01")))
            let batch = good + field(2, field(1, flood)) + good
            let request = try WriteRequest.decode(wire: batch)
            guard case .failure(let error) = request.mutations[1] else {
                Issue.record("\(name): no item error")
                continue
            }
            #expect(error.reason == "LIMIT_EXCEEDED")
            #expect(error.field == "mutations[1].upsert.\(name)")
        }
    }

    @Test("Lists of field names are bounded while they are read")
    func names() throws {
        for (number, name) in [
            (1, "vectors"), (2, "sparse_vectors"), (3, "texts"), (4, "metadata"),
        ] as [(UInt8, String)] {
            let declarations = repeated(field(number, []), Limits.fieldsMax + 1)
            expectLimit("schema.\(name)", 256) {
                try CreateCollectionRequest.decode(wire: field(2, declarations))
            }
        }
        for (number, name) in [
            (2, "remove_vectors"), (3, "remove_sparse_vectors"), (4, "remove_texts"),
            (5, "remove_metadata"),
        ] as [(UInt8, String)] {
            let update = field(1, field(1, hex("08 01")))
            let removals = repeated(field(number, []), Limits.fieldsMax + 1)
            let batch = field(2, field(2, update + removals))
            let request = try WriteRequest.decode(wire: batch)
            guard case .failure(let error) = request.mutations[0] else {
                Issue.record("\(name): no item error")
                continue
            }
            #expect(error.reason == "LIMIT_EXCEEDED")
            #expect(error.field == "mutations[0].update.\(name)")
        }
    }

    private func expectLimit<T>(
        _ path: String, _ limit: Int, _ decode: () throws -> T,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        do {
            _ = try decode()
            Issue.record("\(path): decoded", sourceLocation: sourceLocation)
        } catch let error as KyroError {
            #expect(error.reason == "LIMIT_EXCEEDED", sourceLocation: sourceLocation)
            #expect(error.field == path, sourceLocation: sourceLocation)
            #expect(
                error.message.contains("\(limit)"), "\(error.message)",
                sourceLocation: sourceLocation)
        } catch {
            Issue.record("\(error)", sourceLocation: sourceLocation)
        }
    }
}
