"""The client: one channel, one method per call of the server."""
from __future__ import annotations

import dataclasses
import queue
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import grpc

from . import _convert, ingest, types
from ._channel import open_channel
from ._proto import (
    collections_pb2,
    collections_pb2_grpc,
    ingest_pb2,
    ingest_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    tuning_pb2,
    types_pb2,
)
from .errors import KyroError

Item = types.Document | types.Update | types.DocumentID


class Client:
    """Talks to one server; safe to use from several threads.

        with Client("127.0.0.1:50051") as client:
            client.write("notes", [Document(1, texts={"body": "hello"})], create=True)

    `tenant` and the namespace that each call names together name a collection. Every method raises
    KyroError. `timeout` is in seconds. `api_key` (or KYRODB_API_KEY) goes with every call, in
    plaintext to this machine alone unless `insecure`.
    """

    def __init__(
        self, target: str = "127.0.0.1:50051", *, tenant: str = "",
        credentials: grpc.ChannelCredentials | None = None, timeout: float | None = 60,
        api_key: str | None = None, insecure: bool = False,
    ):
        self._channel = open_channel(target, credentials, api_key, insecure)
        self._tenant = tenant
        self._timeout = timeout
        self._collections = collections_pb2_grpc.CollectionsStub(self._channel)
        self._ingest = ingest_pb2_grpc.IngestStub(self._channel)
        self._search = search_pb2_grpc.SearchStub(self._channel)
        self._operations = operations_pb2_grpc.OperationsStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # Collections

    def create_collection(
        self, namespace: str, schema: types.Schema | None = None,
        durability: str | None = None, retention: timedelta = timedelta(0),
    ) -> types.Collection:
        """`durability`: "always", "interval:MILLIS" or "never"; None for the server's own.
        `retention`: how long what is overwritten or removed stays readable by `as_of`.

        How a vector field is indexed, its VectorField says:
        VectorField("body", 768, indexing=VectorIndexing(codes="sq4", m=24)).
        """
        request = collections_pb2.CreateCollectionRequest(
            scope=self._scope(namespace), schema=_convert.schema(schema or types.Schema()),
            durability=_convert.durability(durability),
            retention_ms=retention // timedelta(milliseconds=1))
        return _convert.collection_back(self._call(self._collections.Create, request).collection)

    def describe_collection(self, namespace: str) -> types.Collection:
        request = collections_pb2.DescribeCollectionRequest(scope=self._scope(namespace))
        response = self._call(self._collections.Describe, request)
        return _convert.collection_back(response.collection, response.vectors, response.texts)

    def set_retention(self, namespace: str, retention: timedelta) -> types.Collection:
        """Changes how long what is overwritten or removed stays readable by `as_of`."""
        request = collections_pb2.SetRetentionRequest(
            scope=self._scope(namespace), retention_ms=retention // timedelta(milliseconds=1))
        response = self._call(self._collections.SetRetention, request)
        return _convert.collection_back(response.collection)

    def rebuild_collection(
        self, namespace: str, vectors: Mapping[str, types.VectorIndexing] | None = None,
        texts: Sequence[types.TextField] = (),
    ) -> types.Collection:
        """Changes how vector fields are indexed and text fields analysed: all options of each
        field named.

        Returns when the change is durable. It is carried out while the collection serves;
        `describe_collection` tells how far it is in `vector_indexes`.
        """
        request = collections_pb2.RebuildRequest(scope=self._scope(namespace))
        for name, options in (vectors or {}).items():
            request.vectors[name].CopyFrom(_convert.indexing_message(options))
        for text in texts:
            request.texts[text.name].CopyFrom(_convert.text_field(text))
        return _convert.collection_back(self._call(self._collections.Rebuild, request).collection)

    def list_collections(self, page_size: int = 0) -> Iterator[types.Collection]:
        request = collections_pb2.ListCollectionsRequest(
            tenant_id=self._tenant, page_size=page_size)
        while True:
            response = self._call(self._collections.List, request)
            for collection in response.collections:
                yield _convert.collection_back(collection)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    def tune_collection(
        self, namespace: str, queries: Iterable[types.JudgedQuery], *, folds: int = 0,
        candidates: int = 0, min_seq: int = 0, dry_run: bool = False,
        timeout: float | None = None, progress: Callable[[int, int], None] | None = None,
    ) -> types.Tuning:
        """Learns from judged queries how searches fuse their legs, and keeps it as a new version.

        All queries have the same two or three legs. The fitted weights are kept only where, on
        queries that they were not fitted to, they do not fall below the best leg alone; what was
        chosen instead, and why, is in the answer, whose one fusion is what was learnt. `progress`
        is called with the queries searched so far and the per cent of the fit that is done.
        """
        start = tuning_pb2.TuneStart(
            scope=self._scope(namespace), folds=folds, candidates=candidates, min_seq=min_seq,
            dry_run=dry_run)

        def requests():
            yield tuning_pb2.TuneRequest(start=start)
            for judged in queries:
                yield tuning_pb2.TuneRequest(query=_convert.judged_query(judged))

        try:
            for answer in self._collections.Tune(requests(), timeout=timeout):
                if answer.WhichOneof("part") == "outcome":
                    outcome = answer.outcome
                    return types.Tuning(
                        outcome.version, [_convert.learned_back(outcome.fusion)])
                if progress is not None:
                    progress(answer.progress.queries, answer.progress.fit_percent)
        except grpc.RpcError as error:
            raise KyroError.from_call(error) from None
        raise KyroError(grpc.StatusCode.INTERNAL, "", "the server ended the call without an outcome")

    def roll_back_tuning(self, namespace: str, version: int) -> int:
        """Makes a version of the tuning history, or none (0), what searches go by; returns it."""
        request = tuning_pb2.RollBackTuningRequest(
            scope=self._scope(namespace), version=version)
        return self._call(self._collections.RollBackTuning, request).version

    def drop_collection(self, namespace: str) -> int:
        """Returns how many documents went with it."""
        request = collections_pb2.DropCollectionRequest(scope=self._scope(namespace))
        return self._call(self._collections.Drop, request).documents_dropped

    # Writing

    def write(
        self, namespace: str, items: Iterable[Item], *,
        create: bool | types.Schema = False, timeout: float | None = None,
    ) -> list[types.WriteOutcome]:
        """Applies one batch, at most 10,000 items; the outcomes come in the order of the items.

        A document is an upsert, an Update a partial one, a bare id a removal. An item that is
        refused is an outcome with its error; the others are applied.
        """
        request = ingest_pb2.WriteRequest(
            scope=self._scope(namespace), mutations=map(_convert.mutation, items),
            create_if_missing=_create(create))
        response = self._call(self._ingest.Write, request, timeout)
        return [_convert.outcome_back(outcome) for outcome in response.outcomes]

    def ingest(
        self, namespace: str, items: Iterable[Item], *, producer: str | None = None,
        create: bool | types.Schema = False, batch_documents: int = 256, resume: bool = False,
        retry_seconds: float = 60,
        on_progress: Callable[[ingest.IngestReport], None] | None = None,
    ) -> ingest.IngestReport:
        """Streams items in, within the server's credits, reconnecting for up to `retry_seconds`.

        `producer` names this source across connections and restarts. With `resume` the batches
        are numbered from 1, and those that the server has applied are not sent again: the source
        must then give the same items in the same order, with the same `batch_documents`.
        """
        if producer is None:
            producer = f"python-{uuid.uuid4().hex}"
        opening = ingest.opening(self._scope(namespace), producer, _create(create))
        return ingest.Ingestion(
            self._ingest, opening, batch_documents=batch_documents, resume=resume,
            retry_seconds=retry_seconds, on_progress=on_progress).run(items)

    # Reading

    def search(
        self, namespace: str, query: types.Query | None = None, *,
        timeout: float | None = None, **fields: Any,
    ) -> types.SearchResult:
        """Searches by a Query, or by its fields: search("notes", text="hello", limit=5)."""
        query = types.Query(**fields) if query is None else dataclasses.replace(query, **fields)
        request = _convert.query(self._scope(namespace), query)
        return _convert.search_back(self._call(self._search.Search, request, timeout))

    def search_pages(
        self, namespace: str, query: types.Query | None = None, *,
        timeout: float | None = None, **fields: Any,
    ) -> Iterator[types.SearchResult]:
        """The whole ranking, `limit` hits at a time, as it was when the first page was read."""
        query = types.Query(**fields) if query is None else dataclasses.replace(query, **fields)
        query = dataclasses.replace(query, paged=True)
        while True:
            page = self.search(namespace, query, timeout=timeout)
            yield page
            if not page.next_page_token:
                return
            # What is counted beside the hits is the same on all pages.
            query = dataclasses.replace(query, page_token=page.next_page_token, aggregations=())

    def search_many(
        self, namespace: str, queries: Iterable[types.Query], *, window: int = 64,
        timeout: float | None = None,
    ) -> Iterator[types.SearchResult | KyroError]:
        """Runs many queries over one stream, at most `window` at once; answers come in order.

        A query that is refused gives its KyroError in its place.
        """
        scope = self._scope(namespace)
        requests: queue.SimpleQueue = queue.SimpleQueue()
        call = self._search.SearchMany(
            iter(requests.get, None), timeout=timeout or self._timeout)
        ready: dict[int, types.SearchResult | KyroError] = {}
        source, sent, received, given = iter(queries), 0, 0, 0
        exhausted = False
        try:
            while True:
                while not exhausted and sent - received < window:
                    query = next(source, None)
                    if query is None:
                        exhausted = True
                        requests.put(None)
                        break
                    requests.put(search_pb2.SearchManyRequest(
                        tag=sent, search=_convert.query(scope, query)))
                    sent += 1
                if received < sent:
                    response = next(call)
                    received += 1
                    if response.WhichOneof("result") == "error":
                        ready[response.tag] = KyroError.from_item(response.error)
                    else:
                        ready[response.tag] = _convert.search_back(response.response)
                while given in ready:
                    yield ready.pop(given)
                    given += 1
                if exhausted and received == sent:
                    return
        except StopIteration:
            raise KyroError(
                grpc.StatusCode.INTERNAL, "",
                f"the server ended the stream after {received} of {sent} answers") from None
        except grpc.RpcError as error:
            raise KyroError.from_call(error) from None
        finally:
            requests.put(None)
            call.cancel()

    def lookup(
        self, namespace: str, ids: Iterable[types.DocumentID], *,
        metadata: bool | Sequence[str] = True, texts: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = True, min_seq: int = 0,
        as_of: int | datetime | None = None, timeout: float | None = None,
    ) -> list[types.LookupResult]:
        """Fetches documents by id, in the order of the ids; a miss has no document."""
        request = search_pb2.LookupRequest(
            scope=self._scope(namespace), ids=map(_convert.document_id, ids), min_seq=min_seq,
            projection=_convert.projection(metadata, texts, vectors), as_of=_convert.as_of(as_of))
        response = self._call(self._search.Lookup, request, timeout)
        return [
            types.LookupResult(
                _convert.document_id_back(result.id),
                _convert.document_back(result.document) if result.HasField("document") else None,
                result.seq)
            for result in response.results]

    def scan(
        self, namespace: str, *, filter: types_pb2.Filter | None = None,
        time_from: datetime | None = None, time_to: datetime | None = None,
        metadata: bool | Sequence[str] = True, texts: bool | Sequence[str] = True,
        vectors: bool | Sequence[str] = True, limit: int = 0, min_seq: int = 0,
        order_by: Sequence[str] = (), as_of: int | datetime | None = None,
        timeout: float | None = None,
    ) -> Iterator[types.Document]:
        """Visits documents in the order of their ids, as they were at one sequence.

        `order_by` names fields to sort by instead, the event time by an empty name; "-" in front
        makes an order descending. Documents without a value come last.

        A broken connection is taken up again behind the last document once per failure, as long
        as each attempt brings something new.
        """
        request = search_pb2.ScanRequest(
            scope=self._scope(namespace), filter=filter, min_seq=min_seq,
            time_range=_convert.time_range(time_from, time_to), limit=limit,
            order_by=[search_pb2.SortKey(
                field=name.removeprefix("-"), descending=name.startswith("-"))
                for name in order_by],
            projection=_convert.projection(metadata, texts, vectors),
            as_of=_convert.as_of(as_of))
        while True:
            progressed = False
            call = self._search.Scan(request, timeout=timeout)
            try:
                for response in call:
                    for document in response.documents:
                        yield _convert.document_back(document)
                    request.resume_token = response.resume_token
                    progressed = True
                    if limit:
                        request.limit -= len(response.documents)
                        if request.limit == 0:
                            return
                return
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or not progressed:
                    raise KyroError.from_call(error) from None
            finally:
                call.cancel()

    # Operations

    def status(self) -> types.Status:
        response = self._call(self._operations.Status, operations_pb2.StatusRequest())
        return types.Status(
            version=response.version,
            state=operations_pb2.ServerState.Name(response.state).removeprefix("SERVER_STATE_"),
            uptime=timedelta(milliseconds=response.uptime_ms), seq=response.seq,
            collection_count=response.collection_count, resident_bytes=response.resident_bytes,
            connections=response.connections, kernels=response.kernels,
            shards=[_convert.plain(shard) for shard in response.shards])

    def snapshot(self, timeout: float | None = None) -> types.SnapshotResult:
        response = self._call(self._operations.Snapshot, operations_pb2.SnapshotRequest(), timeout)
        return types.SnapshotResult(
            response.seq, response.bytes, timedelta(microseconds=response.micros))

    def create_backup(
        self, incremental: bool = False, timeout: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> types.Backup:
        """Makes a backup in the server's repository; returns when it is on disk.

        `progress` is called with the bytes copied so far and the bytes known to be copied.
        """
        request = operations_pb2.CreateBackupRequest(incremental=incremental)
        backup = None
        try:
            for answer in self._operations.CreateBackup(request, timeout=timeout):
                if answer.HasField("backup"):
                    backup = answer.backup
                elif progress is not None:
                    progress(answer.bytes_done, answer.bytes_total)
        except grpc.RpcError as error:
            raise KyroError.from_call(error) from None
        kind = operations_pb2.BackupKind.Name(backup.kind).removeprefix("BACKUP_KIND_")
        return types.Backup(
            id=backup.id, kind=kind, parent=backup.parent or None, seq=backup.seq,
            time=datetime.fromtimestamp(backup.time_ms / 1000, timezone.utc), bytes=backup.bytes,
            duration=timedelta(microseconds=backup.micros))

    def flush(self) -> int:
        """Makes everything acknowledged durable; returns the sequence up to which it is."""
        return self._call(self._operations.Flush, operations_pb2.FlushRequest()).durable_seq

    def _scope(self, namespace: str) -> types_pb2.Scope:
        return types_pb2.Scope(tenant_id=self._tenant, namespace=namespace)

    def _call(self, method, request, timeout: float | None = None):
        try:
            return method(request, timeout=timeout or self._timeout)
        except grpc.RpcError as error:
            raise KyroError.from_call(error) from None


def _create(create: bool | types.Schema) -> ingest_pb2.CreateIfMissing | None:
    if create is False:
        return None
    schema = _convert.schema(create) if isinstance(create, types.Schema) else None
    return ingest_pb2.CreateIfMissing(schema=schema)
