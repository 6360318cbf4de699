#!/usr/bin/env python3
"""Everything a caller may get wrong: each gets its status code, an error that names field and limit,
loses nothing, and leaves the server going."""
import os
import socket
import struct
import subprocess
import tempfile
import threading

import derived
import grpc
import numpy as np
from harness import (
    BINARY,
    Checks,
    Failure,
    Server,
    Stubs,
    failure_of,
    ingest,
    operations,
    search,
    types,
)
from raw_http2 import MIB, framed, push, raw_call

SCOPE = types.Scope(namespace="bad-input")
ROWS = 100
check = Checks()


def refused(call, code, reasons, words, what):
    """`call` is refused with `code`; reason is one of `reasons`; field and message hold `words`."""
    failure = failure_of(call)
    if not check(failure is not None, f"{what} was accepted"):
        return
    check(failure.code.name == code, f"{what}: {failure}, wanted {code}")
    check(failure.reason in reasons, f"{what}: {failure}, wanted reason {' or '.join(reasons)}")
    for word in words:
        check(word in failure.message + " " + failure.field, f"{what}: {failure} lacks {word!r}")


def refused_item(stubs, mutation, reasons, words, what):
    """One bad item between two good ones: it alone is refused."""
    good = [derived.upsert(0, 1), derived.upsert(1, 1)]
    try:
        response = stubs.ingest.Write(ingest.WriteRequest(
            scope=SCOPE, mutations=[good[0], mutation, good[1]]))
    except grpc.RpcError as error:
        # What is no message of ours at all is refused as a whole.
        check("MALFORMED_MESSAGE" in reasons and Failure(error).reason == "MALFORMED_MESSAGE",
              f"{what}: the whole batch is refused: {Failure(error)}")
        return
    results = [outcome.result for outcome in response.outcomes]
    applied, failed = ingest.WRITE_RESULT_APPLIED, ingest.WRITE_RESULT_FAILED
    check(results == [applied, failed, applied], f"{what}: results {results}")
    error = response.outcomes[1].error
    told = f"{what}: {error.code} {error.reason} field={error.field!r}: {error.message}"
    check(error.code == 3, told)
    check(error.reason in reasons, f"{told}, wanted reason {' or '.join(reasons)}")
    check(error.field != "", f"{told}: no field")
    for word in words:
        check(word in error.message + " " + error.field, f"{told} lacks {word!r}")


def changed(**parts):
    """An upsert of document 5 with some parts of it replaced."""
    document = derived.document(5, 1)
    for name, value in parts.items():
        if name == "vector":
            document.vectors["v"].CopyFrom(types.DenseVector(values=value))
        elif name == "id":
            document.id.CopyFrom(value)
        elif name == "text":
            document.texts["body"] = value
        else:
            document.metadata[name].CopyFrom(value)
    return ingest.Mutation(upsert=document)


def check_items(stubs):
    zeros = [0.0] * derived.DIMENSION
    nan, infinite = [float("nan")] + zeros[1:], [float("inf")] + zeros[1:]
    invalid = ("INVALID_FIELD",)
    limit = ("LIMIT_EXCEEDED",)
    dimension = str(derived.DIMENSION)
    refused_item(stubs, changed(vector=[1.0, 2.0]), ("DIMENSION_MISMATCH",), ["v", "2", dimension],
                 "a vector of wrong dimension")
    refused_item(stubs, changed(vector=nan), invalid, ["v", "NaN"], "NaN in a vector")
    refused_item(stubs, changed(vector=infinite), invalid, ["v", "infinity"], "infinity in a vector")
    refused_item(stubs, changed(vector=zeros), invalid, ["v", "zero"], "a zero vector under cosine")
    refused_item(stubs, changed(id=types.DocumentId()), invalid, ["id"], "no id")
    refused_item(stubs, changed(id=types.DocumentId(text="")), invalid, ["id", "512"], "an empty id")
    refused_item(stubs, changed(id=types.DocumentId(text="x" * 513)), limit, ["id", "513", "512"],
                 "an id of 513 bytes")
    refused_item(stubs, changed(text="x" * (MIB + 1)), limit, ["body", str(MIB)],
                 "a text above its limit")
    refused_item(stubs, changed(version=types.Value(string_value="one")), ("TYPE_MISMATCH",),
                 ["version"], "metadata of another type")
    refused_item(stubs, changed(note=types.Value()), invalid + ("MALFORMED_MESSAGE",), ["note"],
                 "metadata without a value")
    refused_item(stubs, ingest.Mutation(), invalid + ("MALFORMED_MESSAGE",), [],
                 "a mutation without an operation")
    largest = stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=[
        changed(id=types.DocumentId(text="x" * 512), text="y " * (MIB // 2)),
        ingest.Mutation(remove=types.DocumentId(text="x" * 512))]))
    check.equal([o.result for o in largest.outcomes], [ingest.WRITE_RESULT_APPLIED] * 2,
                "an id and a text at their limits")


