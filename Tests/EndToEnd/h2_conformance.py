#!/usr/bin/env python3
"""146 rules of RFC 9113 (HTTP/2) and RFC 7541 (HPACK), each a connection of its own to the shipped
server. Cases are numbered as h2spec numbers its own, by RFC 7540's sections where those of RFC 9113
differ. A rule that names an error is kept when the server says that code, in RST_STREAM where the
rule asks for a stream error, in GOAWAY otherwise or as well (RFC 9113 section 5.4)."""
from __future__ import annotations

import os
import struct
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import hpack
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from http2_peer import (
    ACK, CHECK, COMPRESSION_ERROR, CONTINUATION, DATA, EMPTY_MESSAGE, END_HEADERS, END_STREAM,
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HAS_PRIORITY, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PADDED, PING, PRIORITY, PROTOCOL_ERROR,
    PUSH_PROMISE, REFUSED_STREAM, REQUEST, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE,
    Closed, Peer, block_of, data, dependency, frame, goaway_code, headers, literal, priority,
    request, reset, settings, window_update)
from process import Server

#: Rules that are not kept, and why.
EXCEPTIONS = {
    "http2 5.1.1/2": "libnghttp2 ignores a header block on a stream below those it has seen",
    "http2 6.9.2/3": "libnghttp2 resets the stream, and leaves the connection",
}
CASES: list[tuple[str, str, object]] = []
DEPENDENTS = 16  # cases at once
WINDOW_MAX = (1 << 31) - 1
#: What a server answers that has not ended the connection.
PROBE = frame(PING, 0, 0, b"go on???")


def case(number: str, title: str):
    def register(run):
        CASES.append((number, title, run))
        return run
    return register


def connection_error(peer: Peer, *codes: int):
    """GOAWAY with one of the codes, then the end."""
    peer.send(PROBE)
    code, acknowledged = None, 0
    while True:
        try:
            got = peer.until(GOAWAY, RST_STREAM, PING)
        except Closed:
            break
        if got.type == GOAWAY:
            code = goaway_code(got)
        elif got.type == PING:
            acknowledged += got.payload == PROBE[9:]
            assert not acknowledged, "the connection goes on"
        else:
            assert code is not None, f"the stream was reset with {got.payload.hex()}"
    assert code in codes, f"the connection ended with {code}, wanted {codes}"


def stream_error(peer: Peer, stream: int, *codes: int):
    """RST_STREAM with one of the codes, or the end of the connection with it."""
    peer.send(PROBE)
    acknowledged = 0
    while True:
        try:
            got = peer.until(RST_STREAM, GOAWAY, PING)
        except Closed:
            raise AssertionError("closed without a word") from None
        if got.type == GOAWAY:
            code = goaway_code(got)
        elif got.type == RST_STREAM and got.stream == stream:
            code, = struct.unpack(">I", got.payload)
        elif got.type == PING and got.payload == PROBE[9:]:
            # The first may overtake the reset.
            acknowledged += 1
            assert acknowledged < 2, "stream and connection go on"
            peer.send(PROBE)
            continue
        else:
            continue
        assert code in codes, f"ended with {code}, wanted {codes}"
        return


def answered(peer: Peer, stream: int = 1, status: str = "200"):
    told, body = peer.answer(stream)
    assert told.get(":status") == status, f"answer {told}"
    return told, body


def accepts(number: str, title: str, octets):
    """Sending this leaves stream 1 answered and the connection alive."""
    @case(number, title)
    def run(peer):
        peer.send(octets if isinstance(octets, bytes) else octets())
        answered(peer)
        peer.alive()


def refuses(number: str, title: str, octets, *codes: int, stream: int | None = None):
    """Sending this is an error of the connection, or of a stream."""
    @case(number, title)
    def run(peer):
        peer.send(octets)
        if stream is None:
            connection_error(peer, *codes)
        else:
            stream_error(peer, stream, *codes)


