#!/usr/bin/env python3
"""Clients that attack: slow ones, floods, bombs, windows that stay shut, ten thousand connections.
For each: other clients are served meanwhile, the server grows by less than 32 MiB, and the offender is
gone within its limit. Limits are shortened by the options of kyrodb, so that a test need not wait."""
from __future__ import annotations

import os
import resource
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import grpc
import hpack
from harness import Checks, Server, Stubs, health, ingest, search, types
from http2_peer import (
    CANCEL, CONTINUATION, DATA, DEADLINE_STATUS, END_HEADERS, ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, NO_ERROR, PING,
    PREFACE, REQUEST, RST_STREAM, Closed, Peer, block_of, data, frame, goaway_code,
    headers, literal, priority, request, reset, settings, window_update)

MIB = 1 << 20
GROWTH_MAX = 32 * MIB
LIMIT_MILLIS = 400
SLACK_SECONDS = 3.0  # this machine may be busy; a limit of the server is kept to the millisecond
WINDOW_MAX = (1 << 31) - 1
SCOPE = types.Scope(namespace="hostile")
DOCUMENTS, DOCUMENT_BYTES = 16, 100_000
FLOOD = 5_000
CONNECTIONS = int(os.environ.get("HOSTILE_CONNECTIONS", "10000"))
IDLE_BYTES_MAX = 20 << 10
check = Checks()


class Bystander(threading.Thread):
    """An honest client; counts its answers."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.answers, self.failures, self.over = server, 0, [], threading.Event()
        self.slowest = 0.0
        self.start()

    def run(self):
        with Stubs(self.server.target, self.server.credentials) as stubs:
            wanted = search.LookupRequest(scope=SCOPE, ids=[types.DocumentId(number=1)],
                                          projection=types.Projection())
            while not self.over.is_set():
                begin = time.monotonic()
                try:
                    stubs.search.Lookup(wanted, timeout=10)
                    self.answers += 1
                except Exception as error:  # noqa: BLE001, whatever it is, it is told
                    self.failures.append(str(error)[:200])
                self.slowest = max(self.slowest, time.monotonic() - begin)

    def wait_for(self, more: int):
        """Until so many more answers came."""
        wanted, deadline = self.answers + more, time.monotonic() + 20
        while self.answers < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        return self.answers >= wanted


class Watch(threading.Thread):
    """The most that the server is resident, from now on."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.before, self.over = server, server.resident_bytes(), threading.Event()
        self.highest = self.before
        self.start()

    def run(self):
        while not self.over.is_set():
            self.highest = max(self.highest, self.server.resident_bytes())
            time.sleep(0.003)

    def grown(self) -> int:
        self.over.set()
        self.join()
        return max(self.highest, self.server.resident_bytes()) - self.before


def attack(server, bystander, name, run, growth_max=GROWTH_MAX):
    watch, failures = Watch(server), len(bystander.failures)
    begin = time.monotonic()
    try:
        run(server)
    except Exception as error:  # noqa: BLE001
        check(False, f"{name}: {type(error).__name__}: {error}")
    seconds = time.monotonic() - begin
    check(bystander.wait_for(5), f"{name}: other clients are not served")
    check(bystander.failures[failures:] == [], f"{name}: others fail: {bystander.failures[failures:][:2]}")
    grown = watch.grown()
    check(grown < growth_max, f"{name}: the server grew by {grown / MIB:.1f} MiB")
    check(server.process.poll() is None, f"{name}: the server ended")
    print(f"        {name}: {seconds:.2f} s, grew by {grown / MIB:.2f} MiB")


def trickle(peers, next_byte, seconds_max):
    """Sends what `next_byte` says every 20 ms until all peers are closed. Returns the seconds."""
    begin = time.monotonic()
    left = list(peers)
    for peer in left:
        peer.link.setblocking(False)
    while left:
        since = time.monotonic() - begin
        if since > seconds_max:
            return None
        for peer in list(left):
            try:
                peer.link.send(next_byte(peer))
            except BlockingIOError:
                pass
            except OSError:
                left.remove(peer)
                continue
            try:
                while True:
                    got = peer.link.recv(1 << 16)
                    if not got:
                        left.remove(peer)
                        break
            except BlockingIOError:
                pass
            except OSError:
                left.remove(peer)
        time.sleep(0.02)  # the pace of the attack
    return time.monotonic() - begin


