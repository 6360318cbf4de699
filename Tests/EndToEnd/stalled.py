#!/usr/bin/env python3
"""A client that stops reading costs the server a bounded amount of memory, and gets everything once
it reads on; answers far above gRPC's customary 4 MiB arrive whole."""
import socket
import struct
import time

import derived
import h2.config
import h2.connection
import h2.events
import h2.settings
import numpy as np
from harness import Checks, Server, Stubs, collections, failure_of, ingest, search, types
from raw_http2 import MIB, framed

SCOPE = types.Scope(namespace="stalled")
LARGE = types.Scope(namespace="large")
ROWS, DIMENSION, BATCH = 100_000, 96, 2_000
GROWTH_MAX = 32 * MIB
WINDOW_MAX = (1 << 31) - 1
check = Checks()


class Reader:
    """One call by hand on a connection whose windows never close; reads when it is told to."""

    def __init__(self, server, path):
        self.server = server
        host, port = server.target.rsplit(":", 1)
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8"))
        self.link = socket.create_connection((host, int(port)), timeout=30)
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.connection.initiate_connection()
        self.connection.update_settings(
            {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_MAX})
        self.connection.increment_flow_control_window(WINDOW_MAX - 65_535)
        self.connection.send_headers(1, [
            (":method", "POST"), (":scheme", "http"), (":path", path),
            (":authority", server.target), ("te", "trailers"),
            ("content-type", "application/grpc")])
        self.link.sendall(self.connection.data_to_send())
        self.status, self.isOver, self.message_count = None, False, 0
        self.partial = bytearray()

    def send(self, body, end=False):
        """What the window takes now; the rest is returned."""
        while body:
            room = min(self.connection.local_flow_control_window(1),
                       self.connection.max_outbound_frame_size, len(body))
            if room <= 0:
                return body
            last = end and room == len(body)
            self.connection.send_data(1, bytes(body[:room]), end_stream=last)
            body = body[room:]
            self.link.sendall(self.connection.data_to_send())
        return body

    def read_some(self, take):
        """One read; whole messages go to `take`."""
        data = self.link.recv(1 << 18)
        if not data:
            self.isOver = True
            return
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.partial += event.data
            elif isinstance(event, h2.events.TrailersReceived):
                self.status = dict(event.headers).get("grpc-status")
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.isOver = True
        self.link.sendall(self.connection.data_to_send())
        while len(self.partial) >= 5:
            length, = struct.unpack_from(">I", self.partial, 1)
            if len(self.partial) < 5 + length:
                break
            self.message_count += 1
            take(bytes(self.partial[5:5 + length]))
            del self.partial[:5 + length]

    def read_all(self, take):
        while not self.isOver:
            self.read_some(take)

    def close(self):
        self.link.close()


def highest_while_stalled(server):
    """The most that the server is resident until it has come to rest."""
    highest, since, last = server.resident_bytes(), time.monotonic(), 0
    while time.monotonic() - since < 0.5:
        now = server.resident_bytes()
        highest = max(highest, now)
        if abs(now - last) > 64 << 10:
            last, since = now, time.monotonic()
        time.sleep(0.01)
    return highest


def load(stubs):
    chance = np.random.default_rng(11)
    schema = collections.Schema(
        vectors=[collections.VectorField(name="v", dimension=DIMENSION)],
        texts=[collections.TextField(name="body")])
    for first in range(0, ROWS, BATCH):
        rows = chance.standard_normal((BATCH, DIMENSION), dtype=np.float32)
        request = ingest.WriteRequest(
            scope=SCOPE, create_if_missing=ingest.CreateIfMissing(schema=schema))
        for n in range(BATCH):
            document = request.mutations.add().upsert
            document.id.number = first + n
            document.vectors["v"].packed = rows[n].tobytes()
            document.texts["body"] = f"some words about document {first + n}, which is as others are"
            document.metadata["n"].int_value = first + n
        stubs.ingest.Write(request)


def everything():
    every = types.Selection(all=True)
    return types.Projection(metadata=every, texts=every, vectors=every)


def check_scan(server):
    reader = Reader(server, "/kyrodb.v2.Search/Scan")
    before = server.resident_bytes()
    reader.send(framed(search.ScanRequest(scope=SCOPE).SerializeToString()), end=True)
    grown = (highest_while_stalled(server) - before) / MIB
    print(f"RESULT stalled Scan: the server grew by {grown:.1f} MiB")
    check(grown * MIB < GROWTH_MAX, f"a stalled Scan: the server grew by {grown:.1f} MiB")
    ids = []
    reader.read_all(lambda message: ids.extend(
        document.id.number for document in search.ScanResponse.FromString(message).documents))
    check.equal(reader.status, "0", "status of a scan that stalled")
    check(ids == list(range(ROWS)), f"documents of a scan that stalled: {len(ids)} of {ROWS}")
    grown = (server.resident_bytes() - before) / MIB
    check(grown * MIB < GROWTH_MAX, f"a scan: the server grew by {grown:.1f} MiB")
    reader.close()