def changed(*fields, without: tuple = ()):
    """The request's fields, some of them others."""
    names = {name for name, _ in fields}
    kept = [(name, value) for name, value in REQUEST if name not in names and name not in without]
    pseudo = [field for field in fields if field[0].startswith(":")]
    return pseudo + kept + [field for field in fields if not field[0].startswith(":")]


BODY = data(1, EMPTY_MESSAGE, end=True)
OPEN = headers(1)
ALL = block_of(REQUEST)

# --- generic -----------------------------------------------------------------------------------


@case("generic 1/1", "the server's preface is a SETTINGS frame")
def _(peer):
    with Peer(peer.target) as other:
        first = other.read()
        assert first.type == SETTINGS and not first.flags & ACK, first


accepts("generic 2/1", "PRIORITY on an idle stream", priority(1) + request(1))
accepts("generic 2/2", "WINDOW_UPDATE on a half-closed (remote) stream",
        request(1) + window_update(1, 1))
accepts("generic 2/3", "PRIORITY on a half-closed (remote) stream", request(1) + priority(1, 0, 255))


@case("generic 2/4", "RST_STREAM on a half-closed (remote) stream")
def _(peer):
    peer.send(request(1) + reset(1))
    peer.alive()


@case("generic 2/5", "PRIORITY on a closed stream")
def _(peer):
    peer.send(request(1))
    answered(peer)
    peer.send(priority(1, 0, 255))
    peer.alive()


accepts("generic 3.1/1", "one DATA frame", request(1))
accepts("generic 3.1/2", "several DATA frames",
        OPEN + data(1, EMPTY_MESSAGE[:2]) + data(1, EMPTY_MESSAGE[2:], end=True))
accepts("generic 3.1/3", "DATA with padding",
        OPEN + frame(DATA, PADDED | END_STREAM, 1, b"\x07" + EMPTY_MESSAGE + bytes(7)))
accepts("generic 3.2/1", "HEADERS", request(1))
accepts("generic 3.2/2", "HEADERS with padding",
        frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09" + ALL + bytes(9)) + BODY)
accepts("generic 3.2/3", "HEADERS with priority",
        frame(HEADERS, END_HEADERS | HAS_PRIORITY, 1, dependency(0, 255) + ALL) + BODY)
accepts("generic 3.3/1", "PRIORITY of weight 1", priority(1, 0, 0) + request(1))
accepts("generic 3.3/2", "PRIORITY of weight 256", priority(1, 0, 255) + request(1))
accepts("generic 3.3/3", "PRIORITY with a dependency", priority(1, 3) + request(1))
accepts("generic 3.3/4", "PRIORITY, exclusive", priority(1, 3, 255, True) + request(1))
accepts("generic 3.3/5", "PRIORITY of an idle stream above one that opens later",
        priority(5, 3) + request(1))


@case("generic 3.4/1", "RST_STREAM")
def _(peer):
    peer.send(OPEN + reset(1))
    peer.alive()


@case("generic 3.5/1", "SETTINGS is acknowledged")
def _(peer):
    peer.send(settings((MAX_CONCURRENT_STREAMS, 100)))
    got = peer.until(SETTINGS)
    assert got.flags & ACK and not got.payload, got


@case("generic 3.7/1", "PING is answered")
def _(peer):
    peer.alive()


@case("generic 3.8/1", "GOAWAY ends the connection without an error")
def _(peer):
    peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)))
    code = peer.ended()
    assert code in (None, 0), f"GOAWAY {code}"


accepts("generic 3.9/1", "WINDOW_UPDATE of the connection", window_update(0, 1) + request(1))
accepts("generic 3.9/2", "WINDOW_UPDATE of a stream", OPEN + window_update(1, 1) + BODY)
accepts("generic 3.10/1", "one CONTINUATION",
        frame(HEADERS, 0, 1, ALL[:20]) + frame(CONTINUATION, END_HEADERS, 1, ALL[20:]) + BODY)
