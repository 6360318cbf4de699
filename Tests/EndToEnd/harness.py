"""Stock stubs, generated from Protos/ alone by grpcio-tools, and what a refused call says."""
from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import grpc

from process import BINARY, ROOT, Checks, Server, contents, open_channel

__all__ = [
    "BINARY", "ROOT", "Checks", "Failure", "Server", "Stubs", "collections", "failure_of", "health",
    "ingest", "operations", "ranking", "search", "types",
]
PROTOS = ROOT / "Protos"


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
from kyrodb.v2 import ranking_pb2 as ranking  # noqa: E402
from kyrodb.v2 import search_pb2 as search  # noqa: E402
from kyrodb.v2 import search_pb2_grpc  # noqa: E402
from kyrodb.v2 import tuning_pb2 as tuning  # noqa: E402
from kyrodb.v2 import types_pb2 as types  # noqa: E402


class Stubs:
    """One channel with a stub of each service."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None):
        self.channel = open_channel(target, credentials, options=(
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
