#!/usr/bin/env python3
"""What each fsync policy promises: which sequence is durable when a write returns, that a flush makes
everything durable, and that a clean stop and a kill after a flush lose nothing."""
import time

import derived
from harness import Checks, Server, Stubs, ingest, operations, search, types

SCOPE = types.Scope(namespace="fsync")
BATCH = 100
check = Checks()


def write(stubs, first):
    response = stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, create_if_missing=ingest.CreateIfMissing(),
        mutations=[derived.upsert(n, 1) for n in range(first, first + BATCH)]))
    check(all(o.result == ingest.WRITE_RESULT_APPLIED for o in response.outcomes), "a write")
    return response.seq


def streamed(stubs, first, client_seq):
    """One batch on a stream; returns its acknowledgement."""
    answers = list(stubs.ingest.Stream(iter([
        ingest.StreamRequest(open=ingest.StreamOpen(
            scope=SCOPE, producer_id="one", create_if_missing=ingest.CreateIfMissing())),
        ingest.StreamRequest(batch=ingest.StreamBatch(
            client_seq=client_seq,
            mutations=[derived.upsert(n, 1) for n in range(first, first + BATCH)]))])))
    check.equal([a.WhichOneof("message") for a in answers], ["opened", "ack"], "answers of a stream")
    return answers[-1].ack


def unsynced(stubs):
    """Bytes of the logs that no sync has covered."""
    status = stubs.operations.Status(operations.StatusRequest())
    return sum(shard.log_lsn - shard.synced_lsn for shard in status.shards)


def check_documents(stubs, count, when):
    answer = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in range(count + 1)]))
    check.equal(sum(result.HasField("document") for result in answer.results), count,
                f"documents {when}")
    for result in answer.results[:count]:
        if result.HasField("document"):
            problems = derived.problems(result.document)
            check(not problems, f"{when}: {problems}")


def check_never():
    with Server("--shards", "2", "--fsync", "never") as server:
        with Stubs(server.target) as stubs:
            write(stubs, 0)
            ack = streamed(stubs, BATCH, 1)
            check(ack.durable_seq < ack.searchable_seq, f"never: durable without a sync: {ack}")
            check(unsynced(stubs) > 0, "never: the logs are synced though nobody asked")
            flushed = stubs.operations.Flush(operations.FlushRequest())
            check(flushed.durable_seq >= ack.searchable_seq, f"a flush: {flushed}, wrote {ack}")
            check.equal(unsynced(stubs), 0, "unsynced bytes after a flush")
            check_documents(stubs, 2 * BATCH, "before the kill")
        server.kill()
        server.start()
        with Stubs(server.target) as stubs:
            check_documents(stubs, 2 * BATCH, "after a flush and a kill")
            again = streamed(stubs, BATCH, 1)
            check(again.duplicate, f"a batch sent again: {again}")
            write(stubs, 2 * BATCH)
        check.equal(server.stop(), 0, "exit status")
        server.start()
        with Stubs(server.target) as stubs:
            check_documents(stubs, 3 * BATCH, "after SIGTERM under never")
        check.equal(server.stop(), 0, "exit status")


def check_interval():
    with Server("--shards", "2", "--fsync", "interval:50") as server:
        with Stubs(server.target) as stubs:
            write(stubs, 0)
            deadline = time.monotonic() + 10
            while unsynced(stubs) > 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            check.equal(unsynced(stubs), 0, "unsynced bytes long after the interval")
            seq = write(stubs, BATCH)
            flushed = stubs.operations.Flush(operations.FlushRequest())
            check(flushed.durable_seq >= seq, f"a flush: {flushed}, wrote {seq}")
            write(stubs, 2 * BATCH)
        check.equal(server.stop(), 0, "exit status")
        server.start()
        with Stubs(server.target) as stubs:
            check_documents(stubs, 3 * BATCH, "after SIGTERM under interval")
        check.equal(server.stop(), 0, "exit status")


def check_always():
    with Server("--shards", "2") as server:
        with Stubs(server.target) as stubs:
            ack = streamed(stubs, 0, 1)
            check(ack.durable_seq >= ack.searchable_seq, f"always: not durable: {ack}")
            check.equal(unsynced(stubs), 0, "unsynced bytes under always")
        server.kill()
        server.start()
        with Stubs(server.target) as stubs:
            check_documents(stubs, BATCH, "after a kill under always")
        check.equal(server.stop(), 0, "exit status")


def main():
    check_never()
    check_interval()
    check_always()
    check.finish()


if __name__ == "__main__":
    main()