def check_queries(stubs):
    def find(**fields):
        fields.setdefault("limit", 10)
        return lambda: stubs.search.Search(search.SearchRequest(scope=SCOPE, **fields))

    def vector(components):
        return search.VectorQuery(
            field="v", vector=derived.packed(np.asarray(components, dtype=np.float32)))

    argument = "INVALID_ARGUMENT"
    good = vector(derived.vector(1, 1))
    zeros = np.zeros(derived.DIMENSION)
    refused(find(vector=vector([1, 2])), argument, ("DIMENSION_MISMATCH",),
            ["vector", "2", str(derived.DIMENSION)], "a query of wrong dimension")
    refused(find(vector=vector(np.full(derived.DIMENSION, np.nan))), argument, ("INVALID_FIELD",),
            ["vector", "NaN"], "NaN in a query")
    refused(find(vector=vector(zeros)), argument, ("INVALID_FIELD",), ["vector", "zero"],
            "a zero query under cosine")
    refused(find(vector=good, limit=0), argument, ("LIMIT_EXCEEDED",), ["limit", "0", "10000"],
            "k = 0")
    refused(find(vector=good, limit=10_001), argument, ("LIMIT_EXCEEDED",),
            ["limit", "10001", "10000"], "k above the limit")
    refused(find(vector=good, limit=10, offset=9_995), argument, ("LIMIT_EXCEEDED",),
            ["offset", "10000"], "offset above the limit")
    refused(find(vector=good, candidates=10_001), argument, ("LIMIT_EXCEEDED",),
            ["candidates", "10000"], "candidates above the limit")
    refused(find(), argument, ("INVALID_FIELD",), [], "a query without a leg")
    refused(find(vector=search.VectorQuery(field="nope", vector=good.vector)), argument,
            ("FIELD_NOT_FOUND",), ["vector", "nope"], "an unknown vector field")

    backwards = types.TimeRange(from_ms=2_000, to_ms=1_000)
    refused(find(vector=good, time_range=backwards), argument, ("INVALID_FIELD",),
            ["time_range", "2000", "1000"], "a reversed time range")
    refused(lambda: stubs.search.Scan(search.ScanRequest(scope=SCOPE, time_range=backwards)),
            argument, ("INVALID_FIELD",), ["time_range"], "a reversed time range of a scan")

    mismatch = types.Filter(equals=types.EqualsFilter(
        field="version", value=types.Value(string_value="one")))
    refused(find(vector=good, filter=mismatch), argument, ("TYPE_MISMATCH",), ["filter", "version"],
            "a filter of another type")
    refused(lambda: stubs.search.Scan(search.ScanRequest(scope=SCOPE, filter=mismatch)),
            argument, ("TYPE_MISMATCH",), ["filter", "version"], "a scan's filter of another type")

    def nested(depth):
        node = types.Filter(exists=types.ExistsFilter(field="version"))
        for _ in range(depth - 1):
            node = types.Filter(negation=node)
        return node

    check(failure_of(find(vector=good, filter=nested(32))) is None, "a filter 32 deep is refused")
    refused(find(vector=good, filter=nested(33)), argument,
            ("LIMIT_EXCEEDED", "MALFORMED_MESSAGE"), ["filter", "32"], "a filter 33 deep")
    refused(find(vector=good, filter=nested(90)), argument,
            ("LIMIT_EXCEEDED", "MALFORMED_MESSAGE"), ["32"], "a filter 90 deep")

    nowhere = types.Scope(namespace="nowhere")
    for what, call in {
        "search": lambda: stubs.search.Search(search.SearchRequest(
            scope=nowhere, vector=good, limit=1)),
        "lookup": lambda: stubs.search.Lookup(search.LookupRequest(
            scope=nowhere, ids=[types.DocumentId(number=1)])),
        "scan": lambda: stubs.search.Scan(search.ScanRequest(scope=nowhere)),
        "write": lambda: stubs.ingest.Write(ingest.WriteRequest(
            scope=nowhere, mutations=[derived.upsert(1, 1)])),
        "stream": lambda: stubs.ingest.Stream(iter([ingest.StreamRequest(
            open=ingest.StreamOpen(scope=nowhere, producer_id="p"))])),
    }.items():
        refused(call, "NOT_FOUND", ("COLLECTION_NOT_FOUND",), ["nowhere"],
                f"{what} in an unknown collection")

    refused(lambda: stubs.search.Scan(search.ScanRequest(scope=SCOPE, resume_token=b"junk")),
            argument, ("TOKEN_INVALID",), ["resume_token"], "a token of another make")


