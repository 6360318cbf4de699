#!/usr/bin/env python3
"""Backups of a running server: full and incremental under load, the archive, kyroctl's list, verify,
prune and restore, and every document of what was restored against what was acknowledged by then."""
import json
import os
import random
import shutil
import subprocess
import threading
from pathlib import Path

import derived
from harness import ROOT, Checks, Server, Stubs, ingest, operations, search, types

CTL = os.environ.get("KYROCTL_BINARY", str(ROOT / ".build/ship/release/kyroctl"))
SCOPE = types.Scope(namespace="kept")
DONE, SOME_FAILED, USAGE, UNAVAILABLE, REFUSED, UNREADABLE = 0, 1, 2, 4, 5, 8
NUMBERS = 200
check = Checks()


def ctl(*words, code=DONE, target=None):
    """Runs kyroctl with --json; its exit code must be `code`."""
    environment = {**os.environ, **({"KYRODB_SERVER": target} if target else {})}
    done = subprocess.run(
        [CTL, *map(str, words), "--json"], capture_output=True, text=True, timeout=60,
        env=environment)
    check.equal(done.returncode, code, f"kyroctl {words}: {done.stdout[-300:]}{done.stderr[-600:]}")
    if code == USAGE:
        check("--" in done.stderr, f"kyroctl {words} does not say what is wrong: {done.stderr!r}")
        return {}
    try:
        return json.loads(done.stdout if code in (DONE, SOME_FAILED) else done.stderr)
    except json.JSONDecodeError:
        check(False, f"kyroctl {words}: no JSON: {done.stdout[-300:]!r} {done.stderr[-300:]!r}")
        return {}


class Writer(threading.Thread):
    """Upserts and removes until told to stop; knows every acknowledged change by its sequence."""

    def __init__(self, target):
        super().__init__()
        self.target = target
        self.changes = []  # (sequence, number, version or None)
        self.wanted = threading.Event()
        self.failure = None

    def run(self):
        dice = random.Random(7)
        version = 0
        try:
            with Stubs(self.target) as stubs:
                while not self.wanted.is_set():
                    version += 1
                    numbers = dice.sample(range(NUMBERS), 8)
                    planned = [(n, None if dice.random() < 0.2 else version) for n in numbers]
                    answer = stubs.ingest.Write(ingest.WriteRequest(
                        scope=SCOPE, mutations=[
                            derived.remove(n) if v is None else derived.upsert(n, v)
                            for n, v in planned]))
                    for (number, version_or_none), outcome in zip(planned, answer.outcomes):
                        if outcome.result == ingest.WRITE_RESULT_APPLIED:
                            self.changes.append((outcome.seq, number, version_or_none))
        except Exception as error:  # told by the main thread
            self.failure = error

    def wait_for(self, count):
        """Until so many changes are acknowledged, or writing has failed."""
        while len(self.changes) < count and self.is_alive():
            self.wanted.wait(0.002)

    def end(self):
        self.wanted.set()
        self.join()
        check(self.failure is None, f"writing failed: {self.failure}")

    def state(self, seq=None):
        """Versions by number, as of a sequence."""
        found = {}
        for at, number, version in sorted(self.changes):
            if seq is None or at <= seq:
                found[number] = version
        return {number: version for number, version in found.items() if version is not None}


def held(target):
    """Versions by number of what a server holds, every document checked as a whole."""
    found = {}
    with Stubs(target) as stubs:
        for answer in stubs.search.Scan(search.ScanRequest(scope=SCOPE)):
            for document in answer.documents:
                for problem in derived.problems(document):
                    check(False, problem)
                found[document.id.number] = document.metadata["version"].int_value
    return found


def check_restored(folder, words, wanted, told):
    target = Path(folder) / "restored"
    shutil.rmtree(target, ignore_errors=True)
    report = ctl("backup", "restore", "--to", target, *words)
    with Server("--quiet", data=str(target)) as server:
        check.equal(held(server.target), wanted(report.get("seq")), told)
        found = server.log()
        check("torn" not in found and "stopped" not in found, f"{told}: {found}")
    return report