accepts("generic 3.10/2", "several CONTINUATIONs",
        frame(HEADERS, 0, 1, ALL[:20]) + frame(CONTINUATION, 0, 1, ALL[20:40])
        + frame(CONTINUATION, END_HEADERS, 1, ALL[40:]) + BODY)


def refused_method(number, method):
    @case(number, f"a {method} request gets a normal answer, its end, and the connection stays")
    def run(peer):
        peer.send(headers(1, changed((":method", method), without=("te", "content-type")), end=True))
        answered(peer, status="405")
        peer.alive()


refused_method("generic 4/1", "GET")
refused_method("generic 4/2", "HEAD")


@case("generic 4/3", "a POST request")
def _(peer):
    peer.send(request(1))
    told, body = answered(peer)
    assert told.get("grpc-status") == "0" and len(body) == 7, (told, body)
    peer.alive()


accepts("generic 4/4", "a POST request with trailers",
        OPEN + data(1, EMPTY_MESSAGE) + headers(1, [("x-test", "ok")], end=True))


def huffman(text: str) -> bytes:
    coded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text.encode())
    return bytes((0x80 | len(coded),)) + coded


def plain(text: str) -> bytes:
    return bytes((len(text),)) + text.encode()


USER_AGENT = 58  # of the static table (RFC 7541 appendix A)


def representation(number, title, octets):
    accepts(number, title, headers(1, block=ALL + octets) + BODY)


def indexed_name(first: int, bits: int) -> bytes:
    """The representation's first byte or bytes with the index of user-agent."""
    largest = (1 << bits) - 1
    if USER_AGENT < largest:
        return bytes((first | USER_AGENT,))
    return bytes((first | largest, USER_AGENT - largest))


representation("generic 5/1", "an indexed field", bytes((0x80 | USER_AGENT,)))
for shift, (name, first, width) in enumerate((
        ("with incremental indexing", 0x40, 6), ("without indexing", 0x00, 4),
        ("never indexed", 0x10, 4))):
    base = 2 + 4 * shift
    representation(f"generic 5/{base}", f"a literal {name}, indexed name",
                   indexed_name(first, width) + plain("peer"))
    representation(f"generic 5/{base + 1}", f"a literal {name}, indexed name, Huffman code",
                   indexed_name(first, width) + huffman("peer"))
    representation(f"generic 5/{base + 2}", f"a literal {name}, new name",
                   bytes((first,)) + plain("x-test") + plain("peer"))
    representation(f"generic 5/{base + 3}", f"a literal {name}, new name, Huffman code",
                   bytes((first,)) + huffman("x-test") + huffman("peer"))
accepts("generic 5/14", "a table size update", headers(1, block=b"\x20" + ALL) + BODY)
accepts("generic 5/15", "two table size updates", headers(1, block=b"\x20\x3f\xe1\x1f" + ALL) + BODY)

# --- HTTP/2 ------------------------------------------------------------------------------------


@case("http2 3.5/1", "a preface is answered by SETTINGS and its acknowledgement")
def _(peer):
    with Peer(peer.target) as other:
        other.handshake()
        other.alive()


@case("http2 3.5/2", "an invalid preface ends the connection")
def _(peer):
    with Peer(peer.target, preface=b"INVALID CONNECTION PREFACE\r\n\r\n") as other:
        code = other.ended()
        assert code in (None, PROTOCOL_ERROR), code


accepts("http2 4.1/1", "a frame of an unknown type is ignored", frame(22, 0, 0, bytes(8)) + request(1))


@case("http2 4.1/2", "flags that a frame does not define are ignored")
def _(peer):
    peer.send(frame(PING, 0x16, 0, b"flagged!"))
    got = peer.until(PING, GOAWAY)
    assert got.type == PING and got.flags & ACK and got.payload == b"flagged!", got


@case("http2 4.1/3", "the reserved bit of the stream is ignored")
def _(peer):
    peer.send(frame(PING, 0, 1 << 31, b"reserved"))
    got = peer.until(PING, GOAWAY)
    assert got.type == PING and got.payload == b"reserved", got


