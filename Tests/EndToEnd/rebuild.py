#!/usr/bin/env python3
"""A stock grpcio client changes how vectors are indexed: searches and writes go on meanwhile, no
answer fails or lacks a document, a killed server goes on with it, and what cannot be is refused."""
import threading
import time

import numpy as np
from harness import Checks, Server, Stubs, collections, failure_of, ingest, search, types

SCOPE = types.Scope(namespace="rebuilt")
COUNT, DIMENSION = 20_000, 48
OPTIONS = collections.VectorIndexing
GRAPH, FLAT = collections.VECTOR_INDEX_KIND_GRAPH, collections.VECTOR_INDEX_KIND_FLAT
check = Checks()
matrix = np.random.default_rng(4).standard_normal((COUNT + 10_000, DIMENSION)).astype("<f4")


def packed(number):
    return types.DenseVector(packed=matrix[number].tobytes())


def write(stubs, numbers):
    response = stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=[
        ingest.Mutation(upsert=types.Document(
            id=types.DocumentId(number=n), vectors={"v": packed(n)})) for n in numbers]))
    check.equal({o.result for o in response.outcomes}, {ingest.WRITE_RESULT_APPLIED}, "a write")


def nearest(stubs, number, **fields):
    response = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, vector=search.VectorQuery(vector=packed(number)), limit=1, **fields))
    return response.hits[0].id.number if response.hits else None


def rebuild(stubs, **options):
    return stubs.collections.Rebuild(collections.RebuildRequest(
        scope=SCOPE, vectors={"v": OPTIONS(**options)})).collection


def describe(stubs):
    response = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=SCOPE))
    return response.collection, response.vectors[0]


def wait(stubs, seconds=120):
    """Until nothing is under way; the shares of the work that were told meanwhile."""
    told, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        _, status = describe(stubs)
        if status.rebuild_rows_total == 0:
            return told
        told.append(status.rebuild_rows_done / status.rebuild_rows_total)
        time.sleep(0.005)
    check(False, f"no end of a rebuild: {describe(stubs)[1]}")
    return told


class Load:
    """Searches on one thread and writes on another, for the time of a `with`."""

    def __init__(self, target, first):
        self.target, self.next = target, first
        self.times, self.wrong = [], []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=body) for body in (self.search, self.write)]

    def search(self):
        rng = np.random.default_rng(9)
        with Stubs(self.target) as stubs:
            while not self.ended.is_set():
                number = int(rng.integers(COUNT))
                begin = time.perf_counter()
                found = nearest(stubs, number)
                self.times.append(time.perf_counter() - begin)
                if found != number:
                    self.wrong.append((number, found))

    def write(self):
        with Stubs(self.target) as stubs:
            while not self.ended.is_set():
                write(stubs, range(self.next, self.next + 10))
                if nearest(stubs, self.next, exact=True) != self.next:
                    self.wrong.append(self.next)
                self.next += 10
                self.ended.wait(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def p99(self):
        return 1_000 * float(np.quantile(self.times, 0.99))


def check_beside_load(server, stubs):
    """Every answer has the document that was asked for, since it is the query's own vector."""
    with Load(server.target, COUNT) as before:
        time.sleep(2)
    version = describe(stubs)[0].schema_version
    with Load(server.target, before.next) as during:
        changed = rebuild(stubs, kind=GRAPH, m=24)
        check.equal(changed.schema_version, version + 1, "schema version")
        check.equal(changed.schema.vectors[0].indexing, OPTIONS(kind=GRAPH, m=24), "options")
        told = wait(stubs)
    # A shard that has not begun counts what is written meanwhile; one that is done counts no more.
    check(told and told[0] < 0.1 and max(told) > 0.3, f"progress: {told[:3]} … {told[-3:]}")
    _, status = describe(stubs)
    check(status.kind == GRAPH and status.rows >= COUNT, f"after it: {status}")
    for load, name in ((before, "before"), (during, "during")):
        check(len(load.times) > 20, f"{len(load.times)} searches {name}")
        # A graph may miss one of thousands; nothing may fail, and a writer finds what it wrote.
        check(len(load.wrong) <= len(load.times) // 100, f"wrong answers {name}: {load.wrong[:5]}")
    print(f"RESULT rebuild: p99 {before.p99():.2f} ms before, {during.p99():.2f} ms during, "
          f"{len(told)} looks at its progress")
    return during.next


def check_kills(server, stubs_of, count):
    for turn, (options, kind) in enumerate((
            ({"kind": FLAT}, FLAT), ({"kind": GRAPH, "m": 12}, GRAPH))):
        with stubs_of() as stubs:
            rebuild(stubs, **options)
            time.sleep(0.1 * turn)
        server.kill()
        server.start()
        with stubs_of() as stubs:
            collection, _ = describe(stubs)
            check.equal(collection.schema.vectors[0].indexing, OPTIONS(**options),
                        "options after a kill")
            check.equal(collection.document_count, count, "documents after a kill")
            wait(stubs)
            check.equal(describe(stubs)[1].kind, kind, "what a killed server went on with")
            missing = [n for n in range(0, count, 997) if nearest(stubs, n, exact=True) != n]
            check.equal(missing, [], "documents that are found")


def check_refusals(stubs):
    def refused(name, reason, field, **request):
        failure = failure_of(lambda: stubs.collections.Rebuild(
            collections.RebuildRequest(**{"scope": SCOPE, **request})))
        check(failure and failure.reason == reason and failure.field == field,
              f"{name}: {failure}")

    version = describe(stubs)[0].schema_version
    refused("no field", "INVALID_FIELD", "vectors")
    refused("an unknown field", "FIELD_NOT_FOUND", 'vectors["w"]', vectors={"w": OPTIONS()})
    refused("m", "LIMIT_EXCEEDED", 'vectors["v"].m', vectors={"v": OPTIONS(m=3)})
    refused("a graph's lists", "INVALID_FIELD", 'vectors["v"].lists',
            vectors={"v": OPTIONS(kind=GRAPH, lists=8)})
    refused("another kind", "INVALID_FIELD", 'vectors["v"].kind', vectors={"v": OPTIONS(kind=7)})
    failure = failure_of(lambda: stubs.collections.Rebuild(collections.RebuildRequest(
        scope=types.Scope(namespace="nowhere"), vectors={"v": OPTIONS()})))
    check(failure and failure.reason == "COLLECTION_NOT_FOUND", f"no collection: {failure}")
    check.equal(describe(stubs)[0].schema_version, version, "a refusal changes nothing")


def main():
    with Server("--shards", "2") as server:
        def stubs_of():
            return Stubs(server.target)

        with stubs_of() as stubs:
            stubs.collections.Create(collections.CreateCollectionRequest(
                scope=SCOPE, schema=collections.Schema(vectors=[
                    collections.VectorField(name="v", dimension=DIMENSION)])))
            for first in range(0, COUNT, 1_000):
                write(stubs, range(first, first + 1_000))
            end = time.monotonic() + 60
            while describe(stubs)[1].indexed_rows < COUNT and time.monotonic() < end:
                time.sleep(0.05)
            check_refusals(stubs)
            count = check_beside_load(server, stubs)
        check_kills(server, stubs_of, count)
    check.finish()


if __name__ == "__main__":
    main()
