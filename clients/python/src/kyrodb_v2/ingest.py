"""Streaming documents in: batches within the server's credits, sent again after a broken stream.

The server remembers the highest batch it has applied of each producer, so what is sent again is
applied once, also across restarts of either side.
"""
from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import grpc

from . import _convert, types
from ._proto import ingest_pb2, ingest_pb2_grpc, types_pb2
from .errors import KyroError

_BATCH_BYTES = 1 << 20  # a batch ends here at the latest: an eighth of the usual credit
_RETRIABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN,
              grpc.StatusCode.ABORTED)
_BACKOFF_MAX = 5.0


@dataclass
class IngestReport:
    """What became of a stream. `documents` counts what was acknowledged, refused ones included."""
    documents: int = 0
    batches: int = 0
    skipped_batches: int = 0  # applied in an earlier run, not sent again
    reconnects: int = 0
    durable_seq: int = 0
    searchable_seq: int = 0
    failures: list[types.ItemFailure] = field(default_factory=list)


@dataclass
class _Batch:
    mutations: list[ingest_pb2.Mutation]
    request: ingest_pb2.StreamRequest
    byte_count: int


class _Connection:
    """One call of Ingest.Stream: a thread reads the answers into shared state under `changed`."""

    def __init__(self, stub: ingest_pb2_grpc.IngestStub, opening: ingest_pb2.StreamRequest):
        self.changed = threading.Condition()
        self.opened: ingest_pb2.StreamOpened | None = None
        self.acks: list[ingest_pb2.StreamAck] = []
        self.credit = -opening.ByteSize()  # the server counts every message of the stream
        self.error: grpc.RpcError | None = None
        self.ended = False
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._requests.put(opening)
        self.call = stub.Stream(iter(self._requests.get, None))
        self._reader = threading.Thread(target=self._read, name="kyrodb-ingest", daemon=True)
        self._reader.start()

    def _read(self):
        error = None
        try:
            for response in self.call:
                with self.changed:
                    if response.WhichOneof("message") == "opened":
                        self.opened = response.opened
                        self.credit += response.opened.credit_bytes
                    else:
                        self.acks.append(response.ack)
                        self.credit += response.ack.credit_bytes
                    self.changed.notify_all()
        except grpc.RpcError as caught:
            error = caught
        with self.changed:
            self.error, self.ended = error, True
            self.changed.notify_all()

    def send(self, batch: _Batch):
        self.credit -= batch.byte_count
        self._requests.put(batch.request)

    def finish(self):
        self._requests.put(None)
        self._reader.join(timeout=10)

    def abandon(self):
        self.call.cancel()
        self._requests.put(None)
        self._reader.join(timeout=10)