# A message with a field that no HealthCheckRequest has: number 15, 16,375 bytes of it.
LONG = struct.pack(">BI", 0, 16_379) + b"\x7a\xf7\x7f" + bytes(16_375)
accepts("http2 4.2/1", "a DATA frame of 2^14 bytes",
        OPEN + data(1, (LONG + b"\0")[:1 << 14]) + data(1, b"", end=True))
refuses("http2 4.2/2", "a DATA frame above SETTINGS_MAX_FRAME_SIZE",
        OPEN + data(1, bytes(16_385)), FRAME_SIZE_ERROR, stream=1)
refuses("http2 4.2/3", "a HEADERS frame above SETTINGS_MAX_FRAME_SIZE",
        headers(1, block=ALL + b"".join(literal(f"x-{n}", "v" * 100) for n in range(200))),
        FRAME_SIZE_ERROR)
refuses("http2 4.3/1", "an invalid header block", headers(1, block=b"\x40" + b"\xff" * 10),
        COMPRESSION_ERROR)
refuses("http2 4.3/2", "PRIORITY within a header block",
        frame(HEADERS, 0, 1, ALL) + priority(1), PROTOCOL_ERROR)
refuses("http2 4.3/3", "HEADERS of another stream within a header block",
        frame(HEADERS, 0, 1, ALL) + headers(3), PROTOCOL_ERROR)

