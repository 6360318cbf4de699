"""The kill loop's memory and its writers: what was acknowledged, what is under way, and three
clients that write until the server dies under them."""
import queue
import random
import threading
from collections import OrderedDict, deque

import derived
import grpc
from harness import Checks, Stubs, ingest, types

SCOPE = types.Scope(namespace="kills")
HOT = 1_500  # documents that change; 0 ..< HOT
BATCH = 20
ABSENT = None
check = Checks()


class Ledger:
    """What each hot document must be: its acknowledged state, and the states under way behind it."""

    def __init__(self):
        self.settled = {number: ABSENT for number in range(HOT)}
        self.under_way = {number: deque() for number in range(HOT)}  # (batch key, state)
        self.versions = {number: 0 for number in range(HOT)}
        self.acknowledged = 0

    def latest(self, number):
        waiting = self.under_way[number]
        return waiting[-1][1] if waiting else self.settled[number]

    def plan(self, chance, numbers, key):
        """A batch over some of `numbers`. Returns the mutations and [(number, expected result)]."""
        mutations, expected = [], []
        for number in chance.sample(numbers, BATCH):
            before, roll = self.latest(number), chance.random()
            self.versions[number] += 1
            version = self.versions[number]
            if roll < 0.15:
                mutations.append(derived.remove(number))
                state, applied = ABSENT, before is not ABSENT
            elif roll < 0.3:
                mutations.append(ingest.Mutation(update=ingest.PartialUpdate(
                    set=derived.document(number, version))))
                state, applied = (version if before is not ABSENT else ABSENT), before is not ABSENT
            else:
                mutations.append(derived.upsert(number, version))
                state, applied = version, True
            self.under_way[number].append((key, state))
            expected.append((number, applied))
        return mutations, expected

    def acknowledge(self, expected, key):
        for number, _ in expected:
            waiting = self.under_way[number]
            while waiting:
                found, state = waiting.popleft()
                self.settled[number] = state
                if found == key:
                    break
        self.acknowledged += len(expected)

    def allowed(self, number):
        return [self.settled[number]] + [state for _, state in self.under_way[number]]

    def resolve(self, number, state):
        """After a crash a call that got no answer has either happened or not."""
        self.settled[number] = state
        self.under_way[number].clear()


class UnaryWriter(threading.Thread):
    """Ingest.Write, one batch after another, until the server is gone."""

    def __init__(self, target, ledger, numbers, seed):
        super().__init__(daemon=True)
        self.target, self.ledger, self.numbers = target, ledger, numbers
        self.chance = random.Random(seed)
        self.stopping = threading.Event()

    def run(self):
        with Stubs(self.target) as stubs:
            count = 0
            while not self.stopping.is_set():
                count += 1
                key = (id(self), count)
                mutations, expected = self.ledger.plan(self.chance, self.numbers, key)
                try:
                    response = stubs.ingest.Write(ingest.WriteRequest(
                        scope=SCOPE, mutations=mutations), timeout=10)
                except grpc.RpcError as error:
                    check(error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED),
                          f"write ended with {error}")
                    return
                self.ledger.acknowledge(expected, key)
                results = [outcome.result for outcome in response.outcomes]
                wanted = [ingest.WRITE_RESULT_APPLIED if applied else ingest.WRITE_RESULT_NOT_FOUND
                          for _, applied in expected]
                if results != wanted:
                    check(False, f"results {results}, wanted {wanted}")


class StreamWriter(threading.Thread):
    """Ingest.Stream under one producer id; what is unacknowledged is sent again to the next server."""

    WINDOW = 8

    def __init__(self, ledger, numbers, seed):
        super().__init__(daemon=True)
        self.ledger, self.numbers, self.seed = ledger, numbers, seed
        self.chance = random.Random(seed)
        self.in_flight = OrderedDict()  # client_seq → (request, expected)
        self.client_seq = self.acknowledged_seq = 0
        self.last_acknowledged = None
        self.stopping = threading.Event()

    def next_life(self):
        """A thread starts once: the same producer goes on in a new one."""
        other = StreamWriter(self.ledger, self.numbers, self.seed)
        other.chance, other.in_flight = self.chance, self.in_flight
        other.client_seq, other.acknowledged_seq = self.client_seq, self.acknowledged_seq
        other.last_acknowledged = self.last_acknowledged
        return other

    def open(self, stubs):
        self.requests = queue.SimpleQueue()
        self.call = stubs.ingest.Stream(iter(self.requests.get, None))
        self.requests.put(ingest.StreamRequest(open=ingest.StreamOpen(
            scope=SCOPE, producer_id="kills")))
        return next(self.call).opened.last_client_seq

    def receive(self):
        ack = next(self.call).ack
        request, expected = self.in_flight.pop(ack.client_seq)
        check(not ack.errors, f"errors of a stream: {ack.errors}") if ack.errors else None
        self.ledger.acknowledge(expected, ("stream", ack.client_seq))
        self.acknowledged_seq = max(self.acknowledged_seq, ack.client_seq)
        self.last_acknowledged = request

    def resend(self, stubs):
        """Everything unacknowledged once more, and the last acknowledged batch in other words."""
        last = self.open(stubs)
        check(last >= self.acknowledged_seq,
              f"the producer's sequence went back: {last} < {self.acknowledged_seq}")
        if self.last_acknowledged is not None:
            twin = ingest.StreamRequest()
            twin.CopyFrom(self.last_acknowledged)
            del twin.batch.mutations[:]
            twin.batch.mutations.extend(derived.remove(n) for n in self.numbers)
            self.requests.put(twin)
            ack = next(self.call).ack
            check(ack.duplicate and ack.client_seq == twin.batch.client_seq,
                  f"a batch sent again: {ack}")
        for client_seq in list(self.in_flight):
            # Batches that every shard has applied are answered as duplicates; all are answered.
            self.requests.put(self.in_flight[client_seq][0])
        while self.in_flight:
            self.receive()
        self.requests.put(None)
        check(list(self.call) == [], "more answers than batches")

    def run(self):
        with Stubs(self.target) as stubs:
            try:
                self.open(stubs)
                while not self.stopping.is_set():
                    while len(self.in_flight) < self.WINDOW:
                        self.client_seq += 1
                        mutations, expected = self.ledger.plan(
                            self.chance, self.numbers, ("stream", self.client_seq))
                        request = ingest.StreamRequest(batch=ingest.StreamBatch(
                            client_seq=self.client_seq, mutations=mutations))
                        self.in_flight[self.client_seq] = (request, expected)
                        self.requests.put(request)
                    self.receive()
                self.requests.put(None)
                while self.in_flight:
                    self.receive()
            except (grpc.RpcError, StopIteration):
                return
            finally:
                self.requests.put(None)

    def begin(self, target):
        self.target = target
        self.start()
