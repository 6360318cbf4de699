"""Starts the shipped server, generates stock stubs from Protos/ alone, counts checks.

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
from importlib.resources import files
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "Protos"
BINARY = os.environ.get("KYRODB_BINARY", str(ROOT / ".build/ship/release/kyrodb"))
START_SECONDS_MAX = 30


def _generate_stubs() -> Path:
    """Stock stubs. health.proto is compiled as a file of its own: as `grpc.health.v1` its module
    would lie inside the package `grpc`, which is taken."""
    out = ROOT / ".build/python-stubs"
    sources = sorted((PROTOS / "kyrodb/v2").glob("*.proto")) + [
        PROTOS / "grpc/health/v1/health.proto", PROTOS / "google/rpc/status.proto",
        PROTOS / "google/rpc/error_details.proto"]
    newest = max(source.stat().st_mtime_ns for source in sources)
    marker = out / "complete"
    if not marker.exists() or marker.stat().st_mtime_ns < newest:
        from grpc_tools import protoc
        out.mkdir(parents=True, exist_ok=True)
        for root, paths in (
            (PROTOS, sources[:-3]), (PROTOS / "grpc/health/v1", sources[-3:-2]),
            (PROTOS / "google/rpc", sources[-2:]),
        ):
            arguments = ["protoc", f"-I{root}", f"-I{files('grpc_tools') / '_proto'}",
                         f"--python_out={out}", f"--grpc_python_out={out}"]
            if protoc.main(arguments + [str(path) for path in paths]) != 0:
                sys.exit(f"protoc refused {paths}")
        marker.touch()
    return out


sys.path.insert(0, str(_generate_stubs()))

import error_details_pb2  # noqa: E402
import health_pb2 as health  # noqa: E402
import health_pb2_grpc  # noqa: E402
import status_pb2  # noqa: E402
from kyrodb.v2 import collections_pb2 as collections  # noqa: E402
from kyrodb.v2 import collections_pb2_grpc  # noqa: E402
from kyrodb.v2 import ingest_pb2 as ingest  # noqa: E402
from kyrodb.v2 import ingest_pb2_grpc  # noqa: E402
from kyrodb.v2 import operations_pb2 as operations  # noqa: E402
from kyrodb.v2 import operations_pb2_grpc  # noqa: E402
from kyrodb.v2 import search_pb2 as search  # noqa: E402
from kyrodb.v2 import search_pb2_grpc  # noqa: E402
from kyrodb.v2 import types_pb2 as types  # noqa: E402


class Stubs:
    """One channel with a stub of each service."""

    def __init__(self, target: str):
        self.channel = grpc.insecure_channel(target, options=(
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1)))
        self.collections = collections_pb2_grpc.CollectionsStub(self.channel)
        self.ingest = ingest_pb2_grpc.IngestStub(self.channel)
        self.search = search_pb2_grpc.SearchStub(self.channel)
        self.operations = operations_pb2_grpc.OperationsStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server:
    """A kyrodb process; the data folder outlives it until `discard`."""

    def __init__(self, *flags: str, data: str | None = None):
        self.flags = flags
        self.folder = tempfile.mkdtemp(prefix="kyrodb-test-")
        self.data = data or os.path.join(self.folder, "data")
        self.port_file = os.path.join(self.folder, "port")
        self.process: subprocess.Popen | None = None
        self.target = ""
        self._log = open(os.path.join(self.folder, "stderr"), "w+b")

    def spawn(self):
        """Starts the process and returns at once."""
        if os.path.exists(self.port_file):
            os.remove(self.port_file)
        self.process = subprocess.Popen(
            [BINARY, "serve", "--data", self.data, "--listen", "127.0.0.1:0",
             "--port-file", self.port_file, *self.flags], stderr=self._log)
        return self

    def listening(self) -> bool:
        return os.path.exists(self.port_file)

    def serving(self) -> bool:
        """True once health says SERVING. The port is there earlier, while logs are replayed."""
        if not self.listening():
            return False
        with open(self.port_file, encoding="ascii") as file:
            self.target = file.read().strip()
        with Stubs(self.target) as stubs:
            try:
                response = stubs.health.Check(health.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
            return response.status == health.HealthCheckResponse.SERVING

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


class Failure:
    """A refused call, its details decoded as any stock client would."""

    def __init__(self, error: grpc.RpcError):
        self.code = error.code()
        self.message = error.details() or ""
        self.reason = self.field = ""
        self.retry = False
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                kind = detail.type_url.rsplit(".", 1)[-1]
                if kind == "ErrorInfo":
                    self.reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason
                elif kind == "BadRequest":
                    bad = error_details_pb2.BadRequest.FromString(detail.value)
                    self.field = bad.field_violations[0].field if bad.field_violations else ""
                elif kind == "RetryInfo":
                    self.retry = True

    def __str__(self):
        return f"{self.code.name} {self.reason} field={self.field!r}: {self.message}"


def failure_of(call) -> Failure | None:
    """What `call()` is refused with, or None. A stream is read to its end."""
    try:
        result = call()
        if hasattr(result, "__next__"):
            list(result)
        return None
    except grpc.RpcError as error:
        return Failure(error)


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
