#!/usr/bin/env python3
"""Kills the server with SIGKILL inside ingest, snapshot, replay and log rotation, again and again.

usage: kill_loop.py [--kills N] [--min-acknowledged N] [--seed N]       10 kills unless told otherwise

This process keeps the ledger of what was acknowledged. After every restart: each document is in its
last acknowledged state or in one that was under way; all its parts derive from one version; vector,
text, sparse vector, filter, scan and the counts agree on which documents there are; a batch sent
again is applied once; and the graph was given no row but the replayed ones. A kill alone loses nothing
under an interval either, since the kernel still has it.

Every 50 kills a new data directory begins, with another number of shards and size of segments.
"""
import argparse
import os
import random
import sys
import threading
import time

from harness import Server, Stubs, failure_of, operations
from ledger import check
from world import World

KINDS = ("ingest", "rotation", "replay", "snapshot")
CHAPTER_KILLS = 50
REPLAY_KILLS_MAX = 3  # of one recovery, one after another
SHAPES = (  # of a data directory: shards, bytes of a segment, fsync, bytes of log for a snapshot
    (2, 1 << 18, "always", 256 << 20),
    (1, 1 << 20, "always", 4 << 20),
    (3, 1 << 17, "interval:50", 2 << 20),
    (2, 1 << 16, "always", 1 << 20),
)


def names_of_logs(data):
    names = set()
    for folder in os.scandir(data):
        if folder.is_dir():
            names |= {(folder.name, entry.name, entry.inode()) for entry in os.scandir(folder)}
    return names


def kill_in_rotation(server, chance, seconds):
    """Watches the log's folders and kills when a segment comes or goes."""
    before, deadline = names_of_logs(server.data), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if names_of_logs(server.data) != before:
            pause = time.perf_counter() + chance.random() * 0.002
            while time.perf_counter() < pause:
                pass
            server.kill()
            return True
    return False


def kill_in_snapshot(server, chance, usual):
    """Kills while Operations.Snapshot is under way; says whether it still was, and how long."""
    outcome = []

    def snapshot():
        with Stubs(server.target) as stubs:
            begin = time.monotonic()
            failure = failure_of(lambda: stubs.operations.Snapshot(
                operations.SnapshotRequest(), timeout=60))
            outcome.append((failure, time.monotonic() - begin))

    thread = threading.Thread(target=snapshot, daemon=True)
    thread.start()
    time.sleep(chance.random() * usual)
    server.kill()
    thread.join()
    failure, seconds = outcome[0]
    return failure is not None, seconds


def kill_in_replay(server, chance, usual):
    """The server is dead: starts it, and kills it before it serves."""
    server.spawn()
    time.sleep(usual * (0.15 + 0.8 * chance.random()))
    inside = server.process.poll() is None and not server.serving()
    server.kill()
    return inside


