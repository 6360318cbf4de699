#!/usr/bin/env python3
"""Requests that break the rules of gRPC over HTTP/2: each gets at once the status that gRPC's
specification names (PROTOCOL-HTTP2.md; statuscodes.md for what the library itself answers), or the
HTTP status where a request is no gRPC at all; the connection stays, and serves the next call."""
from __future__ import annotations

import gzip
import struct
import time
import zlib

import hpack
from harness import Checks, Server
from http2_peer import CHECK, EMPTY_MESSAGE, REQUEST, Peer, data, headers

INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 3, 4, 8, 12, 13
OK = 0
SECONDS_MAX = 2.0  # "at once", on a machine that has other things to do
MIB = 1 << 20
WRITE = "/kyrodb.v2.Ingest/Write"
SCAN = "/kyrodb.v2.Search/Scan"
WATCH = "/grpc.health.v1.Health/Watch"
check = Checks()


def message(payload: bytes = b"", flag: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


def grpc(code: int) -> dict[str, str]:
    return {":status": "200", "grpc-status": str(code)}


def http(status: int, **more: str) -> dict[str, str]:
    return {":status": str(status), **more}


#: What is wrong; fields that differ from a good request (None leaves one out); the body; whether the
#: client ends its side; what the answer says.
CASES = [
    ("nothing", {}, EMPTY_MESSAGE, True, grpc(OK)),
    # Methods and content types.
    ("a path that is no method", {":path": "/x.y.Z/Nope"}, EMPTY_MESSAGE, True, grpc(UNIMPLEMENTED)),
    ("a path without a method", {":path": "/"}, EMPTY_MESSAGE, True, grpc(UNIMPLEMENTED)),
    ("GET", {":method": "GET"}, b"", True, http(405, allow="POST")),
    ("PUT", {":method": "PUT"}, EMPTY_MESSAGE, True, http(405, allow="POST")),
    ("GET that goes on", {":method": "GET"}, b"x" * 100, False, http(405)),
    ("no content type", {"content-type": None}, EMPTY_MESSAGE, True, http(415)),
    ("JSON", {"content-type": "application/json"}, b"{}", True, http(415)),
    ("gRPC-Web", {"content-type": "application/grpc-web"}, EMPTY_MESSAGE, True, http(415)),
    ("a longer word", {"content-type": "application/grpcx"}, EMPTY_MESSAGE, True, http(415)),
    ("JSON that goes on", {"content-type": "application/json"}, b"{", False, http(415)),
    ("gRPC with protobuf", {"content-type": "application/grpc+proto"}, EMPTY_MESSAGE, True, grpc(OK)),
    ("gRPC with parameters", {"content-type": "application/grpc;x=y"}, EMPTY_MESSAGE, True, grpc(OK)),
    # Timeouts: at most eight digits and a unit.
    *((f"timeout {text!r}", {"grpc-timeout": text}, EMPTY_MESSAGE, True, grpc(INTERNAL))
      for text in ("5", "S", "", "123456789S", "1x", "-1S", "+1S", "1.5S", "1 S", "1s", "0x1S", "١S")),
    *((f"timeout {text!r}", {"grpc-timeout": text}, EMPTY_MESSAGE, True, grpc(OK))
      for text in ("1H", "1M", "20S", "20000m", "20000000u", "99999999H", "00000020S")),
    ("a timeout of nothing", {"grpc-timeout": "0S"}, EMPTY_MESSAGE, True, grpc(DEADLINE_EXCEEDED)),
    ("a nanosecond", {"grpc-timeout": "1n"}, EMPTY_MESSAGE, True, grpc(DEADLINE_EXCEEDED)),
    ("a timeout while a message is awaited", {"grpc-timeout": "50m"}, b"\0", False,
     grpc(DEADLINE_EXCEEDED)),
    # Compression.
    ("the compressed flag without an encoding", {}, message(gzip.compress(b""), 1), True,
     grpc(INTERNAL)),
    ("the compressed flag with identity", {"grpc-encoding": "identity"}, message(b"", 1), True,
     grpc(INTERNAL)),
    ("an unknown encoding", {"grpc-encoding": "brotli"}, message(b"", 1), True, grpc(UNIMPLEMENTED)),
    ("an unknown encoding that is not used", {"grpc-encoding": "brotli"}, EMPTY_MESSAGE, True,
     grpc(UNIMPLEMENTED)),
    ("damaged gzip", {"grpc-encoding": "gzip"}, message(b"not gzip at all", 1), True, grpc(INTERNAL)),
    ("gzip cut short", {"grpc-encoding": "gzip"}, message(gzip.compress(b"x" * 99)[:-4], 1), True,
     grpc(INTERNAL)),
    ("gzip", {"grpc-encoding": "gzip"}, message(gzip.compress(b""), 1), True, grpc(OK)),
    ("deflate", {"grpc-encoding": "deflate"}, message(zlib.compress(b""), 1), True, grpc(OK)),
    ("gzip that is not used", {"grpc-encoding": "gzip"}, EMPTY_MESSAGE, True, grpc(OK)),
    # Messages.
    *((f"no message to {path}", {":path": path}, b"", True, grpc(UNIMPLEMENTED))
      for path in (CHECK, WATCH, WRITE, SCAN)),
    *((f"two messages to {path}", {":path": path}, EMPTY_MESSAGE * 2, True, grpc(UNIMPLEMENTED))
      for path in (CHECK, WATCH, WRITE, SCAN)),
    ("half a prefix", {}, b"\0\0", True, grpc(INTERNAL)),
    ("a prefix and no more", {}, message(length=7), True, grpc(INTERNAL)),
    ("a message cut short", {}, message(b"\x0a\x01", length=7), True, grpc(INTERNAL)),
    ("a message and half a prefix", {}, EMPTY_MESSAGE + b"\0\0\0", True, grpc(INTERNAL)),
    ("4 GiB announced", {}, message(length=0xFFFFFFFF), False, grpc(RESOURCE_EXHAUSTED)),
    ("2 GiB announced", {}, message(length=1 << 31), False, grpc(RESOURCE_EXHAUSTED)),
    ("a byte too many announced", {}, message(length=32 * MIB + 1), False, grpc(RESOURCE_EXHAUSTED)),
    ("a message that is no protobuf", {}, message(b"\xff\xff\xff"), True, grpc(INVALID_ARGUMENT)),
    # Metadata.
    *((f"base64 {text!r}", {"trace-bin": text}, EMPTY_MESSAGE, True, grpc(INTERNAL))
      for text in ("a!b", "A", "AQI=A", "AQ=", "AQ==A", "=", "AQID,!")),
    *((f"base64 {text!r}", {"trace-bin": text}, EMPTY_MESSAGE, True, grpc(OK))
      for text in ("", "AQ", "AQ==", "AQI", "AQID", "AQ==,AQ==", "+/+/", "AQ,AQ")),
    ("17 KiB of metadata", {f"x-{n}": "v" * 100 for n in range(130)}, EMPTY_MESSAGE, True,
     grpc(RESOURCE_EXHAUSTED)),
]


def fields_of(changes: dict[str, str | None]):
    fields = [(name, changes.get(name, value)) for name, value in REQUEST]
    fields += [item for item in changes.items() if item[0] not in dict(REQUEST)]
    return [(name, value) for name, value in fields if value is not None]


def block_of(fields) -> bytes:
    """Values may be longer than `literal` takes."""
    return hpack.Encoder().encode([(name.encode(), value.encode()) for name, value in fields],
                                  huffman=False)


def run(peer: Peer, stream: int, case):
    what, changes, body, ends, wanted = case
    begin = time.monotonic()
    peer.send(headers(stream, block=b"\x20" + block_of(fields_of(changes)), end=ends and not body))
    if body:
        peer.send(data(stream, body, end=ends))
    told, _ = peer.answer(stream)
    seconds = time.monotonic() - begin
    check({name: told.get(name) for name in wanted} == wanted, f"{what}: {told}, wanted {wanted}")
    check(seconds < SECONDS_MAX, f"{what}: answered after {seconds:.1f} s")
    if wanted.get("grpc-status") == str(UNIMPLEMENTED) and "encoding" in what:
        check("gzip" in told.get("grpc-accept-encoding", ""), f"{what}: {told} names no encodings")
    if wanted[":status"] != "200":
        check("grpc-status" not in told, f"{what}: an HTTP error with a gRPC status: {told}")


def main():
    with Server("--shards", "1") as server:
        # One connection for all: a request that is refused costs nobody else's.
        with Peer(server.target) as peer:
            peer.handshake()
            for n, case in enumerate(CASES):
                try:
                    run(peer, 1 + 4 * n, case)
                    peer.send(headers(3 + 4 * n) + data(3 + 4 * n, EMPTY_MESSAGE, end=True))
                    told, _ = peer.answer(3 + 4 * n)
                    check.equal(told.get("grpc-status"), "0", f"the call after {case[0]}")
                except Exception as error:  # noqa: BLE001
                    check(False, f"{case[0]}: {type(error).__name__}: {error}")
                    peer.close()
                    peer.__init__(server.target)
                    peer.handshake()
        print(f"RESULT {len(CASES)} requests")
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    main()
