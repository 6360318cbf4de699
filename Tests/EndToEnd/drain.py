#!/usr/bin/env python3
"""SIGTERM with every kind of stream open: what was acknowledged is there after the restart, each
stream ends with UNAVAILABLE and the reason DRAINING, the exit status is 0 and the logs are sealed."""
import threading
import time

import derived
import grpc
from harness import Checks, Failure, Server, Stubs, health, ingest, search, types

SCOPE = types.Scope(namespace="drain")
ROWS = 40_000
BATCH = 50
ROUNDS = 5
check = Checks()


class Stream(threading.Thread):
    """A call whose answers are taken on a thread of its own."""

    def __init__(self, name, call, take=lambda response: None):
        super().__init__(name=name)
        self.call, self.take, self.failure, self.answers = call, take, None, 0
        self.first = threading.Event()
        self.start()

    def run(self):
        try:
            for response in self.call:
                self.answers += 1
                self.take(response)
                self.first.set()
        except grpc.RpcError as error:
            self.failure = Failure(error)
        self.first.set()

    def ended(self, wanted=True):
        self.join(timeout=30)
        check(not self.is_alive(), f"{self.name}: goes on after the server's end")
        told = f"{self.name} after {self.answers} answers: {self.failure}"
        if wanted:
            check(self.failure is not None and self.failure.code.name == "UNAVAILABLE"
                  and self.failure.reason == "DRAINING", told)
            check(self.failure is not None and self.failure.retry, f"{told}: no RetryInfo")


class Ingest:
    """Sends batches without end, within its credits; knows what was acknowledged."""

    def __init__(self, stubs, producer, first):
        self.first, self.sent, self.acknowledged, self.opened = first, 0, set(), None
        self.condition, self.credit, self.isOver = threading.Condition(), 0, False
        self.stream = Stream(producer, stubs.ingest.Stream(self.requests(producer)), self.take)

    def requests(self, producer):
        yield ingest.StreamRequest(open=ingest.StreamOpen(scope=SCOPE, producer_id=producer))
        while True:
            numbers = range(self.first + self.sent * BATCH, self.first + (self.sent + 1) * BATCH)
            batch = ingest.StreamBatch(
                client_seq=self.sent + 1, mutations=[derived.upsert(n, 1) for n in numbers])
            with self.condition:
                self.condition.wait_for(lambda: self.credit >= batch.ByteSize() + 64 or self.isOver)
                if self.isOver:
                    return
                self.credit -= batch.ByteSize() + 64
            self.sent += 1
            yield ingest.StreamRequest(batch=batch)

    def take(self, response):
        with self.condition:
            if response.WhichOneof("message") == "opened":
                self.opened = response.opened.last_client_seq
                self.credit += response.opened.credit_bytes
            else:
                check(not response.ack.errors, f"errors: {response.ack.errors}")
                self.acknowledged.add(response.ack.client_seq)
                self.credit += response.ack.credit_bytes
            self.condition.notify_all()

    def over(self):
        with self.condition:
            self.isOver = True
            self.condition.notify_all()


def searches(over):
    """Without end: the next as soon as the window takes it."""
    tag = 0
    while not over.is_set():
        tag += 1
        yield search.SearchManyRequest(tag=tag, search=search.SearchRequest(
            scope=SCOPE, limit=10, exact=True,
            vector=search.VectorQuery(field="v", vector=derived.packed(derived.vector(tag, 1)))))


def one_search(over):
    yield from (request for request, _ in zip(searches(over), range(1)))
    over.wait()


def drain_once(server, turn):
    """Opens everything, ends the server, returns the ingest streams."""
    over, stopping = threading.Event(), threading.Event()
    with Stubs(server.target) as stubs, Stubs(server.target) as other:
        busy = Ingest(stubs, f"busy-{turn}", 100_000 * (turn + 1))
        idle = Stream("idle Ingest.Stream", other.ingest.Stream(iter_open(over, f"idle-{turn}")))
        streams = [
            idle,
            Stream("Health.Watch", stubs.health.Watch(health.HealthCheckRequest())),
            Stream("busy SearchMany", stubs.search.SearchMany(searches(over))),
            Stream("idle SearchMany", other.search.SearchMany(one_search(over))),
            Stream("Scan", other.search.Scan(search.ScanRequest(scope=SCOPE)),
                   lambda response: stopping.wait(30)),
        ]
        for stream in [busy.stream] + streams:
            check(stream.name == "Scan" or stream.first.wait(30), f"{stream.name} says nothing")
        with busy.condition:
            busy.condition.wait_for(lambda: len(busy.acknowledged) >= 20, 30)
        begin = time.monotonic()
        stopping.set()
        check.equal(server.stop(), 0, "exit status")
        seconds = time.monotonic() - begin
        check(seconds < 8, f"the stop took {seconds:.1f} s: the streams were cut, not ended")
        busy.stream.ended()
        for stream in streams:
            stream.ended()
        over.set()
        busy.over()
        print(f"RESULT stopped in {seconds:.2f} s: {len(busy.acknowledged)} of {busy.sent} batches "
              "acknowledged; " + ", ".join(f"{s.name} {s.answers}" for s in streams))
    return busy


def iter_open(over, producer):
    yield ingest.StreamRequest(open=ingest.StreamOpen(scope=SCOPE, producer_id=producer))
    over.wait()


def check_restart(server, ledgers):
    """Everything acknowledged is there, whole batches of the rest or nothing; a seal was read."""
    log = server.log()
    before = len(log)
    server.start()
    with Stubs(server.target) as stubs:
        for turn, busy in enumerate(ledgers):
            batches = sorted(busy.acknowledged)
            check.equal(batches, list(range(1, len(batches) + 1)), "acknowledged batches in order")
            ids = [types.DocumentId(number=busy.first + n) for n in range(busy.sent * BATCH)]
            present = set()
            for start in range(0, len(ids), 5_000):
                answer = stubs.search.Lookup(search.LookupRequest(
                    scope=SCOPE, ids=ids[start:start + 5_000], projection=types.Projection()))
                present |= {r.id.number for r in answer.results if r.HasField("document")}
            for batch in range(1, busy.sent + 1):
                numbers = range(busy.first + (batch - 1) * BATCH, busy.first + batch * BATCH)
                count = sum(number in present for number in numbers)
                if batch in busy.acknowledged:
                    check(count == BATCH, f"batch {batch}, acknowledged, has {count} documents")
            opened = stubs.ingest.Stream(iter([ingest.StreamRequest(open=ingest.StreamOpen(
                scope=SCOPE, producer_id=f"busy-{turn}"))]))
            last = next(opened).opened.last_client_seq
            check(last >= len(batches), f"the producer is at {last}, acknowledged {len(batches)}")
    said = server.log()[before:]
    check("torn" not in said and "tear" not in said and "cut" not in said,
          f"the restart after a clean stop says {said!r}")


def main():
    ledgers = []
    with Server("--shards", "2", "--loops", "2") as server:
        with Stubs(server.target) as stubs:
            for first in range(0, ROWS, 1_000):
                stubs.ingest.Write(ingest.WriteRequest(
                    scope=SCOPE, create_if_missing=ingest.CreateIfMissing(),
                    mutations=[derived.upsert(n, 1) for n in range(first, first + 1_000)]))
        for turn in range(ROUNDS):
            ledgers.append(drain_once(server, turn))
            check_restart(server, ledgers)
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    main()
