// Reading a collection as it was, and for how long that can be done.
import KyroModel
import KyroPlatform

extension Engine {
    /// A hold on the sequence that a read names; nil where it names none.
    /// - Throws: AS_OF_GONE where versions of then may have been dropped.
    func lease(
        _ asOf: AsOf?, in collection: Collection, minSeq: Sequence, cancellation: Cancellation
    ) throws(KyroError) -> ScanLease? {
        guard let asOf else { return nil }
        while true {
            let (seq, isLatest) = try sequence(of: asOf, cancellation)
            guard seq >= minSeq else {
                throw .invalid(
                    "min_seq", "is \(minSeq.raw), which as_of at sequence \(seq.raw) has not seen")
            }
            if let lease = collection.leases.take(seq, time: time) { return lease }
            // A rebuild may have come in between, of which the next latest knows.
            if !isLatest { throw Self.gone("as_of", seq, oldest: collection.leases.horizon) }
        }
    }

    /// Published in every shard.
    private func sequence(
        of asOf: AsOf, _ cancellation: Cancellation
    ) throws(KyroError) -> (seq: Sequence, isLatest: Bool) {
        switch asOf {
        case .seq(let seq):
            guard seq <= clock.latest else {
                throw KyroError(
                    .seqNotReached,
                    "as_of.seq is \(seq.raw), but the highest sequence written is "
                        + "\(clock.latest.raw)", field: "as_of.seq")
            }
            try waitForSequence(seq, cancellation: cancellation)
            return (seq, false)
        case .time(let millis):
            let (answer, since) = commitTimes.withLock { ($0.last(at: millis), $0.sinceMillis) }
            switch answer {
            case .at(let seq):
                try waitForSequence(seq, cancellation: cancellation)
                return (seq, false)
            case .latest:
                let published = shards.reduce(Sequence.zero) { max($0, $1.published) }
                try waitForSequence(published, cancellation: cancellation)
                return (max(published, clock.stable), true)
            case .unknown:
                throw KyroError(
                    .asOfGone,
                    "as_of.time_ms is \(millis); what was committed when is known from "
                        + "\(since) on", field: "as_of.time_ms")
            }
        }
    }

    private static func gone(_ field: String, _ seq: Sequence, oldest: Sequence) -> KyroError {
        KyroError(
            .asOfGone,
            "\(field) is sequence \(seq.raw), of which versions have been dropped; the oldest that "
                + "can be read is \(oldest.raw)", field: field)
    }

    /// Changes how long dead versions stay readable; durable when it is answered.
    public func setRetention(
        _ request: SetRetentionRequest,
        completion: @escaping @Sendable (Result<CollectionDescription, KyroError>) -> Void
    ) {
        changeCatalog(completion) { engine throws(KyroError) in
            let collection = try engine.collection(of: request.scope)
            try SchemaValidation.checkRetention(request.retentionMillis)
            try engine.catalog.setRetention(collection, request.retentionMillis)
            return collection.description
        }
    }
}

extension CheckedQuery {
    /// A graph is about the living, and so are the counts that BM25 is kept at hand: the past is
    /// compared with every vector, and counted.
    mutating func readThePast() {
        isOfThePast = true
        exact = true
        if let recall = vector?.recall, recall > 0 { vector?.recall = 1 }
    }
}
