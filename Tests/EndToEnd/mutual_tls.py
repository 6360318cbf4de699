#!/usr/bin/env python3
"""Client certificates stand for principals; the server's own is replaced without losing a connection."""
import queue
import shutil
import signal
import socket
import ssl
import tempfile
from pathlib import Path

from access_world import (
    bearer,
    edit,
    eventually,
    kyroctl,
    make_authority,
    make_certificate,
    make_key,
    refusal_of,
    tls_credentials,
)
from harness import (
    Checks,
    Server,
    Stubs,
    collections,
    failure_of,
    health,
    operations,
    search,
    types,
)

check = Checks()


def status_over(server, credentials, key=None):
    """(code, reason) of a call over a connection of its own."""
    with Stubs(server.target, credentials) as stubs:
        return refusal_of(lambda: stubs.operations.Status(
            operations.StatusRequest(), metadata=bearer(key), timeout=10))[:2]


def check_clients(server, folder, key):
    for client, wanted in (
            ("dns", ("OK", "")), ("uri", ("OK", "")), ("common", ("OK", "")),
            ("nobody", ("UNAUTHENTICATED", "CREDENTIALS_INVALID")),
            (None, ("UNAUTHENTICATED", "CREDENTIALS_MISSING"))):
        got = status_over(server, tls_credentials(folder, "authority", client))
        check.equal(got, wanted, f"certificate {client}")
    check.equal(status_over(server, tls_credentials(folder, "authority"), key), ("OK", ""), "key")
    check.equal(status_over(server, tls_credentials(folder, "authority", "nobody"), key),
                ("OK", ""), "a key beside a certificate that stands for nobody")
    check.equal(status_over(server, tls_credentials(folder, "authority", "dns"), "wrong"),
                ("UNAUTHENTICATED", "CREDENTIALS_INVALID"), "a wrong key beside a good certificate")
    # Signed by somebody else, whatever it says.
    check.equal(status_over(server, tls_credentials(folder, "authority", "forged"))[0],
                "UNAVAILABLE", "a certificate of another authority")
    with Stubs(server.target, tls_credentials(folder, "authority", "dns")) as stubs:
        code, reason, _ = refusal_of(lambda: stubs.collections.Create(
            collections.CreateCollectionRequest(scope=types.Scope(namespace="n"))))
        check.equal((code, reason), ("PERMISSION_DENIED", "ROLE_MISSING"), "roles of a certificate")
    result = kyroctl("status", "--server", server.target, "--tls", "--ca",
                     f"{folder}/authority.pem", "--client-cert", f"{folder}/dns.pem",
                     "--client-key", f"{folder}/dns.key")
    check.equal(result.returncode, 0, f"kyroctl with a certificate: {result.stderr}")


def served_name(server, folder):
    """The common name of the certificate that a new connection gets."""
    host, port = server.target.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(f"{folder}/authority.pem")
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=host) as link:
            subject = dict(entry[0] for entry in link.getpeercert()["subject"])
            return subject["commonName"]


def replace(folder, name):
    for kind in ("key", "pem"):
        shutil.copy(f"{folder}/{name}.{kind}", f"{folder}/served.{kind}.new")
        Path(f"{folder}/served.{kind}.new").replace(f"{folder}/served.{kind}")


