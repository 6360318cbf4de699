"""HTTP/2 by hand, for what no gRPC library would send."""
import socket
import struct
import time

import h2.config
import h2.connection
import h2.events

MIB = 1 << 20


def raw_call(target, path, body, content_type="application/grpc", end=True, extra=()):
    """One request by hand, with these header fields besides. Returns the response's headers and trailers as one dictionary."""
    host, port = target.rsplit(":", 1)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    told = {}
    with socket.create_connection((host, int(port)), timeout=10) as link:
        connection.initiate_connection()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path),
                   (":authority", target), ("te", "trailers")]
        if content_type is not None:
            headers.append(("content-type", content_type))
        headers.extend(extra)
        connection.send_headers(1, headers)
        connection.send_data(1, body, end_stream=end)
        link.sendall(connection.data_to_send())
        while True:
            data = link.recv(65536)
            if not data:
                return told
            for event in connection.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    told.update(event.headers)
                if isinstance(event, h2.events.StreamReset):
                    told["reset"] = str(int(event.error_code))
                if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset,
                                      h2.events.ConnectionTerminated)):
                    return told
            link.sendall(connection.data_to_send())


def framed(message, length=None, flag=0):
    return struct.pack(">BI", flag, len(message) if length is None else length) + message


def push(server, opening, batch, count):
    host, port = server.target.rsplit(":", 1)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    told, sent, highest = {}, 0, 0
    with socket.create_connection((host, int(port)), timeout=10) as link:
        connection.initiate_connection()
        connection.send_headers(1, [
            (":method", "POST"), (":scheme", "http"), (":path", "/kyrodb.v2.Ingest/Stream"),
            (":authority", server.target), ("te", "trailers"), ("content-type", "application/grpc")])
        rest, begun = memoryview(opening), 0
        link.settimeout(0.05)
        idle_since = time.monotonic()
        while True:
            while rest or begun < count:
                if not rest:
                    rest, begun = memoryview(batch), begun + 1
                room = min(connection.local_flow_control_window(1),
                           connection.max_outbound_frame_size, len(rest))
                if room <= 0:
                    break
                connection.send_data(1, bytes(rest[:room]))
                rest, sent = rest[room:], sent + room
                idle_since = time.monotonic()
                if sent % MIB < room:
                    highest = max(highest, server.resident_bytes())
                if len(connection._data_to_send) > MIB:
                    break
            try:
                pending = connection.data_to_send()
                if pending:
                    link.settimeout(10)
                    link.sendall(pending)
                    link.settimeout(0.05)
                data = link.recv(65536)
            except TimeoutError:
                if time.monotonic() - idle_since > 5:
                    return sent, max(highest, server.resident_bytes()), told or {"silent": True}
                continue
            except (BrokenPipeError, ConnectionResetError):
                return sent, max(highest, server.resident_bytes()), told
            if not data:
                return sent, max(highest, server.resident_bytes()), told
            for event in connection.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    told.update(event.headers)
                if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset,
                                      h2.events.ConnectionTerminated)):
                    return sent, max(highest, server.resident_bytes()), told
