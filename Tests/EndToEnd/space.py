#!/usr/bin/env python3
"""A full disk, for real: a tmpfs of fixed size under the server, filled while it writes.

usage: space.py [ROUNDS] [SEED]       3 rounds unless told otherwise

While there is no room, writes and snapshots are refused with RESOURCE_EXHAUSTED and OUT_OF_SPACE, reads
go on, and the server starts and stops; when there is room again, everything goes on without a restart.
Nothing acknowledged is lost. Needs root; without it the test says that it is skipped.
"""
import os
import random
import sys
import time

import grpc
from harness import Failure, Server, Stubs, failure_of, operations
from ledger import EXHAUSTED, UnaryWriter, check
from volumes import Memory, mounted
from world import World

DISK_BYTES = 48 << 20
HOT = 300
BATCH = 20
STEPS_MAX = 6_000
RECOVERY_SECONDS = 20
FLAGS = ("--shards", "2", "--log-segment-bytes", str(1 << 18), "--snapshot-log-bytes", str(4 << 20))


class Round:
    def __init__(self, server, disk, world, chance):
        self.server, self.disk, self.world, self.chance = server, disk, world, chance
        self.writer = UnaryWriter(server.target, world.scope, world.ledger, list(range(HOT)),
                                  chance.getrandbits(32), BATCH)
        self.writer.refusals = (EXHAUSTED,)

    def step(self, stubs):
        """One batch. The reasons that were given for refusing it, or a part of it."""
        try:
            return {error.reason for error in self.writer.step(stubs, is_careful=True).values()}
        except grpc.RpcError as error:
            failure = Failure(error)
            check.equal(failure.code, grpc.StatusCode.RESOURCE_EXHAUSTED, f"a write: {failure}")
            return {failure.reason}

    def write_until_refused(self, stubs):
        for steps in range(STEPS_MAX):
            reasons = self.step(stubs)
            if reasons:
                check.equal(reasons, {"OUT_OF_SPACE"}, "why writes are refused")
                return steps
        check(False, f"{STEPS_MAX} batches fit into a full disk")
        return STEPS_MAX

    def write_until_taken(self, stubs):
        """Without a restart. Returns the seconds that it took."""
        began = time.monotonic()
        while self.step(stubs):
            if time.monotonic() - began > RECOVERY_SECONDS:
                check(False, f"no write is taken {RECOVERY_SECONDS} s after there is room")
                break
            time.sleep(0.05)  # between tries, as a client would
        return time.monotonic() - began

    def check_reads(self, stubs, told):
        states = self.world.lookup_all(stubs)
        for number, state in enumerate(states):
            allowed = self.world.ledger.allowed(number, None)
            check(state in allowed, f"{told}: document {number} reads {state}, allowed {allowed}")
        self.world.check_legs(stubs, states, [], self.chance)

    def run(self, restarts):
        with Stubs(self.server.target) as stubs:
            for _ in range(self.chance.randrange(20, 60)):
                check.equal(self.step(stubs), set(), "refused with room")
            self.disk.fill()
            steps = self.write_until_refused(stubs)
            self.check_reads(stubs, "on a full disk")
            failure = failure_of(lambda: stubs.operations.Snapshot(operations.SnapshotRequest()))
            check(failure is not None and failure.reason == "OUT_OF_SPACE"
                  and failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED,
                  f"a snapshot on a full disk: {failure}")
            for _ in range(5):
                self.step(stubs)
            self.check_reads(stubs, "after a snapshot on a full disk")
        if restarts:
            check.equal(self.server.stop(), 0, "exit status of a stop on a full disk")
            self.server.start()
            with Stubs(self.server.target) as stubs:
                self.check_reads(stubs, "after a restart on a full disk")
                self.step(stubs)
        self.disk.free()
        with Stubs(self.server.target) as stubs:
            seconds = self.write_until_taken(stubs)
            stubs.operations.Snapshot(operations.SnapshotRequest())
            self.check_reads(stubs, "with room again")
        return steps, seconds


def fill_repository(seed):
    """A backup that finds no room is refused, and disturbs nothing else; with room it is made."""
    disk = Memory(DISK_BYTES)
    server = Server(*FLAGS, "--backups", os.path.join(disk.path, "backups"))
    world = World("kept", HOT, 1_000, seed, batch=BATCH)
    try:
        server.start()
        with Stubs(server.target) as stubs:
            world.create(stubs)
            one = Round(server, disk, world, random.Random(seed))
            one.step(stubs)
            disk.fill()
            failure = failure_of(lambda: list(stubs.operations.CreateBackup(
                operations.CreateBackupRequest())))
            check(failure is not None and failure.reason == "OUT_OF_SPACE"
                  and failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED,
                  f"a backup to a full disk: {failure}")
            for _ in range(20):
                check.equal(one.step(stubs), set(), "a write refused for want of room for backups")
            one.check_reads(stubs, "with no room for backups")
            disk.free()
            answers = list(stubs.operations.CreateBackup(operations.CreateBackupRequest()))
            check(answers[-1].backup.id > 0, f"a backup with room again: {answers[-1:]}")
        check.equal(server.stop(), 0, "exit status of a server with backups")
    finally:
        if check.failed or sys.exc_info()[0]:
            print(f"the server's stderr:\n{server.log()[-3000:]}")
        server.discard()
        disk.discard()


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 11
    disk, reason = mounted(lambda: Memory(DISK_BYTES))
    if disk is None:
        print(f"skipped: no disk was filled; {reason}")
        return
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    server = Server(*FLAGS, data=os.path.join(disk.path, "data"))
    world = World("space", HOT, 1_000, seed, batch=BATCH)
    taken, slowest = 0, 0
    try:
        server.start()
        with Stubs(server.target) as stubs:
            world.create(stubs)
        for number in range(rounds):
            steps, seconds = Round(server, disk, world, chance).run(restarts=number % 2 == 1)
            taken, slowest = taken + steps, max(slowest, seconds)
            server.kill()
            server.start()
            with Stubs(server.target) as stubs:
                world.verify(stubs, chance)
        check.equal(server.stop(), 0, "exit status")
    finally:
        if check.failed or sys.exc_info()[0]:
            print(f"seed {seed}; the server's stderr:\n{server.log()[-3000:]}")
        server.discard()
        disk.discard()
    if hasattr(operations, "CreateBackupRequest"):
        fill_repository(seed)
    print(f"RESULT {rounds} times a full disk; {world.ledger.acknowledged} operations acknowledged, "
          f"{taken * BATCH} of them into what was left; writes were taken {slowest:.1f} s after there "
          f"was room")
    check.finish()


if __name__ == "__main__":
    main()
