#!/usr/bin/env python3
"""The services that every gRPC tool knows, with stock clients: reflection (grpcio-reflection over
v1alpha, generated stubs over v1), health by service and by shard, channelz, compression."""
import gzip
import time
import zlib

import grpc
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from harness import PROTOS, ROOT, Checks, Server, Stubs, failure_of, health
from raw_http2 import framed, raw_call

check = Checks()
SERVICES = {
    "kyrodb.v2.Collections", "kyrodb.v2.Ingest", "kyrodb.v2.Operations", "kyrodb.v2.Search",
    "grpc.channelz.v1.Channelz", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


def stock_reflection(channel):
    """A client that has no .proto file at all."""
    database = ProtoReflectionDescriptorDatabase(channel)
    check.equal(set(database.get_services()), SERVICES, "services")
    pool = DescriptorPool(database)
    for name in SERVICES:
        check(pool.FindServiceByName(name).methods, f"{name} has no methods")
    method = pool.FindServiceByName("kyrodb.v2.Search").FindMethodByName("Lookup")
    check.equal((method.client_streaming, method.server_streaming), (False, False), "Lookup")
    request, reply = (
        message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    call = channel.unary_unary(
        "/kyrodb.v2.Search/Lookup", request.SerializeToString, reply.FromString)
    failure = failure_of(lambda: call(request(scope={"namespace": "none"}), timeout=5))
    check(failure and failure.code.name == "NOT_FOUND", f"a call by reflection alone: {failure}")
    try:
        pool.FindMessageTypeByName("no.such.Message")
        check(False, "no.such.Message was found")
    except KeyError:
        pass


def described_is_served(channel):
    """Every method of every service is answered by something else than UNIMPLEMENTED's own text."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    paths = [f"/{name}/{method.name}" for name in SERVICES
             for method in pool.FindServiceByName(name).methods]
    check(len(paths) >= 30, f"only {len(paths)} methods")
    for path in paths:
        call = channel.stream_stream(path)  # bytes in, bytes out
        try:
            # Not protobuf: every method refuses it, and no stream stays open for it.
            for _ in call(iter([b"\xff"]), timeout=5):
                pass
            check(False, f"{path} took a malformed message")
        except grpc.RpcError as error:
            check("unknown method" not in (error.details() or ""), f"{path} is not served")
            check.equal(error.code().name, "INVALID_ARGUMENT", f"{path}: {error.details()}")


def stubs_of(name):
    """Stubs of one stock service from Protos/, as a pool of their own."""
    from grpc_tools import protoc
    out = ROOT / ".build/python-stubs/stock.binpb"
    from importlib.resources import files
    protoc.main(["protoc", f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}",
                 "--include_imports", f"--descriptor_set_out={out}", str(PROTOS / name)])
    described = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = DescriptorPool()
    for file in described.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool, described


def method_of(channel, pool, service, name):
    """A callable, and the class of its requests."""
    method = pool.FindServiceByName(service).FindMethodByName(name)
    request, reply = (
        message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    kind = f"{'stream' if method.client_streaming else 'unary'}_" \
        f"{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, kind)(
        f"/{service}/{name}", request.SerializeToString, reply.FromString)
    return call, request


def reflection_v1(channel):
    pool, described = stubs_of("grpc/reflection/v1/reflection.proto")
    call, request = method_of(
        channel, pool, "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo")

    def ask(*queries):
        return list(call(iter([request(host="h", **query) for query in queries]), timeout=10))

    def files(answer):
        return [descriptor_pb2.FileDescriptorProto.FromString(raw).name
                for raw in answer.file_descriptor_response.file_descriptor_proto]

    name = "grpc/reflection/v1/reflection.proto"
    answer, = ask({"file_by_filename": name})
    check.equal(files(answer), [name], "a file by name")
    check.equal(answer.original_request.file_by_filename, name, "the request comes back")
    check.equal(answer.valid_host, "h", "host")
    # What protoc says today: the server was built from these files.
    check.equal(descriptor_pb2.FileDescriptorProto.FromString(
        answer.file_descriptor_response.file_descriptor_proto[0]), described.file[-1],
        "the descriptor of reflection.proto")

    first, second, third = ask({"file_by_filename": "kyrodb/v2/search.proto"},
                               {"file_containing_symbol": "kyrodb.v2.Search.SearchMany"},
                               {"file_containing_symbol": "kyrodb.v2.Document"})
    check.equal(files(first)[0], "kyrodb/v2/search.proto", "the file asked for comes first")
    check("kyrodb/v2/types.proto" in files(first), f"imports of search.proto: {files(first)}")
    check.equal(files(second), ["kyrodb/v2/search.proto"], "imports come once on a stream")
    check.equal(files(third), ["kyrodb/v2/types.proto"], "a file asked for comes again")

    for symbol, file in {
        "grpc.health.v1.Health.Watch": "grpc/health/v1/health.proto",
        "grpc.health.v1.HealthCheckResponse.ServingStatus": "grpc/health/v1/health.proto",
        "grpc.health.v1.HealthCheckResponse.NOT_SERVING": "grpc/health/v1/health.proto",
        "google.rpc.Status": "google/rpc/status.proto",
        "google.protobuf.Any": "google/protobuf/any.proto",
    }.items():
        answer, = ask({"file_containing_symbol": symbol})
        check.equal(files(answer)[:1], [file], symbol)

    services, = ask({"list_services": "*"})
    names = [service.name for service in services.list_services_response.service]
    check.equal(names, sorted(SERVICES), "services over v1")
    numbers, = ask({"all_extension_numbers_of_type": "kyrodb.v2.Document"})
    check.equal(numbers.all_extension_numbers_response.base_type_name, "kyrodb.v2.Document",
                "a message without extensions")
    check.equal(len(numbers.all_extension_numbers_response.extension_number), 0, "extensions")

    extension = {"containing_type": "kyrodb.v2.Document", "extension_number": 7}
    wrong = [({"file_by_filename": "no.proto"}, 5), ({"file_containing_symbol": "no.Such"}, 5),
             ({"file_containing_symbol": ".kyrodb.v2.Document"}, 5),
             ({"file_containing_symbol": ""}, 5), ({"file_containing_extension": extension}, 5),
             ({"all_extension_numbers_of_type": "no.Such"}, 5), ({}, 3)]
    # Errors are answers: the stream goes on behind them.
    for (query, code), answer in zip(wrong, ask(*(query for query, _ in wrong)), strict=True):
        check.equal(answer.error_response.error_code, code, f"{query}")
        check(answer.error_response.error_message, f"{query} has no text")


def named_health(stubs, shards):
    serving = health.HealthCheckResponse.SERVING
    listed = stubs.health.List(health.HealthListRequest()).statuses
    wanted = {""} | SERVICES | {f"kyrodb.shard.{n}" for n in range(shards)}
    check.equal(set(listed), wanted, "names that have a state")
    for name in wanted:
        check.equal(listed[name].status, serving, f"{name!r} in the list")
        check.equal(stubs.health.Check(health.HealthCheckRequest(service=name)).status, serving,
                    f"{name!r}")
    failure = failure_of(
        lambda: stubs.health.Check(health.HealthCheckRequest(service=f"kyrodb.shard.{shards}")))
    check(failure and failure.code.name == "NOT_FOUND", f"a shard too many: {failure}")


def channelz(server, channel):
    """Counters against what this script has done on a connection of its own."""
    pool, _ = stubs_of("grpc/channelz/v1/channelz.proto")

    def ask(name, **fields):
        call, request = method_of(channel, pool, "grpc.channelz.v1.Channelz", name)
        return call(request(**fields), timeout=10)

    check.equal(str(ask("GetTopChannels")), "end: true\n", "top channels")
    servers = ask("GetServers")
    check.equal((len(servers.server), servers.end), (1, True), "servers")
    number = servers.server[0].ref.server_id
    port = int(server.target.rsplit(":", 1)[1])
    check.equal(servers.server[0].ref.name, f"port {port}", "the server's name")
    before = ask("GetServer", server_id=number).server.data
    known = {ref.socket_id for ref in ask("GetServerSockets", server_id=number).socket_ref}
    with Stubs(server.target) as stubs:
        for _ in range(5):
            stubs.health.Check(health.HealthCheckRequest())
        for _ in range(2):
            failure_of(lambda: stubs.health.Check(health.HealthCheckRequest(service="none")))
        sockets = ask("GetServerSockets", server_id=number)
        check(sockets.end, "the list of sockets goes on")
        ours = [ref for ref in sockets.socket_ref if ref.socket_id not in known]
        if check(len(ours) == 1, f"sockets since then: {ours}"):
            socket = ask("GetSocket", socket_id=ours[0].socket_id).socket
            data = socket.data
            check.equal((data.streams_started, data.streams_succeeded, data.streams_failed,
                         data.messages_sent, data.messages_received), (7, 7, 0, 5, 7),
                        "what the socket has carried")
            check.equal(socket.local.tcpip_address.port, port, "the socket's local port")
            check.equal(socket.remote.tcpip_address.ip_address, b"\x7f\0\0\x01", "remote address")
            check.equal(socket.ref.name, f"127.0.0.1:{socket.remote.tcpip_address.port}", "name")
            check(not socket.HasField("security"), "plaintext has no security")
            check(abs(data.last_message_received_timestamp.seconds - time.time()) < 60,
                  f"last message at {data.last_message_received_timestamp}")
        first = ask("GetServerSockets", server_id=number, max_results=1)
        check.equal((len(first.socket_ref), first.end), (1, False), "a page of one socket")
        after = ask("GetServer", server_id=number).server.data
        check.equal(after.calls_failed - before.calls_failed, 2, "calls that failed")
        # These calls themselves among them.
        check(after.calls_succeeded - before.calls_succeeded >= 5 + 4, "calls that succeeded")
    for name, fields in {
        "GetServer": {"server_id": 999}, "GetSocket": {"socket_id": 999},
        "GetServerSockets": {"server_id": 999}, "GetChannel": {"channel_id": 1},
        "GetSubchannel": {"subchannel_id": 1},
    }.items():
        failure = failure_of(lambda name=name, fields=fields: ask(name, **fields))
        check(failure and failure.code.name == "NOT_FOUND", f"{name} of nothing: {failure}")
    failure = failure_of(lambda: ask("GetServers", max_results=-1))
    check(failure and failure.code.name == "INVALID_ARGUMENT", f"a negative page: {failure}")


def compression(server):
    """Both codings, both ways: grpcio, and by hand what it would not send."""
    for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        with Stubs(server.target) as stubs:
            name = "x" * 900  # long enough to gain; comes back in the error
            failure = failure_of(lambda: stubs.health.Check(
                health.HealthCheckRequest(service=name), compression=kind))
            check(failure and failure.code.name == "NOT_FOUND" and name[:500] in failure.message,
                  f"{kind}: {failure}")
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    name = b"kyrodb/v2/types.proto"
    request = bytes([0x1A, len(name)]) + name
    accept = ("grpc-accept-encoding", "identity, deflate, gzip")
    for encoding, squeeze in {"gzip": gzip.compress, "deflate": zlib.compress}.items():
        told = raw_call(server.target, path, framed(squeeze(request), flag=1),
                        extra=[("grpc-encoding", encoding), accept])
        check.equal((told.get("grpc-status"), told.get("grpc-encoding")), ("0", encoding),
                    f"a request in {encoding}")
    told = raw_call(server.target, path, framed(gzip.compress(request), flag=1),
                    extra=[("grpc-encoding", "gzip")])
    check.equal((told.get("grpc-status"), told.get("grpc-encoding")), ("0", None),
                "gzip from a client that accepts none")
    told = raw_call(server.target, path, framed(request), extra=[accept])
    check.equal((told.get("grpc-status"), told.get("grpc-encoding")), ("0", None),
                "a client that only accepts compression")
    told = raw_call(server.target, path, framed(request), extra=[("grpc-encoding", "snappy")])
    check.equal((told.get("grpc-status"), told.get("grpc-accept-encoding")),
                ("12", "identity,deflate,gzip"), "an unknown encoding")
    told = raw_call(server.target, path, framed(request, flag=1))
    check.equal(told.get("grpc-status"), "13", "the compressed flag without an encoding")


def main():
    with Server("--shards", "3") as server:
        with grpc.insecure_channel(server.target) as channel:
            stock_reflection(channel)
            described_is_served(channel)
            reflection_v1(channel)
            channelz(server, channel)
        with Stubs(server.target) as stubs:
            named_health(stubs, 3)
        compression(server)
    check.finish()


main()
