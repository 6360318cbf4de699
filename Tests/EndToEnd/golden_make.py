#!/usr/bin/env python3
"""Writes the golden data directories of one format version with the server KYRODB_BINARY, which must
write that version: Tests/Fixtures/golden/vN. To be run once, before the format changes again.

usage: golden_make.py N [--without-indexed]

--without-indexed where vector indexes are written as by the version before.
"""
import gzip
import json
import shutil
import sys
import time

import golden_indexed
from golden_parts import Filling, compare
from harness import ROOT, Checks, Server, Stubs, operations

GOLDEN = ROOT / "Tests/Fixtures/golden"
FLAGS = ("--shards", "2", "--log-segment-bytes", "16384", "--reserve-bytes", "0", "--quiet")


def keep(server, folder):
    folder.mkdir(parents=True)
    shutil.copytree(server.data, folder / "data")
    for spare in (folder / "data").glob("shard-*/spare-*"):
        spare.unlink()


def make(folder, seed, stop):
    """One directory, its expectation beside it. `stop` takes the snapshot or not, and ends it."""
    server = Server(*FLAGS)
    try:
        server.start()
        with Stubs(server.target) as stubs:
            filling = Filling(stubs, seed)
            filling.first_half()
            if stop == "clean":
                stubs.operations.Snapshot(operations.SnapshotRequest())
            filling.second_half()
            expected = filling.expectation()
            check = Checks()
            compare(stubs, expected, check, "as written")
            assert check.failed == 0 and check.passed > 100, "the server does not agree"
        if stop == "clean":
            assert server.stop() == 0
        else:
            server.kill()
        keep(server, folder)
        text = json.dumps(expected, indent=None, ensure_ascii=False, sort_keys=True)
        with gzip.GzipFile(folder / "expected.json.gz", "wb", mtime=0) as file:
            file.write(text.encode())
    finally:
        server.discard()


def make_indexed(folder):
    server = Server("--shards", "1", "--log-segment-bytes", "65536", "--reserve-bytes", "0", "--quiet")
    try:
        server.start()
        with Stubs(server.target) as stubs:
            golden_indexed.first_half(stubs)
            end = time.monotonic() + 60
            while not golden_indexed.whole(stubs):
                assert time.monotonic() < end, golden_indexed.indexes(stubs)
                time.sleep(0.1)
            stubs.operations.Snapshot(operations.SnapshotRequest())
            golden_indexed.second_half(stubs)
            check = Checks()
            golden_indexed.compare(stubs, check, "as written")
            assert check.failed == 0 and check.passed > 10, "the server does not agree"
        assert server.stop() == 0
        keep(server, folder)
        golden_indexed.pack(folder)
    finally:
        server.discard()


def main():
    version = int(sys.argv[1])
    folder = GOLDEN / f"v{version}"
    assert not folder.exists(), f"{folder} is there; golden files are never made anew"
    make(folder / "clean", 100 + version, "clean")
    make(folder / "killed", 200 + version, "killed")
    if "--without-indexed" not in sys.argv:
        make_indexed(folder / "indexed")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"RESULT {folder}: {size} bytes")


if __name__ == "__main__":
    main()
