"""Full streaming load of upserts, updates and deletes over a set of documents that stays as large
as it is, with searches beside it, and what the server holds meanwhile."""
from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field

import derived
import grpc
from harness import Failure, Server, Stubs, ingest, operations, search, types

IN_BATCH = 200
IN_FLIGHT = 64
SHARES = (("upsert", 60), ("update", 25), ("remove", 15))


def mutation(dice: random.Random, number: int, version: int) -> ingest.Mutation:
    """An update replaces every field, so that the parts of a document always belong together."""
    kind = dice.choices([name for name, _ in SHARES], [share for _, share in SHARES])[0]
    if kind == "upsert":
        return derived.upsert(number, version)
    if kind == "remove":
        return derived.remove(number)
    return ingest.Mutation(update=ingest.PartialUpdate(set=derived.document(number, version)))


def batches(documents: int, count: int, seed: int) -> list[list[ingest.Mutation]]:
    """Made before the load: the client must not be what is slow."""
    dice = random.Random(seed)
    return [[mutation(dice, dice.randrange(documents), dice.randrange(1, 1000))
             for _ in range(IN_BATCH)] for _ in range(count)]


class Writer(threading.Thread):
    """Streams the batches round and round. A batch refused for want of room is sent again later."""

    def __init__(self, target: str, scope: types.Scope, work: list[list[ingest.Mutation]]):
        super().__init__(daemon=True)
        self.target, self.scope, self.work = target, scope, work
        self.done = threading.Event()
        self.mutations = self.refused = 0
        self.problems: list[str] = []

    def run(self):
        turn = 0
        while not self.done.is_set():
            turn += 1
            try:
                with Stubs(self.target) as stubs:
                    self.stream(stubs, f"soak-{turn}")
            except grpc.RpcError as error:
                failure = Failure(error)
                if failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED:
                    self.refused += 1
                    self.done.wait(0.2)
                elif not self.done.is_set():
                    self.problems.append(f"stream: {failure}")
                    return

    def stream(self, stubs: Stubs, producer: str):
        slots = threading.Semaphore(IN_FLIGHT)
        over = threading.Event()

        def requests():
            yield ingest.StreamRequest(
                open=ingest.StreamOpen(scope=self.scope, producer_id=producer))
            number = 0
            while not self.done.is_set() and not over.is_set():
                if not slots.acquire(timeout=0.5):
                    continue
                number += 1
                yield ingest.StreamRequest(batch=ingest.StreamBatch(
                    client_seq=number, mutations=self.work[number % len(self.work)]))

        try:
            for response in stubs.ingest.Stream(requests()):
                if response.WhichOneof("message") != "ack":
                    continue
                slots.release()
                self.mutations += IN_BATCH
                for indexed in response.ack.errors:
                    if indexed.error.reason == "NOT_FOUND":
                        continue  # a document that had been deleted
                    if indexed.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]:
                        self.refused += 1
                        time.sleep(0.02)
                        break
                    self.problems.append(f"batch {response.ack.client_seq}: {indexed.error}")
        finally:
            over.set()


class Reader(threading.Thread):
    """Searches all the time; whatever is found must be of one piece."""

    def __init__(self, target: str, scope: types.Scope, documents: int):
        super().__init__(daemon=True)
        self.target, self.scope, self.documents = target, scope, documents
        self.done = threading.Event()
        self.searches = self.refused = 0
        self.problems: list[str] = []

    def run(self):
        dice = random.Random(5)
        with Stubs(self.target) as stubs:
            while not self.done.is_set() and len(self.problems) < 20:
                request = search.SearchRequest(
                    scope=self.scope, limit=5,
                    projection=types.Projection(
                        metadata=types.Selection(all=True), texts=types.Selection(all=True),
                        vectors=types.Selection(all=True),
                        sparse_vectors=types.Selection(all=True)))
                vector = derived.vector(dice.randrange(self.documents), 1)
                request.vector.CopyFrom(
                    search.VectorQuery(field="v", vector=derived.packed(vector)))
                if dice.random() < 0.3:
                    request.text.CopyFrom(search.TextQuery(query=f"flow {dice.randrange(97)}"))
                try:
                    for hit in stubs.search.Search(request).hits:
                        self.problems += derived.problems(hit.document)
                    self.searches += 1
                except grpc.RpcError as error:
                    failure = Failure(error)
                    if failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED:
                        self.refused += 1
                    elif not self.done.is_set():
                        self.problems.append(f"search: {failure}")
                self.done.wait(0.005)


@dataclass
class Samples:
    """What the server held, every so often."""
    seconds: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    rebuilds: int = 0

    def take(self, server: Server, stubs: Stubs, began: float, mutations: int):
        self.seconds.append(time.monotonic() - began)
        self.resident.append(server.resident_bytes())
        self.descriptors.append(len(os.listdir(f"/proc/{server.process.pid}/fd")))
        shards = stubs.operations.Status(operations.StatusRequest()).shards
        self.rebuilds = sum(s.rebuilds for s in shards)
        print(f"{self.seconds[-1]:7.0f} s  {self.resident[-1] >> 20:6} MiB resident  "
              f"{self.descriptors[-1]:4} descriptors  {mutations:11,} mutations  "
              f"{sum(s.documents for s in shards):9,} documents  "
              f"{sum(s.dead_rows for s in shards):9,} dead  {self.rebuilds:5} rebuilds  "
              f"{sum(s.tail_rows for s in shards):8,} in tails", flush=True)

    def after(self, warm_up: float) -> Samples:
        start = next(i for i, second in enumerate(self.seconds) if second >= warm_up)
        return Samples(self.seconds[start:], self.resident[start:], self.descriptors[start:])

    def growth(self) -> float:
        """Of the resident bytes' linear fit over the time sampled, as a share of their mean."""
        mean_x = sum(self.seconds) / len(self.seconds)
        mean_y = sum(self.resident) / len(self.resident)
        spread = sum((x - mean_x) ** 2 for x in self.seconds)
        slope = sum((x - mean_x) * (y - mean_y)
                    for x, y in zip(self.seconds, self.resident)) / spread
        return slope * (self.seconds[-1] - self.seconds[0]) / mean_y


def run(server: Server, scope: types.Scope, documents: int, seconds: float, every: float
        ) -> tuple[Samples, list[Writer], list[Reader]]:
    """Loads the documents, then churns them for so long."""
    samples = Samples()
    with Stubs(server.target) as stubs:
        for first in range(0, documents, IN_BATCH):
            stubs.ingest.Write(ingest.WriteRequest(
                scope=scope, create_if_missing=ingest.CreateIfMissing(),
                mutations=[derived.upsert(n, 1)
                           for n in range(first, min(documents, first + IN_BATCH))]))
        work = max(20, documents // 50)
        writers = [Writer(server.target, scope, batches(documents, work, seed=1))]
        readers = [Reader(server.target, scope, documents)]
        began = time.monotonic()
        for thread in writers + readers:
            thread.start()
        while time.monotonic() - began < seconds and not any(
                t.problems for t in writers + readers):
            time.sleep(min(every, max(0.0, began + seconds - time.monotonic())))
            samples.take(server, stubs, began, sum(w.mutations for w in writers))
        for thread in writers + readers:
            thread.done.set()
        for thread in writers + readers:
            thread.join(timeout=60)
    return samples, writers, readers
