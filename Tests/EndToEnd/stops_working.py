#!/usr/bin/env python3
"""A call that is reset, runs out of its time or loses its connection uses no processor 10 ms later,
whatever the server was doing for it: each kind of request that can take seconds, measured by the
processor time of the server's threads from the moment on at which the call ended."""
from __future__ import annotations

import os
import struct
import sys
import time

import numpy as np
from harness import Checks, Server, Stubs, collections, ingest, search, tuning, types
from http2_peer import GOAWAY, HEADERS, REQUEST, RST_STREAM, Peer, data, headers, reset
from kyrodb.v2 import text_pb2 as text

SCOPE = types.Scope(namespace="stops")
ROWS = int(os.environ.get("STOPS_ROWS", "100000"))
BATCH, DIMENSION = 2_000, 16
RUNNING_SECONDS = 0.06  # of processor that a call must have used before it is ended
LIMIT_SECONDS = 0.010
ROUNDS = 3
SEED = 77
check = Checks()


def used_seconds(server) -> float:
    """Processor time of all threads, to the nanosecond (Documentation/scheduler/sched-stats)."""
    total = 0
    folder = f"/proc/{server.process.pid}/task"
    for task in os.listdir(folder):
        try:
            with open(f"{folder}/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            pass  # the thread has ended
    return total / 1e9


def settle(server, seconds_max=60):
    """Waits until the server is idle: what it then uses within 50 ms is next to nothing."""
    deadline = time.monotonic() + seconds_max
    before = used_seconds(server)
    while time.monotonic() < deadline:
        time.sleep(0.05)  # the span that is measured
        now = used_seconds(server)
        if now - before < 0.0005:
            return now
        before = now
    check(False, f"the server is busy after {seconds_max} s")
    return before


def word(chance) -> str:
    return "".join(chr(97 + n) for n in chance.integers(0, 26, 7))


def load(stubs):
    chance = np.random.default_rng(SEED)
    create = ingest.CreateIfMissing(schema=collections.Schema(
        vectors=[collections.VectorField(name="v", dimension=DIMENSION)],
        texts=[collections.TextField(name="body", no_stemming=True)]))
    for first in range(0, ROWS, BATCH):
        rows = chance.standard_normal((BATCH, DIMENSION), dtype=np.float32)
        places = chance.uniform(-80, 80, (BATCH, 2))
        wanted = ingest.WriteRequest(scope=SCOPE, create_if_missing=create)
        for n in range(BATCH):
            document = wanted.mutations.add().upsert
            document.id.text = f"document {first + n:09}"
            document.vectors["v"].packed = rows[n].tobytes()
            document.texts["body"] = f"common {word(chance)} {word(chance)}"
            document.metadata["name"].string_value = word(chance)
            document.metadata["price"].double_value = float(places[n][0])
            point = document.metadata["place"].geo_point
            point.lat, point.lon = places[n]
        stubs.ingest.Write(wanted)


def slow_filter(count: int) -> types.Filter:
    """Circles, of which each is looked for in every row."""
    return types.Filter(any_of=types.FilterList(filters=[
        types.Filter(within_distance=types.GeoDistanceFilter(
            field="place", metres=1_000 + n,
            center=types.GeoPoint(lat=n % 80, lon=n % 79))) for n in range(count)]))


def vector() -> search.VectorQuery:
    chance = np.random.default_rng(SEED)
    return search.VectorQuery(field="v", vector=types.DenseVector(
        packed=chance.standard_normal(DIMENSION, dtype=np.float32).tobytes()))


def fuzzy(count: int) -> search.TextQuery:
    chance = np.random.default_rng(SEED)
    nodes = [
        text.TextNode(fuzzy=text.FuzzyNode(text=word(chance), edits=2, expansions=64)) if n % 2
        else text.TextNode(prefix=text.PrefixNode(text=word(chance)[:1], expansions=64))
        for n in range(count)]
    query = search.TextQuery()
    query.node.boolean.should.extend(nodes)
    return query


def searches(**parts) -> search.SearchRequest:
    return search.SearchRequest(scope=SCOPE, limit=10, **parts)


def requests():
    """Name, path, messages, and whether the client has ended its side."""
    circles = slow_filter(4_000)
    some = slow_filter(200)
    facets = search.SearchRequest(scope=SCOPE, limit=1, vector=vector(), filter=types.Filter(
        exists=types.ExistsFilter(field="price")))
    for n in range(16):
        one = facets.aggregations.add(name=str(n), filter=slow_filter(200 + n))
        if n % 2:
            one.facet.field = "name"
        else:
            one.stats.field = "price"
            one.stats.quantiles.extend([0.5, 0.99])
    judged = tuning.JudgedQuery(
        vector=vector(), text=search.TextQuery(query="common"), filter=some,
        judgements=[tuning.Judgement(id=types.DocumentId(text="document 000000001"), grade=1)])
    tune = [tuning.TuneRequest(start=tuning.TuneStart(scope=SCOPE, dry_run=True))] + [
        tuning.TuneRequest(query=judged)] * 30
    order = [search.SortKey(field="name"), search.SortKey(field="price")]
    return [
        ("Search, exact, filtered", "Search/Search",
         [searches(vector=vector(), exact=True, filter=circles)], True),
        ("Search, aggregations", "Search/Search", [facets], True),
        ("Search, prefix and fuzzy", "Search/Search",
         [searches(text=fuzzy(200))], True),
        ("SearchMany", "Search/SearchMany", [
            search.SearchManyRequest(tag=n, search=searches(vector=vector(), exact=True, filter=some))
            for n in range(16)], False),
        ("Scan, filtered", "Search/Scan", [search.ScanRequest(scope=SCOPE, filter=circles)], True),
        ("Scan, sorted", "Search/Scan", [search.ScanRequest(scope=SCOPE, order_by=order)], True),
        ("Tune", "Collections/Tune", tune, False),
    ]


class Call:
    """One call on a connection of its own."""

    def __init__(self, server, path, messages, ends, timeout=None):
        self.peer = Peer(server.target, seconds=60).handshake()
        fields = [(name, f"/kyrodb.v2.{path}" if name == ":path" else value)
                  for name, value in REQUEST]
        if timeout is not None:
            fields.append(("grpc-timeout", f"{int(timeout * 1e6)}u"))
        body = b"".join(struct.pack(">BI", 0, len(octets)) + octets
                        for octets in (message.SerializeToString() for message in messages))
        self.peer.send(headers(1, fields))
        sent = 0
        while sent < len(body):
            piece = body[sent:sent + 16_000]
            sent += len(piece)
            self.peer.send(data(1, piece, end=ends and sent == len(body)))

    def status(self):
        told, _ = self.peer.answer(1)
        return told.get("grpc-status")


def run_until_busy(server, request) -> Call | None:
    _, path, messages, ends = request
    before = used_seconds(server)
    call = Call(server, path, messages, ends)
    deadline = time.monotonic() + 20
    while used_seconds(server) - before < RUNNING_SECONDS:
        if time.monotonic() > deadline:
            return None
        time.sleep(0.001)
    return call


def by_reset(server, request):
    call = run_until_busy(server, request)
    if call is None:
        return None
    before = used_seconds(server)
    call.peer.send(reset(1))
    after = settle(server) - before
    call.peer.alive()
    call.peer.close()
    return after


def by_disconnect(server, request):
    call = run_until_busy(server, request)
    if call is None:
        return None
    before = used_seconds(server)
    call.peer.close()
    return settle(server) - before


def by_deadline(server, request):
    """The call has used some of its time when it is up: the answer tells when that is."""
    _, path, messages, ends = request
    call = Call(server, path, messages, ends, timeout=0.15)
    while True:
        got = call.peer.until(HEADERS, RST_STREAM, GOAWAY)
        if got.type == HEADERS and call.peer.fields(got).get("grpc-status") is None:
            continue
        break
    before = used_seconds(server)
    after = settle(server) - before
    call.peer.close()
    return after


def main():
    with Server("--shards", "2", "--loops", "2", "--fsync", "never", "--scrub-mib-per-second", "0",
                "--quiet") as server, Stubs(server.target) as stubs:
        load(stubs)
        settle(server)
        only = sys.argv[1:]
        for request in requests():
            name = request[0]
            if only and not any(part in name for part in only):
                continue
            told = []
            for how, run in (("reset", by_reset), ("disconnect", by_disconnect),
                             ("deadline", by_deadline)):
                after = [run(server, request) for _ in range(ROUNDS)]
                if not check(None not in after, f"{name}, {how}: the call was over too soon"):
                    continue
                after.sort()
                told.append(f"{how} {after[ROUNDS // 2] * 1e3:.1f} (at most {after[-1] * 1e3:.1f})")
                check(after[ROUNDS // 2] < LIMIT_SECONDS,
                      f"{name}, {how}: {after[ROUNDS // 2] * 1e3:.1f} ms of processor afterwards")
            print(f"RESULT {name}: ms of processor afterwards by {', '.join(told)}")
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    main()
