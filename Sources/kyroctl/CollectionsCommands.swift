// kyroctl collections create, list, describe, drop.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    /// How a vector field may be indexed.
    static let vectorOptionsHelp = """
        Options of a vector field; what is not given is chosen by the server:
          kind             automatic (flat while small, then graph), graph, flat, or ivf
          codes            what candidates are sought by: automatic (sq8 up to 384 dimensions,
                           sq4 above), none (the rows), sq8, sq4, bq, pq
          rerank           what scores them again: f32, bf16, or none, which keeps codes alone
          storage          where rows for reranking are: memory, or disk
          m                of a graph: neighbours of a row, 4 to 32 (16)
          ef_construction  candidates kept while one is linked, m to 2048 (100)
          ef_search        candidates kept by a search, 1 to 10000 (96, and more above
                           131072 rows)
          lists            of ivf: how many lists, 1 to 65536 (4 x the root of the rows)
          probes           lists that a search scans, 1 to lists
        """

    static let collectionsCreate = Command(
        name: "collections create", summary: "Create a collection.", positionals: "NAME",
        details: """
            Fields that are not declared here are added by the first document that carries them: a
            vector with its dimension and the cosine metric, a text with the standard analyzer,
            metadata with the type of the value, a multi-vector with its dimension. A field's type never changes afterwards.

            \(vectorOptionsHelp)
            """,
        options: [
            Option(
                "vector", value: "NAME:DIMENSION[:METRIC][,OPTION=VALUE]", isRepeatable: true,
                "a vector field; metrics are cosine (default), ip and l2; for options see above"),
            Option("sparse", value: "NAME", isRepeatable: true, "a sparse vector field"),
            Option(
                "text", value: "NAME[:ANALYZER[:LANGUAGE]]", isRepeatable: true,
                "a text field; analyzers are standard (default), code and raw"),
            Option(
                "multi-vector", value: "NAME:DIMENSION", isRepeatable: true,
                "rows of one dimension, as many as a document has, for search --rescore"),
            Option(
                "field", value: "NAME:TYPE", isRepeatable: true,
                "a metadata field; types are string, int64, double, bool, timestamp, geo, and "
                    + "lists of them such as string[]"),
            Option(
                "retention", value: "TIME",
                "how long overwritten and removed documents stay readable by --as-of, such as 7d"),
            Option(
                "durability", value: "POLICY",
                "when a write must be on disk: always, interval:MILLIS or never (default: as the "
                    + "server was started)"),
        ],
        examples: [
            ("collections create commits", "a collection whose fields come with its documents"),
            (
                "collections create commits --vector embedding:384 --text title "
                    + "--field files:int64", "declare what is known"
            ),
            (
                "collections create papers "
                    + "--vector embedding:768:cosine,codes=sq4,rerank=bf16,m=24",
                "half the memory, a denser graph"
            ),
        ],
        run: createCollection)

    static let collectionsList = Command(
        name: "collections list", summary: "List the collections of a tenant.",
        examples: [
            ("collections list", "collections of the tenant \"default\""),
            ("collections list --tenant acme --json", "one object a line"),
        ],
        run: listCollections)

    static let collectionsDescribe = Command(
        name: "collections describe", summary: "Show a collection's fields and size.",
        positionals: "NAME",
        details: """
            Of each vector field: what serves it now, how many rows it has, how many of them are in
            its index and how many are dead, and the memory of rows, codes and links. Of each field
            that is being rebuilt, vectors or text: how far that is.
            """,
        examples: [("collections describe commits", "fields of the collection commits")],
        run: describeCollection)

    static let collectionsRetention = Command(
        name: "collections retention",
        summary: "Change how long overwritten and removed documents stay readable.",
        positionals: "NAME TIME",
        details: """
            TIME is a span such as 7d, 12h or 90s; 0 keeps none beyond what is there until the next
            rebuild. What is kept takes memory, and is read by search, get and scan with --as-of.
            """,
        examples: [("collections retention commits 7d", "the last week can be read")],
        run: setRetention)

    static let collectionsDrop = Command(
        name: "collections drop", summary: "Delete a collection and all its documents.",
        positionals: "NAME",
        options: [Option("yes", "really; without it nothing happens")],
        examples: [("collections drop commits --yes", "delete the collection commits")],
        run: dropCollection)
}

private func createCollection(_ session: Session) throws -> ExitCode {
    let arguments = session.arguments
    var schema = Schema()
    for text in arguments.strings("vector") { try schema.addVector(text) }
    for text in arguments.strings("text") { try schema.addText(text) }
    for text in arguments.strings("field") { try schema.addMetadata(text) }
    for text in arguments.strings("multi-vector") { try schema.addMultiVector(text) }
    for name in arguments.strings("sparse") { schema.sparseVectors[name] = SparseField() }
    let durability = try arguments.string("durability").map(Durability.init(text:))
    let retention = try arguments.string("retention").map(retentionMillis)
    let scope = try session.scopeOfCommand()
    let collection = try CollectionsClient(session.connection()).create(
        scope, schema: schema, durability: durability, retentionMillis: retention ?? 0)
    if session.isJSON {
        session.write(JSON(collection))
    } else {
        session.write("created \(scope.namespace) (collection \(collection.id.raw))\n")
    }
    return .done
}

