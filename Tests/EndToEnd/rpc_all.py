#!/usr/bin/env python3
"""A stock grpcio client, its stubs generated from Protos/ alone, calls every RPC and checks answers."""
import queue
import threading
import time

import derived
import numpy as np
from harness import (
    Checks,
    Server,
    Stubs,
    collections,
    failure_of,
    health,
    ingest,
    operations,
    search,
    tuning,
    types,
)

SCOPE = types.Scope(namespace="rpc-all")
COUNT = 300
check = Checks()


def number_of(identifier):
    return identifier.number


def check_health(server, stubs):
    for service in ("", "kyrodb.v2.Collections", "kyrodb.v2.Ingest", "kyrodb.v2.Search",
                    "kyrodb.v2.Operations"):
        response = stubs.health.Check(health.HealthCheckRequest(service=service))
        check.equal(response.status, health.HealthCheckResponse.SERVING, f"health of {service!r}")
    failure = failure_of(
        lambda: stubs.health.Check(health.HealthCheckRequest(service="no.such.Service")))
    check(failure and failure.code.name == "NOT_FOUND", f"health of an unknown service: {failure}")
    watch = stubs.health.Watch(health.HealthCheckRequest(service="no.such.Service"))
    check.equal(next(watch).status, health.HealthCheckResponse.SERVICE_UNKNOWN,
                "watch of an unknown service")
    watch.cancel()


def check_collections(stubs):
    schema = collections.Schema(
        vectors=[collections.VectorField(name="v", dimension=derived.DIMENSION)],
        sparse_vectors=[collections.SparseField(name="s")],
        texts=[collections.TextField(name="body", language="english")],
        metadata=[collections.MetadataField(name="version", type=collections.VALUE_TYPE_INT64)])
    created = stubs.collections.Create(
        collections.CreateCollectionRequest(scope=SCOPE, schema=schema)).collection
    check(created.collection_id > 0, f"collection id {created.collection_id}")
    check.equal(created.schema.vectors[0].dimension, derived.DIMENSION, "dimension")
    failure = failure_of(lambda: stubs.collections.Create(
        collections.CreateCollectionRequest(scope=SCOPE, schema=schema)))
    check(failure and failure.code.name == "ALREADY_EXISTS"
          and failure.reason == "COLLECTION_EXISTS", f"create twice: {failure}")

    check_options(stubs)
    names = [f"page-{n:02}" for n in range(5)]
    for name in names:
        stubs.collections.Create(collections.CreateCollectionRequest(
            scope=types.Scope(tenant_id="pages", namespace=name)))
    seen, token = [], ""
    for _ in range(10):
        page = stubs.collections.List(collections.ListCollectionsRequest(
            tenant_id="pages", page_size=2, page_token=token))
        check(len(page.collections) <= 2, f"page of {len(page.collections)}")
        seen += [collection.scope.namespace for collection in page.collections]
        token = page.next_page_token
        if not token:
            break
    check.equal(seen, names, "list, paged")
    others = stubs.collections.List(collections.ListCollectionsRequest()).collections
    check.equal([c.scope.namespace for c in others], ["rpc-all"], "tenants are apart")
    for name in names:
        stubs.collections.Drop(collections.DropCollectionRequest(
            scope=types.Scope(tenant_id="pages", namespace=name)))
    left = stubs.collections.List(collections.ListCollectionsRequest(tenant_id="pages"))
    check.equal(len(left.collections), 0, "collections after drop")


