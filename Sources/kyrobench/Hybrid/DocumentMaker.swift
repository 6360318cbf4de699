// Makes documents ahead of who takes them in order, on all threads there are: one would be slower than
// the server takes them.
import KyroModel
import KyroPlatform

final class DocumentMaker {
    private static let blockCount = 10_000

    private let documents: HybridDocuments
    private let threads: Int
    private var block: [Document] = []
    private var first = 0

    init(_ documents: HybridDocuments, threads: Int) {
        self.documents = documents
        self.threads = threads
    }

    /// - Parameter number: one above the last, or any, which costs a block.
    func document(_ number: Int) -> Document {
        if number < first || number >= first + block.count { make(from: number) }
        return block[number - first]
    }

    private func make(from number: Int) {
        let count = min(Self.blockCount, max(1, documents.rowCount - number))
        let documents = documents
        let threads = threads
        let parts = Locked<[Int: [Document]]>([:])
        BenchWorkers(count: threads).run { worker in
            let own = (worker * count / threads)..<((worker + 1) * count / threads)
            let made = own.map { documents.document(number + $0) }
            parts.withLock { $0[worker] = made }
        }
        first = number
        block = parts.withLock { parts in (0..<threads).flatMap { parts[$0] ?? [] } }
    }
}