private func listCollections(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let collections = try CollectionsClient(session.connection()).listAll(tenant: session.tenant)
    if session.isJSON {
        for collection in collections { session.write(JSON(collection)) }
        return .done
    }
    if collections.isEmpty {
        session.write("The tenant \(session.tenant) has no collections.\n")
        return .done
    }
    var table = Table([
        .init("collection"), .init("id", isRightAligned: true),
        .init("documents", isRightAligned: true), .init("vectors", widthMin: 12),
        .init("texts", widthMin: 12), .init("metadata", widthMin: 12),
    ])
    for collection in collections {
        let schema = collection.schema
        table.append([
            collection.scope.namespace, String(collection.id.raw),
            countText(collection.documentCount),
            schema.vectors.map { "\($0.name):\($0.value.dimension)" }.joined(separator: ", "),
            schema.texts.names.joined(separator: ", "),
            schema.metadata.names.joined(separator: ", "),
        ])
    }
    session.write(table)
    return .done
}

private func describeCollection(_ session: Session) throws -> ExitCode {
    let scope = try session.scopeOfCommand()
    let description = try CollectionsClient(session.connection()).describe(scope)
    if session.isJSON {
        session.write(JSON(description))
        return .done
    }
    let collection = description.collection
    let kept = collection.retentionMillis
    let retention = kept > 0 ? ", retention \(kept) ms" : ""
    session.write(
        "\(scope.namespace) of tenant \(scope.tenant): collection \(collection.id.raw), "
            + "\(countText(collection.documentCount)) documents, "
            + "schema version \(collection.schemaVersion), durability "
            + "\(collection.durability?.text ?? "of the server")\(retention)\n\n")
    var table = Table([.init("field"), .init("kind"), .init("type", widthMin: 12)])
    let schema = collection.schema
    for field in schema.vectors {
        table.append([
            field.name, "vector",
            [
                "\(field.value.dimension) floats, \(field.value.metric.text)",
                field.value.indexing.text,
            ]
            .filter { !$0.isEmpty }.joined(separator: ", "),
        ])
    }
    for name in schema.sparseVectors.names { table.append([name, "sparse vector", ""]) }
    for field in schema.multiVectors {
        table.append([field.name, "multi-vector", "rows of \(field.value.dimension) floats"])
    }
    for field in schema.texts {
        let (text, bm25) = (field.value, field.value.bm25)
        table.append([
            field.name, "text",
            [
                "\(text.analyzer.text), \(text.language), k1 \(bm25.k1), b \(bm25.b)",
                text.optionsText,
            ]
            .filter { !$0.isEmpty }.joined(separator: ", "),
        ])
    }
    for field in schema.metadata {
        let known = description.metadata.first { $0.field == field.name }?.text ?? ""
        table.append([field.name, "metadata", field.value.text + known])
    }
    if table.rows.isEmpty {
        session.write("No fields yet: the first documents bring them.\n")
    } else {
        session.write(table)
    }
    if let version = collection.tuning?.version {
        session.write(
            "\nfused by version \(version) of what was learnt: kyroctl collections tune "
                + "\(scope.namespace) --list\n")
    }
    VectorIndexOutput.show(description.vectors, session)
    for status in description.texts where status.rebuildRowsTotal > 0 {
        let (done, total) = (status.rebuildRowsDone, status.rebuildRowsTotal)
        session.write("\(status.field): \(rebuildProgress(done, of: total))\n")
    }
    return .done
}

extension MetadataStatistics {
    /// Behind the type.
    fileprivate var text: String {
        var parts = [countText(rows) + " rows"]
        if distinctStrings > 0 { parts.append(countText(distinctStrings) + " distinct") }
        if let lowest, let highest { parts.append("\(lowest.cell) to \(highest.cell)") }
        return ", " + parts.joined(separator: ", ")
    }
}

private func setRetention(_ session: Session) throws -> ExitCode {
    let words = try session.arguments.positionals(exactly: ["NAME", "TIME"])
    let scope = Scope(tenant: session.tenant, namespace: words[0])
    let collection = try CollectionsClient(session.connection()).setRetention(
        scope, millis: try retentionMillis(words[1]))
    if session.isJSON {
        session.write(JSON(collection))
    } else {
        session.write(
            "\(scope.namespace) keeps what was overwritten or removed for "
                + "\(collection.retentionMillis) ms\n")
    }
    return .done
}

private func retentionMillis(_ text: String) throws(UsageError) -> Int64 {
    if text == "0" { return 0 }
    do {
        return try TimeSpan.parseMillis(text)
    } catch {
        throw UsageError("a retention is a span such as 7d, 12h or 90s, or 0: \(error)")
    }
}

private func dropCollection(_ session: Session) throws -> ExitCode {
    let scope = try session.scopeOfCommand()
    guard session.arguments.flag("yes") else {
        throw UsageError("this deletes every document of \(scope.namespace); say --yes to do it")
    }
    let answer = try CollectionsClient(session.connection()).drop(scope)
    if session.isJSON {
        session.write(
            .object([JSON.Member("documents_dropped", JSON(answer.documentsDropped))]))
    } else {
        session.write(
            "dropped \(scope.namespace) with \(countText(answer.documentsDropped)) documents\n")
    }
    return .done
}
