#!/usr/bin/env python3
"""Churn. A few documents updated very many times: every way of reading finds the newest version and
no other, through restarts too. Then full load of upserts, updates and deletes with searches beside
it: dead rows are taken away while it runs, and with `--minutes` resident memory must stay flat.
"""
import argparse
import time

import churn
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


def few_documents(updates):
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
                  f"dead rows, the server grew by {grown / MIB:.0f} MiB")
        check.equal(server.stop(), 0, "exit status")
        server.start()
        with Stubs(server.target) as stubs:
            check_whole(stubs, version, " after a restart")
            print(f"RESULT after a restart: {dead_rows(stubs)} dead rows, resident "
                  f"{server.resident_bytes() / MIB:.0f} MiB")
        check.equal(server.stop(), 0, "exit status")


def full_load(arguments):
    seconds = arguments.minutes * 60
    flags = ["--shards", "2", "--loops", "2"]
    if arguments.memory_limit:
        flags += ["--memory-limit", arguments.memory_limit]
    with Server(*flags) as server:
        samples, writers, readers = churn.run(
            server, SCOPE, arguments.documents, seconds, every=10 if seconds >= 120 else 2)
        for thread in writers + readers:
            check(not thread.problems, f"{type(thread).__name__}: {thread.problems[:3]}")
        mutations = sum(writer.mutations for writer in writers)
        check(mutations > 0 and readers[0].searches > 0, "load and searches")
        check(samples.rebuilds > 0, "collections were rebuilt")
        judge(samples, seconds)
        peak = max(samples.resident)
        print(f"RESULT {mutations:,} mutations at {mutations / seconds:,.0f}/s over "
              f"{arguments.documents:,} documents: {samples.rebuilds} rebuilds, at most "
              f"{peak / MIB:.0f} MiB resident and {max(samples.descriptors)} descriptors, "
              f"{readers[0].searches:,} searches, refused for want of room: "
              f"{sum(t.refused for t in writers + readers)}")
        final(server, arguments.documents)
        check.equal(server.stop(), 0, "exit status")


def judge(samples, seconds):
    """Flat: after the first third, ten minutes at most, the fit grows by a twentieth of the mean or
    less, and the second half's peak is not above the first half's."""
    if seconds < 120:
        return
    warm = samples.after(min(seconds / 3, 600))
    half = len(warm.resident) // 2
    peaks = max(warm.resident[:half]), max(warm.resident[half:])
    grown = warm.growth()
    print(f"RESULT after warm-up: fit grows by {grown:+.1%} of the mean, peaks of the halves "
          f"{peaks[0] / MIB:.0f} and {peaks[1] / MIB:.0f} MiB, max/min "
          f"{max(warm.resident) / min(warm.resident):.2f}, descriptors "
          f"{min(warm.descriptors)} to {max(warm.descriptors)}")
    check(grown <= (0.05 if seconds >= 900 else 0.15), f"resident memory grows by {grown:.1%}")
    # Few samples hit a rebuild at its height by chance.
    check(peaks[1] <= (1.1 if seconds >= 900 else 1.3) * peaks[0], f"peaks of {peaks}")
    # Segments of the log come until the next snapshot, and go with it.
    opened = max(warm.descriptors[:half]), max(warm.descriptors[half:])
    check(seconds < 900 or opened[1] <= opened[0] + 8, f"descriptors: {opened}")


def final(server, documents):
    """Every document once more; then exactly these are there."""
    with Stubs(server.target) as stubs:
        for first in range(0, documents, 200):
            mutations = [derived.upsert(n, 5) for n in range(first, min(documents, first + 200))]
            stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=mutations))
        described = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=SCOPE))
        check.equal(described.collection.document_count, documents, "documents in the end")
        numbers = []
        for response in stubs.search.Scan(search.ScanRequest(scope=SCOPE)):
            for found in response.documents:
                numbers.append(found.id.number)
                problems = derived.problems(found)
                check(not problems and found.metadata["version"].int_value == 5, f"{problems}")
        check.equal(numbers, list(range(documents)), "a scan in the end")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0, help="of full load; nothing else then")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--memory-limit", help="of the server")
    arguments = parser.parse_args()
    if arguments.minutes:
        full_load(arguments)
    else:
        few_documents(10_000)
        arguments.minutes, arguments.documents = 0.15, 4_000
        full_load(arguments)
    check.finish()


if __name__ == "__main__":
    main()