def closed_within(what, peers, next_byte, limit_millis=LIMIT_MILLIS):
    seconds = trickle(peers, next_byte, limit_millis / 1000 + SLACK_SECONDS)
    check(seconds is not None, f"{what}: connections are open {SLACK_SECONDS} s behind their limit")
    check(seconds is None or seconds >= limit_millis / 1000 * 0.9,
          f"{what}: closed after {seconds} s, before the limit of {limit_millis} ms")
    for peer in peers:
        peer.close()


# --- slow clients ------------------------------------------------------------------------------


def slow_preface(server):
    peers = [Peer(server.target, preface=None) for _ in range(50)]
    positions = dict.fromkeys(map(id, peers), 0)

    def next_byte(peer):
        positions[id(peer)] += 1
        return PREFACE[positions[id(peer)] - 1:positions[id(peer)]]

    closed_within("slow preface", peers, next_byte)


def silence(server):
    closed_within("silence", [Peer(server.target, preface=None) for _ in range(50)], lambda _: b"")


def no_settings(server):
    peers = [Peer(server.target, first_settings=b"") for _ in range(50)]
    closed_within("no SETTINGS", peers, lambda _: b"")


def slow_headers(server):
    peers = [Peer(server.target).handshake() for _ in range(50)]
    for peer in peers:
        peer.send(frame(HEADERS, 0, 1, block_of(REQUEST[:2]))
                  + struct.pack(">I", 10_000)[1:] + bytes((CONTINUATION, END_HEADERS, 0, 0, 0, 1)))
    closed_within("slow headers", peers, lambda _: b"\0")


def slow_body(server):
    """The call ends, the connection is kept for others of its calls."""
    peers = [Peer(server.target).handshake() for _ in range(20)]
    begin = time.monotonic()
    for peer in peers:
        for stream in range(1, 21, 2):
            peer.send(headers(stream) + data(stream, struct.pack(">BI", 0, 1_000_000)))
    told = {}

    def drip(peer):
        while peer not in told:
            for stream in range(1, 21, 2):
                peer.send(data(stream, b"\0"))
            time.sleep(0.02)  # the pace of the attack

    threads = [threading.Thread(target=drip, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for peer in peers:
        try:
            told[peer] = [peer.answer(stream)[0] for stream in (1,)][0]
        except (AssertionError, Closed, TimeoutError) as error:
            told[peer] = {"error": str(error)}
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin
    statuses = {one.get("grpc-status", str(one)) for one in told.values()}
    check.equal(statuses, {DEADLINE_STATUS}, "slow body: statuses")
    check(LIMIT_MILLIS / 1000 * 0.9 <= seconds < LIMIT_MILLIS / 1000 + SLACK_SECONDS,
          f"slow body: ended after {seconds:.2f} s")
    for peer in peers:
        peer.close()


def zero_window(server):
    """Many answers, and no window for any of them: the calls are reset."""
    peer = Peer(server.target, first_settings=settings((INITIAL_WINDOW_SIZE, 0))).handshake()
    body = framed_lookup()
    count = 200
    encoder = hpack.Encoder()
    fields = [(name, "/kyrodb.v2.Search/Lookup" if name == ":path" else value)
              for name, value in REQUEST]
    begin = time.monotonic()
    peer.send(b"".join(headers(1 + 2 * n, block=encoder.encode(fields))
                       + data(1 + 2 * n, body, end=True) for n in range(count)))
    ended = {}
    while len(ended) < count:
        got = peer.until(RST_STREAM, HEADERS, GOAWAY)
        check(got.type != GOAWAY, "zero window: the connection ends")
        if got.type == RST_STREAM:
            ended[got.stream] = struct.unpack(">I", got.payload)[0]
        elif got.type == HEADERS:
            status = peer.fields(got).get("grpc-status")
            if status is not None:
                ended[got.stream] = f"status {status}"
    seconds = time.monotonic() - begin
    kinds = set(ended.values())
    check(kinds <= {CANCEL, "status 8"} and CANCEL in kinds, f"zero window: calls ended with {kinds}")
    check(seconds < LIMIT_MILLIS / 1000 + SLACK_SECONDS, f"zero window: ended after {seconds:.2f} s")
    peer.alive()
    peer.close()


def framed_lookup():
    every = types.Selection(all=True)
    message = search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in range(DOCUMENTS)],
        projection=types.Projection(texts=every)).SerializeToString()
    return struct.pack(">BI", 0, len(message)) + message


