#!/usr/bin/env python3
"""The server behind TLS: a stock grpcio client over a secure channel, kyroctl --tls, what openssl's
own client sees of ALPN and versions, and what is refused."""
import os
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import numpy as np
from derived import components, packed
from harness import (
    BINARY,
    Checks,
    Server,
    Stubs,
    collections,
    failure_of,
    health,
    ingest,
    operations,
    search,
    types,
)
from raw_http2 import framed

KYROCTL = os.environ.get("KYROCTL_BINARY", str(Path(BINARY).with_name("kyroctl")))
SCOPE = types.Scope(namespace="tls")
ROWS, DIMENSION = 4_000, 256
check = Checks()


def make_certificates(folder):
    for name in ("server", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-noenc", "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key",
             "-out", f"{folder}/{name}.pem", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)


def check_grpc(server):
    """Large answers and requests, so that records, windows and socket buffers all fill."""
    vectors = np.random.default_rng(7).standard_normal((ROWS, DIMENSION)).astype("<f4")
    with Stubs(server.target, server.credentials) as stubs:
        check.equal(stubs.health.Check(health.HealthCheckRequest()).status,
                    health.HealthCheckResponse.SERVING, "health")
        stubs.collections.Create(collections.CreateCollectionRequest(
            scope=SCOPE, schema=collections.Schema(
                vectors=[collections.VectorField(name="v", dimension=DIMENSION)])))
        for start in range(0, ROWS, 2_000):
            answer = stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=[
                ingest.Mutation(upsert=types.Document(
                    id=types.DocumentId(number=n),
                    vectors={"v": packed(vectors[n])}))
                for n in range(start, start + 2_000)]))
            check(all(outcome.result == ingest.WRITE_RESULT_APPLIED for outcome in answer.outcomes)
                  and len(answer.outcomes) == 2_000, f"rows from {start} were written")
        answer = stubs.search.Lookup(search.LookupRequest(
            scope=SCOPE, ids=[types.DocumentId(number=n) for n in range(1_000)]))
        got = [components(result.document.vectors["v"]) for result in answer.results]
        check(len(got) == 1_000 and np.array_equal(np.stack(got), vectors[:1_000]),
              "a megabyte of vectors comes back as it was written")
        seen = sum(len(page.documents) for page in stubs.search.Scan(
            search.ScanRequest(scope=SCOPE)))
        check.equal(seen, ROWS, "documents of a scan")


def check_refusals(server, folder):
    def health_over(credentials):
        with Stubs(server.target, credentials) as stubs:
            return failure_of(
                lambda: stubs.health.Check(health.HealthCheckRequest(), timeout=5))

    other = Path(folder, "other.pem").read_bytes()
    for credentials, text in ((None, "plaintext"),
                              (grpc.ssl_channel_credentials(other), "another authority")):
        failure = health_over(credentials)
        check(failure and failure.code.name == "UNAVAILABLE", f"{text}: {failure}")
    check(health_over(server.credentials) is None, "the server goes on behind refused clients")


def check_slow_reader(server, folder):
    """A client with wide windows and a small socket buffer wants 33 MB and reads late: the server
    blocks in the middle of records, serves others meanwhile, and goes on where it was."""
    host, port = server.target.split(":")
    context = ssl.create_default_context(cafile=f"{folder}/server.pem")
    context.set_alpn_protocols(["h2"])
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 10)
    plain.settimeout(20)
    plain.connect((host, int(port)))
    bodies, statuses = {}, {}
    with context.wrap_socket(plain, server_hostname=host) as link:
        check.equal(link.selected_alpn_protocol(), "h2", "ALPN")
        connection.initiate_connection()
        connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 26})
        connection.increment_flow_control_window(1 << 26)
        for stream in range(1, 16, 2):
            connection.send_headers(stream, [
                (":method", "POST"), (":scheme", "https"), (":path", "/kyrodb.v2.Search/Scan"),
                (":authority", server.target), ("te", "trailers"),
                ("content-type", "application/grpc")])
            connection.send_data(
                stream, framed(search.ScanRequest(scope=SCOPE).SerializeToString()),
                end_stream=True)
            bodies[stream] = bytearray()
        link.sendall(connection.data_to_send())
        with Stubs(server.target, server.credentials) as stubs:
            for _ in range(20):
                answer = stubs.search.Lookup(search.LookupRequest(
                    scope=SCOPE, ids=[types.DocumentId(number=3)]))
            check(answer.results[0].document.vectors, "a lookup beside a reader that sleeps")
        while len(statuses) < len(bodies):
            data = link.recv(16 << 10)
            if not data:
                break
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, h2.events.TrailersReceived):
                    statuses[event.stream_id] = dict(event.headers).get("grpc-status")
            link.sendall(connection.data_to_send())
    check.equal(statuses, {stream: "0" for stream in bodies}, "statuses of the scans")
    for stream, body in bodies.items():
        documents, start = 0, 0
        while start < len(body):
            size = int.from_bytes(body[start + 1:start + 5], "big")
            documents += len(search.ScanResponse.FromString(
                bytes(body[start + 5:start + 5 + size])).documents)
            start += 5 + size
        check.equal(documents, ROWS, f"documents on stream {stream}")


