"""Access files, keys, tokens and certificates for the scripts that ask who may do what."""
from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path

import grpc
from harness import BINARY

KYROCTL = os.environ.get("KYROCTL_BINARY", str(Path(BINARY).with_name("kyroctl")))


def kyroctl(*arguments, key=None, check=False):
    environment = {**os.environ, "KYRODB_API_KEY": key or ""}
    return subprocess.run([KYROCTL, *arguments], capture_output=True, text=True, timeout=60,
                          env=environment, check=check)


def make_key(path, name, *rights):
    """A key of a principal, who is made when there are rights."""
    return json.loads(kyroctl(
        "keys", "create", name, "--file", str(path), "--json", *rights, check=True).stdout)["key"]


def key_id(key):
    return key.split("_")[1]


def edit(path, change):
    """Changes the file as a person would, in one step for whoever reads it."""
    access = json.loads(Path(path).read_text())
    change(access)
    new = Path(f"{path}.edited")
    new.write_text(json.dumps(access))
    new.replace(path)


def bearer(key):
    return () if key is None else (("authorization", f"Bearer {key}"),)


def code_of(call):
    """OK, or the code that ends a call; a stream is read to its end."""
    return refusal_of(call)[0]


def refusal_of(call):
    from harness import failure_of
    failure = failure_of(call)
    return ("OK", "", "") if failure is None else (
        failure.code.name, failure.reason, failure.message)


def eventually(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with an Ed25519 key of the openssl program."""

    def __init__(self, folder, name):
        self.key = f"{folder}/{name}.pem"
        self.folder, self.name = folder, name
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key],
                       check=True, capture_output=True)
        public = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"],
                                check=True, capture_output=True).stdout
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "kid": name, "x": _segment(public[-32:])}

    def token(self, rights, **claims):
        now = int(time.time())
        body = {"iss": "https://issuer.example", "aud": "kyrodb", "sub": "alice",
                "exp": now + 3_600, "kyrodb": rights, **claims}
        header = {"alg": "EdDSA", "kid": self.name}
        signed = ".".join(_segment(json.dumps(part).encode()) for part in (header, body))
        message = Path(self.folder, "message")
        message.write_text(signed)
        signature = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", str(message)],
            check=True, capture_output=True).stdout
        return f"{signed}.{_segment(signature)}"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_authority(folder, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
            "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key",
            "-out", f"{folder}/{name}.pem")


def make_certificate(folder, name, authority, alternative):
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
            "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key",
            "-out", f"{folder}/{name}.csr", "-addext", f"subjectAltName={alternative}")
    openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/{authority}.pem",
            "-CAkey", f"{folder}/{authority}.key", "-days", "2", "-copy_extensions", "copy",
            "-out", f"{folder}/{name}.pem")


def tls_credentials(folder, authority, client=None):
    read = lambda name: Path(folder, name).read_bytes()  # noqa: E731
    if client is None:
        return grpc.ssl_channel_credentials(read(f"{authority}.pem"))
    return grpc.ssl_channel_credentials(
        read(f"{authority}.pem"), read(f"{client}.key"), read(f"{client}.pem"))
