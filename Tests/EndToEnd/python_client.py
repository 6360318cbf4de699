#!/usr/bin/env python3
"""The Python client against the running server: all its verbs, numpy both ways, and installation.

The package is first installed from clients/python into an empty folder, without network, and
imported from there.
"""
import queue
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone

import numpy as np

from process import ROOT, Checks, Server

check = Checks()
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
COUNT = 3_000
DIMENSION = 32


def install(folder):
    result = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--target", folder,
         str(ROOT / "clients/python")], capture_output=True, text=True)
    check.equal(result.returncode, 0, f"pip install: {result.stderr[-2000:]}")
    sys.path.insert(0, folder)


def main():
    folder = tempfile.TemporaryDirectory(prefix="kyrodb-python-")
    install(folder.name)
    import kyrodb_v2
    check(kyrodb_v2.__file__.startswith(folder.name), f"imported {kyrodb_v2.__file__}")
    with (Server("--shards", "2", "--backups", folder.name + "/backups") as server,
          kyrodb_v2.Client(server.target) as client):
        tour(kyrodb_v2, client)
    survive_kills(kyrodb_v2)
    folder.cleanup()
    check.finish()


def survive_kills(kyro):
    """A stream goes on over three servers, each killed under it, and applies everything once."""
    def source():
        for n in range(20_000):
            if n in (5_000, 10_000, 15_000):
                due.put(n - 1)
                killed.get()
            yield kyro.Document(n % 2_000, metadata={"turn": n // 2_000})

    def kill_when_due():
        for _ in range(3):
            last = due.get()
            wait_for(last)
            server.kill()
            killed.put(last)
            server.start()

    def wait_for(last):
        """Until document `last` of the stream is there, so that each kill meets a living stream."""
        end = time.monotonic() + 120
        with kyro.Client(server.target) as client:
            while time.monotonic() < end:
                [found] = client.lookup("turns", [last % 2_000])
                if found.document and found.document.metadata["turn"] == last // 2_000:
                    return
                time.sleep(0.01)

    due = queue.Queue()
    killed = queue.Queue()
    with Server("--shards", "2") as server:
        server.listen = server.target  # the next one takes the same port
        killer = threading.Thread(target=kill_when_due, daemon=True)
        killer.start()
        with kyro.Client(server.target) as client:
            report = client.ingest("turns", source(), producer="survivor", create=True,
                                   batch_documents=50)
            killer.join()
            check.equal((report.documents, report.batches, len(report.failures)), (20_000, 400, 0),
                        "ingest over kills")
            check(report.reconnects >= 3, f"reconnects {report.reconnects}")
            turns = [r.document.metadata["turn"] for r in client.lookup("turns", range(2_000))]
            check.equal(set(turns), {9}, "the last turn of each document")
            print(f"RESULT ingest over three kills: {report.reconnects} reconnects")


def documents(kyro, matrix):
    for n, row in enumerate(matrix):
        yield kyro.Document(
            n, vectors={"v": row}, texts={"body": f"note w{n}q about flow control"},
            metadata={"repo": f"r{n % 3}", "files": n % 20, "ratio": n / 8, "hot": n % 2 == 0,
                      "at": START, "tags": ["a", f"t{n % 5}"]},
            sparse_vectors={"s": kyro.SparseVector(np.array([0, n + 1]), np.array([0.5, 2.0]))},
            event_time=START + timedelta(hours=n))


def tour(kyro, client):
    filters = kyro.filters
    matrix = np.random.default_rng(7).standard_normal((COUNT, DIMENSION)).astype(np.float32)

    schema = kyro.Schema(vectors=[kyro.VectorField("v", DIMENSION, "cosine")], texts=[
        kyro.TextField("body")], sparse_vectors=["s"], metadata={"files": "int64"})
    created = client.create_collection("notes", schema)
    check.equal(created.schema.vectors, [kyro.VectorField("v", DIMENSION, "cosine")], "schema")
    try:
        client.create_collection("notes", schema)
        check(False, "a collection was created twice")
    except kyro.KyroError as error:
        check(error.code.name == "ALREADY_EXISTS" and error.reason == "COLLECTION_EXISTS",
              f"create twice: {error}")

    for text in (None, "always", "interval:50", "never"):
        made = client.create_collection("promised", durability=text)
        check.equal(made.durability, text, "durability")
        check.equal(client.describe_collection("promised").durability, text, "durability, told")
        client.drop_collection("promised")

    options = kyro.VectorIndexing(kind="graph", codes="sq8", m=24, ef_search=50)
    made = client.create_collection("dense", kyro.Schema(
        vectors=[kyro.VectorField("w", 8, "l2", options)]))
    check.equal(made.schema.vectors, [kyro.VectorField("w", 8, "l2", options)], "options")
    index = client.describe_collection("dense").vector_indexes[0]
    check.equal((index.field, index.kind, index.codes, index.rerank, index.storage, index.rows),
                ("w", "graph", "sq8", "f32", "memory", 0), "what serves a field")
    try:
        client.create_collection("denser", kyro.Schema(
            vectors=[kyro.VectorField("w", 8, indexing=kyro.VectorIndexing(m=99))]))
        check(False, "m = 99 was taken")
    except kyro.KyroError as error:
        check(error.field == 'schema.vectors["w"].indexing.m', f"m = 99: {error}")
    flat = kyro.VectorIndexing(kind="flat")
    again = client.rebuild_collection("dense", {"w": flat})
    check.equal((again.schema_version, again.schema.vectors[0].indexing), (2, flat), "rebuild")
    client.drop_collection("dense")

    told = []
    report = client.ingest("notes", documents(kyro, matrix), producer="tour", batch_documents=100,
                           on_progress=lambda r: told.append(r.documents))
    check.equal((report.documents, report.batches, len(report.failures)), (COUNT, 30, 0), "ingest")
    check.equal(told[-1], COUNT, "progress")
    check(report.durable_seq >= COUNT and report.searchable_seq >= COUNT, f"{report}")
    again = client.ingest("notes", documents(kyro, matrix), producer="tour", batch_documents=100,
                          resume=True)
    check.equal((again.skipped_batches, again.batches), (30, 0), "ingest, resumed")
    more = client.ingest("notes", [kyro.Document(0), kyro.Document("x" * 600),
                                   kyro.Document("fine")], producer="tour")
    check.equal([f.id for f in more.failures], ["x" * 600], "refused document of a stream")
    check("512" in more.failures[0].error.message, f"{more.failures[0].error}")
    client.write("notes", ["fine"])
    client.write("notes", list(documents(kyro, matrix[:1])))

    check.equal(client.describe_collection("notes").document_count, COUNT, "document count")
    check.equal([c.namespace for c in client.list_collections(page_size=1)], ["notes"], "list")

    misses = client.lookup("notes", [17, "17", 5])
    check.equal([r.document is None for r in misses], [False, True, False], "lookup")
    got = misses[0].document
    check(got.vectors["v"].dtype == np.float32 and np.array_equal(got.vectors["v"], matrix[17]),
          "a vector comes back bit for bit")
    check.equal((got.metadata["repo"], got.metadata["files"], got.metadata["ratio"],
                 got.metadata["hot"], got.metadata["at"], got.metadata["tags"], got.event_time),
                ("r2", 17, 17 / 8, False, START, ["a", "t2"], START + timedelta(hours=17)),
                "metadata comes back with its types")
    check.equal(got.sparse_vectors["s"].indices.tolist(), [0, 18], "sparse vector")

    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    query = np.random.default_rng(8).standard_normal(DIMENSION).astype(np.float32)
    scores = unit @ (query / np.linalg.norm(query))
    best = np.argsort(-scores, kind="stable")[:10].tolist()
    found = client.search("notes", vector=query, exact=True, explain=True)
    check.equal([hit.id for hit in found.hits], best, "vector search")
    check(max(abs(h.score - scores[h.id]) for h in found.hits) < 1e-5, "scores")
    check(found.explain is not None and found.explain.shards, "explain")
    kept = filters.all_of(filters.equals("repo", "r1"), filters.less_than("files", 10),
                          filters.negate(filters.prefix("repo", "x")),
                          filters.negate(filters.sql_not(filters.contains_any("repo", ["r1"]))))
    filtered = client.search("notes", vector=query.astype(np.float16), filter=kept, exact=True)
    check(all(h.document.metadata["repo"] == "r1" and h.document.metadata["files"] < 10
              for h in filtered.hits) and len(filtered.hits) == 10, "filtered search")
    hybrid = client.search(
        "notes", vector=matrix[40], text="w40q", fusion="rrf", texts=["body"],
        sparse=kyro.SparseVector(np.array([41]), np.array([1.0])), sparse_field="s")
    check(hybrid.hits[0].id == 40 and "w40q" in hybrid.hits[0].document.texts["body"], "hybrid")
    once = client.search("notes", text="w40q", text_fields=["body"]).hits[0]
    twice = client.search("notes", text="w40q", text_fields=["body"], boosts={"body": 2}).hits[0]
    joint = client.search("notes", text="w40q", text_scoring="bm25f").hits[0]
    check(once.id == twice.id == joint.id == 40 and abs(2 * once.score - twice.score) < 1e-5,
          "boosts and BM25F")
    decayed = client.search("notes", text="flow", half_life=timedelta(hours=1), limit=3,
                            candidates=COUNT, decay_origin=START + timedelta(hours=COUNT))
    check.equal([hit.id for hit in decayed.hits], [COUNT - 1, COUNT - 2, COUNT - 3], "decay")

    ranked = client.search(
        "notes", vector=matrix[40], text="flow", fusion="max", normalisation="z_score",
        leg_candidates={"text": 5}, formula="score + meta.files", explain=True)
    first = ranked.hits[0]
    check(first.details.formula == first.score and first.details.fused >= 0
          and ranked.explain.legs["text"]["asked"] == 5
          and ranked.explain.stages["merge"] >= 0, f"ranked: {first}")
    groups = client.search("notes", vector=matrix[40], group_by="files", limit=5, diversity=0.5)
    check(len({hit.group for hit in groups.hits}) == len(groups.hits) == 5
          and groups.hits[0].id == 40, f"groups: {groups.hits}")
    counting = kyro.aggregations
    counted = client.search("notes", limit=0, aggregations=[
        counting.facet("tags", limit=2), counting.histogram("files", 10),
        counting.time_histogram(calendar="day"), counting.stats("ratio", quantiles=[0, 0.5]),
        counting.count(where=filters.equals("hot", True), name="hot")])
    facet, files, days, ratio, hot = counted.aggregations
    check.equal([(b.value, b.documents) for b in facet.buckets], [("a", COUNT), ("t0", COUNT // 5)],
                "facet")
    check.equal([(b.start, b.end, b.documents) for b in files.buckets],
                [(0.0, 10.0, COUNT // 2), (10.0, 20.0, COUNT // 2)], "histogram")
    check(days.buckets[0].start <= START and sum(b.documents for b in days.buckets) == COUNT, "days")
    check.equal((ratio.min, ratio.max, ratio.quantiles),
                (0.0, (COUNT - 1) / 8, {0.0: 0.0, 0.5: (COUNT - 1) / 16}), "statistics")
    check.equal((hot.name, hot.documents, counted.hits), ("hot", COUNT // 2, []), "count")
    pages = list(client.search_pages("notes", vector=query, exact=True, limit=4, offset=2))
    check.equal([hit.id for page in pages[:2] for hit in page.hits], best[2:], "pages")
    check.equal([h.id for page in pages for h in page.hits],
                np.argsort(-scores, kind="stable")[2:].tolist(), "all pages")

    text = kyro.text
    tree = text.boolean(must=[text.phrase("note w7q")], must_not=[text.match("w8q")],
                        should=[text.prefix("w4"), text.fuzzy("contorl", edits=1)])
    found = client.search("notes", text=tree, highlight=True, highlight_tags=("[", "]"))
    check.equal([hit.id for hit in found.hits], [7], "a structured query")
    check.equal(found.hits[0].highlights, {"body": ["[note] [w7q] about flow [control]"]},
                "highlights")
    check.equal([hit.id for hit in client.search("notes", text="w9q note", all_words=True).hits],
                [9], "all words")
    changed = kyro.TextField("body", language="german", fold_diacritics=True, stop_words=[],
                             stemming=False, k1=1.0, b=0.5)
    made = client.rebuild_collection("notes", texts=[changed])
    check.equal(made.schema.texts, [changed], "options of a text field")
    client.rebuild_collection("notes", texts=[kyro.TextField("body", k1=1.2, b=0.75)])

    many = list(client.search_many("notes", (
        kyro.Query(vector=matrix[n], limit=0 if n == 50 else 1, exact=True) for n in range(200))))
    check(isinstance(many[50], kyro.KyroError) and many[50].reason, f"bad query: {many[50]}")
    check.equal([r.hits[0].id for n, r in enumerate(many) if n != 50],
                [n for n in range(200) if n != 50], "search_many, in order")

    judged = [kyro.JudgedQuery(
        kyro.Query(text=f"w{n}q flow", vector=matrix[(n * 7) % COUNT]), {n: 1, (n + 1) % COUNT: 0})
        for n in range(40)]
    told = []
    learnt = client.tune_collection(
        "notes", judged, folds=4, dry_run=True, progress=lambda *p: told.append(p))
    fusion = learnt.fusions[0]
    check((learnt.version, fusion.queries, len(fusion.folds)) == (0, 40, 4), f"dry run: {learnt}")
    check.equal(dict(fusion.legs), {"vector": "v", "text": ()}, "legs of a tuning")
    check(fusion.figures["text"] > 0.9 and fusion.figures["vector"] < 0.5
          and fusion.figures["tuned"] > 0.9, f"figures of a tuning: {fusion}")
    check.equal(client.describe_collection("notes").tuning, None, "tuning after a dry run")
    kept = client.tune_collection("notes", judged)
    described = client.describe_collection("notes")
    check.equal((described.tuning, described.tuning_history), (kept, [kept]), "tuning, described")
    check.equal(client.roll_back_tuning("notes", 0), 0, "tuning, rolled back")
    check.equal(client.describe_collection("notes").tuning, None, "tuning, rolled back")
    try:
        client.tune_collection("notes", judged[:3])
        check(False, "three queries taught something")
    except kyro.KyroError as error:
        check(error.field == "queries", f"three queries: {error}")

    outcomes = client.write("notes", [
        kyro.Update(kyro.Document(3, metadata={"files": 1000})), 4, 10**9,
        kyro.Document(5, vectors={"v": np.zeros(3, np.float32)})])
    results = kyro.WriteResult
    check.equal([o.result for o in outcomes], [results.APPLIED, results.APPLIED, results.NOT_FOUND,
                                               results.FAILED], "write")
    check.equal(outcomes[3].error.reason, "DIMENSION_MISMATCH", "error of an item")
    scanned = list(client.scan("notes", filter=filters.at_least("files", 19), vectors=False))
    check.equal([d.id for d in scanned], sorted([3] + [n for n in range(COUNT) if n % 20 == 19]),
                "scan, filtered")
    check.equal([d.id for d in client.scan("notes", limit=7)], [0, 1, 2, 3, 5, 6, 7], "scan, limit")
    tokens = {n: np.eye(4, dtype=np.float32)[:n - 4] for n in (5, 6, 7)}
    client.write("notes", [
        kyro.Update(kyro.Document(n, multi_vectors={"tokens": tokens[n]})) for n in tokens])
    found = client.lookup("notes", [7], vectors=True)[0].document.multi_vectors["tokens"]
    check(np.array_equal(found, tokens[7]), f"token vectors {found}")
    late = client.search(
        "notes", vector=matrix[6], candidates=1000, limit=3, exact=True, rescore_top=1000,
        filter=filters.all_of(filters.at_least("files", 5), filters.less_than("files", 8)),
        rescore_field="tokens", rescore_vectors=np.eye(4, dtype=np.float32))
    check.equal([(hit.id, hit.score) for hit in late.hits], [(7, 3), (6, 2), (5, 1)], "rescored")
    described = client.describe_collection("notes")
    check.equal(described.schema.multi_vectors, {"tokens": 4}, "a field of multi-vectors")
    check.equal({(s.rebuild_rows_done, s.rebuild_rows_total) for s in described.text_indexes},
                {(0, 0)}, "no analyser changes")
    refused = client.write("notes", [kyro.Document(7, multi_vectors={"tokens": np.eye(3)})])
    check.equal(refused[0].error.reason, "DIMENSION_MISMATCH", "rows of another dimension")
    ordered = client.scan("notes", order_by=["-files", ""], limit=3, vectors=False)
    check.equal([d.id for d in ordered], [3, 19, 39], "scan, sorted")

    then = client.lookup("notes", [3])[0].seq
    client.set_retention("notes", timedelta(hours=1))
    check.equal(client.describe_collection("notes").retention, timedelta(hours=1), "retention")
    client.write("notes", [kyro.Update(kyro.Document(3, metadata={"files": 1001}))])
    check.equal([client.lookup("notes", [3], as_of=moment)[0].document.metadata["files"]
                 for moment in (then, None)], [1000, 1001], "lookup as of a sequence")
    check.equal([d.metadata["files"] for d in client.scan("notes", limit=4, as_of=then)],
                [0, 1, 2, 1000], "scan as of a sequence")
    past = client.search("notes", text="flow", filter=filters.equals("files", 1000), as_of=then)
    check.equal(([hit.id for hit in past.hits], past.seq), ([3], then), "search as of a sequence")
    try:
        client.lookup("notes", [3], as_of=START - timedelta(days=36500))
        check(True, "the beginning of a directory is known")
    except kyro.KyroError as error:
        check.equal(error.reason, "AS_OF_GONE", "as of a time before")

    status = client.status()
    check(status.state == "SERVING" and status.shards and status.version, f"{status}")
    check(client.snapshot().seq > 0 and client.flush() > 0, "snapshot and flush")
    full = client.create_backup()
    again = client.create_backup(incremental=True, progress=lambda done, total: None)
    check((full.kind, again.kind, again.parent) == ("FULL", "INCREMENTAL", full.id),
          f"backups {full} and {again}")
    check(full.seq > 0 and full.bytes > 0 and full.time > START, f"backup {full}")
    check.equal(client.drop_collection("notes"), COUNT - 1, "drop")
    try:
        client.search("notes", text="flow")
        check(False, "a dropped collection was searched")
    except kyro.KyroError as error:
        check(error.code.name == "NOT_FOUND" and error.reason == "COLLECTION_NOT_FOUND",
              f"search after drop: {error}")


if __name__ == "__main__":
    main()
