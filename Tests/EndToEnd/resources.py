#!/usr/bin/env python3
"""Memory and descriptors run out under the shipped server: documents are refused with OUT_OF_MEMORY,
reads and deletes go on, streams wait, a clean stop is clean, and everything acknowledged is there
afterwards. Limits: addresses (RLIMIT_AS), --memory-limit, open files (RLIMIT_NOFILE)."""
import os
import resource
import socket
import subprocess
import threading
import time

import grpc
import numpy as np

import derived
from harness import (BINARY, Checks, Failure, Server, Stubs, collections, ingest, operations, search,
                     types)

SCOPE = types.Scope(namespace="resources")
BATCH = 200
MIB = 1 << 20
check = Checks()


class Limited(Server):
    """A server whose process has limits of its own."""

    def __init__(self, *flags: str, limits: dict[int, int], data: str | None = None):
        super().__init__(*flags, data=data)
        self.limits = limits

    def spawn(self):
        if os.path.exists(self.port_file):
            os.remove(self.port_file)

        def limit():
            for kind, value in self.limits.items():
                resource.setrlimit(kind, (value, value))

        self.process = subprocess.Popen(
            [BINARY, "serve", "--data", self.data, "--listen", self.listen,
             "--port-file", self.port_file, *self.flags], stderr=self._log, preexec_fn=limit)
        return self


def document(number: int) -> ingest.Mutation:
    mutation = derived.upsert(number, 1)
    mutation.upsert.vectors["wide"].CopyFrom(derived.packed(np.full(2_000, 1.0 + number % 7)))
    return mutation


def batch(first: int) -> list:
    return [document(number) for number in range(first, first + BATCH)]


def write(stubs, mutations):
    return stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, create_if_missing=ingest.CreateIfMissing(), mutations=mutations), timeout=60)


def fill(stubs, count_max: int) -> int:
    """Writes until a write is refused; how many documents were acknowledged."""
    for first in range(0, count_max, BATCH):
        try:
            response = write(stubs, batch(first))
        except grpc.RpcError as error:
            failure = Failure(error)
            check.equal(failure.code, grpc.StatusCode.RESOURCE_EXHAUSTED, f"refused: {failure}")
            check.equal(failure.reason, "OUT_OF_MEMORY", f"refused: {failure}")
            check(failure.retry, f"no time to try again: {failure}")
            return first
        reasons = {o.error.reason for o in response.outcomes if o.HasField("error")}
        if reasons:
            check.equal(reasons, {"OUT_OF_MEMORY"}, "reasons of refused documents")
            return first
    check(False, f"{count_max} documents were taken under the limit")
    return count_max


def exists(stubs, numbers) -> int:
    answer = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in numbers]), timeout=60)
    return sum(result.HasField("document") for result in answer.results)


def remove(stubs, numbers) -> int:
    response = write(stubs, [
        ingest.Mutation(remove=types.DocumentId(number=n)) for n in numbers])
    return sum(o.result == ingest.WRITE_RESULT_APPLIED for o in response.outcomes)


def check_full(server, stubs, acknowledged: int, name: str):
    """Reads, deletes and a stop, while no document is taken."""
    check(acknowledged > 2 * BATCH, f"{name}: only {acknowledged} documents were taken")
    check.equal(exists(stubs, range(BATCH)), BATCH, f"{name}: looked up")
    check.equal(remove(stubs, range(BATCH)), BATCH, f"{name}: removed")
    check.equal(exists(stubs, range(BATCH)), 0, f"{name}: looked up after they were removed")
    status = stubs.operations.Status(operations.StatusRequest(), timeout=10)
    print(f"RESULT {name}: {acknowledged} documents taken, "
          f"{server.resident_bytes() / MIB:.0f} MiB resident, admission "
          f"{operations.Admission.Name(status.admission)}")


def check_afterwards(server, acknowledged: int, name: str):
    check.equal(server.stop(), 0, f"{name}: exit status")
    after = Server(data=server.data)
    with after, Stubs(after.target) as stubs:
        for first in range(0, acknowledged, 2_000):
            numbers = range(first, min(acknowledged, first + 2_000))
            wanted = sum(n >= BATCH for n in numbers)
            check.equal(exists(stubs, numbers), wanted, f"{name}: after a restart from {first}")
        check(write(stubs, batch(acknowledged)).seq, f"{name}: a write without limits")
        check.equal(after.stop(), 0, f"{name}: exit status of the second start")


def check_addresses():
    for limit in (900, 1_400):
        name = f"{limit} MiB of addresses"
        with Limited("--shards", "2", "--memory-limit", "none",
                     limits={resource.RLIMIT_AS: limit * MIB}) as server:
            with Stubs(server.target) as stubs:
                acknowledged = fill(stubs, 100_000)
                check_full(server, stubs, acknowledged, name)
            check_afterwards(server, acknowledged, name)


