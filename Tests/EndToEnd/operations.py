#!/usr/bin/env python3
"""The operations plane: what it tells agrees exactly with what was done, under load, while the server
recovers, is damaged and drains; broken HTTP/1.1 and too many connections hurt nobody. And what the log
says of requests: names and times, no payload.
"""
from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import grpc
from prometheus_client.parser import text_string_to_metric_families

from harness import ROOT, Checks, Server, Stubs, ingest, search, types

check = Checks()
SCOPE = types.Scope(namespace="plane")
SECRET = "zebra-payload-7319"
CODES = {grpc.StatusCode.OK: "OK", grpc.StatusCode.NOT_FOUND: "NOT_FOUND"}


class PlaneServer(Server):
    def __init__(self, *flags: str, data: str | None = None):
        super().__init__(*flags, data=data)
        self.plane_file = os.path.join(self.folder, "plane")
        self.flags = (*flags, "--operations", "127.0.0.1:0",
                      "--operations-port-file", self.plane_file)

    def spawn(self):
        if os.path.exists(self.plane_file):
            os.remove(self.plane_file)
        return super().spawn()

    def plane(self) -> tuple[str, int]:
        deadline = time.monotonic() + 20
        while not os.path.exists(self.plane_file):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no operations plane:\n{self.log()}")
            time.sleep(0.001)
        host, port = Path(self.plane_file).read_text().strip().rsplit(":", 1)
        return host, int(port)

    def ask(self, path: str, method: str = "GET", timeout: float = 10):
        connection = http.client.HTTPConnection(*self.plane(), timeout=timeout)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def metrics(self) -> "Metrics":
        status, text, _ = self.ask("/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics answered {status}")
        return Metrics(text)


class Metrics:
    def __init__(self, text: str):
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {(s.name, tuple(sorted(s.labels.items()))): s.value
                        for family in self.families.values() for s in family.samples}

    def get(self, name: str, **labels: str) -> float:
        return self.samples.get((name, tuple(sorted(labels.items()))), 0)

    def total(self, name: str, **labels: str) -> float:
        wanted = labels.items()
        return sum(value for (found, have), value in self.samples.items()
                   if found == name and wanted <= dict(have).items())


def documents(count: int, first: int = 0):
    for number in range(first, first + count):
        document = types.Document(id=types.DocumentId(number=number))
        document.texts["text"] = f"document {number} {SECRET}"
        document.metadata["n"].int_value = number
        yield ingest.Mutation(upsert=document)


def write(stubs: Stubs, count: int, first: int = 0):
    return stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, mutations=documents(count, first),
        create_if_missing=ingest.CreateIfMissing()))


def lookup(stubs: Stubs, namespace: str = "plane", metadata=()):
    request = search.LookupRequest(
        scope=types.Scope(namespace=namespace), ids=[types.DocumentId(number=1)])
    return stubs.search.Lookup.with_call(request, metadata=metadata)


def test_paths(server: PlaneServer):
    for path, body in (("/health", "ready\n"), ("/ready", "ready\n")):
        status, text, headers = server.ask(path)
        check.equal((status, text), (200, body), path)
        check(headers["Content-Type"].startswith("text/plain"), f"{path}: {headers}")
    status, text, headers = server.ask("/version")
    check.equal(status, 200, "/version")
    check.equal(json.loads(text)["name"], "kyrodb", "/version names the server")
    check.equal(server.ask("/nothing")[0], 404, "an unknown path")
    status, _, headers = server.ask("/metrics", "POST")
    check.equal((status, headers.get("Allow")), (405, "GET, HEAD"), "POST")
    status, text, headers = server.ask("/metrics", "HEAD")
    check.equal((status, text), (200, ""), "HEAD has no body")
    check(int(headers["Content-Length"]) > 1000, f"HEAD tells the length: {headers}")


