#!/usr/bin/env python3
"""What the shipped server links, how fast it starts and how small it is then.

usage: check_server.py [--strict] KYRODB

Links and memory decide; the time is printed, and decides only with --strict.
"""
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

START_MILLIS_MAX = 200
RESIDENT_MIB_MAX = 20
SAMPLES = 9


def linked(binary):
    text = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024


def start_once(binary):
    """Milliseconds from exec to the port file, resident bytes then, exit status after SIGTERM."""
    folder = tempfile.mkdtemp(prefix="kyrodb-start-")
    port_file = os.path.join(folder, "port")
    command = [binary, "serve", "--data", os.path.join(folder, "data"),
               "--listen", "127.0.0.1:0", "--port-file", port_file]
    begin = time.perf_counter()
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        while not os.path.exists(port_file):
            if server.poll() is not None:
                sys.exit(f"kyrodb ended with {server.returncode}: {server.stderr.read()}")
            if time.perf_counter() - begin > 10:
                sys.exit("kyrodb wrote no port file within 10 s")
            time.sleep(0.0005)
        millis = (time.perf_counter() - begin) * 1000
        resident = resident_bytes(server.pid)
        server.send_signal(signal.SIGTERM)
        return millis, resident, server.wait(timeout=10)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        server.stderr.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    arguments = sys.argv[1:]
    strict = "--strict" in arguments
    arguments = [argument for argument in arguments if argument != "--strict"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    binary, failures = arguments[0], []

    libraries = linked(binary)
    unwanted = [name for name in libraries if re.search(r"Foundation|libswift|icu", name)]
    print("links:", " ".join(sorted(libraries)))
    if unwanted:
        failures.append(f"links {' '.join(unwanted)}")

    runs = [start_once(binary) for _ in range(SAMPLES)]
    millis = sorted(run[0] for run in runs)
    resident = max(run[1] for run in runs) / (1 << 20)
    print(f"RESULT start on an empty directory: median {statistics.median(millis):.1f} ms, "
          f"max {millis[-1]:.1f} ms of {SAMPLES} (bound {START_MILLIS_MAX} ms); "
          f"resident {resident:.1f} MiB (bound {RESIDENT_MIB_MAX} MiB); "
          f"binary {os.path.getsize(binary) / (1 << 20):.1f} MiB")
    if strict and statistics.median(millis) >= START_MILLIS_MAX:
        failures.append(f"starts in {statistics.median(millis):.0f} ms")
    if resident >= RESIDENT_MIB_MAX:
        failures.append(f"resident {resident:.1f} MiB")
    if any(run[2] != 0 for run in runs):
        failures.append(f"exit statuses after SIGTERM: {[run[2] for run in runs]}")

    for failure in failures:
        print("FAILED", failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
