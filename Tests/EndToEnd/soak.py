#!/usr/bin/env python3
"""A few documents updated very many times: every way of reading finds the newest version and no
other, through restarts too. Dead rows are not reclaimed yet, so memory grows with the updates; how
much is printed.

usage: soak.py [UPDATES]        of each of 5 documents, 20,000 unless told otherwise
"""
import sys
import time

import derived
from harness import Checks, Server, Stubs, collections, ingest, operations, search, types
from raw_http2 import MIB

SCOPE = types.Scope(namespace="soak")
DOCUMENTS = 5
ROUNDS = 20  # looks at everything, spread over the updates
IN_BATCH = 20  # versions of every document in one write
check = Checks()


def found(stubs, **fields):
    fields.setdefault("limit", 10)
    response = stubs.search.Search(search.SearchRequest(
        scope=SCOPE, projection=types.Projection(metadata=types.Selection(all=True)), **fields))
    return [(hit.id.number, hit.document.metadata["version"].int_value) for hit in response.hits]


def check_whole(stubs, version, when):
    """Every document is there once, in this version, whichever way one looks."""
    told = f"at version {version}{when}"
    wanted = [(number, version) for number in range(DOCUMENTS)]
    answer = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=number) for number in range(DOCUMENTS)]))
    for result in answer.results:
        problems = derived.problems(result.document)
        check(not problems, f"look-up {told}: {problems}")
    check.equal([(r.id.number, r.document.metadata["version"].int_value) for r in answer.results],
                wanted, f"look-up {told}")
    query = search.VectorQuery(field="v", vector=derived.packed(derived.vector(77, 1)))
    same = {
        "words": found(stubs, text=search.TextQuery(query="common")),
        "sparse": found(stubs, sparse=search.SparseQuery(field="s", vector=types.SparseVector(
            indices=[derived.ALL_INDEX], values=[1]))),
        "exact vector": found(stubs, vector=query, exact=True),
        "vector": found(stubs, vector=query),
        "filtered vector": found(stubs, vector=query, filter=types.Filter(
            range=types.RangeFilter(field="version", at_least=types.Value(int_value=1)))),
    }
    for leg, hits in same.items():
        check.equal(sorted(hits), wanted, f"{leg} {told}")
    for number in range(DOCUMENTS):
        own = search.VectorQuery(field="v", vector=derived.packed(derived.vector(number, version)))
        check.equal(found(stubs, vector=own, limit=1), [(number, version)],
                    f"its own vector {told}")
        word = search.TextQuery(query=derived.word(number, version))
        check.equal(found(stubs, text=word), [(number, version)], f"its own word {told}")
        older = search.TextQuery(query=derived.word(number, version - 1))
        check.equal(found(stubs, text=older), [], f"the word of the version before {told}")
    described = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=SCOPE))
    check.equal(described.collection.document_count, DOCUMENTS, f"documents {told}")
    scanned = [document.metadata["version"].int_value
               for response in stubs.search.Scan(search.ScanRequest(scope=SCOPE))
               for document in response.documents]
    check.equal(scanned, [version] * DOCUMENTS, f"scan {told}")


def dead_rows(stubs):
    return sum(s.dead_rows for s in stubs.operations.Status(operations.StatusRequest()).shards)


def main():
    updates = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    step = updates // ROUNDS // IN_BATCH * IN_BATCH
    with Server("--shards", "2", "--loops", "2") as server:
        with Stubs(server.target) as stubs:
            version = 0
            before = server.resident_bytes()
            begin = time.monotonic()
            for look in range(ROUNDS):
                for _ in range(step // IN_BATCH):
                    mutations = [derived.upsert(number, version + 1 + n)
                                 for n in range(IN_BATCH) for number in range(DOCUMENTS)]
                    version += IN_BATCH
                    response = stubs.ingest.Write(ingest.WriteRequest(
                        scope=SCOPE, mutations=mutations,
                        create_if_missing=ingest.CreateIfMissing()))
                    check(all(outcome.result == ingest.WRITE_RESULT_APPLIED
                              for outcome in response.outcomes), f"updates to version {version}")
                check_whole(stubs, version, "")
                if look == ROUNDS // 2:
                    stubs.operations.Snapshot(operations.SnapshotRequest())
            seconds = time.monotonic() - begin
            grown = server.resident_bytes() - before
            rows = version * DOCUMENTS
            print(f"RESULT {rows} updates of {DOCUMENTS} documents in {seconds:.0f} s: {dead_rows(stubs)} "
                  f"dead rows, the server grew by {grown / MIB:.0f} MiB, "
                  f"{grown / rows:.0f} bytes an update")
        check.equal(server.stop(), 0, "exit status")
        server.start()
        with Stubs(server.target) as stubs:
            check_whole(stubs, version, " after a restart")
            print(f"RESULT after a restart: {dead_rows(stubs)} dead rows, resident "
                  f"{server.resident_bytes() / MIB:.0f} MiB")
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    main()