def test_counts(server: PlaneServer):
    """Calls from several threads while others scrape: every count is exact afterwards."""
    with Stubs(server.target) as stubs:
        write(stubs, 100)
        before = server.metrics()
        done = threading.Event()
        scrapes = []

        def scrape():
            while not done.is_set():
                scrapes.append(server.metrics())

        def ask():
            with Stubs(server.target) as own:
                for _ in range(150):
                    lookup(own)
                for _ in range(20):
                    try:
                        lookup(own, "missing")
                    except grpc.RpcError:
                        pass
                for _ in range(5):
                    try:
                        own.channel.unary_unary("/kyrodb.v2.Search/Nonsense")(b"")
                    except grpc.RpcError:
                        pass

        threads = [threading.Thread(target=ask) for _ in range(4)]
        scraper = threading.Thread(target=scrape)
        scraper.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        scraper.join()
        after = server.metrics()
    method = {"service": "kyrodb.v2.Search", "method": "Lookup"}
    unknown = {"service": "unknown", "method": "unknown"}

    def grew(name: str, **labels: str) -> float:
        return after.get(name, **labels) - before.get(name, **labels)

    check.equal(grew("kyrodb_rpc_started_total", **method), 680, "look-ups begun")
    for code, count in (("OK", 600), ("NOT_FOUND", 80)):
        check.equal(grew("kyrodb_rpc_ended_total", **method, code=code), count, f"ended {code}")
        check.equal(grew("kyrodb_rpc_duration_seconds_count", **method, code=code), count,
                    f"timed {code}")
        check.equal(grew("kyrodb_rpc_duration_seconds_bucket", **method, code=code, le="+Inf"),
                    count, f"in buckets {code}")
    check(0 < grew("kyrodb_rpc_duration_seconds_sum", **method, code="OK") < 60, "time was taken")
    check.equal(grew("kyrodb_rpc_ended_total", **unknown, code="UNIMPLEMENTED"), 20, "no method")
    check.equal(after.total("kyrodb_rpc_in_flight"), 0, "nothing is in flight")
    check(len(scrapes) > 1, "scraped meanwhile")
    seen = [one.get("kyrodb_rpc_started_total", **method) for one in scrapes]
    check.equal(seen, sorted(seen), "counters never fall")
    for one in scrapes[:: max(1, len(scrapes) // 20)]:
        check(one.get("kyrodb_rpc_started_total", **method)
              >= one.total("kyrodb_rpc_ended_total", **method), "none ends before it begins")
    check.equal(after.total("kyrodb_shard_documents"), 100, "documents")
    check.equal(after.get("kyrodb_collections"), 1, "collections")
    check.equal(after.get("kyrodb_ready"), 1, "ready")
    check(after.total("kyrodb_shard_log_synced_bytes_total") > 0, "the log is synced")


def test_in_flight(server: PlaneServer):
    with Stubs(server.target) as stubs:
        release = threading.Event()

        def requests():
            release.wait()
            return
            yield

        call = stubs.channel.stream_unary("/kyrodb.v2.Search/Lookup").future(requests())
        labels = {"service": "kyrodb.v2.Search", "method": "Lookup"}
        deadline = time.monotonic() + 10
        while server.metrics().get("kyrodb_rpc_in_flight", **labels) != 1:
            if not check(time.monotonic() < deadline, "a call that waits is in flight"):
                break
        before = server.metrics().get("kyrodb_rpc_ended_total", **labels, code="CANCELLED")
        call.cancel()
        release.set()
        while server.metrics().get("kyrodb_rpc_in_flight", **labels) != 0:
            if not check(time.monotonic() < deadline, "a cancelled call is not in flight"):
                break
        after = server.metrics()
        check.equal(after.get("kyrodb_rpc_ended_total", **labels, code="CANCELLED"), before + 1,
                    "it was cancelled")
        check(after.get("kyrodb_connections") >= 1, "connections")


def test_format(metrics: Metrics):
    """Every sample belongs to a family with help and a fitting type and name."""
    for name, family in metrics.families.items():
        check(family.documentation and family.type in ("counter", "gauge", "histogram"),
              f"{name}: {family.type}, {family.documentation!r}")
        check(name.startswith(("kyrodb_", "process_")), name)
    typed = re.findall(r"^# TYPE (\S+) (\S+)$", metrics.text, re.M)
    check.equal(len(typed), len({name for name, _ in typed}), "each family comes once")
    for name, kind in typed:
        check.equal(name.endswith("_total"), kind == "counter", f"{name} is a {kind}")
    for family in metrics.families.values():
        if family.type != "histogram":
            continue
        series: dict = {}
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "le"}
            if sample.name.endswith("_bucket"):
                series.setdefault(tuple(labels.items()), []).append(sample.value)
        for labels, values in series.items():
            check.equal(values, sorted(values), f"buckets of {labels} rise")
    tool = shutil.which("promtool") or str(ROOT / ".build/peers/prometheus/usr/bin/promtool")
    if not os.path.exists(tool):
        print("promtool is not here, skipped: run Tests/Tooling/promtool.sh first")
        return
    done = subprocess.run([tool, "check", "metrics"], input=metrics.text, text=True,
                          capture_output=True)
    check.equal((done.returncode, done.stdout + done.stderr), (0, ""), "promtool check metrics")


def test_broken_requests(server: PlaneServer):
    broken = [
        b"\x00\x01\x02\xff" * 64 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(
            b"X-%d: %s\r\n" % (n, b"v" * 200) for n in range(500)) + b"\r\n",
        b"GET /%00metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    for request in broken:
        with socket.create_connection(server.plane(), timeout=15) as raw:
            try:
                raw.sendall(request)
                raw.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := raw.recv(65536):
                    answer += piece
            except OSError:
                answer = b""
            status = answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.") else ""
            # A body that belongs to no request is not read: the answer comes before it.
            wanted = ("2",) if b"chunked" in request else ("4", "5")
            check(not answer or status[:1] in wanted,
                  f"{request[:40]!r} is answered {answer[:60]!r}")
        check.equal(server.ask("/health")[0], 200, f"the plane lives after {request[:40]!r}")


def test_many_connections(server: PlaneServer):
    """Idle connections beyond the limit wait outside; the database does not notice."""
    def open_files():
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    before = open_files()
    idle = [socket.create_connection(server.plane(), timeout=5) for _ in range(80)]
    with Stubs(server.target) as stubs:
        for _ in range(20):
            lookup(stubs)
    check(open_files() - before <= 40, f"{open_files() - before} descriptors for 80 connections")
    for connection in idle:
        connection.close()
    check.equal(server.ask("/health", timeout=20)[0], 200, "answers when they have gone")


def test_names(server: PlaneServer):
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = f"00-{trace}-b7ad6b7169203331-01"

    def trailers(call):
        return {key: value for key, value in call.trailing_metadata() or ()}

    with Stubs(server.target) as stubs:
        found = trailers(lookup(stubs, metadata=(("traceparent", sent),))[1])
        match = re.fullmatch(f"00-{trace}-([0-9a-f]{{16}})-01", found.get("traceparent", ""))
        check(match and match[1] != "b7ad6b7169203331", f"the trace goes on: {found}")
        check(found.get("x-request-id"), f"the call has a name: {found}")
        found = trailers(lookup(stubs, metadata=(("x-request-id", "order-17"),))[1])
        check.equal(found.get("x-request-id"), "order-17", "the caller's own name")
        check("x-request-id" not in trailers(lookup(stubs)[1]), "nobody asked for a name")
        for bad in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + sent[2:], sent[:-1],
                    sent.upper(), sent + "-x"):
            check("traceparent" not in trailers(lookup(stubs, metadata=(("traceparent", bad),))[1]),
                  f"{bad} is no trace")
        names = set()
        for _ in range(3):
            try:
                lookup(stubs, "missing")
            except grpc.RpcError as error:
                names.add(trailers(error).get("x-request-id"))
        check(len(names) == 3 and None not in names, f"a failed call has a name: {names}")
        stubs.search.Lookup(
            search.LookupRequest(scope=SCOPE, ids=[types.DocumentId(number=1)]),
            metadata=(("authorization", f"Bearer {SECRET}"), ("traceparent", sent)))
        # Synced to disk: longer than the millisecond that counts as slow here.
        for first in range(1000, 6000, 500):
            stubs.ingest.Write(
                ingest.WriteRequest(scope=SCOPE, mutations=documents(500, first)),
                metadata=(("traceparent", sent), ("x-request-id", "slow-write")))
    lines = [line for line in server.log().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    slow = [event for event in events if event.get("request_id") == "slow-write"]
    if check(slow, "slow writes are logged"):
        one = slow[0]
        check.equal((one["level"], one["method"], one["code"], one["trace_id"]),
                    ("warning", "/kyrodb.v2.Ingest/Write", "OK", trace), f"{one}")
        check(one["millis"] >= 1 and re.fullmatch("[0-9a-f]{16}", one["span_id"]), f"{one}")
    check(SECRET not in server.log(), "no payload and no secret in the log")


def test_ready_turns():
    """Not ready while it recovers, while a shard is stopped, and from the drain on."""
    server = PlaneServer("--shards", "2", "--fsync", "never")
    try:
        server.start()
        with Stubs(server.target) as stubs:
            for first in range(0, 20_000, 1_000):
                write(stubs, 1_000, first)
        server.kill()
        server.spawn()
        seen = []
        deadline = time.monotonic() + 30
        while not seen or seen[-1] != 200:
            status, word, _ = server.ask("/ready")
            seen.append(status)
            check.equal((status, word), (200, "ready\n") if status == 200 else (503, "starting\n"),
                        "/ready while it recovers")
            check.equal(server.ask("/health")[0], 200, "/health while it recovers")
            metrics = server.metrics()
            if server.ask("/ready")[0] != 200:
                check.equal(metrics.get("kyrodb_ready"), 0, "kyrodb_ready")
            if not check(time.monotonic() < deadline, "recovery ends"):
                break
        check(503 in seen, "recovery was seen")
        while not server.serving():
            time.sleep(0.01)
        with Stubs(server.target) as stubs:
            release = threading.Event()

            def requests():
                release.wait()
                yield b""

            call = stubs.channel.stream_unary("/kyrodb.v2.Search/Lookup").future(requests())
            labels = {"service": "kyrodb.v2.Search", "method": "Lookup"}
            while server.metrics().get("kyrodb_rpc_in_flight", **labels) != 1:
                time.sleep(0.001)
            server.process.terminate()
            deadline = time.monotonic() + 10
            while server.ask("/ready")[0] == 200:
                if not check(time.monotonic() < deadline, "/ready turns at the drain"):
                    break
            check.equal(server.ask("/ready")[:2], (503, "draining\n"), "/ready while it drains")
            check.equal(server.ask("/health")[:2], (200, "draining\n"), "/health while it drains")
            check.equal(server.metrics().get("kyrodb_draining"), 1, "kyrodb_draining")
            release.set()
            call.exception()
        check.equal(server.process.wait(timeout=30), 0, "exit status")
        # In the middle of what is written: the files are made longer beforehand.
        log = max(Path(server.data, "shard-0000").glob("log-*"),
                  key=lambda path: len(path.read_bytes().rstrip(b"\0")))
        with open(log, "r+b") as file:
            file.seek(len(log.read_bytes().rstrip(b"\0")) // 2)
            file.write(b"\xff" * 256)
        server.spawn()
        deadline = time.monotonic() + 30
        while server.metrics().get("kyrodb_shard_state", shard="0", state="stopped") != 1:
            if not check(time.monotonic() < deadline, "the damaged shard stops"):
                break
            time.sleep(0.01)
        check.equal(server.ask("/ready")[0], 503, "/ready with a stopped shard")
        check.equal(server.ask("/health")[0], 200, "/health with a stopped shard")
    finally:
        server.discard()


def test_refused_arguments():
    for flags in (("--operations", "0.0.0.0:0"), ("--operations", "nonsense"),
                  ("--operations-port-file", "x"), ("--log-format", "xml")):
        server = Server(*flags)
        try:
            server.spawn()
            check.equal(server.process.wait(timeout=20), 2, f"{flags} is refused")
        finally:
            server.discard()


def main():
    with PlaneServer("--log-format", "json", "--slow-request-millis", "1") as server:
        test_paths(server)
        test_counts(server)
        test_in_flight(server)
        test_format(server.metrics())
        test_broken_requests(server)
        test_many_connections(server)
        test_names(server)
        check.equal(server.stop(), 0, "exit status")
    test_ready_turns()
    test_refused_arguments()
    check.finish()


if __name__ == "__main__":
    main()
