#!/usr/bin/env python3
"""What an operator does with a damaged data directory: `kyrodb verify` names the file and the offset,
`kyrodb repair` saves what is whole into another directory and lists what is lost, and a server on
that directory answers with documents as they once were, every one of them when nothing was lost.

    repair.py [TRIALS [SEED]]       one flipped bit a trial, in a file drawn by its kind
"""
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import derived
from harness import (
    BINARY, Checks, Server, Stubs, collections, contents, ingest, operations, search, types)

SCOPE = types.Scope(namespace="repaired")
COUNT = 300
VERSIONS = 4
LAST_REMOVED = 20  # documents that the last version removes
KINDS = ("shard-*/log-*", "shard-*/snapshot-*", "catalog.log", "MANIFEST")
check = Checks()


def fill(server):
    """Versions of every document, a snapshot behind each but the last two; ends with a kill."""
    server.start()
    with Stubs(server.target) as stubs:
        for version in range(1, VERSIONS + 1):
            mutations = [
                derived.remove(n) if version == VERSIONS and n < LAST_REMOVED
                else derived.upsert(n, version) for n in range(COUNT)]
            for first in range(0, COUNT, 50):
                outcomes = stubs.ingest.Write(ingest.WriteRequest(
                    scope=SCOPE, create_if_missing=ingest.CreateIfMissing(),
                    mutations=mutations[first:first + 50])).outcomes
                check(all(o.result == ingest.WRITE_RESULT_APPLIED for o in outcomes), "a write")
            if version <= VERSIONS - 2:
                stubs.operations.Snapshot(operations.SnapshotRequest())
    server.kill()


def run(*arguments):
    """Exit status and what `--json` told."""
    ended = subprocess.run([BINARY, *map(str, arguments), "--json"], capture_output=True,
                           text=True, timeout=60, check=False)
    check(ended.returncode in (0, 1, 2), f"{arguments}: {ended.returncode}, {ended.stderr}")
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}


def flip(data, chance, kind):
    """One bit of what was written in one file of a kind. Returns path and offset."""
    path = chance.choice(sorted(data.glob(kind)))
    contents = bytearray(path.read_bytes())
    end = len(contents.rstrip(b"\0"))
    offset = chance.randrange(end)
    contents[offset] ^= 1 << chance.randrange(8)
    path.write_bytes(contents)
    return path, offset


def found_in(folder):
    """Version of each document that a server on `folder` has."""
    server = Server("--quiet", data=str(folder))
    try:
        server.start()
        with Stubs(server.target) as stubs:
            versions = {}
            # Without its name, which the catalog has, a collection gets another one.
            there = stubs.collections.List(collections.ListCollectionsRequest()).collections
            if not there:
                return versions
            answer = stubs.search.Lookup(search.LookupRequest(
                scope=there[0].scope, ids=[types.DocumentId(number=n) for n in range(COUNT)]))
            for number, result in enumerate(answer.results):
                if not result.HasField("document"):
                    continue
                version = result.document.metadata["version"].int_value
                wanted = derived.document(number, version)
                check.equal(result.document.texts["body"], wanted.texts["body"], "a text")
                check.equal(result.document.metadata["tag"], wanted.metadata["tag"], "a tag")
                versions[number] = version
        check.equal(server.stop(), 0, "exit status of a server on a repaired directory")
        return versions
    finally:
        server.discard()


def trial(data, folder, chance, kind, counts):
    damaged, repaired = folder / "damaged", folder / "repaired"
    subprocess.run(["cp", "-r", "--sparse=always", data, damaged], check=True)
    path, offset = flip(damaged, chance, kind)
    told = f"{path.name}, a bit at {offset}"
    before = contents(damaged)
    status, report = run("verify", damaged)
    named = [f for f in report.get("findings", []) if f["file"].endswith(path.name)]
    if status == 1:
        check(named, f"{told}: verify names {report}")
        check(any(f["offset"] <= offset for f in named), f"{told}: {named}")
        check(all(f["affected"] and f["advice"] for f in named), f"{told}: {named}")
    else:
        # A flip in the last write cannot be told from a tear; in padding it changes nothing.
        check.equal(status, 0, f"{told}: status of verify")
    repair_status, repair = run("repair", damaged, "--to", repaired)
    check.equal(contents(damaged), before, f"{told}: verify and repair change nothing")
    if repair_status == 2:
        # Without a catalog or a manifest nobody knows what the logs belong to.
        check(kind in ("catalog.log", "MANIFEST"), f"{told}: nothing was saved: {repair}")
        counts["nothing to save"] += 1
    else:
        check.equal(repair_status, 0 if repair["complete"] else 1, f"{told}: status of repair")
        versions = found_in(repaired)
        whole = {n: VERSIONS for n in range(LAST_REMOVED, COUNT)}
        if repair["complete"]:
            check.equal(versions, whole, f"{told}: documents when nothing is lost")
        else:
            check(repair["losses"] or repair["doubts"], f"{told}: what is lost is listed: {repair}")
            print(f"{told}: {len(versions)} documents saved, {repair['losses'] + repair['doubts']}")
        check.equal(status == 1 or repair["complete"] or bool(repair["doubts"]), True,
                    f"{told}: verify saw nothing and repair lost something: {repair}")
        counts["complete" if repair["complete"] else "with losses"] += 1
        status, report = run("verify", repaired)
        check.equal((status, report.get("whole")), (0, True), f"{told}: the repaired directory")
    for folder_of_trial in (damaged, repaired):
        shutil.rmtree(folder_of_trial, ignore_errors=True)


def main():
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 41
    print(f"seed {seed}")
    chance = random.Random(seed)
    server = Server("--quiet", "--shards", "2", "--reserve-bytes", "0")
    counts = Counter()
    try:
        fill(server)
        data = Path(server.data)
        for spare in data.glob("shard-*/spare-*"):  # nothing in them but zeros
            spare.unlink()
        check.equal(run("verify", data)[0], 0, "verify of a directory after a kill")
        for number in range(trials):
            trial(data, Path(server.folder), chance, KINDS[number % len(KINDS)], counts)
        # Nobody loses a directory to a slip of the keyboard.
        check.equal(run("repair", data, "--to", data)[0], 2, "repair onto itself")
    finally:
        if check.failed:
            print(server.log()[-2000:])
        server.discard()
    print(f"RESULT {trials} flips: {dict(counts)}")
    check.finish()


if __name__ == "__main__":
    main()
