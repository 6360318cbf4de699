#!/usr/bin/env python3
"""Generates src/kyrodb_v2/_proto from Protos/ with grpcio-tools; does nothing when it is up to date.

The files are compiled under the name `kyrodb_v2/_proto/…`, so that the Python modules live inside
this package and cannot meet those of the published v1 client. google.rpc is renamed on the way:
a program may well carry its own copy, and one process takes each protobuf name only once.
"""
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTOS = HERE.parent.parent / "Protos"
OUT = HERE / "src" / "kyrodb_v2" / "_proto"

SOURCES = {
    "types": "kyrodb/v2/types.proto",
    "collections": "kyrodb/v2/collections.proto",
    "ingest": "kyrodb/v2/ingest.proto",
    "aggregations": "kyrodb/v2/aggregations.proto",
    "ranking": "kyrodb/v2/ranking.proto",
    "search": "kyrodb/v2/search.proto",
    "text": "kyrodb/v2/text.proto",
    "tuning": "kyrodb/v2/tuning.proto",
    "operations": "kyrodb/v2/operations.proto",
    "rpc_status": "google/rpc/status.proto",
    "rpc_details": "google/rpc/error_details.proto",
}


def moved(text):
    text = re.sub(r'import "kyrodb/v2/', 'import "kyrodb_v2/_proto/', text)
    return text.replace("package google.rpc;", "package kyrodb_v2.google_rpc;")


def main():
    marker = OUT / "__init__.py"
    inputs = [PROTOS / path for path in SOURCES.values()] + [Path(__file__)]
    missing = [str(path) for path in inputs if not path.exists()]
    if missing:
        if marker.exists():
            return  # built from an archive that carries the stubs
        sys.exit(f"missing: {' '.join(missing)}; build from a checkout of the repository")
    newest = max(path.stat().st_mtime_ns for path in inputs)
    if marker.exists() and marker.stat().st_mtime_ns >= newest:
        return

    from importlib.resources import files

    from grpc_tools import protoc

    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "kyrodb_v2" / "_proto"
        tree.mkdir(parents=True)
        for name, path in SOURCES.items():
            (tree / f"{name}.proto").write_text(moved((PROTOS / path).read_text()))
        root = str(OUT.parent.parent)
        arguments = ["protoc", f"-I{folder}", f"-I{files('grpc_tools') / '_proto'}",
                     f"--python_out={root}", f"--pyi_out={root}", f"--grpc_python_out={root}"]
        if protoc.main(arguments + [str(tree / f"{name}.proto") for name in SOURCES]) != 0:
            sys.exit("protoc failed")
    marker.write_text('"""Generated from Protos/; see generate.py."""\n')


if __name__ == "__main__":
    main()
