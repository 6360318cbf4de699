#!/usr/bin/env python3
"""A wall clock that jumps ten years, ahead and back, while the server runs and while it does not:
nothing expires by mistake, what is due expires all the same, and no order depends on it."""
import time

from fault_shim import Shim
from harness import Checks, Server, Stubs, failure_of, ingest, operations, search, types

SCOPE = types.Scope(namespace="clock")
TEN_YEARS = 10 * 365 * 86_400
HOUR, YEAR = 3_600, 365 * 86_400
DUE_SECONDS = 1
WAIT_SECONDS = 20
STAYS = {1: None, 2: HOUR, 3: YEAR, 4: 20 * YEAR}  # document → seconds until it expires
DUE = 100  # ids from here on expire in a moment
GONE = 9  # expires before the first jump
check = Checks()


def write(stubs, number, seconds):
    """`seconds` from the true time on. Returns the sequence."""
    document = types.Document(id=types.DocumentId(number=number), texts={"body": "granite"})
    document.vectors["v"].values.extend([1.0, number])
    if seconds is not None:
        document.expires_at_ms = int((time.time() + seconds) * 1000)
    outcome = stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, create_if_missing=ingest.CreateIfMissing(),
        mutations=[ingest.Mutation(upsert=document)])).outcomes[0]
    check.equal(outcome.result, ingest.WRITE_RESULT_APPLIED, f"a write of document {number}")
    return outcome.seq


def there(stubs, numbers):
    answer = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in numbers]))
    return [r.id.number for r in answer.results if r.HasField("document")]


def check_there(stubs, wanted, told):
    """The same documents, whichever way one looks."""
    wanted = sorted(wanted)
    check.equal(sorted(there(stubs, range(200))), wanted, f"{told}: look-up")
    for name, leg in (
            ("text", {"text": search.TextQuery(query="granite")}),
            ("vector", {"vector": search.VectorQuery(
                field="v", vector=types.DenseVector(values=[1, 1]))})):
        hits = stubs.search.Search(search.SearchRequest(scope=SCOPE, limit=100, **leg)).hits
        check.equal(sorted(h.id.number for h in hits), wanted, f"{told}: {name}")
    scanned = [d.id.number for r in stubs.search.Scan(search.ScanRequest(scope=SCOPE))
               for d in r.documents]
    check.equal(scanned, wanted, f"{told}: scan")


def wait_gone(stubs, number, told):
    deadline = time.monotonic() + WAIT_SECONDS
    while there(stubs, [number]):
        if not check(time.monotonic() < deadline, f"{told}: what was due is there"):
            return
        time.sleep(0.05)  # between questions


def check_clock(stubs, shift, held, told):
    status = stubs.operations.Status(operations.StatusRequest())
    check.equal(status.clock_held, held, f"{told}: whether the clock is held")
    wanted = (time.time() + (0 if held else shift)) * 1000
    check(abs(status.clock_ms - wanted) < 60_000, f"{told}: the server's time is "
          f"{(status.clock_ms - wanted) / 1000:.0f} s off")


def main():
    server = Server("--shards", "2")
    shim = Shim(server)
    jumps = 0
    seqs = []
    try:
        server.start()
        with Stubs(server.target) as stubs:
            for number, seconds in STAYS.items():
                seqs.append(write(stubs, number, seconds))
            write(stubs, GONE, 0.2)
            wait_gone(stubs, GONE, "before any jump")
            check_clock(stubs, 0, False, "before any jump")
            for shift in (TEN_YEARS, -TEN_YEARS, TEN_YEARS, 0):
                told = f"{shift / YEAR:+.0f} years while it runs"
                shim.clock_shift = shift
                jumps += 1
                check_there(stubs, STAYS, told)
                check_clock(stubs, shift, shift != 0, told)
                due = DUE + jumps
                seqs.append(write(stubs, due, DUE_SECONDS))
                wait_gone(stubs, due, told)
                check_there(stubs, STAYS, f"{told}, later")
                stubs.operations.Snapshot(operations.SnapshotRequest())
                seqs.append(write(stubs, 1, None))
        for shift in (TEN_YEARS, -TEN_YEARS, 0):
            for stop in (server.kill, server.stop):
                told = f"{shift / YEAR:+.0f} years before a start"
                stop()
                shim.clock_shift = shift
                jumps += 1
                server.start()
                with Stubs(server.target) as stubs:
                    if stop == server.kill and shift < 0:
                        # All that is known is the time of the last write, before this was due.
                        wait_gone(stubs, DUE + jumps - 1, told)
                    check_there(stubs, STAYS, told)
                    check_clock(stubs, shift, shift != 0, told)
                    due = DUE + jumps
                    seqs.append(write(stubs, due, DUE_SECONDS))
                    wait_gone(stubs, due, told)
                    check_there(stubs, STAYS, f"{told}, later")
        check.equal(server.stop(), 0, "exit status")
        check(seqs == sorted(set(seqs)), f"sequences {seqs}")
        accept(server, shim)
        jumps += 1
    finally:
        if check.failed:
            print(f"the server's stderr:\n{server.log()[-3000:]}")
        server.discard()
    print(f"RESULT {jumps} jumps of the clock by ten years")
    check.finish()


def accept(server, shim):
    """An operator says that the ten years have passed."""
    shim.clock_shift = TEN_YEARS
    server.flags = (*server.flags, "--accept-clock")
    server.start()
    with Stubs(server.target) as stubs:
        left = [n for n, seconds in STAYS.items() if seconds is None or seconds > TEN_YEARS]
        check_there(stubs, left, "with --accept-clock")
        check_clock(stubs, TEN_YEARS, False, "with --accept-clock")
        check(failure_of(lambda: write(stubs, 7, 15 * YEAR)) is None, "a write ten years on")
    check.equal(server.stop(), 0, "exit status")


if __name__ == "__main__":
    main()