def check_options(stubs):
    """Options of vector fields are kept, told and checked."""
    scope = types.Scope(tenant_id="options", namespace="options")
    asked = collections.VectorIndexing(
        kind=collections.VECTOR_INDEX_KIND_GRAPH, codes=collections.VECTOR_CODES_SQ8,
        rerank=collections.VECTOR_RERANK_F32, m=24, ef_construction=200, ef_search=50)
    schema = collections.Schema(vectors=[
        collections.VectorField(name="a", dimension=8),
        collections.VectorField(name="b", dimension=8, indexing=asked)])
    created = stubs.collections.Create(
        collections.CreateCollectionRequest(scope=scope, schema=schema)).collection
    check(not created.schema.vectors[0].HasField("indexing"), "defaults are left out")
    check.equal(created.schema.vectors[1].indexing, asked, "options of a created field")
    told = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=scope))
    check.equal([(v.field, v.kind, v.codes) for v in told.vectors],
                [("a", collections.VECTOR_INDEX_KIND_FLAT, collections.VECTOR_CODES_SQ8),
                 ("b", collections.VECTOR_INDEX_KIND_GRAPH, collections.VECTOR_CODES_SQ8)],
                "what serves the fields")
    check.equal(told.collection.schema, created.schema, "schema, described")
    changed = collections.VectorIndexing(kind=collections.VECTOR_INDEX_KIND_FLAT)
    rebuilt = stubs.collections.Rebuild(collections.RebuildRequest(
        scope=scope, vectors={"b": changed})).collection
    check.equal((rebuilt.schema_version, rebuilt.schema.vectors[1].indexing),
                (created.schema_version + 1, changed), "rebuild")
    kept = stubs.collections.SetRetention(collections.SetRetentionRequest(
        scope=scope, retention_ms=5_000)).collection
    check.equal(kept.retention_ms, 5_000, "retention")
    failure = failure_of(lambda: stubs.collections.SetRetention(
        collections.SetRetentionRequest(scope=scope, retention_ms=-1)))
    check(failure and failure.field == "retention_ms", f"a retention below 0: {failure}")
    scope.namespace = "refused"
    for field, options in (("m", {"m": 33}), ("lists", {"kind": 1, "lists": 5}),
                           ("rerank", {"codes": 4, "rerank": 2}), ("kind", {"kind": 9})):
        failure = failure_of(lambda: stubs.collections.Create(collections.CreateCollectionRequest(
            scope=scope, schema=collections.Schema(vectors=[collections.VectorField(
                name="v", dimension=8, indexing=collections.VectorIndexing(**options))]))))
        check(failure and failure.code.name == "INVALID_ARGUMENT"
              and failure.field.endswith("indexing." + field), f"{options}: {failure}")


def check_write(stubs):
    response = stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, mutations=[derived.upsert(n, 1) for n in range(COUNT)]))
    check.equal({o.result for o in response.outcomes}, {ingest.WRITE_RESULT_APPLIED}, "upserts")
    check.equal(len(response.outcomes), COUNT, "outcomes")
    check.equal(response.seq, max(o.seq for o in response.outcomes), "sequence of the batch")

    partial = ingest.PartialUpdate(
        set=types.Document(id=types.DocumentId(number=5),
                           metadata={"extra": types.Value(bool_value=True)}),
        remove_sparse_vectors=["s"])
    mixed = stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=[
        ingest.Mutation(update=partial), derived.remove(6), derived.remove(999_999),
        ingest.Mutation(upsert=types.Document(
            id=types.DocumentId(text="wrong"), vectors={"v": types.DenseVector(values=[1, 2])})),
        derived.upsert(7, 2)]))
    check.equal([o.result for o in mixed.outcomes],
                [ingest.WRITE_RESULT_APPLIED, ingest.WRITE_RESULT_APPLIED,
                 ingest.WRITE_RESULT_NOT_FOUND, ingest.WRITE_RESULT_FAILED,
                 ingest.WRITE_RESULT_APPLIED], "outcomes of a mixed batch")
    error = mixed.outcomes[3].error
    check(error.code == 3 and error.reason == "DIMENSION_MISMATCH" and "v" in error.field,
          f"item error: {error}")
    check(mixed.seq > response.seq, "sequences grow")

    documents = lookup(stubs, [5, 6, 7])
    check(documents[0].metadata["extra"].bool_value and not documents[0].sparse_vectors
          and documents[0].texts["body"] == derived.text(5, 1), "partial update")
    check(documents[1] is None, "removed document")
    check(documents[2] and not derived.problems(documents[2])
          and documents[2].metadata["version"].int_value == 2, "second version")
    stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, mutations=[derived.upsert(n, 3) for n in (5, 6, 7)]))


