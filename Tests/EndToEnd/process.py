"""Runs the shipped server and counts checks; knows nothing of KyroDB's messages, so that scripts
with other stubs than the stock ones can use it.

The server is KYRODB_BINARY or .build/ship/release/kyrodb. Every server gets its own data folder
below the system's temporary one, and a port of the kernel's choice.
"""
from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("KYRODB_BINARY", str(ROOT / ".build/ship/release/kyrodb"))
START_SECONDS_MAX = 30
SERVING = b"\x08\x01"  # HealthCheckResponse with status SERVING


def open_channel(target: str, credentials: grpc.ChannelCredentials | None = None, options=()):
    if credentials is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, credentials, options=options)


class Server:
    """A kyrodb process; the data folder outlives it until `discard`."""

    def __init__(self, *flags: str, data: str | None = None):
        self.flags = flags
        self.folder = tempfile.mkdtemp(prefix="kyrodb-test-")
        self.data = data or os.path.join(self.folder, "data")
        self.port_file = os.path.join(self.folder, "port")
        self.listen = "127.0.0.1:0"
        self.credentials: grpc.ChannelCredentials | None = None  # for a server that talks TLS
        self.environment: dict[str, str] = {}  # beside this process's own
        self.prefix: list[str] = []  # a command that runs the server
        self.process: subprocess.Popen | None = None
        self.target = ""
        self._log = open(os.path.join(self.folder, "stderr"), "w+b")

    def spawn(self):
        """Starts the process and returns at once."""
        if os.path.exists(self.port_file):
            os.remove(self.port_file)
        self.process = subprocess.Popen(
            [*self.prefix, BINARY, "serve", "--data", self.data, "--listen", self.listen,
             "--port-file", self.port_file, *self.flags], stderr=self._log,
            env={**os.environ, **self.environment})
        return self

    def listening(self) -> bool:
        return os.path.exists(self.port_file)

    def serving(self) -> bool:
        """True once health says SERVING. The port is there earlier, while logs are replayed."""
        if not self.listening():
            return False
        with open(self.port_file, encoding="ascii") as file:
            self.target = file.read().strip()
        with open_channel(self.target, self.credentials) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")  # bytes in, bytes out
            try:
                return check(b"", timeout=1) == SERVING
            except grpc.RpcError:
                return False

    def start(self):
        self.spawn()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.serving():
            if self.process.poll() is not None:
                raise RuntimeError(f"kyrodb ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"kyrodb did not serve in {START_SECONDS_MAX} s:\n{self.log()}")
            time.sleep(0.002)
        return self

    def stop(self) -> int:
        """SIGTERM, then the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        with open(self._log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def resident_bytes(self) -> int:
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024

    def discard(self):
        self.kill()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None and self.process is not None:
            print(f"the server's stderr:\n{self.log()[-4000:]}", file=sys.stderr)
        self.discard()


def contents(folder: Path) -> dict[str, bytes | None]:
    """Bytes by path of all that is below a folder; None for a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))}


class Checks:
    """Counts what holds; prints what does not, at once."""

    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, holds, text: str) -> bool:
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED  {text}", flush=True)
        return bool(holds)

    def equal(self, got, wanted, text: str) -> bool:
        return self(got == wanted, f"{text}: {got!r}, wanted {wanted!r}")

    def finish(self):
        print(f"RESULT {self.passed} checks passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)