refuses("http2 5.1/1", "idle: DATA", data(1, b"x", end=True), PROTOCOL_ERROR)
refuses("http2 5.1/2", "idle: RST_STREAM", reset(1), PROTOCOL_ERROR)
refuses("http2 5.1/3", "idle: WINDOW_UPDATE", window_update(1, 100), PROTOCOL_ERROR)
refuses("http2 5.1/4", "idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, ALL), PROTOCOL_ERROR)
refuses("http2 5.1/5", "half closed (remote): DATA", request(1) + data(1, b"x", end=True),
        STREAM_CLOSED, stream=1)
refuses("http2 5.1/6", "half closed (remote): HEADERS", request(1) + headers(1, end=True),
        STREAM_CLOSED, stream=1)
refuses("http2 5.1/7", "half closed (remote): CONTINUATION",
        request(1) + frame(CONTINUATION, END_HEADERS, 1, ALL), STREAM_CLOSED, PROTOCOL_ERROR, stream=1)
refuses("http2 5.1/8", "closed by RST_STREAM: DATA", OPEN + reset(1) + data(1, b"x", end=True),
        STREAM_CLOSED, stream=1)
refuses("http2 5.1/9", "closed by RST_STREAM: HEADERS", OPEN + reset(1) + headers(1, end=True),
        STREAM_CLOSED, stream=1)
refuses("http2 5.1/10", "closed by RST_STREAM: CONTINUATION",
        OPEN + reset(1) + frame(CONTINUATION, END_HEADERS, 1, ALL), STREAM_CLOSED, PROTOCOL_ERROR,
        stream=1)


def after_the_end(number, what, octets, *codes):
    @case(number, f"closed: {what}")
    def run(peer):
        peer.send(request(1))
        answered(peer)
        peer.send(octets)
        stream_error(peer, 1, *codes)


after_the_end("http2 5.1/11", "DATA", data(1, b"x", end=True), STREAM_CLOSED)
after_the_end("http2 5.1/12", "HEADERS", headers(1, end=True), STREAM_CLOSED, PROTOCOL_ERROR)
after_the_end("http2 5.1/13", "CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, ALL),
              STREAM_CLOSED, PROTOCOL_ERROR)
refuses("http2 5.1.1/1", "an even stream identifier", headers(2, end=True), PROTOCOL_ERROR)
refuses("http2 5.1.1/2", "a stream identifier below one that was used",
        request(5) + headers(3, end=True), PROTOCOL_ERROR)


@case("http2 5.1.2/1", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
def _(peer):
    most = peer.settings[MAX_CONCURRENT_STREAMS]
    encoder = hpack.Encoder()
    peer.send(b"".join(headers(1 + 2 * n, block=encoder.encode(REQUEST)) for n in range(most + 1)))
    stream_error(peer, 1 + 2 * most, REFUSED_STREAM, PROTOCOL_ERROR)


refuses("http2 5.3.1/1", "HEADERS that depend on their own stream",
        frame(HEADERS, END_HEADERS | END_STREAM | HAS_PRIORITY, 1, dependency(1) + ALL),
        PROTOCOL_ERROR, stream=1)
refuses("http2 5.3.1/2", "PRIORITY that depends on its own stream", OPEN + priority(1, 1),
        PROTOCOL_ERROR, stream=1)
refuses("http2 5.4.1/1", "a connection error is told by GOAWAY, then the connection is closed",
        frame(PING, 0, 3, bytes(8)), PROTOCOL_ERROR)
accepts("http2 5.5/1", "an unknown extension is ignored", OPEN + frame(99, 0, 1, b"ext") + BODY)
refuses("http2 5.5/2", "an unknown extension within a header block",
        frame(HEADERS, 0, 1, ALL[:20]) + frame(99, 0, 1, b"ext")
        + frame(CONTINUATION, END_HEADERS, 1, ALL[20:]), PROTOCOL_ERROR)

refuses("http2 6.1/1", "DATA on stream 0", data(0, b"x"), PROTOCOL_ERROR)
refuses("http2 6.1/2", "DATA on a stream that is neither open nor half closed (local)",
        OPEN + data(1, EMPTY_MESSAGE, end=True) + data(1, b"x"), STREAM_CLOSED, stream=1)
refuses("http2 6.1/3", "DATA with padding beyond its payload",
        OPEN + frame(DATA, PADDED, 1, b"\x08" + bytes(4)), PROTOCOL_ERROR)
refuses("http2 6.2/1", "HEADERS without END_HEADERS, then PRIORITY",
        frame(HEADERS, END_STREAM, 1, ALL) + priority(3), PROTOCOL_ERROR)
refuses("http2 6.2/2", "HEADERS without END_HEADERS, then DATA",
        frame(HEADERS, 0, 1, ALL) + data(1, b"x"), PROTOCOL_ERROR)
refuses("http2 6.2/3", "HEADERS on stream 0", headers(0), PROTOCOL_ERROR)
refuses("http2 6.2/4", "HEADERS with padding beyond its payload",
        frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + ALL), PROTOCOL_ERROR)
refuses("http2 6.3/1", "PRIORITY on stream 0", priority(0, 1), PROTOCOL_ERROR)
refuses("http2 6.3/2", "PRIORITY of other than 5 bytes", OPEN + frame(PRIORITY, 0, 1, bytes(4)),
        FRAME_SIZE_ERROR, stream=1)
refuses("http2 6.4/1", "RST_STREAM on stream 0", reset(0), PROTOCOL_ERROR)
refuses("http2 6.4/2", "RST_STREAM on an idle stream", reset(7), PROTOCOL_ERROR)
refuses("http2 6.4/3", "RST_STREAM of other than 4 bytes", OPEN + frame(RST_STREAM, 0, 1, bytes(3)),
        FRAME_SIZE_ERROR)
refuses("http2 6.5/1", "SETTINGS with ACK and a payload",
        frame(SETTINGS, ACK, 0, struct.pack(">HI", 1, 1)), FRAME_SIZE_ERROR)
refuses("http2 6.5/2", "SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), PROTOCOL_ERROR)
refuses("http2 6.5/3", "SETTINGS of no multiple of 6 bytes", frame(SETTINGS, 0, 0, bytes(3)),
        FRAME_SIZE_ERROR)
refuses("http2 6.5.2/1", "SETTINGS_ENABLE_PUSH of 2", settings((2, 2)), PROTOCOL_ERROR)
refuses("http2 6.5.2/2", "SETTINGS_INITIAL_WINDOW_SIZE of 2^31",
        settings((INITIAL_WINDOW_SIZE, 1 << 31)), FLOW_CONTROL_ERROR)
refuses("http2 6.5.2/3", "SETTINGS_MAX_FRAME_SIZE of 2^14 - 1", settings((MAX_FRAME_SIZE, 16_383)),
        PROTOCOL_ERROR)
refuses("http2 6.5.2/4", "SETTINGS_MAX_FRAME_SIZE of 2^24", settings((MAX_FRAME_SIZE, 1 << 24)),
        PROTOCOL_ERROR)
accepts("http2 6.5.2/5", "an unknown setting is ignored", settings((0xFF, 1)) + request(1))


def first_data(peer) -> bytes:
    got = peer.until(DATA, RST_STREAM, GOAWAY)
    assert got.type == DATA, got
    return got.payload


@case("http2 6.5.3/1", "settings are applied in order: the last window counts")
def _(peer):
    peer.send(settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)) + request(1))
    got = first_data(peer)
    assert len(got) == 1, got


