// What a collection knows of the recall of its vector fields, and the live queries to learn it from.
//
// Nothing is measured of a field before somebody asks for a recall. From then on one query of each
// hundred that ask this field, with a recall or without, is kept for the calibration, which answers it
// exactly some time later. Nothing of this is on the disk: after a start it begins anew with the first
// who asks for a recall, and takes about as long as some hundred exact answers.
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform
import Synchronization

/// Any thread.
final class CollectionRecall: Sendable {
    private let isAsked = Atomic<Bool>(false)
    private let fields = Locked(FieldMap<FieldRecall>())

    /// Nil while nobody has asked for a recall of the field.
    func field(_ name: String) -> FieldRecall? {
        guard isAsked.load(ordering: .relaxed) else { return nil }
        return fields.withLock { $0[name] }
    }

    var all: [FieldRecall] {
        guard isAsked.load(ordering: .relaxed) else { return [] }
        return fields.withLock { fields in fields.map(\.value) }
    }

    /// From now on its recall is measured for so many hits.
    ///
    /// - Returns: also whether somebody who measures has to be told.
    func ask(
        _ field: VectorField, _ name: String, k: Int, shardCount: Int
    ) -> (recall: FieldRecall, isNews: Bool) {
        let recall = fields.withLock { fields in
            if let known = fields[name] { return known }
            let made = FieldRecall(
                name: name, dimension: field.dimension, shardCount: shardCount)
            fields[name] = made
            return made
        }
        isAsked.store(true, ordering: .relaxed)
        return (recall, recall.ask(RecallDepths(k: k)))
    }
}

/// Any thread.
final class FieldRecall: Sendable {
    /// Of so many live queries one is answered exactly in the background.
    static let liveShare = 100
    /// Live queries that are kept, as far as their memory allows.
    private static let liveMax = 512
    private static let liveBytesMax = 4 << 20

    let name: String
    /// By shard.
    let shards: [ShardRecall]
    private let depthsAsked = Atomic<UInt8>(0)
    private let queryCount = Atomic<Int>(0)
    private let live: Locked<LiveQueries>

    init(name: String, dimension: Int, shardCount: Int) {
        self.name = name
        shards = (0..<shardCount).map { _ in ShardRecall() }
        let affordable = Self.liveBytesMax / (4 * dimension)
        live = Locked(LiveQueries(countMax: max(32, min(Self.liveMax, affordable))))
    }

    var depths: RecallDepths { RecallDepths(rawValue: depthsAsked.load(ordering: .relaxed)) }

    /// Whether one of these is new.
    fileprivate func ask(_ depths: RecallDepths) -> Bool {
        let known = depthsAsked.load(ordering: .relaxed)
        if depths.rawValue & ~known == 0 { return false }
        depthsAsked.bitwiseOr(depths.rawValue, ordering: .relaxed)
        return true
    }

    /// Counts a live query; one of each hundred, at no fixed place, is kept. It is handed on when the
    /// hundred is full, so that never more than one of a hundred has been.
    ///
    /// - Returns: whether one was handed on.
    func note(_ vector: [Float]) -> Bool {
        let number = queryCount.add(1, ordering: .relaxed).oldValue
        let (hundred, place) = number.quotientAndRemainder(dividingBy: Self.liveShare)
        if place == Int(mix64(UInt64(hundred)) % UInt64(Self.liveShare)) {
            live.withLock { $0.chosen = vector }
        }
        guard place == Self.liveShare - 1 else { return false }
        return live.withLock { $0.keepChosen() }
    }

    /// Queries that estimates rest on, in the shard that knows least; shards where everything is
    /// scanned need none.
    var sampleCount: Int { shards.compactMap { $0.model?.sampleCount }.min() ?? 0 }

    /// Live queries kept so far.
    var kept: Int { live.withLock { $0.kept } }

    /// Those behind the first `number` ever kept that are still there, oldest first.
    func queries(behind number: Int) -> [[Float]] { live.withLock { $0.behind(number) } }
}

/// The latest of the live queries that were kept.
private struct LiveQueries {
    let countMax: Int
    private var queries: [[Float]] = []
    private(set) var kept = 0
    /// Of the hundred at hand.
    var chosen: [Float]?

    init(countMax: Int) { self.countMax = countMax }

    mutating func keepChosen() -> Bool {
        guard let query = chosen else { return false }
        chosen = nil
        if queries.count == countMax { queries.removeFirst() }
        queries.append(query)
        kept += 1
        return true
    }

    func behind(_ number: Int) -> [[Float]] {
        Array(queries.suffix(min(queries.count, max(0, kept - number))))
    }
}

/// The recall of one field in one shard.
final class ShardRecall: Sendable {
    private let current = Locked<RecallModel?>(nil)
    /// Touched by the calibration's process alone.
    let calibration = ShardCalibration()

    /// What searches go by; nil before anything was measured.
    var model: RecallModel? { current.withLock { $0 } }

    func publish(_ model: RecallModel) { current.withLock { $0 = model } }

    func choice(target: Double, k: Int) -> RecallChoice {
        model?.choice(target: target, k: k) ?? RecallChoice(uncalibrated: target, k: k)
    }
}
