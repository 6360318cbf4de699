#!/usr/bin/env python3
"""Cuts the power for real, again and again: what was not synced is gone, un-synced renames included.

usage: power_cut.py [--cuts N] [--min-acknowledged N] [--seed N]        3 cuts unless told otherwise

The server runs on an ext4 image behind a loop device; under load the file system is shut down without
a flush of its journal (ioctl EXT4_IOC_SHUTDOWN), unmounted, mounted again, and the server restarted.
The ledger lives in this process. Under `always` everything acknowledged is there; under an interval
what is missing was acknowledged within it and is the end of what each shard's log had. Needs root;
without it the test says that it is skipped.
"""
import argparse
import os
import random
import shutil
import sys
import threading
import time

from harness import Server, Stubs, failure_of, operations
from ledger import check
from volumes import Disk, mounted
from world import World

CHAPTER_CUTS = 10
INTERVAL_SECONDS = 0.1
MOMENTS = ("ingest", "snapshot", "recovery")
SHAPES = (  # of a data directory: shards, bytes of a segment, bytes of log for a snapshot
    (2, 1 << 18, 1 << 20),
    (3, 1 << 18, 4 << 20),
    (1, 1 << 16, 1 << 18),
)


class Loop:
    def __init__(self, volume, options):
        self.volume, self.wanted = volume, options.cuts
        self.acknowledged_min = options.min_acknowledged
        self.chance, self.seed = random.Random(options.seed), options.seed
        self.cuts = dict.fromkeys(MOMENTS, 0)
        self.acknowledged = self.lost = self.chapters = 0
        self.rate, self.start_usual = 3_000.0, 0.05

    @property
    def total(self):
        return sum(self.cuts.values())

    def wants_more(self):
        return self.total < self.wanted and check.failed <= 20

    def chapter(self):
        shards, segment, snapshot_bytes = SHAPES[self.chapters % len(SHAPES)]
        data = os.path.join(self.volume.path, "data")
        server = Server("--shards", str(shards), "--log-segment-bytes", str(segment),
                        "--snapshot-log-bytes", str(snapshot_bytes), data=data)
        seed = self.chance.getrandbits(32)
        # Every other directory has an interval alone: syncs for `always` leave little to lose.
        worlds = [World("interval", 600, 1_000, seed, INTERVAL_SECONDS)]
        if self.chapters % 2 == 0:
            worlds.append(World("always", 600, 1_000, seed + 1))
        self.chapters += 1
        try:
            server.start()
            with Stubs(server.target) as stubs:
                for world in worlds:
                    world.create(stubs)
                    world.learn_shards(stubs)
            first = self.total
            share = min(CHAPTER_CUTS, max(1, self.wanted // len(SHAPES)))
            while self.wants_more() and self.total - first < share:
                self.cycle(server, worlds)
            check.equal(server.stop(), 0, "exit status after all")
            print(f"directory {self.chapters}: {self.total} cuts, {self.acknowledged} acknowledged",
                  flush=True)
        finally:
            if check.failed or sys.exc_info()[0]:
                print(f"seed {self.seed}; the server's stderr:\n{server.log()[-3000:]}")
            server.discard()
        shutil.rmtree(data)

    def cycle(self, server, worlds):
        moment = min(MOMENTS, key=lambda m: self.cuts[m])
        before, began = self.count(worlds), time.monotonic()
        for world in worlds:
            world.begin(server.target, self.chance.getrandbits(32))
        missing = (self.acknowledged_min - self.acknowledged) / max(1, self.wanted - self.total)
        time.sleep(max(0.1 + self.chance.random(), min(8, missing / max(self.rate, 100))))
        self.rate = 0.8 * self.rate + 0.2 * (
            self.count(worlds) - before) / (time.monotonic() - began)
        if moment == "snapshot":
            snapshot = threading.Thread(target=lambda: take_snapshot(server), daemon=True)
            snapshot.start()
            time.sleep(self.chance.random() * 0.1)
        cut_at = self.volume.cut()
        server.kill()
        for world in worlds:
            world.join()
        self.acknowledged += self.count(worlds) - before
        self.volume.unmount()
        self.volume.mount()
        self.cuts[moment] += 1
        if moment == "recovery":
            # The power goes again while the server recovers from the first time.
            server.spawn()
            time.sleep(self.start_usual * self.chance.random())
            self.volume.cut()
            server.kill()
            self.volume.unmount()
            self.volume.mount()
            self.cuts[moment] += 1
        begin = time.monotonic()
        server.start()
        self.start_usual = time.monotonic() - begin
        with Stubs(server.target) as stubs:
            for world in worlds:
                self.lost += world.verify(stubs, self.chance, cut_at)

    @staticmethod
    def count(worlds):
        return sum(world.ledger.acknowledged for world in worlds)


def take_snapshot(server):
    with Stubs(server.target) as stubs:
        failure_of(lambda: stubs.operations.Snapshot(operations.SnapshotRequest(), timeout=60))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--min-acknowledged", type=int, default=0)
    parser.add_argument("--seed", type=int, default=31_337)
    options = parser.parse_args()
    volume, reason = mounted(Disk)
    if volume is None:
        print(f"skipped: no power was cut; {reason}")
        return
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    loop = Loop(volume, options)
    try:
        while loop.wants_more():
            loop.chapter()
    finally:
        volume.discard()
    check(loop.total >= options.cuts, f"cuts {loop.cuts}")
    check(loop.acknowledged >= options.min_acknowledged, f"{loop.acknowledged} acknowledged")
    print(f"RESULT {loop.total} power cuts {loop.cuts}; {loop.acknowledged} operations acknowledged; "
          f"{loop.lost} of them lost within an interval; {time.monotonic() - began:.0f} s")
    check.finish()


if __name__ == "__main__":
    main()