@case("http2 6.5.3/2", "SETTINGS is acknowledged at once")
def _(peer):
    peer.send(settings())
    got = peer.read()
    assert got.type == SETTINGS and got.flags & ACK, got


@case("http2 6.7/1", "PING is answered with its payload")
def _(peer):
    peer.send(frame(PING, 0, 0, b"\0\1\2\3\4\5\6\7"))
    got = peer.until(PING)
    assert got.flags & ACK and got.payload == b"\0\1\2\3\4\5\6\7", got


@case("http2 6.7/2", "PING with ACK is not answered")
def _(peer):
    peer.send(frame(PING, ACK, 0, b"unasked!") + frame(PING, 0, 0, b"asked..."))
    got = peer.until(PING, GOAWAY)
    assert got.type == PING and got.payload == b"asked...", got


refuses("http2 6.7/3", "PING on a stream", frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR)
refuses("http2 6.7/4", "PING of other than 8 bytes", frame(PING, 0, 0, bytes(6)), FRAME_SIZE_ERROR)
refuses("http2 6.8/1", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR)
refuses("http2 6.9/1", "WINDOW_UPDATE of 0 for the connection", window_update(0, 0), PROTOCOL_ERROR)
refuses("http2 6.9/2", "WINDOW_UPDATE of 0 for a stream", OPEN + window_update(1, 0), PROTOCOL_ERROR,
        stream=1)
refuses("http2 6.9/3", "WINDOW_UPDATE of other than 4 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)),
        FRAME_SIZE_ERROR)


@case("http2 6.9.1/1", "no more DATA than the window has room for")
def _(peer):
    peer.send(settings((INITIAL_WINDOW_SIZE, 1)) + request(1))
    got = first_data(peer)
    assert len(got) == 1, got
    peer.send(window_update(1, 2))
    got = first_data(peer)
    assert len(got) == 2, got
    peer.alive()


refuses("http2 6.9.1/2", "a window of the connection above 2^31 - 1",
        window_update(0, WINDOW_MAX) * 2, FLOW_CONTROL_ERROR)
refuses("http2 6.9.1/3", "a window of a stream above 2^31 - 1",
        OPEN + window_update(1, WINDOW_MAX) * 2, FLOW_CONTROL_ERROR, stream=1)


@case("http2 6.9.2/1", "a change of the initial window changes those of open streams")
def _(peer):
    peer.send(settings((INITIAL_WINDOW_SIZE, 0)) + request(1))
    got = peer.until(HEADERS, DATA)
    assert got.type == HEADERS, got
    peer.fields(got)
    peer.send(settings((INITIAL_WINDOW_SIZE, 1)))
    got = first_data(peer)
    assert len(got) == 1, got


@case("http2 6.9.2/2", "a window may be negative")
def _(peer):
    peer.send(settings((INITIAL_WINDOW_SIZE, 3)) + request(1))
    got = first_data(peer)
    assert len(got) == 3, got
    peer.send(settings((INITIAL_WINDOW_SIZE, 2)) + window_update(1, 2))
    got = first_data(peer)
    assert len(got) == 1, got


