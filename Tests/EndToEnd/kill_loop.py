#!/usr/bin/env python3
"""Kills the server with SIGKILL inside ingest, snapshot, replay and log rotation, again and again.

usage: kill_loop.py [KILLS] [SEED]        60 kills unless told otherwise, a quarter of each kind

This process keeps the ledger of what was acknowledged. After every restart: each document is in its
last acknowledged state or in one that was under way; all its parts derive from one version; vector,
text, sparse vector, filter, scan and the counts agree on which documents there are; a batch sent
again is applied once; and the graph was given no row but the replayed ones.
"""
import os
import random
import sys
import threading
import time

import derived
from harness import Server, Stubs, collections, failure_of, ingest, operations, search, types
from ledger import ABSENT, HOT, SCOPE, Ledger, StreamWriter, UnaryWriter, check

BASE = 18_000  # documents that stay, so that there is a graph; their ids start at BASE_FIRST
BASE_FIRST = 1_000_000
FLAGS = ("--shards", "2", "--fsync", "always", "--log-segment-bytes", str(1 << 18))
KINDS = ("ingest", "rotation", "replay", "snapshot")


def lookup_all(stubs):
    """State by number, of every hot document; the parts of each must belong together."""
    response = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in range(HOT)]))
    states = {}
    for number, result in enumerate(response.results):
        if not result.HasField("document"):
            states[number] = ABSENT
            continue
        for problem in derived.problems(result.document):
            check(False, f"half applied: {problem}")
        states[number] = result.document.metadata["version"].int_value
    return states


def check_legs(stubs, states, touched, chance):
    """The same documents through every way of reading."""
    present = sorted(n for n, state in states.items() if state is not ABSENT)
    hot = types.Filter(equals=types.EqualsFilter(
        field="area", value=types.Value(string_value="hot")))

    def found(**leg):
        response = stubs.search.Search(search.SearchRequest(
            scope=SCOPE, filter=hot, limit=10_000, candidates=10_000, exact=True, **leg))
        return sorted(hit.id.number for hit in response.hits)

    anything = types.SparseVector(indices=[derived.ALL_INDEX], values=[1])
    query = derived.packed(derived.vector(99, 99))
    same = {
        "text": found(text=search.TextQuery(query="common")),
        "sparse": found(sparse=search.SparseQuery(field="s", vector=anything)),
        "vector": found(vector=search.VectorQuery(field="v", vector=query)),
    }
    for leg, numbers in same.items():
        check(numbers == present, f"{leg} finds {len(numbers)} documents of {len(present)}; "
              f"differing {sorted(set(numbers) ^ set(present))[:5]}")
    scanned = [d.id.number for r in stubs.search.Scan(search.ScanRequest(
        scope=SCOPE, projection=types.Projection())) for d in r.documents]
    check(scanned == present + list(range(BASE_FIRST, BASE_FIRST + BASE)),
          f"scan finds {len(scanned)} documents, wanted {len(present) + BASE}")
    count = stubs.collections.Describe(
        collections.DescribeCollectionRequest(scope=SCOPE)).collection.document_count
    check.equal(count, len(present) + BASE, "document count")

    sample = set(chance.sample(range(HOT), 60)) | set(list(touched)[:100])
    sample |= {BASE_FIRST + chance.randrange(BASE) for _ in range(20)}
    questions, answers = [], []
    for number in sorted(sample):
        state = states[number] if number < HOT else 1
        version = state if state is not ABSENT else 1
        wanted = [number] if state is not ABSENT else []
        tag = types.Filter(equals=types.EqualsFilter(
            field="tag", value=types.Value(string_value=derived.word(number, version))))
        own = derived.packed(derived.vector(number, version))
        coordinate = types.SparseVector(
            indices=[derived.own_index(number, version)], values=[1])
        questions += [
            search.SearchRequest(limit=3, text=search.TextQuery(
                query=derived.word(number, version))),
            search.SearchRequest(limit=3, sparse=search.SparseQuery(field="s", vector=coordinate)),
            search.SearchRequest(limit=3, filter=tag, vector=search.VectorQuery(
                field="v", vector=own)),
        ]
        answers += [wanted] * 3
        if wanted:
            questions.append(search.SearchRequest(limit=1, vector=search.VectorQuery(
                field="v", vector=own)))
            answers.append(wanted)
        if state is not ABSENT and state > 1 and number < HOT:
            questions.append(search.SearchRequest(limit=3, text=search.TextQuery(
                query=derived.word(number, version - 1))))
            answers.append([])
    for question in questions:
        question.scope.CopyFrom(SCOPE)
    got = {a.tag: a for a in stubs.search.SearchMany(iter([
        search.SearchManyRequest(tag=n, search=q) for n, q in enumerate(questions)]))}
    for n, wanted in enumerate(answers):
        numbers = [hit.id.number for hit in got[n].response.hits]
        if numbers != wanted:
            check(False, f"{questions[n]} finds {numbers}, wanted {wanted}: {got[n].error}")
    check(len(got) == len(questions), f"{len(got)} answers to {len(questions)} questions")


