#!/usr/bin/env python3
"""Data directories of every earlier format version open and hold what they held; what a newer version
has written is refused before anything is written.

Each directory of Tests/Fixtures/golden is copied, opened, compared with its expectation, written to,
and opened again from a snapshot and from a kill.
"""
import gzip
import json
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import golden_indexed
from golden_parts import NOTES, check_producer, compare
from harness import (
    BINARY, ROOT, Checks, Server, Stubs, contents, ingest, operations, search, types)

GOLDEN = ROOT / "Tests/Fixtures/golden"
MADE_UP = 9_000  # added to a format version
HEADER_BYTES = 64  # of a segment and of a snapshot; a manifest is header alone
LATE = types.DocumentId(text="written by a later version")
check = Checks()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def write_late(stubs):
    outcome = stubs.ingest.Write(ingest.WriteRequest(scope=NOTES, mutations=[
        ingest.Mutation(upsert=types.Document(id=LATE))])).outcomes[0]
    check.equal(outcome.result, ingest.WRITE_RESULT_APPLIED, "a write to a golden directory")


def remove_late(stubs, told):
    outcome = stubs.ingest.Write(ingest.WriteRequest(scope=NOTES, mutations=[
        ingest.Mutation(remove=LATE)])).outcomes[0]
    check.equal(outcome.result, ingest.WRITE_RESULT_APPLIED, f"{told}: what was written to it")


def check_opens(folder):
    told = f"{folder.parent.name}/{folder.name}"
    expected = json.loads(gzip.decompress((folder / "expected.json.gz").read_bytes()))
    server = Server("--quiet")
    shutil.copytree(folder / "data", server.data)
    try:
        server.start()
        with Stubs(server.target) as stubs:
            status = stubs.operations.Status(operations.StatusRequest())
            for shard in status.shards:
                check.equal(shard.problem, "", f"{told}: problem of shard {shard.shard}")
            compare(stubs, expected, check, told)
            check_producer(stubs, expected, check, told)
            compare(stubs, expected, check, f"{told} after a batch sent again")
            write_late(stubs)
        server.kill()
        server.start()
        with Stubs(server.target) as stubs:
            remove_late(stubs, f"{told} after a kill")
            compare(stubs, expected, check, f"{told} after a kill")
            stubs.operations.Snapshot(operations.SnapshotRequest())
            write_late(stubs)
        check.equal(server.stop(), 0, f"{told}: exit status")
        server.start()
        with Stubs(server.target) as stubs:
            remove_late(stubs, f"{told} after a snapshot")
            compare(stubs, expected, check, f"{told} after a snapshot")
            check_producer(stubs, expected, check, f"{told} after a snapshot")
        check.equal(server.stop(), 0, f"{told}: exit status")
    finally:
        if check.failed:
            print(server.log()[-3000:])
        server.discard()


def check_indexed(folder):
    told = f"{folder.parent.name}/{folder.name}"
    server = Server("--quiet")
    golden_indexed.unpack(folder, server.folder)
    try:
        verified = subprocess.run([BINARY, "verify", server.data], check=False)
        check.equal(verified.returncode, 0, f"{told}: verify")
        for when in ("", " after a kill", " after a snapshot"):
            server.start()
            with Stubs(server.target) as stubs:
                # What is read needs no training: at once, before maintenance has done anything.
                check(golden_indexed.whole(stubs),
                      f"{told}{when}: indexes {golden_indexed.indexes(stubs)}")
                golden_indexed.compare(stubs, check, told + when)
                if when:
                    stubs.operations.Snapshot(operations.SnapshotRequest())
            server.kill()
        check("damaged" not in server.log(), f"{told}: {server.log()[-3000:]}")
    finally:
        server.discard()


def pretend_newer(path):
    """Raises the version of a file and makes its checksum right."""
    data = bytearray(path.read_bytes())
    version = struct.unpack_from("<I", data, 8)[0]
    struct.pack_into("<I", data, 8, version + MADE_UP)
    end = len(data) if path.name == "MANIFEST" else HEADER_BYTES
    struct.pack_into("<I", data, 12, crc32c(bytes(data[8:12] + data[16:end])))
    path.write_bytes(data)


def check_refuses(folder, pattern, newest):
    """A copy in which one file is newer than this server."""
    with tempfile.TemporaryDirectory(prefix="kyrodb-test-") as temporary:
        data = Path(temporary) / "data"
        shutil.copytree(folder / "data", data)
        found = sorted(data.glob(pattern))
        path = found[-1] if newest else found[0]
        told = f"{folder.parent.name}/{folder.name} with a newer {path.relative_to(data)}"
        pretend_newer(path)
        before = contents(data)
        ended = subprocess.run(
            [BINARY, "serve", "--data", str(data), "--listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE, timeout=30, check=False, text=True)
        check(ended.returncode > 0, f"{told}: exit status {ended.returncode}")
        check(f"{path.name} has format version {MADE_UP + 1}"[:-1] in ended.stderr,
              f"{told}: {ended.stderr!r}")
        after = contents(data)
        changed = [name for name in before.keys() | after.keys()
                   if before.get(name, b"-") != after.get(name, b"-")]
        check.equal(changed, [], f"{told}: changed files")


def main():
    folders = sorted(GOLDEN.glob("v*/*/"))
    check(folders, f"no golden directories in {GOLDEN}")
    plain = [folder for folder in folders if folder.name != "indexed"]
    for folder in folders:
        (check_opens if folder in plain else check_indexed)(folder)
    refused = 0
    for folder in plain[-2:]:
        for pattern in ("MANIFEST", "catalog.log", "shard-*/log-*", "shard-*/snapshot-*"):
            for newest in (False, True):
                if list((folder / "data").glob(pattern)):
                    check_refuses(folder, pattern, newest)
                    refused += 1
    print(f"RESULT {len(folders)} golden directories opened, {refused} newer ones refused")
    check.finish()


if __name__ == "__main__":
    main()
