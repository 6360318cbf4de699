#!/usr/bin/env python3
"""Work that nobody waits for any more stops: a client that cancels, disconnects or runs out of time
frees the server. Measured by the processor time that the server goes on to use."""
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import h2.config
import h2.connection
import h2.events
import numpy as np
from harness import Checks, Server, Stubs, collections, ingest, operations, search, types
from raw_http2 import framed

SCOPE = types.Scope(namespace="abandon")
ROWS, DIMENSION, BATCH = 25_000, 768, 1_000
SEARCHES = 120
RAW_SEARCHES = 16  # their requests fit the initial window of 65,535 bytes
SEED = 5
TICK = os.sysconf("SC_CLK_TCK")
check = Checks()


def processor_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def settle(server, seconds_max=60):
    """Waits until the server uses no processor for 0.2 s. Returns what it has used by then."""
    deadline = time.monotonic() + seconds_max
    used = processor_seconds(server)
    since = time.monotonic()
    while time.monotonic() - since < 0.2:
        now = processor_seconds(server)
        if now - used >= 2 / TICK:
            used, since = now, time.monotonic()
        if time.monotonic() > deadline:
            check(False, f"the server is still busy after {seconds_max} s")
            break
        time.sleep(0.01)
    return processor_seconds(server)


def load(stubs):
    chance = np.random.default_rng(SEED)
    schema = collections.Schema(
        vectors=[collections.VectorField(name="v", dimension=DIMENSION)],
        texts=[collections.TextField(name="body")])

    def requests():
        yield ingest.StreamRequest(open=ingest.StreamOpen(
            scope=SCOPE, producer_id="load", create_if_missing=ingest.CreateIfMissing(schema=schema)))
        for first in range(0, ROWS, BATCH):
            rows = chance.standard_normal((BATCH, DIMENSION), dtype=np.float32)
            batch = ingest.StreamBatch(client_seq=first // BATCH + 1)
            for n in range(BATCH):
                document = batch.mutations.add().upsert
                document.id.number = first + n
                document.vectors["v"].packed = rows[n].tobytes()
                document.texts["body"] = f"common words of document {first + n}"
                document.metadata["n"].int_value = first + n
            credit.wait(batch.ByteSize() + 64)
            yield ingest.StreamRequest(batch=batch)

    credit = Credit()
    for response in stubs.ingest.Stream(requests()):
        kind = response.WhichOneof("message")
        credit.add(getattr(response, kind).credit_bytes)


def wait_until_folded(stubs, seconds_max=120):
    """Folding pauses while others are busy, and would be counted among what calls use."""
    deadline = time.monotonic() + seconds_max
    while any(shard.tail_rows for shard in stubs.operations.Status(operations.StatusRequest()).shards):
        if time.monotonic() > deadline:
            check(False, f"rows are still in tails after {seconds_max} s")
            return
        time.sleep(0.05)


class Credit:
    """Bytes that may be sent; the generator of requests runs on a thread of grpcio's."""

    def __init__(self):
        self.condition, self.bytes = threading.Condition(), 0

    def add(self, count):
        with self.condition:
            self.bytes += count
            self.condition.notify_all()

    def wait(self, count):
        with self.condition:
            self.condition.wait_for(lambda: self.bytes >= count)
            self.bytes -= count


def request():
    vector = np.random.default_rng(SEED).standard_normal(DIMENSION, dtype=np.float32)
    return search.SearchRequest(
        scope=SCOPE, exact=True, limit=10, candidates=10_000,
        vector=search.VectorQuery(vector=types.DenseVector(packed=vector.tobytes())),
        text=search.TextQuery(query="common words"),
        filter=types.Filter(range=types.RangeFilter(
            field="n", at_least=types.Value(int_value=0))))


def many(stubs, timeout=None):
    question = request()
    return [stubs.search.Search.future(question, timeout=timeout) for _ in range(SEARCHES)]


def check_freed(server, stubs, what, before, whole):
    """Little more is done after `before`, and the server answers."""
    more = settle(server) - before
    print(f"RESULT {what}: {more:.2f} s of processor afterwards, the whole took {whole:.2f} s")
    check(more < whole / 4 + 0.1, f"{what}: {more:.2f} s of processor were used for nobody")
    answer = stubs.search.Search(request(), timeout=30)
    check.equal(len(answer.hits), 10, f"hits after {what}")
    status = stubs.operations.Status(operations.StatusRequest())
    check.equal([shard.queue_depth for shard in status.shards], [0, 0], f"queues after {what}")


def check_cancel(server, stubs, whole):
    calls = many(stubs)
    calls[0].result()
    for call in calls:
        call.cancel()
    check_freed(server, stubs, "cancelled", processor_seconds(server), whole)


def check_disconnect(server, stubs, whole):
    """Another process asks and is killed."""
    client = subprocess.Popen([sys.executable, __file__, "client", server.target],
                              stdout=subprocess.PIPE, text=True)
    check.equal(client.stdout.readline().strip(), "first", "the other client's word")
    client.send_signal(signal.SIGKILL)
    client.wait()
    check_freed(server, stubs, "disconnected", processor_seconds(server), whole)


def client(target):
    with Stubs(target) as stubs:
        calls = many(stubs)
        calls[0].result()
        print("first", flush=True)
        for call in calls:
            call.result()


def check_deadline(server, stubs, whole):
    before = processor_seconds(server)
    calls = many(stubs, timeout=whole / 20)
    codes = {call.code().name for call in calls}
    check("DEADLINE_EXCEEDED" in codes, f"answers of calls out of time: {codes}")
    more = settle(server) - before
    print(f"RESULT out of time: {more:.2f} s of processor, the whole took {whole:.2f} s")
    check(more < whole / 2 + 0.1, f"out of time: {more:.2f} s of processor were used")


def check_deadline_on_the_wire(server, whole):
    """A client that only names its time and then waits: the server itself ends the calls."""
    before = processor_seconds(server)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    host, port = server.target.rsplit(":", 1)
    told = {}
    body = framed(request().SerializeToString())
    with socket.create_connection((host, int(port)), timeout=30) as link:
        connection.initiate_connection()
        for n in range(RAW_SEARCHES):
            connection.send_headers(1 + 2 * n, [
                (":method", "POST"), (":scheme", "http"), (":path", "/kyrodb.v2.Search/Search"),
                (":authority", server.target), ("te", "trailers"),
                ("content-type", "application/grpc"), ("grpc-timeout", "50m")])
            connection.send_data(1 + 2 * n, body, end_stream=True)
        link.sendall(connection.data_to_send())
        while len(told) < RAW_SEARCHES:
            data = link.recv(1 << 16)
            if not data:
                break
            for event in connection.receive_data(data):
                if isinstance(event, (h2.events.TrailersReceived, h2.events.ResponseReceived)):
                    status = dict(event.headers).get("grpc-status")
                    if status is not None:
                        told[event.stream_id] = status
                elif isinstance(event, h2.events.StreamReset):
                    told.setdefault(event.stream_id, f"reset {event.error_code}")
                elif isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id)
            link.sendall(connection.data_to_send())
        statuses = set(told.values())
    check.equal(len(told), RAW_SEARCHES, "calls that ended")
    check(statuses <= {"0", "4"} and "4" in statuses, f"statuses by grpc-timeout: {statuses}")
    more, share = settle(server) - before, whole * RAW_SEARCHES / SEARCHES
    print(f"RESULT {RAW_SEARCHES} calls of 50 ms on the wire: {more:.2f} s of processor of {share:.2f} s")
    check(more < share * 0.75 + 0.1, f"calls out of time used {more:.2f} s of {share:.2f} s")


def main():
    with Server("--shards", "2", "--loops", "2", "--fsync", "never") as server, \
            Stubs(server.target) as stubs:
        load(stubs)
        wait_until_folded(stubs)
        settle(server)
        before = processor_seconds(server)
        for call in many(stubs):
            check.equal(len(call.result().hits), 10, "hits")
        whole = settle(server) - before
        check_cancel(server, stubs, whole)
        check_disconnect(server, stubs, whole)
        check_deadline(server, stubs, whole)
        check_deadline_on_the_wire(server, whole)
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(sys.argv[2])
    else:
        main()
