#!/usr/bin/env python3
"""The official Python interoperability client, all of its cases, against kyro-interop-server, over
plaintext and over TLS.

The client's own modules (Debian's source package grpc) run in this process: a process a case would
spend most of its time on imports.

usage: interop.py SERVER GRPC_SOURCES
"""
import subprocess
import sys
import time
import types
from importlib.resources import files
from pathlib import Path

import grpc
from grpc_tools import protoc

SERVER, SOURCES = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
OUT = SOURCES.parent / "pygen"
PROTOS = [f"src/proto/grpc/testing/{name}.proto" for name in ("empty", "messages", "test")]
CREDENTIALS = SOURCES / "src/python/grpcio_tests/tests/interop/credentials"
# Cases that need an account at a cloud.
FOREIGN = {"compute_engine_creds", "oauth2_auth_token", "jwt_token_creds", "per_rpc_creds"}
CASES = 14


def prepare():
    OUT.mkdir(exist_ok=True)
    if protoc.main(["protoc", f"-I{SOURCES}", f"-I{files('grpc_tools') / '_proto'}",
                    f"--python_out={OUT}", f"--grpc_python_out={OUT}",
                    f"--descriptor_set_out={OUT}/testing.binpb", "--include_imports",
                    *(str(SOURCES / path) for path in PROTOS)]) != 0:
        sys.exit("protoc refused the test service")
    sys.path[:0] = [str(OUT)]
    # `tests.interop` without the package around it, which imports half of gRPC's own tests.
    package = types.ModuleType("tests")
    package.__path__ = [str(SOURCES / "src/python/grpcio_tests/tests")]
    sys.modules["tests"] = package


def start():
    process = subprocess.Popen(
        [SERVER, "--plain", "0", "--tls", "0", "--cert", CREDENTIALS / "server1.pem", "--key",
         CREDENTIALS / "server1.key", "--descriptors", OUT / "testing.binpb"],
        stdout=subprocess.PIPE, text=True)
    ports = dict(process.stdout.readline().split() for _ in range(2))
    return process, ports


def run(client, methods, port, tls):
    """Names of the cases that failed, and how many ran."""
    failed, count = [], 0
    for case in methods.TestCase:
        if case.value in FOREIGN:
            continue
        arguments = ["client", f"--server_port={port}", "--server_host=127.0.0.1",
                     f"--test_case={case.value}"]
        if tls:
            arguments += ["--use_tls=true", "--use_test_ca=true",
                          "--server_host_override=foo.test.google.fr"]
        sys.argv = arguments
        parsed = client.parse_interop_client_args()
        started, count = time.monotonic(), count + 1
        try:
            with client._create_channel(parsed) as channel:
                case.test_interoperability(client.create_stub(channel, parsed), parsed)
            verdict = "ok"
        except Exception as error:  # noqa: BLE001: whatever a case raises is its verdict
            verdict = f"FAILED {type(error).__name__} {error}"[:300]
            failed.append(case.value)
        print(f"{'tls' if tls else 'plain':6} {case.value:32} "
              f"{time.monotonic() - started:5.2f} s  {verdict}", flush=True)
    return failed, count


def main():
    prepare()
    from tests.interop import client, methods
    process, ports = start()
    try:
        results = [run(client, methods, ports[name], name == "tls") for name in ("plain", "tls")]
    finally:
        process.terminate()
    status = process.wait(timeout=15)
    failed = [name for names, _ in results for name in names]
    count = sum(number for _, number in results)
    print(f"RESULT {count - len(failed)} of {count} cases passed with grpcio {grpc.__version__}")
    if failed or count != 2 * CASES or status != 0:
        sys.exit(f"FAILED: {failed}, {count} cases, server's exit status {status}")


main()
