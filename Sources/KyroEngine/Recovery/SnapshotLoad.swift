// One snapshot into memory. Document data must be whole; what is derived from it is rebuilt where it
// is not, while the shard serves.
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

/// What a snapshot gave, installed nowhere yet.
struct LoadedSnapshot {
    var reference: SnapshotReference
    var byteCount: UInt64
    var contents: SnapshotContents
    var parts: [(collection: Collection, rows: CollectionShard)] = []
    /// What came before it.
    var times: CommitTimes
    /// What was damaged and has been derived anew.
    var repairs: [String] = []
}

struct SnapshotLoad {
    let engine: Engine
    let shard: Int
    let reference: SnapshotReference
    private let reader: SnapshotReader
    private let repairs = Locked<[String]>([])

    init(
        engine: Engine, shard: Int, reference: SnapshotReference,
        onRead: @escaping @Sendable (UInt64) -> Void
    ) throws(StoreError) {
        self.engine = engine
        self.shard = shard
        self.reference = reference
        reader = try SnapshotReader(
            directory: engine.directory.shardPath(shard), fileSystem: engine.files,
            identity: engine.directory.identity(ofShard: shard), reference: reference,
            onRead: onRead)
    }

    /// Of the file.
    var byteCount: UInt64 { reader.byteCount }

    /// About what it will take in memory: of rows that stay in the file, codes alone.
    var memoryBytes: UInt64 {
        var total = reader.byteCount
        for (id, collection) in engine.catalog.byID {
            for entry in collection.schema.vectors where entry.value.indexing.storage == .disk {
                let section = SnapshotContents.vectors(id, entry.name)
                guard let bytes = reader.byteCount(ofSection: section) else { continue }
                let share = VectorIndex.codeShare(of: entry.value)
                total -= min(total, UInt64(Double(bytes) * (1 - share)))
            }
        }
        return total
    }

    /// - Throws: when document data cannot be read, or does not fit into memory.
    func run() throws(KyroError) -> LoadedSnapshot {
        let contents = try whole(SnapshotContents.section) { source throws(KyroError) in
            try SnapshotContents(decoding: try source.read(count: Int(source.remaining)))
        }
        var loaded = LoadedSnapshot(
            reference: reference, byteCount: reader.byteCount, contents: contents,
            times: loadTimes() ?? timesUnknown(contents))
        let known = engine.catalog.byID
        for part in contents.collections {
            guard let collection = known[part.id] else { continue }
            loaded.parts.append((collection, try load(part, of: collection)))
            try engine.budget.checkLoaded(shard: shard)
        }
        loaded.contents.producers = contents.producers.filter {
            known[$0.key.collection] != nil
        }
        loaded.repairs = repairs.withLock { $0 }
        return loaded
    }

    private func load(
        _ part: SnapshotContents.CollectionPart, of collection: Collection
    ) throws(KyroError) -> CollectionShard {
        let id = part.id
        let schema = collection.schema
        let slotCount = part.slotCount
        var missing = MissingStructures()
        let metadata = derived(SnapshotContents.metadata(id)) { source throws(KyroError) in
            try MetadataIndex(from: source, slotCount: slotCount)
        }
        if metadata == nil { missing.metadata = true }
        let rows = CollectionShard(
            fields: collection.fields, shard: shard, hashSeed: engine.hashSeed,
            metadata: metadata ?? MetadataIndex())
        try whole(SnapshotContents.rows(id)) { source throws(KyroError) in
            if reader.version == 1 {
                try rows.readRowsOfVersion1(from: source, slotCount: slotCount)
            } else {
                try rows.readRows(from: source, slotCount: slotCount)
            }
        }
        let indexings = try loadIndexings(id)
        var vectors: FieldMap<VectorIndex> = [:]
        for name in part.vectors {
            guard var field = schema.vectors[name] else { continue }
            field.indexing = indexings[name] ?? .default
            vectors[name] = try loadVectors(part, name, field)
        }
        var sparse: FieldMap<SparseIndex> = [:]
        for name in part.sparse {
            let index = derived(SnapshotContents.sparse(id, name)) { source throws(KyroError) in
                try SparseIndex(from: source, slotCount: slotCount)
            }
            if index == nil { missing.sparse[name] = true }
            sparse[name] = index ?? SparseIndex()
        }
        let visibility = Visibility(
            born: rows.rows.born, died: rows.rows.died, expiresAt: rows.rows.expiresAt,
            seq: reader.seq.raw, slotCount: slotCount, nowMillis: .min)
        var texts: FieldMap<TextIndex> = [:]
        for name in part.texts {
            let field = schema.texts[name] ?? TextField()
            let index = derived(SnapshotContents.text(id, name)) { source throws(KyroError) in
                try TextIndex(from: source, field: field, visibility: visibility)
            }
            if index == nil { missing.texts[name] = true }
            texts[name] = index ?? TextIndex(field: field)
        }
        rows.adopt(slotCount: slotCount, vectors: vectors, sparse: sparse, texts: texts)
        rows.setMissing(missing)
        try loadHorizon(of: rows)
        return rows
    }

