#!/usr/bin/env python3
"""A disk that refuses one call with EIO: each of the first calls of every kind in turn.

usage: eio.py [--first N] [--draws N] [--seed N] [KIND…]

For every kind of call 3 of the first 200 are drawn unless told otherwise; --first N takes the calls
1 … N one after another. Whatever fails: the server lives on, reads go on and find what was
acknowledged; a write, snapshot or catalog change that fails says so with a typed error; a shard whose
log failed is read-only, with the reason, until a restart; and after the restart everything
acknowledged is there, and writes are taken. A start that meets the fault may refuse, saying why.
"""
import argparse
import random
import signal
import time

import grpc
from fault_shim import KINDS, Shim
from harness import Failure, Server, Stubs, collections, failure_of, operations, types
from ledger import EXHAUSTED, UNAVAILABLE, UnaryWriter, check
from world import World

# Where calls are drawn from. A server reads nearly only while it starts.
FIRST_MAX = {"pread": 12}
FIRST_MAX_USUAL = 200
UNREACHED_MAX = 3  # one after another: then further calls of the kind do not come
HOT = 120
BATCH = {"fdatasync": 4, "pwrite": 4}
BATCH_USUAL = 20  # fills a segment, for what a rotation alone calls
STEPS_MAX = 800
STEPS_AFTER = 6
FLAGS = ("--shards", "2", "--log-segment-bytes", "4096", "--snapshot-log-bytes", "65536",
         "--drain-millis", "500")
TYPED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Catalog:
    """Which collections there must be: True and False as acknowledged, None for unknown."""

    def __init__(self):
        self.there, self.count = {}, 0

    def change(self, stubs, told):
        """Makes a collection, or drops the one made before."""
        if self.count % 2 == 0 or self.there[self.name] is not True:
            self.name = f"made-{self.count}"
            call, wanted = stubs.collections.Create, True
            request = collections.CreateCollectionRequest(scope=self.scope())
        else:
            call, wanted = stubs.collections.Drop, False
            request = collections.DropCollectionRequest(scope=self.scope())
        self.count += 1
        failure = failure_of(lambda: call(request))
        self.there[self.name] = wanted if failure is None else None
        check_typed(failure, f"{told}: a change of the catalog")

    def scope(self):
        return types.Scope(namespace=self.name)

    def verify(self, stubs, told):
        listed = {c.scope.namespace for c in stubs.collections.List(
            collections.ListCollectionsRequest(page_size=1_000)).collections}
        for name, there in self.there.items():
            check(there is None or there == (name in listed),
                  f"{told}: collection {name} should be there: {there}")
        self.there = {name: name in listed for name in self.there}


def check_typed(failure, told):
    check(failure is None or (failure.code in TYPED and failure.reason and failure.message),
          f"{told} fails with {failure}")