def check_search_many(server, limit, projection, count):
    """`count` searches are asked as fast as the server takes them, none is read."""
    body = bytearray()
    for tag in range(count):
        body += framed(search.SearchManyRequest(tag=tag, search=search.SearchRequest(
            scope=SCOPE, limit=limit, candidates=limit, projection=projection,
            text=search.TextQuery(query="words"))).SerializeToString())
    reader = Reader(server, "/kyrodb.v2.Search/SearchMany")
    before = server.resident_bytes()
    rest = memoryview(body)
    # As much as the first window takes: those that open it again come among the answers.
    rest = reader.send(memoryview(body), end=True)
    grown = (highest_while_stalled(server) - before) / MIB
    print(f"RESULT stalled SearchMany, {limit} hits: the server grew by {grown:.1f} MiB")
    check(grown * MIB < GROWTH_MAX,
          f"a stalled SearchMany of {limit} hits: the server grew by {grown:.1f} MiB")
    tags = []

    def take(message):
        answer = search.SearchManyResponse.FromString(message)
        check(len(answer.response.hits) == limit, f"search {answer.tag}: {str(answer)[:200]}")
        tags.append(answer.tag)

    while not reader.isOver:
        if rest:
            rest = reader.send(rest, end=True)
        reader.read_some(take)
    check.equal(reader.status, "0", "status of a SearchMany that stalled")
    check.equal(sorted(tags), list(range(count)), "answers of a SearchMany that stalled")
    reader.close()


def check_large(stubs):
    """12 documents of 1 MiB come in one answer."""
    text = "lorem ipsum dolor " * (MIB // 18)
    for n in range(12):
        stubs.ingest.Write(ingest.WriteRequest(
            scope=LARGE, create_if_missing=ingest.CreateIfMissing(), mutations=[
                ingest.Mutation(upsert=types.Document(
                    id=types.DocumentId(number=n), texts={"body": f"{n} {text}"}))]))
    answer = stubs.search.Lookup(search.LookupRequest(
        scope=LARGE, ids=[types.DocumentId(number=n) for n in range(12)]))
    check(answer.ByteSize() > 11 * MIB, f"a large answer has {answer.ByteSize()} bytes")
    for n, result in enumerate(answer.results):
        check(result.document.texts["body"] == f"{n} {text}", f"text of document {n}")
    hits = stubs.search.Search(search.SearchRequest(
        scope=LARGE, limit=12, text=search.TextQuery(query="ipsum"), projection=everything())).hits
    check.equal(sorted(hit.id.number for hit in hits), list(range(12)), "hits with large texts")
    check(all(len(hit.document.texts["body"]) > MIB - 100 for hit in hits), "large texts of hits")


def check_too_large(server, stubs):
    """An answer that would fill the memory is refused before it does."""
    ids = [types.DocumentId(number=n % 12) for n in range(10_000)]
    before = server.resident_bytes()
    failure = failure_of(
        lambda: stubs.search.Lookup(search.LookupRequest(scope=LARGE, ids=ids)))
    grown = (server.resident_bytes() - before) / MIB
    check(failure is not None and failure.code.name == "RESOURCE_EXHAUSTED"
          and failure.reason == "MESSAGE_TOO_LARGE"
          and str(64 * MIB) in failure.message, f"10 GiB in one answer: {failure}")
    check(grown < 256, f"10 GiB in one answer: the server grew by {grown:.1f} MiB")
    bare = stubs.search.Lookup(search.LookupRequest(
        scope=LARGE, ids=ids, projection=types.Projection()))
    check.equal(sum(r.HasField("document") for r in bare.results), 10_000, "documents without parts")


def main():
    with Server("--shards", "2", "--loops", "2", "--fsync", "never") as server, \
            Stubs(server.target) as stubs:
        load(stubs)
        highest_while_stalled(server)  # until the graph is built
        for _ in stubs.search.Scan(search.ScanRequest(scope=SCOPE)):
            pass
        check_scan(server)
        check_search_many(server, 1_000, everything(), 70)
        check_search_many(server, 100, None, 3_000)
        check_large(stubs)
        check_too_large(server, stubs)
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    main()