def unread_socket(server):
    """Windows wide open, and a socket that nobody reads."""
    fields = [(name, "/kyrodb.v2.Search/Lookup" if name == ":path" else value)
              for name, value in REQUEST]
    peer = Peer(server.target, first_settings=settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)),
                receive_bytes=4096)
    peer.send(window_update(0, WINDOW_MAX - 65_535))
    body = framed_lookup()
    for n in range(20):
        peer.send(headers(1 + 2 * n, fields) + data(1 + 2 * n, body, end=True))
    deadline = time.monotonic() + LIMIT_MILLIS / 1000 + SLACK_SECONDS
    peer.link.setblocking(False)
    while time.monotonic() < deadline:
        try:
            peer.link.send(frame(PING, 0, 0, bytes(8)))  # a sign of life is not enough
        except BlockingIOError:
            pass
        except OSError:
            break
        time.sleep(0.02)  # the pace of the attack
    else:
        check(False, "unread socket: the connection is open behind its limit")
    peer.close()


# --- floods ------------------------------------------------------------------------------------


def flood(octets_of, what, code=ENHANCE_YOUR_CALM):
    def run(server):
        begin = time.monotonic()
        with Peer(server.target) as peer:
            peer.handshake()
            # Read beside: a server that is still sent to when it closes resets the connection, and
            # what has not been read then is lost.
            told = []
            reader = threading.Thread(target=lambda: told.append(peer.ended()))
            reader.start()
            for start in range(0, FLOOD, 500):
                peer.send(b"".join(octets_of(n) for n in range(start, start + 500)))
            reader.join()
            check.equal(told, [code], f"{what}: GOAWAY")
        seconds = time.monotonic() - begin
        check(seconds < SLACK_SECONDS, f"{what}: gone after {seconds:.2f} s")
    return run


def rapid_reset(n):
    return headers(1 + 2 * n) + reset(1 + 2 * n)


def provoked_reset(n):
    return headers(1 + 2 * n, REQUEST + [("X-UPPER", "1")])


def empty_data(n):
    return (headers(1) if n == 0 else b"") + data(1)


def padding(n):
    return (headers(1) if n == 0 else b"") + frame(DATA, 8, 1, b"\xff" + bytes(255))


FLOODS = {
    "rapid reset": rapid_reset, "provoked resets": provoked_reset,
    "CONTINUATION": lambda n: frame(HEADERS if n == 0 else CONTINUATION, 0, 1, literal("a", "b")),
    "empty CONTINUATION": lambda n: frame(HEADERS if n == 0 else CONTINUATION, 0, 1, b""),
    "SETTINGS": lambda n: settings((INITIAL_WINDOW_SIZE, n)),
    "empty SETTINGS": lambda n: settings(),
    "PING": lambda n: frame(PING, 0, 0, struct.pack(">Q", n)),
    "unasked PING answers": lambda n: frame(PING, 1, 0, struct.pack(">Q", n)),
    "PRIORITY": lambda n: priority(1 + 2 * n, 0, n & 255),
    "PRIORITY of one stream": lambda n: priority(1, 3, n & 255),
    "WINDOW_UPDATE": lambda n: window_update(0, 1),
    "empty DATA": empty_data, "DATA of padding": padding,
    "frames of unknown types": lambda n: frame(0x20 + n % 100, 0, 1, bytes(3)),
}


# --- bombs and lengths -------------------------------------------------------------------------