def settled(server, seconds=10):
    """Waits until every shard has recovered or stopped; the exit status when the server ends, else
    None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            return server.process.returncode
        if server.listening():
            server.serving()
            with Stubs(server.target) as stubs:
                try:
                    states = {s.state for s in stubs.operations.Status(
                        operations.StatusRequest(), timeout=1).shards}
                    if states and operations.SHARD_STATE_RECOVERING not in states:
                        return None
                except grpc.RpcError:
                    pass
        time.sleep(0.002)
    check(False, f"a start with a fault neither ends nor gets anywhere:\n{server.log()[-500:]}")
    server.kill()
    return 1


class Subject:
    """A data directory that meets one fault after another."""

    def __init__(self, kind, seed):
        self.chance = random.Random(seed)
        self.batch = BATCH.get(kind, BATCH_USUAL)
        self.server = Server(*FLAGS)
        self.shim = Shim(self.server)
        self.world = World("faults", HOT, 0, seed, batch=self.batch)
        self.catalog = Catalog()
        self.counts = {"struck": 0, "not reached": 0, "start refused": 0, "read-only": 0}
        self.server.start()
        with Stubs(self.server.target) as stubs:
            self.world.create(stubs)
        check.equal(self.server.stop(), 0, "exit status")

    def writer(self):
        writer = UnaryWriter(self.server.target, self.world.scope, self.world.ledger,
                             list(range(HOT)), self.chance.getrandbits(32), self.batch)
        writer.refusals = (UNAVAILABLE, EXHAUSTED)
        return writer

    def life(self, kind, nth):
        """Starts, works until the nth call of this kind fails and a bit longer, restarts, looks.
        Says whether there was such a call."""
        told = f"EIO at {kind} {nth}"
        self.shim.reset()
        self.shim.arm(kind, nth)
        self.server.spawn()
        ended = settled(self.server)
        if ended is not None:
            self.counts["start refused"] += 1
            check(ended > 0 and "errno 5" in self.server.log(), f"{told}: a start ends with {ended}")
        else:
            self.work(kind, told)
        struck = self.shim.get("failed", kind) > 0
        self.counts["struck" if struck else "not reached"] += 1
        self.shim.reset()
        if self.server.process.poll() is None:
            if self.chance.random() < 0.5:
                self.server.kill()
            else:
                self.server.process.send_signal(signal.SIGTERM)
                ended = self.server.process.wait(timeout=30)
                check(ended >= 0, f"{told}: a stop ends with {ended}")
        self.server.start()
        with Stubs(self.server.target) as stubs:
            self.world.verify(stubs, self.chance)
            self.catalog.verify(stubs, told)
            check(not any(s.problem for s in stubs.operations.Status(
                operations.StatusRequest()).shards), f"{told}: a shard has a problem afterwards")
            check(not self.writer().step(stubs), f"{told}: a write afterwards")
        check.equal(self.server.stop(), 0, f"{told}: exit status afterwards")
        return struck

    def work(self, kind, told):
        writer, after, read_only = self.writer(), 0, set()
        with Stubs(self.server.target) as stubs:
            for step in range(STEPS_MAX):
                try:
                    for number, error in writer.step(stubs, is_careful=True).items():
                        if error.reason == "SHARD_READ_ONLY":
                            read_only.add(number)
                        check(error.reason and error.message, f"{told}: an untyped {error}")
                except grpc.RpcError as error:
                    failure = Failure(error)
                    check_typed(failure, f"{told}: a write")
                    if failure.reason == "SHARD_STOPPED":
                        return  # a start that met the fault
                if step % 10 == 9:
                    check_typed(failure_of(lambda: stubs.operations.Snapshot(
                        operations.SnapshotRequest(), timeout=20)), f"{told}: a snapshot")
                if step % 7 == 6:
                    self.catalog.change(stubs, told)
                after += self.shim.get("failed", kind) > 0
                if after > STEPS_AFTER:
                    break
            self.check_alive(stubs, told, writer, read_only)

    def check_alive(self, stubs, told, writer, read_only):
        if not check(self.server.process.poll() is None, f"{told}: the server ended"):
            return
        for number, state in enumerate(self.world.lookup_all(stubs)):
            allowed = self.world.ledger.allowed(number, None)
            check(state in allowed, f"{told}: document {number} reads {state}, allowed {allowed}")
        shards = stubs.operations.Status(operations.StatusRequest()).shards
        told_of = [s for s in shards if s.state == operations.SHARD_STATE_READ_ONLY]
        check(bool(told_of) or not read_only, f"{told}: writes are refused and status is silent")
        check(all("errno" in s.problem for s in told_of), f"{told}: problems {told_of}")
        self.counts["read-only"] += bool(told_of)
        # The disk works again; the log stays closed, since what it holds is not known.
        self.shim.arm("fdatasync", 0)
        if read_only:
            writer.numbers, writer.batch = sorted(read_only), len(read_only)
            refused = writer.step(stubs, is_careful=True)
            check.equal(sorted(refused), sorted(read_only), f"{told}: written to without a restart")

    def discard(self):
        if check.failed:
            print(f"the server's stderr:\n{self.server.log()[-3000:]}")
        self.server.discard()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    options = parser.parse_args()
    # Space is reserved for a directory's first segments alone: later ones are used again.
    kinds = options.kinds or [kind for kind in KINDS if kind != "fallocate"]
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    began, total = time.monotonic(), 0
    for kind in kinds:
        highest = FIRST_MAX.get(kind, FIRST_MAX_USUAL)
        calls = (range(1, options.first + 1) if options.first else sorted(
            chance.sample(range(1, highest + 1), min(options.draws, highest))))
        subject, unreached = Subject(kind, chance.getrandbits(32)), 0
        try:
            for nth in calls:
                unreached = 0 if subject.life(kind, nth) else unreached + 1
                total += 1
                if check.failed > 10 or unreached >= UNREACHED_MAX:
                    break
        finally:
            subject.discard()
        named = f"1 … {options.first}" if options.first else str(calls)
        print(f"RESULT EIO at {kind} {named}: {subject.counts}, {time.monotonic() - began:.0f} s",
              flush=True)
    print(f"RESULT EIO at {total} calls of {len(kinds)} kinds; "
          f"{time.monotonic() - began:.0f} s")
    check.finish()


if __name__ == "__main__":
    main()