def verify(server, ledger, stream, chance):
    with Stubs(server.target) as stubs:
        status = stubs.operations.Status(operations.StatusRequest())
        inserted = sum(shard.graph_rows_inserted for shard in status.shards)
        replayed = sum(shard.replayed_records for shard in status.shards)
        check(inserted <= replayed, f"{inserted} rows went into the graph, {replayed} replayed")
        graph_rows = sum(shard.graph_rows for shard in status.shards)
        check(graph_rows > 0, "no row is in the graph, so this run proves nothing about it")
        states = lookup_all(stubs)
        touched = [n for n in range(HOT) if ledger.under_way[n]]
        for number, state in states.items():
            allowed = ledger.allowed(number)
            if state not in allowed:
                check(False, f"document {number} is at {state}, allowed {allowed}")
        for number in touched:
            if number not in stream.numbers_set:
                ledger.resolve(number, states[number])
        stream.writer.resend(stubs)
        after = lookup_all(stubs)
        for number, state in after.items():
            if state != ledger.settled[number]:
                check(False, f"document {number} is at {state} after the resend, "
                      f"wanted {ledger.settled[number]}")
        check_legs(stubs, after, touched, chance)
        return replayed, graph_rows


class StreamState:
    def __init__(self, ledger, numbers, seed):
        self.numbers_set = set(numbers)
        self.writer = StreamWriter(ledger, numbers, seed)


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


def take_snapshot(server):
    """Returns the seconds that it took."""
    with Stubs(server.target) as stubs:
        begin = time.monotonic()
        stubs.operations.Snapshot(operations.SnapshotRequest())
        return time.monotonic() - begin


def load_base(server):
    with Stubs(server.target) as stubs:
        schema = collections.Schema(
            vectors=[collections.VectorField(name="v", dimension=derived.DIMENSION)],
            sparse_vectors=[collections.SparseField(name="s")],
            texts=[collections.TextField(name="body")])
        stubs.collections.Create(collections.CreateCollectionRequest(scope=SCOPE, schema=schema))
        for first in range(BASE_FIRST, BASE_FIRST + BASE, 1_000):
            stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=[
                derived.upsert(n, 1) for n in range(first, first + 1_000)]))
    return take_snapshot(server)


def main():
    kills_wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20_240
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    ledger = Ledger()
    unary_numbers = [[n for n in range(HOT) if n % 3 == part] for part in (0, 1)]
    stream = StreamState(ledger, [n for n in range(HOT) if n % 3 == 2], seed + 1)
    server = Server(*FLAGS)
    kills = {kind: 0 for kind in KINDS}
    misses, replayed_highest, graph_rows, start_usual = 0, 0, 0, 0.05
    began = time.monotonic()
    try:
        server.start()
        snapshot_usual = load_base(server)
        while min(kills.values()) < -(-kills_wanted // len(KINDS)) and misses < kills_wanted:
            kind = min(KINDS, key=lambda k: kills[k])
            life = chance.getrandbits(32)
            writers = [UnaryWriter(server.target, ledger, numbers, life + part)
                       for part, numbers in enumerate(unary_numbers)]
            stream.writer = stream.writer.next_life()
            for writer in writers:
                writer.start()
            stream.writer.begin(server.target)
            time.sleep(0.05 + 0.25 * chance.random())
            if kind == "rotation":
                inside = kill_in_rotation(server, chance, seconds=5)
                server.kill()
            elif kind == "snapshot":
                inside, seconds = kill_in_snapshot(server, chance, snapshot_usual)
                # A kill that came too late tells how long a snapshot takes by now.
                snapshot_usual = snapshot_usual * 1.3 if inside else seconds * 0.8
            elif kind == "replay":
                server.kill()
                inside = kill_in_replay(server, chance, start_usual)
            else:
                inside = True
                server.kill()
            for writer in (*writers, stream.writer):
                writer.join(timeout=20)
                check(not writer.is_alive(), f"{writer} hangs after a kill")
            kills[kind] += inside
            misses += not inside
            begin = time.monotonic()
            server.start()
            start_usual = time.monotonic() - begin
            replayed, graph_rows = verify(server, ledger, stream, chance)
            replayed_highest = max(replayed_highest, replayed)
            if sum(kills.values()) % 5 == 4:
                take_snapshot(server)  # so that restarts begin from a changed state, too
            if check.failed > 20:
                break
        check(all(kills[kind] >= kills_wanted // len(KINDS) for kind in KINDS), f"kills {kills}")
        check.equal(server.stop(), 0, "exit status after all")
    finally:
        if check.failed:
            print(f"seed {seed}; the server's stderr:\n{server.log()[-3000:]}")
        server.discard()
    print(f"RESULT {sum(kills.values())} kills {kills}, {misses} came too late; "
          f"{ledger.acknowledged} operations acknowledged; at most {replayed_highest} records "
          f"replayed; {graph_rows} rows in the graph; {time.monotonic() - began:.0f} s")
    check.finish()


if __name__ == "__main__":
    main()