def large_header_list(server):
    """1 MiB of metadata, as large as frames allow."""
    with Peer(server.target) as peer:
        peer.handshake()
        extra = b"".join(literal(f"x-{n}", "v" * 100) for n in range(140))
        peer.send(headers(1, block=block_of(REQUEST) + extra[:16_000], end=True))
        told, _ = peer.answer(1)
        check.equal(told.get("grpc-status"), "8", f"a header list of 16,000 bytes: {told}")
        peer.alive()


def header_bomb(server):
    """One entry of 4,000 bytes in the table, then indexes of it: each byte stands for 4,000."""
    with Peer(server.target) as peer:
        peer.handshake()
        entry = b"\x40" + bytes((6,)) + b"x-bomb" + b"\x7f" + bytes((0xA1 - 0x80 | 0x80, 0x1E)) \
            + b"v" * (127 + 0x21 + (0x1E << 7))
        peer.send(headers(1, block=block_of(REQUEST) + entry + b"\xbe" * 12_000, end=True))
        check.equal(peer.ended(), ENHANCE_YOUR_CALM, "header bomb: GOAWAY")


def decompression_bomb(server):
    """A gigabyte of zeros in a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(16 * MIB)
    bomb = b"".join(packer.compress(piece) for _ in range(16)) + packer.flush()
    message = struct.pack(">BI", 1, len(bomb)) + bomb
    with Peer(server.target) as peer:
        peer.handshake()
        begin = time.monotonic()
        for stream in (1, 3, 5):
            peer.send(headers(stream, REQUEST + [("grpc-encoding", "gzip")]))
            for start in range(0, len(message), 16_000):
                peer.send(data(stream, message[start:start + 16_000],
                               end=start + 16_000 >= len(message)))
            told, _ = peer.answer(stream)
            check.equal(told.get("grpc-status"), "8", f"decompression bomb: {told}")
        seconds = time.monotonic() - begin
        check(seconds < SLACK_SECONDS, f"decompression bomb: refused after {seconds:.2f} s")
        peer.alive()


def announced_lengths(server):
    """Lengths of 2 GiB and more, also such as are negative where an integer is signed."""
    with Peer(server.target) as peer:
        peer.handshake()
        for n, length in enumerate((33 * MIB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)):
            stream = 1 + 2 * n
            begin = time.monotonic()
            peer.send(headers(stream) + data(stream, struct.pack(">BI", 0, length)))
            told, _ = peer.answer(stream)
            check.equal(told.get("grpc-status"), "8", f"a message of {length} bytes: {told}")
            check(time.monotonic() - begin < 1, f"a message of {length} bytes: refused late")
        peer.alive()
    with Peer(server.target) as peer:
        peer.handshake()
        peer.send(b"\xff\xff\xff" + bytes((DATA, 0, 0, 0, 0, 1)))
        check.equal(peer.ended(), FRAME_SIZE_ERROR, "a frame of 2^24 - 1 bytes: GOAWAY")


def unfinished_messages(server):
    """Messages that begin on many streams, and do not end; more than the connection may keep."""
    with Peer(server.target) as peer:
        peer.handshake()
        piece = bytes(16_000)
        for n in range(100):
            stream = 1 + 2 * n
            peer.send(headers(stream) + data(stream, struct.pack(">BI", 0, 30 * MIB))
                      + data(stream, piece) * 3)
        told, _ = peer.answer(1)
        check.equal(told.get("grpc-status"), DEADLINE_STATUS, f"unfinished messages: {told}")


# --- connections -------------------------------------------------------------------------------


def silent_after_all(server):
    """A server that asks for a sign of life, closes who is idle, and who is old."""
    with Server("--shards", "1", "--loops", "1", "--keepalive-millis", "200",
                "--leave-grace-millis", "200") as other:
        peer = Peer(other.target).handshake()
        got = peer.until(PING, GOAWAY)
        check(got.type == PING and not got.flags & 1, f"keepalive: {got}")
        begin = time.monotonic()
        check.equal(peer.ended(), None, "keepalive: closed without an answer to the ping")
        check(time.monotonic() - begin < SLACK_SECONDS, "keepalive: closed late")
        peer = Peer(other.target).handshake()
        for _ in range(4):
            got = peer.until(PING, GOAWAY)
            peer.send(frame(PING, 1, 0, got.payload))
        peer.alive()
        peer.close()
    for option in ("--idle-millis", "--connection-age-millis"):
        with Server("--shards", "1", "--loops", "1", option, "300",
                    "--leave-grace-millis", "300") as other:
            peer = Peer(other.target).handshake()
            begin = time.monotonic()
            told = {}  # libnghttp2 lets the ping overtake
            while len(told) < 2:
                got = peer.until(GOAWAY, PING)
                told[got.type] = got
            first, ping = told[GOAWAY], told[PING]
            check.equal((goaway_code(first), struct.unpack_from(">I", first.payload)[0]),
                        (NO_ERROR, WINDOW_MAX), f"{option}: the first GOAWAY")
            check(0.25 < time.monotonic() - begin < SLACK_SECONDS, f"{option}: GOAWAY out of time")
            # A call that was on its way is still answered; then the second GOAWAY names it.
            peer.send(request(1))
            answer, _ = peer.answer(1)
            check.equal(answer.get("grpc-status"), "0", f"{option}: a call on its way")
            peer.send(frame(PING, 1, 0, ping.payload))
            second = peer.until(GOAWAY)
            check.equal((goaway_code(second), struct.unpack_from(">I", second.payload)[0]),
                        (NO_ERROR, 1), f"{option}: the second GOAWAY")
            check.equal(peer.ended(), None, f"{option}: closed")
            peer.close()
            # Whoever does not go is closed.
            peer = Peer(other.target).handshake()
            peer.send(headers(1))
            if option == "--connection-age-millis":
                begin = time.monotonic()
                peer.ended()
                check(time.monotonic() - begin < SLACK_SECONDS + 1, f"{option}: stays on")
            peer.close()


def welcome_pings(server):
    """Pings at the pace of keepalives are welcome, with calls and without."""
    with Peer(server.target) as peer:
        peer.handshake()
        for n in range(200):
            peer.alive()
        peer.send(request(1))
        told, _ = peer.answer(1)
        check.equal(told.get("grpc-status"), "0", "a call between pings")


def many_connections():
    """Idle connections are cheap, there may be ten thousand, and the next is refused in words."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(CONNECTIONS, hard - 500)
    if count < CONNECTIONS:
        print(f"skipped: {CONNECTIONS} connections, the limit of open files is {hard}")
    with Server("--shards", "1", "--loops", "2", "--connections-max", str(count)) as server, \
            Stubs(server.target) as stubs:
        stubs.health.Check(health.HealthCheckRequest())
        with Peer(server.target) as peer:
            peer.handshake()
        before = server.resident_bytes()
        begin = time.monotonic()
        peers = [Peer(server.target) for _ in range(count - 1)]
        for peer in peers:
            peer.handshake()
        opened = time.monotonic() - begin
        grown = (server.resident_bytes() - before) / len(peers)
        # Some have had a call; they are not to cost more afterwards than those that had none.
        for peer in peers:
            peer.send(request(1))
        for peer in peers:
            told, _ = peer.answer(1)
            if told.get("grpc-status") != "0":
                check(False, f"a call on one of {count} connections: {told}")
        used = (server.resident_bytes() - before) / len(peers)
        print(f"RESULT {len(peers)} idle connections in {opened:.1f} s: {grown / 1024:.1f} KiB each, "
              f"{used / 1024:.1f} KiB after a call on each")
        check(grown < IDLE_BYTES_MAX, f"an idle connection costs {grown:.0f} bytes")
        check(used < IDLE_BYTES_MAX, f"a connection costs {used:.0f} bytes after a call")
        check.equal(stubs.health.Check(health.HealthCheckRequest()).status,
                    health.HealthCheckResponse.SERVING, "health among them")
        extra = Peer(server.target)
        try:
            got = extra.until(GOAWAY)
            check(goaway_code(got) == ENHANCE_YOUR_CALM and b"too many connections" in got.payload,
                  f"a connection too many: {got}")
        except Closed:
            check(False, "a connection too many is closed without a word")
        for peer in peers:
            peer.close()
        check.equal(stubs.health.Check(health.HealthCheckRequest()).status,
                    health.HealthCheckResponse.SERVING, "health after them")
        check.equal(server.stop(), 0, "exit status")