def lookup(stubs, numbers, **fields):
    response = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in numbers], **fields))
    check.equal([number_of(r.id) for r in response.results], list(numbers), "order of a lookup")
    return [r.document if r.HasField("document") else None for r in response.results]


def check_stream(stubs):
    requests = queue.SimpleQueue()
    call = stubs.ingest.Stream(iter(requests.get, None))
    requests.put(ingest.StreamRequest(open=ingest.StreamOpen(
        scope=SCOPE, producer_id="rpc-all")))
    opened = next(call)
    check.equal(opened.WhichOneof("message"), "opened", "first answer of a stream")
    check.equal(opened.opened.last_client_seq, 0, "a new producer's sequence")
    check(opened.opened.credit_bytes > 1 << 20, f"credit {opened.opened.credit_bytes}")

    def send(client_seq, mutations):
        requests.put(ingest.StreamRequest(batch=ingest.StreamBatch(
            client_seq=client_seq, mutations=mutations)))
        ack = next(call)
        check.equal(ack.WhichOneof("message"), "ack", "answer to a batch")
        check.equal(ack.ack.client_seq, client_seq, "acknowledged batch")
        return ack.ack

    first = send(1, [derived.upsert(n, 1) for n in range(1000, 1100)])
    check(first.durable_seq and first.searchable_seq and first.credit_bytes,
          f"acknowledgement {first}")
    check(lookup(stubs, [1099])[0] is not None, "what is acknowledged is found")
    second = send(2, [derived.upsert(1100, 1), ingest.Mutation(upsert=types.Document()),
                      derived.upsert(1101, 1)])
    check.equal([e.index for e in second.errors], [1], "errors of a batch")
    again = send(2, [derived.upsert(1100, 9)])
    check(again.duplicate, "a batch sent again is a duplicate")
    check.equal(lookup(stubs, [1100])[0].metadata["version"].int_value, 1, "applied once")
    requests.put(None)
    check.equal(list(call), [], "end of a stream")

    requests = queue.SimpleQueue()
    call = stubs.ingest.Stream(iter(requests.get, None))
    requests.put(ingest.StreamRequest(open=ingest.StreamOpen(
        scope=SCOPE, producer_id="rpc-all")))
    check.equal(next(call).opened.last_client_seq, 2, "the producer's sequence on reconnecting")
    requests.put(None)
    list(call)
    stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, mutations=[derived.remove(n) for n in range(1000, 1102)]))


def current_versions():
    versions = {n: 1 for n in range(COUNT)}
    versions.update({5: 3, 6: 3, 7: 3})
    return versions