refuses("http2 6.9.2/3", "a change of the initial window that takes a stream's above 2^31 - 1",
        OPEN + window_update(1, WINDOW_MAX - 65_535) + settings((INITIAL_WINDOW_SIZE, 65_536)),
        FLOW_CONTROL_ERROR)
accepts("http2 6.10/1", "several CONTINUATIONs behind HEADERS",
        frame(HEADERS, 0, 1, ALL[:10]) + frame(CONTINUATION, 0, 1, ALL[10:20])
        + frame(CONTINUATION, 0, 1, ALL[20:30]) + frame(CONTINUATION, END_HEADERS, 1, ALL[30:]) + BODY)
refuses("http2 6.10/2", "CONTINUATION without END_HEADERS, then another frame",
        frame(HEADERS, 0, 1, ALL[:10]) + frame(CONTINUATION, 0, 1, ALL[10:]) + data(1, b"x"),
        PROTOCOL_ERROR)
refuses("http2 6.10/3", "CONTINUATION on stream 0",
        frame(HEADERS, 0, 1, ALL[:10]) + frame(CONTINUATION, END_HEADERS, 0, ALL[10:]), PROTOCOL_ERROR)
refuses("http2 6.10/4", "CONTINUATION behind HEADERS with END_HEADERS",
        OPEN + frame(CONTINUATION, END_HEADERS, 1, literal("x", "y")), PROTOCOL_ERROR)
refuses("http2 6.10/5", "CONTINUATION behind CONTINUATION with END_HEADERS",
        frame(HEADERS, 0, 1, ALL[:10]) + frame(CONTINUATION, END_HEADERS, 1, ALL[10:])
        + frame(CONTINUATION, END_HEADERS, 1, literal("x", "y")), PROTOCOL_ERROR)
refuses("http2 6.10/6", "CONTINUATION behind DATA",
        OPEN + data(1, b"\0") + frame(CONTINUATION, END_HEADERS, 1, literal("x", "y")), PROTOCOL_ERROR)


@case("http2 7/1", "GOAWAY with an unknown code is no error")
def _(peer):
    peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0xFF)))
    code = peer.ended()
    assert code in (None, 0), code


@case("http2 7/2", "RST_STREAM with an unknown code is no error")
def _(peer):
    peer.send(OPEN + reset(1, 0xFF))
    peer.alive()


refuses("http2 8.1/1", "a second HEADERS without END_STREAM",
        OPEN + data(1, EMPTY_MESSAGE) + headers(1, [("x-test", "ok")]), PROTOCOL_ERROR, stream=1)


def malformed(number, title, fields):
    refuses(number, title, headers(1, fields, end=True), PROTOCOL_ERROR, stream=1)


malformed("http2 8.1.2/1", "a field name in upper case", changed(("X-TEST", "ok")))
malformed("http2 8.1.2.1/1", "an unknown pseudo field", changed((":test", "ok")))
malformed("http2 8.1.2.1/2", "a pseudo field of responses", changed((":status", "200")))
refuses("http2 8.1.2.1/3", "a pseudo field in trailers",
        OPEN + data(1, EMPTY_MESSAGE) + headers(1, [(":method", "POST")], end=True), PROTOCOL_ERROR,
        stream=1)
malformed("http2 8.1.2.1/4", "a pseudo field behind others",
          [field for field in REQUEST if field[0] != ":path"] + [(":path", CHECK)])
malformed("http2 8.1.2.2/1", "a field of one connection", changed(("connection", "keep-alive")))
malformed("http2 8.1.2.2/2", "te with another value than trailers", changed(("te", "trailers, deflate")))
malformed("http2 8.1.2.3/1", "an empty :path", changed((":path", "")))
for position, missing in enumerate((":method", ":scheme", ":path")):
    malformed(f"http2 8.1.2.3/{2 + position}", f"no {missing}", changed(without=(missing,)))