def main():
    server = Server("--quiet", "--shards", "3", "--log-segment-bytes", "65536",
                    "--snapshot-log-bytes", "400000")
    repository = Path(server.folder) / "repository"
    server.flags += ("--backups", str(repository))
    server.start()
    with Stubs(server.target) as stubs:
        stubs.ingest.Write(ingest.WriteRequest(
            scope=SCOPE, create_if_missing=ingest.CreateIfMissing(),
            mutations=[derived.upsert(NUMBERS + 1, 1), derived.remove(NUMBERS + 1)]))
    ctl("backup", "create", "--incremental", code=REFUSED, target=server.target)
    writer = Writer(server.target)
    writer.start()
    writer.wait_for(500)
    full = ctl("backup", "create", target=server.target)
    check.equal((full.get("id"), full.get("kind")), (1, "full"), "the first backup")
    writer.wait_for(len(writer.changes) + 200)
    increment = ctl("backup", "create", "--incremental", target=server.target)
    check.equal((increment.get("id"), increment.get("parent")), (2, 1), "the increment")
    check(increment.get("seq", 0) > full.get("seq", 0), "the increment holds more")
    writer.end()
    status = ctl("status", target=server.target).get("backup") or {}
    check.equal(status.get("last_id"), 2, f"status: {status}")
    check_archive(server, writer, repository)
    check_repository(server, writer, repository, full, increment)
    server.discard()
    check_without()
    check.finish()


def check_archive(server, writer, repository):
    """What was shipped is restored from the repository alone; a kill loses nothing with the log."""
    server.kill()
    server.flags += ("--archive", "--archive-millis", "50")
    server.start()
    last = max(writer.changes)[0]
    second = Writer(server.target)
    second.changes = list(writer.changes)
    second.start()
    second.wait_for(len(writer.changes) + 300)
    second.end()
    server.kill()
    writer.changes = second.changes
    middle = (last + max(writer.changes)[0]) // 2
    check_restored(server.folder, ("--from", repository, "--log-from", server.data),
                   lambda _: writer.state(), "everything acknowledged, with the old log")
    check_restored(server.folder, ("--from", repository, "--log-from", server.data, "--at", middle),
                   lambda _: writer.state(middle), f"sequence {middle}")
    server.start()
    check.equal(server.stop(), 0, "exit status")  # ships what there is
    check_restored(server.folder, ("--from", repository, "--at", middle),
                   lambda _: writer.state(middle), f"sequence {middle} from the archive")
    report = check_restored(server.folder, ("--from", repository), lambda _: writer.state(),
                            "the newest state from the archive")
    check(report.get("seq", 0) >= max(writer.changes)[0], f"newest: {report}")


def check_repository(server, writer, repository, full, increment):
    listed = ctl("backup", "list", "--from", repository)
    check.equal([(b["id"], b["kind"]) for b in listed.get("backups", [])],
                [(1, "full"), (2, "incremental")], "list")
    check(listed.get("archive") is not None, "the archive is listed")
    check.equal(ctl("backup", "verify", "--from", repository).get("findings"), [], "verify")
    for backup in (full, increment):
        check_restored(server.folder, ("--from", repository, "--backup", backup["id"]),
                       writer.state, f"backup {backup['id']}")
    check_restored(server.folder, ("--from", repository, "--at", increment["time"]),
                   lambda seq: writer.state(seq), "the time of the increment")
    target = Path(server.folder) / "restored"
    refused = ctl("backup", "restore", "--from", repository, "--to", target, code=REFUSED)
    check("not empty" in refused.get("error", {}).get("message", ""), f"refusal: {refused}")
    ctl("backup", "restore", "--from", repository, "--to", target, "--force")
    ctl("backup", "restore", "--from", repository, "--to", target / "x", "--at",
        "2001-01-01T00:00:00Z", code=REFUSED)
    ctl("backup", "restore", "--from", repository, code=USAGE)
    ctl("backup", "list", "--from", server.data, code=REFUSED)
    ctl("backup", "prune", "--from", repository, code=USAGE)
    pruned = ctl("backup", "prune", "--from", repository, "--keep", "1")
    check.equal(pruned.get("backups"), [], "nothing to prune")
    damaged = sorted(repository.glob("snapshot-*"))[0]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    findings = ctl("backup", "verify", "--from", repository, code=SOME_FAILED).get("findings", [])
    check.equal([(Path(f["subject"]).name, f["backups"]) for f in findings],
                [(damaged.name, [1, 2])], "damage")
    shutil.rmtree(target)
    ctl("backup", "restore", "--from", repository, "--to", target, code=UNREADABLE)
    check(not (target / "MANIFEST").exists(), "a restore that failed is no data directory")


def check_without():
    """A server without a repository says what to do."""
    with Server("--quiet") as server:
        refused = ctl("backup", "create", code=REFUSED, target=server.target)
        check("--backups" in refused.get("error", {}).get("message", ""), f"refusal: {refused}")
        with Stubs(server.target) as stubs:
            status = stubs.operations.Status(operations.StatusRequest())
            check(not status.HasField("backup"), "no repository, no status of it")


if __name__ == "__main__":
    main()