def check_search(stubs):
    versions = current_versions()
    matrix = np.stack([derived.vector(n, versions[n]) for n in range(COUNT)]).astype(np.float64)
    query = derived.vector(12345, 1)
    exact = matrix @ query.astype(np.float64)
    best = sorted(range(COUNT), key=lambda n: (-exact[n], n))

    vector = search.VectorQuery(field="v", vector=derived.packed(query))
    response = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, vector=vector, limit=10, exact=True, explain=True,
        projection=types.Projection(
            metadata=types.Selection(all=True), texts=types.Selection(names=["body"]),
            vectors=types.Selection(all=True), sparse_vectors=types.Selection(all=True),
            vector_encoding=types.VECTOR_ENCODING_PACKED_F32)))
    check.equal([number_of(h.id) for h in response.hits], best[:10], "exact vector search")
    check(all(abs(h.score - exact[number_of(h.id)]) < 1e-5 for h in response.hits), "scores")
    check.equal([h.vector.rank for h in response.hits], list(range(1, 11)), "ranks")
    check.equal([p for h in response.hits for p in derived.problems(h.document)], [],
                "documents of hits")
    check(all(h.seq for h in response.hits), "sequences of hits")
    check(response.seq > 0 and len(response.explain.shards) > 0, "explain")
    check.equal(sum(s.rows_scored for s in response.explain.shards) >= COUNT, True,
                "rows scored by an exact search")

    indexes = stubs.collections.Describe(
        collections.DescribeCollectionRequest(scope=SCOPE)).vectors
    check(len(indexes) == 1 and indexes[0].field == "v" and indexes[0].rows >= COUNT
          and indexes[0].row_bytes >= COUNT * derived.DIMENSION * 4 and indexes[0].code_bytes > 0
          and indexes[0].dead_rows == indexes[0].rows - COUNT,
          f"what serves the vectors: {indexes}")
    failure = failure_of(lambda: stubs.search.Search(search.SearchRequest(
        scope=SCOPE, limit=1, vector=search.VectorQuery(
            vector=derived.packed(query), probes=65_537))))
    check(failure and failure.field == "vector.probes", f"too many probes: {failure}")

    offset = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, vector=vector, limit=5, offset=3, exact=True))
    check.equal([number_of(h.id) for h in offset.hits], best[3:8], "offset")
    check(not offset.hits[0].HasField("document"), "no projection, no document")

    words = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, text=search.TextQuery(query=derived.word(42, 1)), limit=10))
    check.equal([number_of(h.id) for h in words.hits], [42], "rare word")
    sparse = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, limit=10, sparse=search.SparseQuery(
            field="s", vector=types.SparseVector(
                indices=[derived.own_index(43, 1)], values=[2]))))
    check.equal([(number_of(h.id), h.score) for h in sparse.hits], [(43, 4.0)], "sparse search")

    tag = types.Filter(equals=types.EqualsFilter(
        field="tag", value=types.Value(string_value=derived.word(44, 1))))
    filtered = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, vector=vector, filter=tag, limit=10, exact=True))
    check.equal([number_of(h.id) for h in filtered.hits], [44], "filter")
    span = types.TimeRange(from_ms=derived.EVENT_TIME_BASE + 100_000,
                           to_ms=derived.EVENT_TIME_BASE + 103_000)
    timed = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, text=search.TextQuery(query="common"), time_range=span, limit=10))
    check.equal(sorted(number_of(h.id) for h in timed.hits), [100, 101, 102], "time range")

    hour = 3_600_000
    decayed = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, vector=vector, limit=COUNT, candidates=COUNT, exact=True,
        time_decay=search.TimeDecay(
            half_life_ms=hour, origin_ms=derived.EVENT_TIME_BASE + hour)))
    check.equal(len(decayed.hits), COUNT, "hits under decay")

    for method in (search.FUSION_METHOD_WEIGHTED, search.FUSION_METHOD_RRF):
        hybrid = stubs.search.Search(search.SearchRequest(
            scope=SCOPE, limit=5, candidates=COUNT, exact=True,
            vector=search.VectorQuery(field="v", vector=derived.packed(derived.vector(50, 1))),
            text=search.TextQuery(query=derived.word(50, 1)),
            sparse=search.SparseQuery(field="s", vector=types.SparseVector(
                indices=[derived.own_index(50, 1)], values=[1])),
            fusion=search.Fusion(method=method)))
        top = hybrid.hits[0]
        wanted = 3.0 if method == search.FUSION_METHOD_WEIGHTED else 3 / 61
        check(number_of(top.id) == 50 and top.vector.rank == top.text.rank == top.sparse.rank == 1
              and abs(top.score - wanted) < 1e-6, f"fusion {method}: {top}")

    failure = failure_of(lambda: stubs.search.Search(search.SearchRequest(
        scope=SCOPE, vector=vector, limit=1, min_seq=response.seq + 1_000_000)))
    check(failure and failure.reason == "SEQ_NOT_REACHED", f"demanded sequence: {failure}")