for position, twice in enumerate(((":method", "POST"), (":scheme", "http"), (":path", CHECK))):
    malformed(f"http2 8.1.2.3/{5 + position}", f"{twice[0]} twice", [twice] + REQUEST)
refuses("http2 8.1.2.6/1", "content-length other than the DATA",
        headers(1, changed(("content-length", "1"))) + BODY, PROTOCOL_ERROR, stream=1)
refuses("http2 8.1.2.6/2", "content-length other than the DATA of several frames",
        headers(1, changed(("content-length", "6"))) + data(1, EMPTY_MESSAGE[:3])
        + data(1, EMPTY_MESSAGE[3:], end=True), PROTOCOL_ERROR, stream=1)
refuses("http2 8.2/1", "PUSH_PROMISE from a client",
        OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + ALL), PROTOCOL_ERROR)

# --- HPACK -------------------------------------------------------------------------------------


def undecodable(number, title, octets):
    refuses(number, title, headers(1, block=ALL + octets, end=True), COMPRESSION_ERROR)


undecodable("hpack 2.3.3/1", "an index beyond both tables", b"\xff\x64")
undecodable("hpack 2.3.3/2", "a name's index beyond both tables", b"\x7f\x64" + plain("v"))
undecodable("hpack 4.2/1", "a table size update at the end of a block", b"\x20")
undecodable("hpack 5.2/1", "Huffman padding of more than 7 bits",
            b"\x00" + plain("x-test") + b"\x82" + huffman("a")[1:] + b"\xff")
undecodable("hpack 5.2/2", "Huffman padding of other bits than the end's",
            b"\x00" + plain("x-test") + b"\x81" + bytes((huffman("a")[1] & 0xF8,)))
undecodable("hpack 5.2/3", "the end symbol within a Huffman string",
            b"\x00" + plain("x-test") + b"\x84\xff\xff\xff\xff")
undecodable("hpack 6.1/1", "index 0", b"\x80")
refuses("hpack 6.3/1", "a table size update above SETTINGS_HEADER_TABLE_SIZE",
        headers(1, block=b"\x3f\xe2\x1f" + ALL, end=True), COMPRESSION_ERROR)


def run_case(target: str, entry) -> str | None:
    """None when the rule is kept; otherwise what happened."""
    _, _, run = entry
    try:
        with Peer(target) as peer:
            peer.target = target
            peer.handshake()
            run(peer)
        return None
    except AssertionError as error:
        return str(error) or "an assertion"
    except (Closed, TimeoutError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a broken case is a failed one
        return traceback.format_exc()


def main():
    numbers = [number for number, _, _ in CASES]
    assert len(set(numbers)) == len(numbers), "a case is numbered twice"
    target = os.environ.get("CONFORMANCE_TARGET")
    server = None if target else Server("--shards", "1", "--loops", "2").start()
    begin = time.monotonic()
    try:
        with ThreadPoolExecutor(DEPENDENTS) as threads:
            told = list(threads.map(lambda entry: run_case(target or server.target, entry), CASES))
        with Peer(target or server.target) as last:
            last.handshake().alive()
        if server:
            assert server.stop() == 0, "exit status"
    finally:
        if server:
            server.discard()
    passed = told.count(None)
    unexpected = 0
    for (number, title, _), problem in zip(CASES, told):
        if problem is None and number in EXCEPTIONS:
            print(f"FAILED  {number} is listed as an exception and passes")
            unexpected += 1
        elif problem is not None and number in EXCEPTIONS:
            print(f"exception {number}, {title}: {EXCEPTIONS[number]}")
        elif problem is not None:
            print(f"FAILED  {number}, {title}: {problem}")
            unexpected += 1
    print(f"RESULT {len(CASES)} cases, {passed} passed ({time.monotonic() - begin:.1f} s)")
    sys.exit(1 if unexpected else 0)


if __name__ == "__main__":
    main()