def check_reload(server, folder, key):
    """A stream that is open over the old certificate goes on over it."""
    check.equal(served_name(server, folder), "first", "the certificate at the start")
    with Stubs(server.target, tls_credentials(folder, "authority")) as stubs:
        asked = queue.Queue()
        answers = stubs.search.SearchMany(
            iter(asked.get, None), metadata=bearer(key), timeout=120)

        def ask():
            asked.put(search.SearchManyRequest(
                tag=1, search=search.SearchRequest(scope=types.Scope(namespace="n"))))
            return next(answers).error.reason != ""

        check(ask(), "a stream before")
        replace(folder, "second")
        check(eventually(lambda: served_name(server, folder) == "second"), "new connections' own")
        check(ask(), "the stream goes on")
        good = Path(folder, "served.pem").read_text()
        told = server.log().count("the certificate could not be read anew")
        Path(folder, "served.pem").write_text(good[:200])
        check(eventually(lambda: server.log().count("the certificate could not be read anew")
                         > told), "a broken certificate is told")
        check.equal(served_name(server, folder), "second", "and the one before serves")
        shutil.copy(f"{folder}/first.key", f"{folder}/served.key")  # not the certificate's
        server.process.send_signal(signal.SIGHUP)
        check(eventually(lambda: server.log().count("the certificate could not be read anew")
                         > told + 1), "SIGHUP reads at once, and a pair that does not fit is told")
        check.equal(served_name(server, folder), "second", "the pair before serves")
        replace(folder, "first")
        server.process.send_signal(signal.SIGHUP)
        check(eventually(lambda: served_name(server, folder) == "first"), "a whole pair again")
        check(ask(), "the stream outlives all of it")
        asked.put(None)
        check(failure_of(lambda: answers) is None, "and ends well")


def check_mapping(server, folder, path):
    """Rights of a certificate follow the access file."""
    def move(access):
        access["principals"][1]["certificates"].remove("CN:common")

    credentials = tls_credentials(folder, "authority", "common")
    check.equal(status_over(server, credentials), ("OK", ""), "before")
    edit(path, move)
    check(eventually(lambda: status_over(server, credentials)[1] == "CREDENTIALS_INVALID"),
          "a name that was taken from its principal")


def main():
    with tempfile.TemporaryDirectory() as folder:
        make_authority(folder, "authority")
        make_authority(folder, "stranger")
        for name in ("first", "second"):
            make_certificate(folder, name, "authority", "IP:127.0.0.1,IP:0.0.0.0,DNS:localhost")
        make_certificate(folder, "dns", "authority", "DNS:reader.example")
        make_certificate(folder, "uri", "authority", "DNS:other.example,URI:spiffe://acme/reader")
        make_certificate(folder, "common", "authority", "DNS:unknown.example")
        make_certificate(folder, "nobody", "authority", "DNS:reader.example.evil.example")
        make_certificate(folder, "forged", "stranger", "DNS:reader.example")
        replace(folder, "first")
        path = f"{folder}/access.json"
        key = make_key(path, "operator", "--tenants", "*", "--roles", "admin")
        edit(path, lambda access: access["principals"].append({
            "name": "reader", "tenants": ["default"], "namespaces": ["*"], "roles": ["read"],
            "certificates": ["DNS:reader.example", "URI:spiffe://acme/reader", "CN:common"]}))
        flags = ("--tls-cert", f"{folder}/served.pem", "--tls-key", f"{folder}/served.key",
                 "--tls-client-ca", f"{folder}/authority.pem", "--access", path)
        server = Server(*flags)
        server.credentials = tls_credentials(folder, "authority")
        server.listen = "0.0.0.0:0"  # allowed: TLS, and callers say who they are
        with server:
            server.target = server.target.replace("0.0.0.0", "127.0.0.1")
            check_clients(server, folder, key)
            check_reload(server, folder, key)
            check_mapping(server, folder, path)
        strict = Server(*flags, "--tls-client-required")
        strict.credentials = tls_credentials(folder, "authority", "dns")
        with strict:
            check.equal(status_over(strict, tls_credentials(folder, "authority", "dns")),
                        ("OK", ""), "a certificate where one is required")
            with Stubs(strict.target, tls_credentials(folder, "authority")) as stubs:
                failure = failure_of(lambda: stubs.health.Check(
                    health.HealthCheckRequest(), timeout=5))
                check(failure and failure.code.name == "UNAVAILABLE", f"none: {failure}")
    check.finish()


if __name__ == "__main__":
    main()