def check_sizes(stubs):
    many = [derived.remove(n) for n in range(10_000_000, 10_010_001)]
    refused(lambda: stubs.ingest.Write(ingest.WriteRequest(scope=SCOPE, mutations=many)),
            "INVALID_ARGUMENT", ("LIMIT_EXCEEDED",), ["mutations", "10000"],
            "a batch of 10,001")
    check(failure_of(lambda: stubs.ingest.Write(ingest.WriteRequest(
        scope=SCOPE, mutations=many[:-1]))) is None, "a batch of 10,000 is refused")
    ids = [types.DocumentId(number=n) for n in range(10_001)]
    refused(lambda: stubs.search.Lookup(search.LookupRequest(scope=SCOPE, ids=ids)),
            "INVALID_ARGUMENT", ("LIMIT_EXCEEDED",), ["ids", "10000"],
            "a lookup of 10,001")
    large = ingest.WriteRequest(scope=SCOPE, mutations=[changed(text="x" * MIB)] * 33)
    failure = failure_of(lambda: stubs.ingest.Write(large))
    # A refusal before the whole message was read may reach the client as a reset stream.
    check(failure is not None and failure.code.name == "RESOURCE_EXHAUSTED",
          f"a message of 33 MiB: {failure}")
    check(failure is not None and str(32 * MIB) in failure.message,
          f"a message of 33 MiB: {failure} does not name the limit")


