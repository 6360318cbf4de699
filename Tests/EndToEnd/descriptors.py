#!/usr/bin/env python3
"""A server that may open few files, and whose clients take them all: who is connected is served, writes
that need a file are refused with the cause, and everything goes on when descriptors are free again."""
import random
import socket
import time

import grpc
from harness import Failure, Server, Stubs, failure_of, operations
from ledger import EXHAUSTED, UNAVAILABLE, UnaryWriter, check
from world import World

DESCRIPTORS = 64
SOCKETS = 120
HOT = 200
STEPS = 400
RECOVERY_SECONDS = 20
CPU_SHARE_MAX = 0.5  # of a core, by a server that cannot accept and has nothing else to do
FLAGS = ("--shards", "2", "--loops", "2", "--log-segment-bytes", "8192",
         "--snapshot-log-bytes", "65536")


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100  # utime and stime, in USER_HZ


def step(writer, stubs, told):
    """Reasons for refusing a batch or a part of it."""
    try:
        errors = writer.step(stubs, is_careful=True).values()
        check(all(e.reason and e.message for e in errors), f"{told}: untyped {errors}")
        return {error.reason for error in errors}
    except grpc.RpcError as error:
        failure = Failure(error)
        check(failure.code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
              and failure.reason, f"{told}: {failure}")
        return {failure.reason}


def flood(target):
    """More connections than the server may have descriptors."""
    host, port = target.rsplit(":", 1)
    sockets = []
    for _ in range(SOCKETS):
        sockets.append(socket.create_connection((host, int(port)), timeout=5))
    return sockets


def check_reads(world, stubs, told):
    for number, state in enumerate(world.lookup_all(stubs)):
        allowed = world.ledger.allowed(number, None)
        check(state in allowed, f"{told}: document {number} reads {state}, allowed {allowed}")


def main():
    chance = random.Random(3)
    world = World("descriptors", HOT, 200, 3, batch=10)
    server = Server(*FLAGS)
    server.prefix = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    reasons = set()
    try:
        server.start()
        with Stubs(server.target) as stubs:
            world.create(stubs)
            writer = UnaryWriter(server.target, world.scope, world.ledger, list(range(HOT)), 3, 10)
            writer.refusals = (UNAVAILABLE, EXHAUSTED)
            check.equal(step(writer, stubs, "before"), set(), "refused with descriptors")
            sockets = flood(server.target)
            for _ in range(STEPS):
                reasons |= step(writer, stubs, "without descriptors")
            failure = failure_of(lambda: stubs.operations.Snapshot(operations.SnapshotRequest()))
            check(failure is None or failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED,
                  f"a snapshot without descriptors: {failure}")
            check_reads(world, stubs, "without descriptors")
            before, began = cpu_seconds(server), time.monotonic()
            time.sleep(1)  # measured: a loop that cannot accept must not spin
            share = (cpu_seconds(server) - before) / (time.monotonic() - began)
            check(share < CPU_SHARE_MAX, f"out of descriptors the server uses {share:.2f} cores")
            for one in sockets:
                one.close()
            began = time.monotonic()
            while step(writer, stubs, "with descriptors again"):
                if not check(time.monotonic() - began < RECOVERY_SECONDS, "writes stay refused"):
                    break
                time.sleep(0.05)  # between tries, as a client would
            stubs.operations.Snapshot(operations.SnapshotRequest())
        with Stubs(server.target) as stubs:  # a new connection
            check_reads(world, stubs, "afterwards")
        server.kill()
        server.start()
        with Stubs(server.target) as stubs:
            world.verify(stubs, chance)
        check.equal(server.stop(), 0, "exit status")
    finally:
        if check.failed:
            print(f"the server's stderr:\n{server.log()[-3000:]}")
        server.discard()
    print(f"RESULT {SOCKETS} connections to a server with {DESCRIPTORS} descriptors: "
          f"{world.ledger.acknowledged} operations acknowledged, refused with {sorted(reasons)}; "
          f"{share:.2f} cores used meanwhile")
    check.finish()


if __name__ == "__main__":
    main()