class Loop:
    """What outlives a data directory: counts, and how long things usually take."""

    def __init__(self, kills, acknowledged_min, seed):
        self.kills_wanted, self.acknowledged_min = kills, acknowledged_min
        self.chance = random.Random(seed)
        self.seed = seed
        self.kills = dict.fromkeys(KINDS, 0)
        self.misses = self.acknowledged = self.replayed_highest = self.graph_rows = 0
        self.chapters, self.rate = 0, 5_000.0
        self.start_usual = self.snapshot_usual = 0.05

    @property
    def total(self):
        return sum(self.kills.values())

    def wants_more(self):
        return (min(self.kills.values()) < self.kills_wanted // len(KINDS)
                or self.total < self.kills_wanted or self.acknowledged < self.acknowledged_min
                ) and self.misses <= self.kills_wanted and check.failed <= 20

    def chapter(self):
        """One data directory, until its share of kills is done."""
        shards, segment, fsync, snapshot_bytes = SHAPES[self.chapters % len(SHAPES)]
        server = Server("--shards", str(shards), "--fsync", fsync, "--log-segment-bytes",
                        str(segment), "--snapshot-log-bytes", str(snapshot_bytes))
        interval = None if fsync == "always" else 0.05
        seed = self.chance.getrandbits(32)
        worlds = [World("kills", 1_500, 18_000, seed), World("beside", 300, 500, seed + 1, interval)]
        self.chapters += 1
        try:
            server.start()
            with Stubs(server.target) as stubs:
                for world in worlds:
                    world.create(stubs)
            self.snapshot_usual = take_snapshot(server)
            first = self.total
            while self.wants_more() and self.total - first < CHAPTER_KILLS:
                self.cycle(server, worlds)
            check.equal(server.stop(), 0, "exit status after all")
        finally:
            if check.failed or sys.exc_info()[0]:
                print(f"seed {self.seed}; the server's stderr:\n{server.log()[-3000:]}")
            server.discard()

    def cycle(self, server, worlds):
        kind = min(KINDS, key=lambda k: self.kills[k])
        before, began = sum(w.ledger.acknowledged for w in worlds), time.monotonic()
        for world in worlds:
            world.begin(server.target, self.chance.getrandbits(32))
        time.sleep(self.dwell())
        acknowledged = sum(w.ledger.acknowledged for w in worlds) - before
        self.rate = 0.8 * self.rate + 0.2 * acknowledged / (time.monotonic() - began)
        inside = self.kill(kind, server)
        for world in worlds:
            world.join()
        self.acknowledged += sum(w.ledger.acknowledged for w in worlds) - before
        self.kills[kind] += inside
        self.misses += inside == 0
        begin = time.monotonic()
        server.start()
        self.start_usual = time.monotonic() - begin
        self.verify(server, worlds)
        if self.total % 5 == 4:
            take_snapshot(server)  # so that restarts begin from a changed state, too

    def dwell(self):
        """Seconds of writing before a kill, so that enough is acknowledged by the last one."""
        missing = (self.acknowledged_min - self.acknowledged) / max(
            1, self.kills_wanted - self.total)
        return max(0.05 + 0.25 * self.chance.random(), min(5, missing / max(self.rate, 100)))

    def kill(self, kind, server):
        """Returns how many kills landed inside what they were meant for."""
        if kind == "rotation":
            inside = kill_in_rotation(server, self.chance, seconds=5)
            server.kill()
            return int(inside)
        if kind == "snapshot":
            inside, seconds = kill_in_snapshot(server, self.chance, self.snapshot_usual)
            # A kill that came too late tells how long a snapshot takes by now.
            self.snapshot_usual = self.snapshot_usual * 1.3 if inside else seconds * 0.8
            return int(inside)
        server.kill()
        if kind == "ingest":
            return 1
        return sum(kill_in_replay(server, self.chance, self.start_usual)
                   for _ in range(self.chance.randint(1, REPLAY_KILLS_MAX)))

    def verify(self, server, worlds):
        with Stubs(server.target) as stubs:
            status = stubs.operations.Status(operations.StatusRequest())
            inserted = sum(shard.graph_rows_inserted for shard in status.shards)
            replayed = sum(shard.replayed_records for shard in status.shards)
            check(inserted <= replayed, f"{inserted} rows went into the graph, {replayed} replayed")
            self.graph_rows = sum(shard.graph_rows for shard in status.shards)
            check(self.graph_rows > 0, "no row is in the graph: this run proves nothing about it")
            self.replayed_highest = max(self.replayed_highest, replayed)
            for world in worlds:
                world.verify(stubs, self.chance)


def take_snapshot(server):
    """Returns the seconds that it took."""
    with Stubs(server.target) as stubs:
        begin = time.monotonic()
        stubs.operations.Snapshot(operations.SnapshotRequest())
        return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--min-acknowledged", type=int, default=0)
    parser.add_argument("--seed", type=int, default=20_240)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    loop = Loop(options.kills, options.min_acknowledged, options.seed)
    began = time.monotonic()
    while loop.wants_more():
        loop.chapter()
    check(loop.total >= options.kills, f"kills {loop.kills}, {loop.misses} came too late")
    check(loop.acknowledged >= options.min_acknowledged, f"{loop.acknowledged} acknowledged")
    print(f"RESULT {loop.total} kills {loop.kills}, {loop.misses} came too late; "
          f"{loop.acknowledged} operations acknowledged; at most {loop.replayed_highest} records "
          f"replayed; {loop.graph_rows} rows in the graph; {time.monotonic() - began:.0f} s")
    check.finish()


if __name__ == "__main__":
    main()
