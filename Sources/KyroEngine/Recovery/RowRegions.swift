// Vectors that stay in a snapshot: who reads them there, and what happens when they rot.
import KyroIndex
import KyroModel
import KyroStore

extension Engine {
    /// A section whose rows an index reads as long as it likes. Damage is listed and healed like
    /// what the scrub finds.
    func rowRegion(
        _ reader: SnapshotReader, _ reference: SnapshotReference, section: String, shard: Int
    ) -> SectionRegion? {
        reader.region(ofSection: section) { [weak self] damage in
            self?.note(damage, in: reference, shard: shard)
        }
    }

    private func note(_ damage: StoreError.Damage, in reference: SnapshotReference, shard: Int) {
        let finding = ScrubFinding(
            place: .snapshot(reference.fileName), path: damage.path, offset: damage.offset,
            finding: damage.finding)
        guard shards[shard].scrub.withLock({ $0.add(finding) }) else { return }
        notice(
            "shard \(shard): \(damage.path) is damaged at offset \(damage.offset): "
                + "\(damage.finding); what the snapshot before has too is read from there, and "
                + "searches that need the rest fail")
        scrubGate.open()
    }
}

extension SnapshotJob {
    /// The manifest names the snapshot: rows that are in it need no memory any more, where a field
    /// wants it so.
    func adoptRows(_ reference: SnapshotReference, _ mark: SnapshotMark) {
        let parts = mark.collections.filter { part in
            part.root.vectors.contains { $0.value.keepsRowsOnDisk }
        }
        guard !parts.isEmpty else { return }
        do throws(KyroError) {
            let reader = try storing { () throws(StoreError) in
                try SnapshotReader(
                    directory: engine.directory.shardPath(shard.index), fileSystem: engine.files,
                    identity: engine.directory.identity(ofShard: shard.index), reference: reference)
            }
            for part in parts {
                for entry in part.root.vectors where entry.value.keepsRowsOnDisk {
                    let name = SnapshotContents.vectors(part.rows.fields.id, entry.name)
                    guard
                        let region = engine.rowRegion(
                            reader, reference, section: name, shard: shard.index)
                    else { continue }
                    try entry.value.adoptRows(in: region)
                }
            }
        } catch {
            engine.notice(
                "shard \(shard.index): vectors stay in memory until the next snapshot, since this "
                    + "one cannot be read: \(error.message)")
        }
    }
}

extension Shard {
    /// Rows that are to be in a snapshot and take so much memory are not left to wait for the log to
    /// grow: a rebuild has moved a field to the disk.
    private static let rowBytesUntilSnapshot = 16 << 20

    /// A rebuild has put `part` in the place of `old`. What it has changed is to be in the snapshot,
    /// or else a restart would find the old options there and do it once more.
    func wantSnapshot(of part: CollectionShard, insteadOf old: CollectionShard) {
        let vectors = part.currentRoot.vectors
        let before = old.currentRoot.vectors
        let bytes = vectors.reduce(0) { $0 + $1.value.bytesUntilSnapshot }
        let hasChanged = vectors.contains {
            before[$0.name]?.field.indexing != $0.value.field.indexing
        }
        updateLog {
            if bytes > Self.rowBytesUntilSnapshot || hasChanged && $0.base != nil {
                $0.needsSnapshot = true
            }
        }
    }
}
