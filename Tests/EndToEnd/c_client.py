#!/usr/bin/env python3
"""The C client's test program against the running server, plain and under the address sanitizer."""
import os
import subprocess

from process import ROOT, Checks, Server

check = Checks()


def main():
    for name in ("kyrodb-c-test", "kyrodb-c-test-asan"):
        with Server("--shards", "2") as server:
            host, port = server.target.rsplit(":", 1)
            result = subprocess.run(
                [str(ROOT / ".build/clients/c" / name), host, port], capture_output=True, text=True,
                timeout=60, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
            told = result.stdout + result.stderr
            check.equal(result.returncode, 0, f"{name}: {told[-3000:]}")
            check(" passed, 0 failed" in told, f"{name} told {told[-300:]}")
            check.equal(server.stop(), 0, "exit status of the server")
    check.finish()


if __name__ == "__main__":
    main()