def check_tune(stubs):
    def query(n, **change):
        return tuning.TuneRequest(query=tuning.JudgedQuery(**{
            "text": search.TextQuery(query=derived.word(n, 1)),
            "vector": search.VectorQuery(field="v", vector=derived.packed(derived.vector(n, 1))),
            "judgements": [tuning.Judgement(id=types.DocumentId(number=n), grade=1)], **change}))

    def parts(*requests):
        return [answer.WhichOneof("part") for answer in stubs.collections.Tune(iter(requests))]

    start = tuning.TuneRequest(start=tuning.TuneStart(scope=SCOPE, dry_run=True))
    told = parts(start, *(query(n) for n in range(30, 330)))
    check(told[-1:] == ["outcome"] and set(told[:-1]) <= {"progress"}, f"a tuning told {told}")
    for name, requests, field in (
        ("no start", [query(30)], "query"), ("two starts", [start, start], "start"),
        ("nothing", [], ""), ("too few", [start, query(30)], "queries"),
        ("no judgement", [start, query(30), query(31, judgements=[])], "queries[1].judgements"),
        ("one leg", [start, query(30, text=None)], "queries[0].vector"),
    ):
        failure = failure_of(lambda: parts(*requests))
        check(failure and failure.code.name == "INVALID_ARGUMENT" and failure.field == field,
              f"{name}: {failure}")
    call = stubs.collections.Tune(iter([start] + [query(30)] * 50))
    call.cancel()
    # What was given up makes room for the next within a moment.
    for _ in range(100):
        failure = failure_of(lambda: parts(start, *[query(30)] * 10))
        if failure is None:
            break
        time.sleep(0.02)
    check(failure is None, f"a tuning after one that was given up: {failure}")
    failure = failure_of(lambda: stubs.collections.RollBackTuning(
        tuning.RollBackTuningRequest(scope=SCOPE, version=3)))
    check(failure and failure.field == "version", f"roll back: {failure}")


def check_search_many(stubs):
    def requests():
        for n in range(200):
            yield search.SearchManyRequest(tag=n, search=search.SearchRequest(
                scope=SCOPE, limit=0 if n == 100 else 1, exact=True,
                vector=search.VectorQuery(
                    field="v", vector=derived.packed(derived.vector(n, current_versions()[n])))))

    answers = {answer.tag: answer for answer in stubs.search.SearchMany(requests())}
    check.equal(sorted(answers), list(range(200)), "answers of SearchMany")
    wrong = [n for n, a in answers.items()
             if n != 100 and [number_of(h.id) for h in a.response.hits] != [n]]
    check.equal(wrong, [], "each vector finds its own document")
    check(answers[100].error.code == 3 and "limit" in answers[100].error.field,
          f"one bad query: {answers[100]}")


def check_lookup(stubs):
    ids = [types.DocumentId(number=250), types.DocumentId(text="250"), types.DocumentId(number=3)]
    response = stubs.search.Lookup(search.LookupRequest(scope=SCOPE, ids=ids))
    check.equal([r.HasField("document") for r in response.results], [True, False, True],
                "hits and misses")
    check.equal([r.id for r in response.results], ids, "order of a lookup with misses")
    check.equal(derived.problems(response.results[0].document), [], "a document looked up")
    narrow = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=ids[:1],
        projection=types.Projection(metadata=types.Selection(names=["version"]))))
    document = narrow.results[0].document
    check(set(document.metadata) == {"version"} and not document.texts and not document.vectors
          and document.event_time_ms, "projection")