def check_silent_and_broken(server):
    """Connections that send half a hello, noise, or nothing, then go."""
    host, port = server.target.split(":")
    noise = np.random.default_rng(11).bytes(4_096)
    for sent in (b"", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", noise):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(sent)
    with Stubs(server.target, server.credentials) as stubs:
        check(stubs.operations.Status(operations.StatusRequest()), "status behind broken clients")


def s_client(server, folder, *flags):
    return subprocess.run(
        ["openssl", "s_client", "-connect", server.target, "-CAfile", f"{folder}/server.pem",
         "-verify_return_error", *flags], input=b"", capture_output=True, timeout=20)


def check_alpn(server, folder):
    for version in ("-tls1_2", "-tls1_3"):
        result = s_client(server, folder, version, "-alpn", "http/1.1,h2")
        output = result.stdout.decode() + result.stderr.decode()
        check("ALPN protocol: h2" in output, f"{version}: {output[-600:]}")
        check("Verify return code: 0" in output, f"{version} verification: {output[-600:]}")
        for flags, text in ((("-alpn", "http/1.1"), "another protocol"), ((), "no protocol")):
            result = s_client(server, folder, version, *flags)
            output = result.stdout.decode() + result.stderr.decode()
            check("no application protocol" in output and result.returncode != 0,
                  f"{version}, {text}: {output[-600:]}")
    for version in ("-tls1", "-tls1_1"):
        result = s_client(server, folder, version, "-cipher", "ALL:@SECLEVEL=0", "-alpn", "h2")
        check(result.returncode != 0, f"{version} was taken")
    result = s_client(server, folder, "-tls1_2", "-cipher", "AES128-SHA", "-alpn", "h2")
    check(result.returncode != 0, "a cipher that HTTP/2 forbids was taken")


def kyroctl(server, *arguments):
    return subprocess.run([KYROCTL, *arguments, "--server", server.target], capture_output=True,
                          text=True, timeout=60)


def check_kyroctl(server, folder):
    trusted = ("--tls", "--ca", f"{folder}/server.pem")
    result = kyroctl(server, "ping", *trusted)
    check.equal(result.returncode, 0, f"kyroctl ping: {result.stderr}")
    result = kyroctl(server, "scan", "-n", "tls", "--json", *trusted)
    check.equal((result.returncode, len(result.stdout.splitlines())), (0, ROWS),
                f"kyroctl scan: {result.stderr[-300:]}")
    for flags, words in (
        ((), "cannot"),
        (("--tls",), "not trusted"),
        (("--tls", "--ca", f"{folder}/other.pem"), "not trusted"),
        (("--tls", "--ca", f"{folder}/absent.pem"), "No such file"),
        (("--ca", f"{folder}/server.pem"), "--ca goes with --tls"),
    ):
        result = kyroctl(server, "ping", "--timeout", "5s", *flags)
        check(result.returncode != 0 and (words in result.stderr or not flags),
              f"kyroctl ping {flags}: {result.returncode} {result.stderr}")


def check_other_servers(folder):
    """kyroctl --tls against a TLS server that knows no ALPN, and against a plaintext one."""
    trusted = ("--tls", "--ca", f"{folder}/server.pem", "--timeout", "5s")
    with subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", f"{folder}/server.pem",
             "-key", f"{folder}/server.key"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True) as other:
        line = next(line for line in other.stdout if line.startswith("ACCEPT "))
        result = subprocess.run(
            [KYROCTL, "ping", "--server", line.split()[1], *trusted], capture_output=True,
            text=True, timeout=20)
        check("does not speak HTTP/2" in result.stderr, f"no ALPN: {result.stderr}")
        other.kill()
    with Server() as server:
        result = kyroctl(server, "ping", *trusted)
        check(result.returncode != 0 and "does the server talk TLS there?" in result.stderr,
              f"kyroctl --tls to a plaintext server: {result.stderr}")


def check_arguments(folder):
    def serve(*flags):
        return subprocess.run([BINARY, "serve", "--data", f"{folder}/none", *flags],
                              capture_output=True, text=True, timeout=20)

    certificate = ("--tls-cert", f"{folder}/server.pem")
    key = ("--tls-key", f"{folder}/server.key")
    for flags, status, words in (
        (certificate, 2, "belong together"),
        (key, 2, "belong together"),
        ((*certificate, *key, "--listen", "0.0.0.0:0"), 2, "--access"),
        (("--listen", "0.0.0.0:0"), 2, "plaintext"),
        ((*certificate, "--tls-key", f"{folder}/other.key"), 1, "other.key"),
        (("--tls-cert", f"{folder}/absent.pem", *key), 1, "No such file"),
    ):
        result = serve(*flags)
        check(result.returncode == status and words in result.stderr,
              f"serve {flags}: {result.returncode} {result.stderr}")


def check_stop(server):
    """A connection with a call under way learns that the server goes, and does not hold it up."""
    with Stubs(server.target, server.credentials) as stubs:
        watch = stubs.health.Watch(health.HealthCheckRequest())
        check.equal(next(watch).status, health.HealthCheckResponse.SERVING, "watch")
        check.equal(server.stop(), 0, "exit status")
        failure_of(lambda: watch)  # ends, with whatever status


def main():
    with tempfile.TemporaryDirectory(prefix="kyrodb-tls-") as folder:
        make_certificates(folder)
        check_arguments(folder)
        check_other_servers(folder)
        server = Server("--tls-cert", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key")
        server.credentials = grpc.ssl_channel_credentials(
            Path(folder, "server.pem").read_bytes())
        with server:
            check_grpc(server)
            check_slow_reader(server, folder)
            check_refusals(server, folder)
            check_silent_and_broken(server)
            check_alpn(server, folder)
            check_kyroctl(server, folder)
            check_stop(server)
    check.finish()


main()
