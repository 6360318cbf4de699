"""An HTTP/2 client that sends whatever frames it is told to, and reads frames one by one."""
from __future__ import annotations

import socket
import ssl
import struct
from typing import NamedTuple

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, \
    ENHANCE_YOUR_CALM = range(12)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
    MAX_HEADER_LIST_SIZE = range(1, 7)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CHECK = "/grpc.health.v1.Health/Check"
EMPTY_MESSAGE = bytes(5)
DEADLINE_STATUS = "4"
REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", CHECK), (":authority", "peer"),
           ("te", "trailers"), ("content-type", "application/grpc")]


class Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    payload: bytes


class Closed(Exception):
    """The server has closed the connection."""


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) \
        + struct.pack(">I", stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def priority(stream: int, depends_on: int = 0, weight: int = 15, exclusive: bool = False) -> bytes:
    return frame(PRIORITY, 0, stream, dependency(depends_on, weight, exclusive))


def dependency(depends_on: int, weight: int = 15, exclusive: bool = False) -> bytes:
    return struct.pack(">IB", depends_on | exclusive << 31, weight)


def literal(name: str | bytes, value: str | bytes) -> bytes:
    """A field that no table is used for (RFC 7541 section 6.2.2); each part below 127 bytes."""
    parts = [part.encode() if isinstance(part, str) else part for part in (name, value)]
    return b"\0" + b"".join(bytes((len(part),)) + part for part in parts)


def block_of(fields) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def data(stream: int, payload: bytes = b"", end: bool = False) -> bytes:
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def headers(stream: int, fields=None, end: bool = False, block: bytes | None = None) -> bytes:
    payload = block_of(REQUEST if fields is None else fields) if block is None else block
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, payload)


def request(stream: int, **changes) -> bytes:
    """A call that is answered at once."""
    return headers(stream, **changes) + data(stream, EMPTY_MESSAGE, end=True)


class Peer:
    """One connection. Reading waits for `seconds` at most."""

    def __init__(self, target: str, seconds: float = 10, preface: bytes | None = PREFACE,
                 first_settings: bytes | None = None, receive_bytes: int | None = None,
                 tls: ssl.SSLContext | None = None):
        host, port = target.rsplit(":", 1)
        self.link = socket.socket()
        if receive_bytes is not None:
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.link.settimeout(seconds)
        self.link.connect((host, int(port)))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.link = tls.wrap_socket(self.link, server_hostname="localhost")
        self.decoder = hpack.Decoder()
        self.buffer = bytearray()
        self.settings: dict[int, int] = {}
        if preface is not None:
            self.send(preface + (settings() if first_settings is None else first_settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.link.close()

    def handshake(self):
        """Reads until both sides' SETTINGS are acknowledged."""
        waiting = {"settings", "acknowledgement"}
        while waiting:
            got = self.read()
            if got.type == SETTINGS and got.flags & ACK:
                waiting.discard("acknowledgement")
            elif got.type == SETTINGS:
                for offset in range(0, len(got.payload), 6):
                    key, value = struct.unpack_from(">HI", got.payload, offset)
                    self.settings[key] = value
                self.send(frame(SETTINGS, ACK))
                waiting.discard("settings")
            elif got.type == GOAWAY:
                raise Closed(f"GOAWAY {got.payload!r}")
        return self

    def send(self, octets: bytes):
        try:
            self.link.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the server said last can still be read

    def read(self) -> Frame:
        while True:
            if len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + length:
                    kind, flags, stream = struct.unpack_from(">BBI", self.buffer, 3)
                    payload = bytes(self.buffer[9:9 + length])
                    del self.buffer[:9 + length]
                    return Frame(kind, flags, stream & 0x7FFFFFFF, payload)
            try:
                got = self.link.recv(1 << 16)
            except ConnectionResetError:
                got = b""
            if not got:
                raise Closed("end of stream")
            self.buffer += got

    def fields(self, got: Frame) -> dict[str, str]:
        """Of a header block; every one must be read, in order."""
        return {name: value for name, value in self.decoder.decode(got.payload)}

    def answer(self, stream: int) -> tuple[dict[str, str], bytes]:
        """Header fields, trailers among them, and data of a stream, until it ends."""
        told, body = {}, b""
        while True:
            got = self.read()
            if got.type == HEADERS:
                told_now = self.fields(got)
                if got.stream == stream:
                    told.update(told_now)
            elif got.type == DATA and got.stream == stream:
                body += got.payload
            elif got.type == RST_STREAM and got.stream == stream:
                code, = struct.unpack(">I", got.payload)
                raise AssertionError(f"stream {stream} was reset with {code}, told {told}")
            elif got.type == GOAWAY:
                raise AssertionError(f"GOAWAY {goaway_code(got)} {got.payload[8:]!r}")
            if got.stream == stream and got.type in (DATA, HEADERS) and got.flags & END_STREAM:
                return told, body

    def until(self, *types: int) -> Frame:
        """The next frame of one of these types; header blocks between are decoded."""
        while True:
            got = self.read()
            if got.type in types:
                return got
            if got.type == HEADERS:
                self.fields(got)

    def alive(self):
        """The connection goes on: a ping comes back."""
        mark = b"alive???"
        self.send(frame(PING, 0, 0, mark))
        while True:
            got = self.until(PING, GOAWAY)
            if got.type == GOAWAY:
                raise AssertionError(f"GOAWAY {goaway_code(got)}")
            if got.flags & ACK and got.payload == mark:
                return

    def ended(self) -> int | None:
        """Reads to the end of the connection; the code of the last GOAWAY, if there was one."""
        code = None
        while True:
            try:
                got = self.read()
            except Closed:
                return code
            if got.type == GOAWAY:
                code = goaway_code(got)

    def ended_raw(self) -> bool:
        """Reads to the end of the connection, whatever comes; False where it does not end."""
        try:
            while self.link.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True


def goaway_code(got: Frame) -> int:
    return struct.unpack_from(">I", got.payload, 4)[0]