def check_scan(stubs):
    documents, token = [], b""
    for response in stubs.search.Scan(search.ScanRequest(scope=SCOPE)):
        documents += response.documents
    check.equal([d.id.number for d in documents], list(range(COUNT)), "scan, in order of ids")
    check.equal([p for d in documents for p in derived.problems(d)], [], "scanned documents")

    # Takes 50 documents at a time, each call continuing behind the last.
    seen, calls = [], 0
    while calls < COUNT:
        got = []
        for response in stubs.search.Scan(search.ScanRequest(
                scope=SCOPE, limit=50, resume_token=token, projection=types.Projection())):
            got += [d.id.number for d in response.documents]
            token = response.resume_token or token
        calls += 1
        seen += got
        if len(got) < 50:
            break
    check.equal(seen, list(range(COUNT)), "scan, resumed")
    some = stubs.search.Scan(search.ScanRequest(scope=SCOPE, filter=types.Filter(
        range=types.RangeFilter(field="number", at_least=types.Value(int_value=290)))))
    check.equal([d.id.number for r in some for d in r.documents], list(range(290, COUNT)),
                "scan, filtered")


def check_operations(stubs):
    status = stubs.operations.Status(operations.StatusRequest())
    check.equal(status.state, operations.SERVER_STATE_SERVING, "state")
    check(status.version and status.kernels and status.connections >= 1, f"status {status}")
    check.equal(sum(shard.documents for shard in status.shards), COUNT, "documents of all shards")
    check.equal({shard.state for shard in status.shards}, {operations.SHARD_STATE_SERVING},
                "states of the shards")
    check(all(shard.synced_lsn <= shard.log_lsn for shard in status.shards), "synced ≤ written")
    snapshot = stubs.operations.Snapshot(operations.SnapshotRequest())
    check(snapshot.seq and snapshot.bytes, f"snapshot {snapshot}")
    flushed = stubs.operations.Flush(operations.FlushRequest())
    check(flushed.durable_seq >= snapshot.seq, f"flush {flushed}")
    after = stubs.operations.Status(operations.StatusRequest())
    check(all(shard.snapshot_seq for shard in after.shards), "shards know their snapshot")


def check_drop(stubs):
    dropped = stubs.collections.Drop(collections.DropCollectionRequest(scope=SCOPE))
    check.equal(dropped.documents_dropped, COUNT, "documents dropped")
    failure = failure_of(lambda: stubs.collections.Describe(
        collections.DescribeCollectionRequest(scope=SCOPE)))
    check(failure and failure.code.name == "NOT_FOUND"
          and failure.reason == "COLLECTION_NOT_FOUND", f"describe after drop: {failure}")


def check_drain(server, stubs):
    """Health.Watch tells SERVING, then NOT_SERVING on SIGTERM; the server ends with 0."""
    told, ended = [], threading.Event()

    def watch():
        try:
            for response in stubs.health.Watch(health.HealthCheckRequest()):
                told.append(response.status)
                ended.set()
        except Exception:  # the server may close the stream with any status
            pass

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    check(ended.wait(5), "watch tells something at once")
    begin = time.monotonic()
    check.equal(server.stop(), 0, "exit status after SIGTERM")
    check(time.monotonic() - begin < 20, "a drain ends")
    thread.join(5)
    check.equal(told[:1], [health.HealthCheckResponse.SERVING], "first word of a watch")
    check(set(told[1:]) <= {health.HealthCheckResponse.NOT_SERVING}, f"a watch told {told}")


def main():
    with Server("--shards", "2") as server:
        check("serving on 127.0.0.1:" in server.log(), f"line on stderr: {server.log()!r}")
        with Stubs(server.target) as stubs:
            check_health(server, stubs)
            check_collections(stubs)
            check_write(stubs)
            check_stream(stubs)
            described = stubs.collections.Describe(
                collections.DescribeCollectionRequest(scope=SCOPE)).collection
            check.equal(described.document_count, COUNT, "document count")
            check_search(stubs)
            check_search_many(stubs)
            check_tune(stubs)
            check_lookup(stubs)
            check_scan(stubs)
            check_operations(stubs)
            check_drop(stubs)
            check_drain(server, stubs)
    check.finish()


if __name__ == "__main__":
    main()
