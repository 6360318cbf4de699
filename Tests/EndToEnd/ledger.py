"""What crashes may do to what was acknowledged: a memory of it, and clients that write until the
server dies under them."""
import queue
import random
import threading
import time
from collections import OrderedDict, deque

import derived
import grpc
from harness import Checks, Stubs, ingest

ABSENT = None
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# What a busy machine may add to the interval of a sync: the sync itself, and being scheduled.
SLACK_SECONDS = 0.5
check = Checks()


class Operation:
    """A write of one document. `order` grows with the log of a shard: the sequence of a unary write,
    the batch's number on a stream; None until acknowledged."""

    __slots__ = ("acknowledged_at", "key", "order", "state")

    def __init__(self, key, state):
        self.key, self.state = key, state
        self.order = self.acknowledged_at = None


class Ledger:
    """What each document 0 ..< count must be: its settled state, and the operations behind it.

    Under `always` (interval None) an acknowledgement settles. Under an interval it does so when it is
    older than the interval and the slack; until then a power cut may take it back.
    """

    def __init__(self, count, interval_seconds=None):
        self.count, self.interval = count, interval_seconds
        self.settled = [(0, ABSENT)] * count  # (order, state)
        self.pending = [deque() for _ in range(count)]
        self.versions = [0] * count
        self.acknowledged = 0

    def latest(self, number):
        waiting = self.pending[number]
        return waiting[-1].state if waiting else self.settled[number][1]

    def plan(self, chance, numbers, size, key):
        """A batch over some of `numbers`. Returns the mutations and [(number, whether it applies)]."""
        mutations, expected = [], []
        for number in chance.sample(numbers, size):
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
            self.pending[number].append(Operation(key, state))
            expected.append((number, applied))
        return mutations, expected

    def acknowledge(self, numbers_and_orders, key):
        now = time.monotonic()
        for number, order in numbers_and_orders:
            self.acknowledged += 1
            for operation in self.pending[number]:
                if operation.order is None:
                    operation.order, operation.acknowledged_at = order, now
                if operation.key == key:
                    break
            self.settle(number, now)

    def settle(self, number, now):
        waiting = self.pending[number]
        while waiting and waiting[0].order is not None and (
                self.interval is None or self.is_safe(waiting[0], now)):
            operation = waiting.popleft()
            self.settled[number] = (operation.order, operation.state)

    def is_safe(self, operation, now):
        """Whether even a power cut at `now` may not take it back."""
        return operation.acknowledged_at is not None and (
            self.interval is None
            or now - operation.acknowledged_at > self.interval + SLACK_SECONDS)

    def allowed(self, number, cut_at):
        """States after a crash. A kill (`cut_at` None) takes nothing acknowledged back."""
        if cut_at is not None:
            self.settle(number, cut_at)
        states = [self.settled[number][1]]
        for operation in self.pending[number]:
            if cut_at is None and operation.order is not None:
                states.clear()
            states.append(operation.state)
        return states

    def is_open(self, number):
        return bool(self.pending[number])

    def resolve(self, number, state):
        """After a crash: what was found is what further operations build upon. Sequences that were
        lost are given out again, so the order begins anew."""
        self.settled[number] = (0, state)
        self.pending[number].clear()

    def cut_ranges(self, number, found):
        """Where the end of the surviving operations may lie, as [from, to) in `order`, for this
        document to be found as it is."""
        chain = [self.settled[number]] + [
            (o.order, o.state) for o in self.pending[number] if o.order is not None]
        ranges = [(order, chain[n + 1][0] if n + 1 < len(chain) else float("inf"))
                  for n, (order, state) in enumerate(chain) if state == found]
        if any(o.order is None and o.state == found for o in self.pending[number]):
            ranges.append((chain[-1][0], float("inf")))
        return ranges


def common_point(ranges_of_each):
    """Whether some point lies in a range of each: then what was lost is a suffix."""
    steps, wanted = [], len(ranges_of_each)
    for ranges in ranges_of_each:
        merged = []
        for low, high in sorted(ranges):
            if merged and low <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        for low, high in merged:
            steps += [(low, 1), (high, -1)]
    inside = 0
    for _, step in sorted(steps, key=lambda s: (s[0], s[1])):
        inside += step
        if inside == wanted:
            return True
    return wanted == 0


def is_refusal(code):
    return code == grpc.StatusCode.UNAVAILABLE.value[0]


class UnaryWriter(threading.Thread):
    """Ingest.Write, one batch after another, until the server is gone or refuses."""

    def __init__(self, target, scope, ledger, numbers, seed, batch=20):
        super().__init__(daemon=True)
        self.target, self.scope, self.ledger, self.numbers = target, scope, ledger, numbers
        self.chance, self.batch = random.Random(seed), batch
        self.stopping = threading.Event()

    def run(self):
        with Stubs(self.target) as stubs:
            count = 0
            while not self.stopping.is_set():
                count += 1
                key = (id(self), count)
                mutations, expected = self.ledger.plan(
                    self.chance, self.numbers, self.batch, key)
                try:
                    response = stubs.ingest.Write(ingest.WriteRequest(
                        scope=self.scope, mutations=mutations), timeout=20)
                except grpc.RpcError as error:
                    check(error.code() in GONE, f"write ended with {error}")
                    return
                if not self.book(response.outcomes, expected, key):
                    return

    def book(self, outcomes, expected, key):
        """False when the server refused some: those may or may not have happened."""
        refused, acknowledged = 0, []
        for outcome, (number, applied) in zip(outcomes, expected):
            if outcome.result == ingest.WRITE_RESULT_FAILED:
                refused += 1
                check(is_refusal(outcome.error.code), f"document {number}: {outcome.error}")
                continue
            acknowledged.append((number, outcome.seq or self.order_of(number)))
            wanted = ingest.WRITE_RESULT_APPLIED if applied else ingest.WRITE_RESULT_NOT_FOUND
            if outcome.result != wanted:
                check(False, f"document {number}: {outcome}, wanted {wanted}")
        self.ledger.acknowledge(acknowledged, key)
        return refused == 0

    def order_of(self, number):
        """What changed nothing has no sequence: it stands where the operation before it does."""
        orders = [self.ledger.settled[number][0]] + [
            o.order for o in self.ledger.pending[number] if o.order is not None]
        return orders[-1]