def tls_connections(count=500):
    """What an idle connection costs under TLS, and clients that never finish their handshake."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-noenc", "-days", "2", "-subj", "/CN=server", "-keyout", f"{folder}/key",
             "-out", f"{folder}/pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True)
        context = ssl.create_default_context(cafile=f"{folder}/pem")
        context.set_alpn_protocols(["h2"])
        server = Server("--shards", "1", "--loops", "2", "--tls-cert", f"{folder}/pem",
                        "--tls-key", f"{folder}/key", "--handshake-millis", str(LIMIT_MILLIS))
        with open(f"{folder}/pem", "rb") as file:
            server.credentials = grpc.ssl_channel_credentials(file.read())
        with server:
            with Peer(server.target, tls=context) as peer:
                peer.handshake()
            before = server.resident_bytes()
            peers = [Peer(server.target, tls=context).handshake() for _ in range(count)]
            grown = (server.resident_bytes() - before) / count
            print(f"RESULT {count} idle connections under TLS: {grown / 1024:.1f} KiB each")
            closed_within("silence before TLS",
                          [Peer(server.target, preface=None) for _ in range(50)], lambda _: b"")
            # The length of a ClientHello, and then byte by byte.
            closed_within("slow TLS handshake",
                          [Peer(server.target, preface=b"\x16\x03\x01\x40\0\x01\0\x3f\xfc",
                                first_settings=b"") for _ in range(50)], lambda _: b"\3")
            with Peer(server.target) as plain:  # HTTP/2 in plaintext is no TLS
                check.equal(plain.ended_raw(), True, "plaintext to a TLS server: closed")
            peers[0].alive()
            for peer in peers:
                peer.close()
            check.equal(server.stop(), 0, "exit status under TLS")


def load(stubs):
    for first in range(0, DOCUMENTS, 4):
        stubs.ingest.Write(ingest.WriteRequest(
            scope=SCOPE, create_if_missing=ingest.CreateIfMissing(), mutations=[
                ingest.Mutation(upsert=types.Document(
                    id=types.DocumentId(number=n),
                    texts={"body": f"{n} " + "word " * (DOCUMENT_BYTES // 5)}))
                for n in range(first, first + 4)]))


ATTACKS = {
    "slow preface": slow_preface, "silence": silence, "no SETTINGS": no_settings,
    "slow headers": slow_headers, "slow body": slow_body, "zero window": zero_window,
    "unread socket": unread_socket, "large header list": large_header_list,
    "header bomb": header_bomb, "decompression bomb": decompression_bomb,
    "announced lengths": announced_lengths, "unfinished messages": unfinished_messages,
    "welcome pings": welcome_pings, "silent, idle and old connections": silent_after_all,
}


def main():
    limits = [part for name in ("handshake", "headers", "message", "reply")
              for part in (f"--{name}-millis", str(LIMIT_MILLIS))]
    only = sys.argv[1:]

    def wanted(name):
        return not only or any(word in name for word in only)

    with Server("--shards", "2", "--loops", "2", *limits) as server:
        with Stubs(server.target) as stubs:
            load(stubs)
            for _ in range(20):  # what the first answers allocate is no growth
                stubs.search.Lookup(search.LookupRequest(
                    scope=SCOPE, ids=[types.DocumentId(number=n) for n in range(DOCUMENTS)],
                    projection=types.Projection(texts=types.Selection(all=True))))
        bystander = Bystander(server)
        bystander.wait_for(10)
        for name, run in ATTACKS.items():
            if wanted(name):
                attack(server, bystander, name, run)
        for name, octets_of in FLOODS.items():
            if wanted(name + " flood"):
                attack(server, bystander, name + " flood", flood(octets_of, name))
        bystander.over.set()
        bystander.join()
        print(f"RESULT {len(ATTACKS) + len(FLOODS)} attacks, others got {bystander.answers} answers, "
              f"the slowest in {bystander.slowest * 1000:.0f} ms")
        check.equal(server.stop(), 0, "exit status")
    if wanted("connections"):
        many_connections()
    if wanted("TLS"):
        tls_connections()
    check.finish()


if __name__ == "__main__":
    main()