def check_wire(server, stubs):
    status = "/kyrodb.v2.Operations/Status"
    find = "/kyrodb.v2.Search/Search"
    good = raw_call(server.target, status, framed(b""))
    check.equal(good.get("grpc-status"), "0", "a call by hand")
    for path in ("/kyrodb.v2.Search/Nope", "/no.such.Service/Search", "/", "/kyrodb.v2.Search"):
        told = raw_call(server.target, path, framed(b""))
        check(told.get("grpc-status") == "12", f"unknown method {path}: {told}")
    failure = failure_of(lambda: stubs.channel.unary_unary("/kyrodb.v2.Search/Nope")(b""))
    check(failure and failure.code.name == "UNIMPLEMENTED" and "Nope" in failure.message,
          f"unknown method: {failure}")

    for what, body in {
        "a field cut short": b"\x0a\x7fabc", "a wire type that does not exist": b"\x0f",
        "field number 0": b"\x02\x00", "a varint of 11 bytes": b"\x48" + b"\xff" * 11,
        "text that is not UTF-8": b"\x0a\x04\x12\x02\xff\xfe",
    }.items():
        told = raw_call(server.target, find, framed(body))
        check(told.get("grpc-status") == "3", f"malformed protobuf, {what}: {told}")
        failure = failure_of(lambda: stubs.channel.unary_unary(find)(body))
        check(failure and failure.reason == "MALFORMED_MESSAGE", f"{what}: {failure}")

    for what, (body, code) in {
        "a truncated message": (framed(b"abc", length=100), "13"),
        "half a prefix": (b"\x00\x00", "13"),
        "no message": (b"", "12"), "two messages": (framed(b"") * 2, "12"),
    }.items():
        told = raw_call(server.target, status, body)
        check(told.get("grpc-status") == code, f"{what}: {told}")
    told = raw_call(server.target, status, framed(b"", flag=1))
    check(told.get("grpc-status") in ("3", "12", "13"), f"compressed without an encoding: {told}")
    told = raw_call(server.target, status, framed(b"", length=1 << 31), end=False)
    check(told.get("grpc-status") == "8", f"a message announced with 2 GiB: {told}")

    for content_type in ("application/json", "text/html", None):
        told = raw_call(server.target, status, framed(b""), content_type=content_type)
        check(told.get(":status") == "415", f"content type {content_type}: {told}")
    for content_type in ("application/grpc+proto", "application/grpc;charset=utf-8"):
        told = raw_call(server.target, status, framed(b""), content_type=content_type)
        check(told.get("grpc-status") == "0", f"content type {content_type}: {told}")

    with socket.create_connection(server.target.rsplit(":", 1), timeout=10) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"\xff" * 4096)
        try:
            while link.recv(65536):
                pass
            closed = True
        except ConnectionResetError:
            closed = True
        except TimeoutError:
            closed = False
    check(closed, "a client that speaks no HTTP/2 keeps its connection")