class Ingestion:
    """Drives one producer's stream to its end; used through `Client.ingest`."""

    def __init__(
        self, stub: ingest_pb2_grpc.IngestStub, opening: ingest_pb2.StreamOpen, *,
        batch_documents: int, resume: bool, retry_seconds: float,
        on_progress: Callable[[IngestReport], None] | None,
    ):
        self._stub = stub
        self._opening = ingest_pb2.StreamRequest(open=opening)
        self._batch_documents = batch_documents
        self._resume = resume
        self._retry_seconds = retry_seconds
        self._on_progress = on_progress
        self._report = IngestReport()
        self._in_flight: OrderedDict[int, _Batch] = OrderedDict()

    def run(self, items: Iterable[types.Document | types.Update | types.DocumentID]) -> IngestReport:
        connection, last = self._connect()
        try:
            client_seq = 0 if self._resume else last
            for batch in self._batches(items):
                client_seq += 1
                if client_seq <= last:
                    self._report.skipped_batches += 1
                    continue
                batch.request.batch.client_seq = client_seq
                batch.byte_count = batch.request.ByteSize()
                connection = self._send(connection, client_seq, batch)
            while self._in_flight:
                connection = self._settle(connection, until=lambda c: bool(c.acks))
            connection.finish()
        except BaseException:
            connection.abandon()
            raise
        return self._report

    def _batches(self, items) -> Iterator[_Batch]:
        mutations: list[ingest_pb2.Mutation] = []
        byte_count = 0
        for item in items:
            mutation = _convert.mutation(item)
            size = mutation.ByteSize()
            if mutations and byte_count + size > _BATCH_BYTES:
                yield self._batch(mutations)
                mutations, byte_count = [], 0
            mutations.append(mutation)
            byte_count += size
            if len(mutations) == self._batch_documents:
                yield self._batch(mutations)
                mutations, byte_count = [], 0
        if mutations:
            yield self._batch(mutations)

    @staticmethod
    def _batch(mutations: list[ingest_pb2.Mutation]) -> _Batch:
        request = ingest_pb2.StreamRequest(batch=ingest_pb2.StreamBatch(mutations=mutations))
        return _Batch(mutations, request, 0)

    def _send(self, connection: _Connection, client_seq: int, batch: _Batch) -> _Connection:
        """Waits for credit. With nothing in flight no more will come: then the server decides."""
        self._in_flight[client_seq] = batch

        def may_send(c: _Connection) -> bool:
            return c.credit >= batch.byte_count or len(self._in_flight) == 1

        while True:
            before = connection
            connection = self._settle(connection, until=lambda c: bool(c.acks) or may_send(c))
            if connection is not before or client_seq not in self._in_flight:
                return connection  # the new connection has sent or settled all that was in flight
            with connection.changed:
                if may_send(connection):
                    connection.send(batch)
                    return connection

    def _settle(
        self, connection: _Connection, until: Callable[[_Connection], bool]
    ) -> _Connection:
        """Waits, books the acknowledgements, and replaces the connection if it broke."""
        with connection.changed:
            connection.changed.wait_for(lambda: connection.ended or until(connection))
            acks, connection.acks = connection.acks, []
            ended, error = connection.ended, connection.error
        for ack in acks:
            self._book(ack)
        if not ended:
            return connection
        if error is not None and error.code() not in _RETRIABLE:
            raise KyroError.from_call(error)
        connection, last = self._connect()
        self._report.reconnects += 1
        for client_seq in [seq for seq in self._in_flight if seq <= last]:
            self._count(self._in_flight.pop(client_seq))  # applied; only the answer was lost
        for batch in self._in_flight.values():
            with connection.changed:
                connection.changed.wait_for(
                    lambda b=batch: connection.ended or connection.credit >= b.byte_count)
                if connection.ended:
                    break  # the next turn connects again and sends all that is still in flight
                connection.send(batch)
        return connection

    def _connect(self) -> tuple[_Connection, int]:
        deadline, pause = time.monotonic() + self._retry_seconds, 0.05
        while True:
            connection = _Connection(self._stub, self._opening)
            with connection.changed:
                connection.changed.wait_for(lambda: connection.opened or connection.ended)
                if connection.opened:
                    return connection, connection.opened.last_client_seq
                error = connection.error
            connection.abandon()
            if error is not None and (
                    error.code() not in _RETRIABLE or time.monotonic() + pause > deadline):
                raise KyroError.from_call(error)
            if time.monotonic() + pause > deadline:
                raise KyroError(
                    grpc.StatusCode.UNAVAILABLE, "", "the server ends streams without an answer")
            time.sleep(pause)
            pause = min(pause * 2, _BACKOFF_MAX)

    def _book(self, ack: ingest_pb2.StreamAck):
        batch = self._in_flight.pop(ack.client_seq, None)
        if batch is None:
            return
        self._count(batch)
        self._report.durable_seq = max(self._report.durable_seq, ack.durable_seq)
        self._report.searchable_seq = max(self._report.searchable_seq, ack.searchable_seq)
        for failed in ack.errors:
            self._report.failures.append(types.ItemFailure(
                id=_convert.mutation_id(batch.mutations[failed.index]),
                client_seq=ack.client_seq, index=failed.index,
                error=KyroError.from_item(failed.error)))
        if self._on_progress is not None:
            self._on_progress(self._report)

    def _count(self, batch: _Batch):
        self._report.documents += len(batch.mutations)
        self._report.batches += 1


def opening(
    scope: types_pb2.Scope, producer: str, create: ingest_pb2.CreateIfMissing | None
) -> ingest_pb2.StreamOpen:
    return ingest_pb2.StreamOpen(scope=scope, producer_id=producer, create_if_missing=create)