class Stream:
    """Sends batches within its credits, as fast as they allow."""

    def __init__(self, stubs):
        self.changed, self.credit, self.in_flight, self.acknowledged = threading.Condition(), 0, 0, 0
        self.is_over = False
        self.answers = stubs.ingest.Stream(self.requests())
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def requests(self):
        yield ingest.StreamRequest(open=ingest.StreamOpen(
            scope=SCOPE, producer_id="one", create_if_missing=ingest.CreateIfMissing()))
        number = 0
        while True:
            request = ingest.StreamRequest(batch=ingest.StreamBatch(
                client_seq=number + 1, mutations=batch(1_000_000 + number * BATCH)))
            size = request.ByteSize() + 64
            with self.changed:
                self.changed.wait_for(lambda: self.credit >= size or self.is_over)
                if self.is_over:
                    return
                self.credit -= size
                self.in_flight += 1
            number += 1
            yield request

    def read(self):
        try:
            for answer in self.answers:
                with self.changed:
                    if answer.WhichOneof("message") == "opened":
                        self.credit += answer.opened.credit_bytes
                    else:
                        self.credit += answer.ack.credit_bytes
                        self.in_flight -= 1
                        self.acknowledged += 1
                    self.changed.notify_all()
        except grpc.RpcError as error:
            self.failure = Failure(error)

    def stop(self):
        with self.changed:
            self.is_over = True
            self.changed.notify_all()
        self.thread.join(timeout=30)
        return not self.thread.is_alive()


def check_memory_limit():
    limit = 256
    with Server("--shards", "2", "--memory-limit", f"{limit}MiB") as server:
        with Stubs(server.target) as stubs:
            stream = Stream(stubs)
            deadline = time.monotonic() + 60
            before = -1
            # Until the stream stands still: what it may send is used up and nothing is granted.
            while time.monotonic() < deadline:
                with stream.changed:
                    now = stream.acknowledged
                status = stubs.operations.Status(operations.StatusRequest(), timeout=10)
                if status.admission != operations.ADMISSION_OPEN and now == before:
                    break
                before = now
                time.sleep(0.5)
            check(status.admission != operations.ADMISSION_OPEN, "the limit was not reached")
            check(not hasattr(stream, "failure"), f"the stream: {getattr(stream, 'failure', None)}")
            resident = server.resident_bytes()
            check(resident < (limit + 32) * MIB, f"{resident / MIB:.0f} MiB resident of {limit}")
            check.equal(fill(stubs, BATCH * 2), 0, "documents taken above the soft mark")
            check.equal(remove(stubs, range(1_000_000, 1_000_000 + BATCH)), BATCH, "removed")
            print(f"RESULT --memory-limit {limit}MiB: {before * BATCH} documents streamed, then held; "
                  f"{resident / MIB:.0f} MiB resident")
            # A collection dropped gives its memory back, and the stream's credit.
            stubs.collections.Drop(collections.DropCollectionRequest(scope=SCOPE), timeout=30)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                status = stubs.operations.Status(operations.StatusRequest(), timeout=10)
                if status.admission == operations.ADMISSION_OPEN:
                    break
                time.sleep(0.2)
            check.equal(status.admission, operations.ADMISSION_OPEN, "admission after the drop")
            with stream.changed:
                check(stream.changed.wait_for(lambda: stream.acknowledged > before, timeout=20),
                      "the stream goes on once there is memory")
            check(stream.stop(), "the stream ended")
        check.equal(server.stop(), 0, "exit status under a memory limit")


def check_descriptors():
    with Limited("--shards", "2", limits={resource.RLIMIT_NOFILE: 64}) as server:
        with Stubs(server.target) as stubs:
            write(stubs, batch(0))
            host, port = server.target.rsplit(":", 1)
            held = []
            for _ in range(100):
                held.append(socket.create_connection((host, int(port)), timeout=5))
            time.sleep(0.3)
            begin = cpu_seconds(server)
            check.equal(exists(stubs, range(BATCH)), BATCH, "looked up without descriptors")
            time.sleep(1)
            used = cpu_seconds(server) - begin
            check(used < 0.3, f"{used:.2f} s of CPU in a second without descriptors")
            for connection in held:
                connection.close()
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    with Stubs(server.target) as fresh:
                        check.equal(exists(fresh, range(BATCH)), BATCH, "a new connection")
                    break
                except grpc.RpcError:
                    time.sleep(0.1)
            write(stubs, batch(BATCH))
        check.equal(server.stop(), 0, "exit status after descriptors ran out")


def cpu_seconds(server) -> float:
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    check_addresses()
    check_memory_limit()
    check_descriptors()
    check.finish()