class StreamWriter(threading.Thread):
    """Ingest.Stream under one producer id; what is unacknowledged is sent again to the next server,
    and under an interval also what a power cut may have taken back."""

    WINDOW = 8

    def __init__(self, scope, ledger, numbers, seed, batch=20):
        super().__init__(daemon=True)
        self.scope, self.ledger, self.numbers, self.seed = scope, ledger, numbers, seed
        self.chance, self.batch = random.Random(seed), batch
        self.in_flight = OrderedDict()  # client_seq → (request, expected)
        self.recent = deque()  # (client_seq, request, acknowledged_at), under an interval
        self.client_seq = self.acknowledged_seq = self.flushed_seq = 0
        self.last_acknowledged = None
        self.stopping = threading.Event()

    def next_life(self):
        """A thread starts once: the same producer goes on in a new one."""
        other = StreamWriter(self.scope, self.ledger, self.numbers, self.seed, self.batch)
        for name in ("chance", "in_flight", "recent", "client_seq", "acknowledged_seq",
                     "flushed_seq", "last_acknowledged"):
            setattr(other, name, getattr(self, name))
        return other

    def open(self, stubs):
        self.requests = queue.SimpleQueue()
        self.call = stubs.ingest.Stream(iter(self.requests.get, None))
        self.requests.put(ingest.StreamRequest(open=ingest.StreamOpen(
            scope=self.scope, producer_id="kills")))
        return next(self.call).opened.last_client_seq

    def receive(self):
        """Books one acknowledgement. False when the server refused some of it."""
        ack = next(self.call).ack
        if ack.errors:
            for error in ack.errors:
                check(is_refusal(error.error.code), f"an item of a stream: {error}")
            return False
        self.book(ack.client_seq, ack.durable_seq)
        return True

    def book(self, client_seq, durable_seq=0):
        request, expected = self.in_flight.pop(client_seq)
        self.ledger.acknowledge(((number, client_seq) for number, _ in expected),
                                ("stream", client_seq))
        self.acknowledged_seq = max(self.acknowledged_seq, client_seq)
        self.last_acknowledged = request
        if self.ledger.interval is not None:
            now = time.monotonic()
            self.recent.append((client_seq, request, now))
            while now - self.recent[0][2] > 2 * (self.ledger.interval + SLACK_SECONDS):
                self.recent.popleft()

    def resend(self, stubs, cut_at):
        """Everything unacknowledged once more, and the last acknowledged batch in other words."""
        last = self.open(stubs)
        safe = self.acknowledged_seq
        if cut_at is not None and self.ledger.interval is not None:
            safe = max((seq for seq, _, at in self.recent
                        if cut_at - at > self.ledger.interval + SLACK_SECONDS),
                       default=self.flushed_seq)
        check(last >= safe, f"the producer's sequence went back: {last} < {safe}")
        lost = [(seq, request) for seq, request, _ in self.recent if seq > last]
        if self.last_acknowledged is not None and not lost:
            twin = ingest.StreamRequest()
            twin.CopyFrom(self.last_acknowledged)
            del twin.batch.mutations[:]
            twin.batch.mutations.extend(derived.remove(n) for n in self.numbers)
            self.requests.put(twin)
            ack = next(self.call).ack
            check(ack.duplicate and ack.client_seq == twin.batch.client_seq,
                  f"a batch sent again: {ack}")
        # Batches that every shard has applied are answered as duplicates; all are answered.
        for _, request in lost:
            self.requests.put(request)
            ack = next(self.call).ack
            check(ack.client_seq == request.batch.client_seq and not ack.errors,
                  f"a lost batch sent again: {ack}")
        for client_seq in list(self.in_flight):
            self.requests.put(self.in_flight[client_seq][0])
        while self.in_flight and self.receive():
            continue
        check(not self.in_flight, "a batch sent again was refused")
        self.requests.put(None)
        check(list(self.call) == [], "more answers than batches")
        for number in self.numbers:
            self.ledger.resolve(number, self.ledger.latest(number))
        # The caller's flush makes this true.
        self.recent.clear()
        self.flushed_seq = self.acknowledged_seq
        return len(lost)

    def run(self):
        with Stubs(self.target) as stubs:
            try:
                self.open(stubs)
                while not self.stopping.is_set():
                    while len(self.in_flight) < self.WINDOW:
                        self.client_seq += 1
                        mutations, expected = self.ledger.plan(
                            self.chance, self.numbers, self.batch, ("stream", self.client_seq))
                        request = ingest.StreamRequest(batch=ingest.StreamBatch(
                            client_seq=self.client_seq, mutations=mutations))
                        self.in_flight[self.client_seq] = (request, expected)
                        self.requests.put(request)
                    if not self.receive():
                        return
                self.requests.put(None)
                while self.in_flight and self.receive():
                    continue
            except (grpc.RpcError, StopIteration):
                return
            finally:
                self.requests.put(None)

    def begin(self, target):
        self.target = target
        self.start()