def check_whole_credit(stubs):
    """A batch that takes all the credit that the stream was told of."""
    opened, last = threading.Event(), {}

    def requests():
        yield ingest.StreamRequest(open=ingest.StreamOpen(scope=SCOPE, producer_id="exact"))
        opened.wait(10)
        mutations = [derived.upsert(n, 1) for n in range(7, 16)]
        request = ingest.StreamRequest(batch=ingest.StreamBatch(client_seq=1, mutations=mutations))
        upserts = [mutation.upsert for mutation in request.batch.mutations]
        for document in upserts:
            document.texts["body"] = "z " * (last["credit"] // 2 // len(upserts) - 1_000)
        body = upserts[0].texts["body"]
        # The lengths of the messages around the text take as many bytes afterwards.
        upserts[0].texts["body"] = body + "z" * (last["credit"] - request.ByteSize())
        last["size"] = request.ByteSize()
        yield request

    for answer in stubs.ingest.Stream(requests(), timeout=60):
        if answer.HasField("opened"):
            last["credit"] = answer.opened.credit_bytes
            opened.set()
        else:
            last["ack"] = answer.ack.client_seq
    check.equal(last["size"], last["credit"], "bytes of the batch")
    check.equal(last.get("ack"), 1, "the batch of the whole credit")


def check_credits(server, stubs):
    """1 GiB pushed without waiting for an acknowledgement."""
    document = derived.document(7, 1)
    document.texts["body"] = "z " * (MIB // 2 - 64)
    sent = 0
    before = server.resident_bytes()
    highest = before

    def requests():
        nonlocal sent, highest
        yield ingest.StreamRequest(open=ingest.StreamOpen(scope=SCOPE, producer_id="greedy"))
        for n in range(1024):
            sent += 1
            highest = max(highest, server.resident_bytes())
            yield ingest.StreamRequest(batch=ingest.StreamBatch(
                client_seq=n + 1, mutations=[ingest.Mutation(upsert=document)]))

    call = stubs.ingest.Stream(requests())
    failure = failure_of(lambda: call)
    highest = max(highest, server.resident_bytes())
    if check(failure is not None, f"1 GiB was taken without a word ({sent} MiB sent)"):
        check(failure.code.name == "RESOURCE_EXHAUSTED" and failure.reason == "CREDIT_EXCEEDED",
              f"ignored credits: {failure}")
        check("credit" in failure.message, f"ignored credits: {failure}")
    grown = (highest - before) / MIB
    print(f"RESULT credits ignored: ended after {sent} MiB, server grew by {grown:.1f} MiB")
    check(grown < 32, f"the server grew by {grown:.1f} MiB while credits were ignored")

    # The same bytes past every library: one HTTP/2 stream, flow control obeyed, answers not read.
    batch = ingest.StreamRequest(batch=ingest.StreamBatch(
        client_seq=1, mutations=[ingest.Mutation(upsert=document)])).SerializeToString()
    opening = ingest.StreamRequest(open=ingest.StreamOpen(
        scope=SCOPE, producer_id="raw")).SerializeToString()
    before = server.resident_bytes()
    sent, highest, told = push(server, framed(opening), framed(batch), 1024)
    grown = (highest - before) / MIB
    print(f"RESULT credits ignored on the wire: {sent / MIB:.0f} MiB sent, "
          f"{told.get('grpc-message')}, "
          f"server grew by {grown:.1f} MiB")
    check(told.get("grpc-status") == "8", f"ignored credits on the wire: {told}")
    check(grown < 32, f"the server grew by {grown:.1f} MiB")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check_directory(server):
    """A second server on the same data, and data of a format to come."""
    def serve(data):
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(
                [BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0",
                 "--port-file", os.path.join(folder, "port")],
                capture_output=True, text=True, timeout=20)

    second = serve(server.data)
    check(second.returncode not in (0, -6, -11, -4, -5), f"a second server ended with {second}")
    check(server.data in second.stderr, f"a second server told {second.stderr!r}")

    with Server("--shards", "1") as other:
        other.stop()
        manifest = os.path.join(other.data, "MANIFEST")
        with open(manifest, "rb") as file:
            before = file.read()
        # Magic, version and CRC-32C of the version and of what follows: FilePrefix.swift.
        version, = struct.unpack_from("<I", before, 8)
        later = struct.pack("<I", version + 1)
        with open(manifest, "wb") as file:
            file.write(before[:8] + later + struct.pack("<I", crc32c(later + before[16:]))
                       + before[16:])
        newer = serve(other.data)
        check(newer.returncode not in (0, -6, -11, -4, -5), f"a newer format: {newer}")
        check(all(word in newer.stderr for word in ("MANIFEST", str(version + 1), str(version))),
              f"a newer format: {newer.stderr!r} lacks file and versions")
        with open(manifest, "wb") as file:
            file.write(before)
        other.start()
        check.equal(other.stop(), 0, "the directory was left as it was")


def check_whole(server, stubs, what):
    """The server goes on, and has exactly what it had."""
    response = stubs.search.Lookup(search.LookupRequest(
        scope=SCOPE, ids=[types.DocumentId(number=n) for n in range(ROWS)]))
    found = [p for r in response.results for p in derived.problems(r.document)]
    check(found == [], f"after {what}: {found[:3]}")
    status = stubs.operations.Status(operations.StatusRequest())
    check.equal(sum(shard.documents for shard in status.shards), ROWS, f"documents after {what}")
    check(server.process.poll() is None, f"the server ended after {what}")


def main():
    with Server("--shards", "2") as server, Stubs(server.target) as stubs:
        stubs.ingest.Write(ingest.WriteRequest(
            scope=SCOPE, create_if_missing=ingest.CreateIfMissing(),
            mutations=[derived.upsert(n, 1) for n in range(ROWS)]))
        for what, part in {
            "bad items": lambda: check_items(stubs), "bad queries": lambda: check_queries(stubs),
            "bad sizes": lambda: check_sizes(stubs), "a bad wire": lambda: check_wire(server, stubs),
            "bad directories": lambda: check_directory(server),
        }.items():
            part()
            check_whole(server, stubs, what)
        check_whole_credit(stubs)
        check_credits(server, stubs)
        stubs.ingest.Write(ingest.WriteRequest(
            scope=SCOPE, mutations=[derived.upsert(n, 1) for n in range(7, 16)]))
        check_whole(server, stubs, "ignored credits")
        check.equal(server.stop(), 0, "exit status")
    check.finish()


if __name__ == "__main__":
    main()