    /// What the part's vector indexes were made with, which the schema may have left behind.
    private func loadIndexings(_ id: CollectionID) throws(KyroError) -> FieldMap<VectorIndexing> {
        let name = SnapshotContents.indexing(id)
        guard reader.byteCount(ofSection: name) != nil else { return [:] }
        return try whole(name) { source throws(KyroError) in
            let bytes = try source.read(count: Int(source.remaining))
            return try storing { () throws(StoreError) in try FieldMap(decoding: bytes) }
        }
    }

    private func loadTimes() -> CommitTimes? {
        guard reader.byteCount(ofSection: SnapshotContents.times) != nil else { return nil }
        return derived(SnapshotContents.times) { source throws(KyroError) in
            try CommitTimes(decoding: try source.read(count: Int(source.remaining)))
        }
    }

    /// Of what is in the snapshot it is known that it came before it.
    private func timesUnknown(_ contents: SnapshotContents) -> CommitTimes {
        contents.wallMillis > 0 ? CommitTimes(sinceMillis: contents.wallMillis) : .unknown
    }

    private func loadHorizon(of rows: CollectionShard) throws(KyroError) {
        let name = SnapshotContents.horizon(rows.fields.id)
        guard reader.byteCount(ofSection: name) != nil else { return }
        try whole(name) { source throws(KyroError) in
            var bytes = ByteReader(try source.read(count: 8))
            do throws(ByteError) {
                rows.setHorizon(Sequence(try bytes.readFixed64()))
            } catch {
                throw SnapshotContents.damaged("section \(name) is short: \(error)")
            }
        }
    }

    private func loadVectors(
        _ part: SnapshotContents.CollectionPart, _ name: String, _ field: VectorField
    ) throws(KyroError) -> VectorIndex {
        if reader.version == 1 {
            return try whole(SnapshotContents.vector(part.id, name)) { source throws(KyroError) in
                try VectorIndex(version1From: source, field: field, slotCount: part.slotCount)
            }
        }
        let codesName = SnapshotContents.codes(part.id, name)
        let hasCodes = reader.byteCount(ofSection: codesName) != nil
        let codes =
            !hasCodes
            ? nil
            : derived(codesName) { source throws(KyroError) in
                try RestoredCodes(from: source, field: field, slotCount: part.slotCount)
            }
        let rows = try whole(SnapshotContents.vectors(part.id, name)) { source throws(KyroError) in
            try RestoredVectors(
                from: source, field: field, slotCount: part.slotCount, codes: codes,
                region: field.indexing.storage == .disk
                    ? engine.rowRegion(
                        reader, reference, section: SnapshotContents.vectors(part.id, name),
                        shard: shard) : nil)
        }
        let index = derived(SnapshotContents.graph(part.id, name)) { source throws(KyroError) in
            try VectorIndex(rows, graphFrom: source)
        }
        // Without a graph the rows are scanned, and folding builds one while the shard serves.
        return index ?? VectorIndex(rows)
    }

    // MARK: Sections

    /// A section that must be there, be whole and end where its content does.
    private func whole<Content>(
        _ section: String, _ body: (SnapshotSection) throws(KyroError) -> Content
    ) throws(KyroError) -> Content {
        try engine.maintenance.check()
        let source = try storing { () throws(StoreError) in try reader.source(section: section) }
        let content = try body(source)
        try source.finish()
        return content
    }

    /// Nil where the section is not whole, with a line for the operator.
    private func derived<Content>(
        _ section: String, _ body: (SnapshotSection) throws(KyroError) -> Content
    ) -> Content? {
        do throws(KyroError) {
            return try whole(section, body)
        } catch {
            let text = "section \(section) of \(reader.path): \(error.message)"
            repairs.withLock { $0.append(text) }
            return nil
        }
    }
}
