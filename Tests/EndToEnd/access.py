#!/usr/bin/env python3
"""Who may do what: every RPC, asked by every kind of caller, gives the code that docs/access.md says;
keys and tokens live and end as their files say; what is another's stays unknown; nothing secret is
written anywhere."""
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import derived
import grpc
from access_world import (
    Issuer,
    bearer,
    code_of,
    edit,
    eventually,
    key_id,
    kyroctl,
    make_key,
    refusal_of,
)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc
from harness import (
    BINARY,
    PROTOS,
    ROOT,
    Checks,
    Server,
    Stubs,
    collections,
    failure_of,
    ingest,
    operations,
    search,
    tuning,
    types,
)

check = Checks()
TENANT, NAMESPACE = "alpha", "notes"


def documented():
    """From the table: method, then code by kind of caller."""
    table = {}
    for line in (ROOT / "docs/access.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and re.fullmatch(r"[\w.]+/\w+", cells[0]):
            table["/" + cells[0]] = {
                **dict.fromkeys(("none", "malformed", "expired", "revoked"), cells[2]),
                "other": cells[3], "reader": cells[4], "admin": cells[5], "operator": cells[6]}
    return table


def stock_services():
    """Health, reflection and channelz as their .proto files have them."""
    with tempfile.NamedTemporaryFile() as out:
        paths = sorted(str(path) for path in (PROTOS / "grpc").rglob("*.proto"))
        arguments = ["protoc", f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}",
                     "--include_imports", f"--descriptor_set_out={out.name}"]
        if protoc.main(arguments + paths) != 0:
            sys.exit(f"protoc refused {paths}")
        described = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    return [pool.FindServiceByName(f"{file.package}.{service.name}")
            for file in described.file for service in file.service]


STOCK = stock_services()


def described():
    """Every method of the service descriptors."""
    services = [service for module in (collections, ingest, search, operations)
                for service in module.DESCRIPTOR.services_by_name.values()]
    return {f"/{service.full_name}/{method.name}": method
            for service in services + STOCK for method in service.methods}


def stock_request(method):
    """What is found, where there is something to find."""
    message = message_factory.GetMessageClass(method.input_type)()
    if method.name == "ServerReflectionInfo":
        message.list_services = ""
    for field in message.DESCRIPTOR.fields:
        if field.name in ("server_id", "channel_id", "subchannel_id"):
            setattr(message, field.name, 1)
    return [message]


def requests_of(scope, vector=derived.vector(1, 1)):
    text = search.TextQuery(query="common")
    judged = [tuning.TuneRequest(query=tuning.JudgedQuery(
        text=text, vector=search.VectorQuery(field="v", vector=derived.packed(vector)),
        judgements=[tuning.Judgement(id=types.DocumentId(number=n % 10), grade=1)]))
        for n in range(10)]
    query = search.SearchRequest(scope=scope, text=text, limit=3)
    return {
        "Create": [collections.CreateCollectionRequest(scope=scope, schema=schema())],
        "Describe": [collections.DescribeCollectionRequest(scope=scope)],
        "List": [collections.ListCollectionsRequest(tenant_id=scope.tenant_id)],
        "Drop": [collections.DropCollectionRequest(scope=scope)],
        "Rebuild": [collections.RebuildRequest(scope=scope, texts={
            "body": collections.TextField(name="body", language="german")})],
        "SetRetention": [collections.SetRetentionRequest(scope=scope, retention_ms=5_000)],
        "Tune": [tuning.TuneRequest(start=tuning.TuneStart(scope=scope, dry_run=True)), *judged],
        "RollBackTuning": [tuning.RollBackTuningRequest(scope=scope)],
        "Write": [ingest.WriteRequest(scope=scope, mutations=[derived.upsert(3, 1)])],
        "Stream": [ingest.StreamRequest(open=ingest.StreamOpen(scope=scope, producer_id="p"))],
        "Search": [query],
        "SearchMany": [search.SearchManyRequest(tag=1, search=query)],
        "Lookup": [search.LookupRequest(scope=scope, ids=[types.DocumentId(number=1)])],
        "Scan": [search.ScanRequest(scope=scope, limit=2)],
        "Status": [operations.StatusRequest()], "Snapshot": [operations.SnapshotRequest()],
        "Flush": [operations.FlushRequest()],
        "CreateBackup": [operations.CreateBackupRequest()],
    }


def schema():
    return collections.Schema(
        vectors=[collections.VectorField(name="v", dimension=derived.DIMENSION)],
        sparse_vectors=[collections.SparseField(name="s")],
        texts=[collections.TextField(name="body", language="english")])


def ask(channel, path, method, messages, key):
    """One call of any kind, by its descriptor."""
    kind = ("stream" if method.client_streaming else "unary",
            "stream" if method.server_streaming else "unary")
    stub = getattr(channel, "_".join(kind))(
        path, request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString)
    request = iter(messages) if method.client_streaming else messages[0]
    answer = stub(request, metadata=bearer(key), timeout=30)
    if method.name == "Watch":
        first = next(answer)
        answer.cancel()
        return first
    return answer


def make_collection(stubs, key, scope):
    failure = failure_of(lambda: stubs.collections.Create(
        collections.CreateCollectionRequest(scope=scope, schema=schema()), metadata=bearer(key)))
    check(failure is None or failure.reason == "COLLECTION_EXISTS", f"{scope}: {failure}")
    stubs.ingest.Write(ingest.WriteRequest(
        scope=scope, mutations=[derived.upsert(n, 1) for n in range(10)]), metadata=bearer(key))


def check_matrix(server, stubs, keys):
    table, methods = documented(), described()
    check.equal(sorted(table), sorted(methods), "methods of docs/access.md and of the descriptors")
    scope = types.Scope(tenant_id=TENANT, namespace=NAMESPACE)
    number = 0
    for path, method in methods.items():
        for caller, wanted in table.get(path, {}).items():
            target = scope
            if method.name in ("Create", "Drop"):
                number += 1
                target = types.Scope(tenant_id=TENANT, namespace=f"new-{number}")
                if method.name == "Drop":
                    make_collection(stubs, keys["operator"], target)
            is_ours = path.startswith("/kyrodb.")
            messages = requests_of(target).get(method.name) if is_ours else stock_request(method)
            if not check(messages, f"no request for {path}"):
                continue
            code, reason, text = refusal_of(
                lambda: ask(stubs.channel, path, method, messages, keys[caller]))
            check.equal(code, wanted, f"{path} as {caller} ({reason}: {text})")
            if code == "UNAUTHENTICATED":
                check.equal(reason, {
                    "none": "CREDENTIALS_MISSING", "malformed": "CREDENTIALS_INVALID",
                    "expired": "CREDENTIALS_EXPIRED", "revoked": "CREDENTIALS_REVOKED"}[caller],
                    f"{path} as {caller}")
            elif code == "PERMISSION_DENIED":
                check(reason in ("ROLE_MISSING", "SCOPE_DENIED"), f"{path} as {caller}: {reason}")


def check_unknown(stubs, keys):
    """Another's collections: whether they are there makes no difference to anything."""
    there = types.Scope(tenant_id=TENANT, namespace=NAMESPACE)
    absent = types.Scope(tenant_id=TENANT, namespace="absen")  # as long as the other name
    for path, method in described().items():
        names_collection = path.startswith("/kyrodb.v2.") and "Operations" not in path
        if not names_collection:
            continue
        told = []
        for scope in (there, absent):
            code, reason, text = refusal_of(lambda: ask(
                stubs.channel, path, method, requests_of(scope)[method.name], keys["other"]))
            told.append((code, reason, text.replace(scope.namespace, "…")))
        check.equal(told[0], told[1], f"{path} of another's collection, there and absent")
    whole = stubs.operations.Status(operations.StatusRequest(), metadata=bearer(keys["operator"]))
    part = stubs.operations.Status(operations.StatusRequest(), metadata=bearer(keys["other"]))
    check(whole.shards and whole.seq > 0, "an operator's status is whole")
    check.equal((len(part.shards), part.seq, part.collection_count, part.resident_bytes,
                 part.connections, part.queued_bytes), (0, 0, 0, 0, 0, 0), "a tenant's status")
    check.equal(part.version, whole.version, "version")
    for key, names in ((keys["other"], []), (keys["narrow"], ["logs-1"])):
        for tenant in ("", "beta" if key == keys["other"] else TENANT):
            page = stubs.collections.List(collections.ListCollectionsRequest(
                tenant_id=tenant, page_size=1), metadata=bearer(key))
            check.equal(([c.scope.namespace for c in page.collections], page.next_page_token),
                        (names, ""), f"list of tenant {tenant!r}")


def check_tenants(stubs, keys):
    """A caller of one tenant need not name it; create_if_missing wants admin; namespaces bind."""
    scope = types.Scope(namespace=NAMESPACE)
    found = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=scope),
                                       metadata=bearer(keys["reader"]))
    check.equal(found.collection.scope.tenant_id, TENANT, "the tenant of a request without one")
    scope = types.Scope(tenant_id="default", namespace=NAMESPACE)
    code, reason, _ = refusal_of(lambda: stubs.collections.Describe(
        collections.DescribeCollectionRequest(scope=scope), metadata=bearer(keys["reader"])))
    check.equal((code, reason), ("PERMISSION_DENIED", "SCOPE_DENIED"), "default is a tenant too")
    request = ingest.WriteRequest(
        scope=types.Scope(namespace="made-by-write"), mutations=[derived.upsert(1, 1)],
        create_if_missing=ingest.CreateIfMissing())
    for name, wanted in (("writer", "PERMISSION_DENIED"), ("admin", "OK")):
        check.equal(code_of(lambda: stubs.ingest.Write(request, metadata=bearer(keys[name]))),
                    wanted, f"create_if_missing as {name}")
    for name, namespace, wanted in (
            ("narrow", "logs-1", "OK"), ("narrow", NAMESPACE, "PERMISSION_DENIED"),
            ("writer", NAMESPACE, "PERMISSION_DENIED")):
        check.equal(code_of(lambda: stubs.search.Search(search.SearchRequest(
            scope=types.Scope(namespace=namespace), text=search.TextQuery(query="common"), limit=3),
            metadata=bearer(keys[name]))), wanted, f"search of {namespace} as {name}")
    both = bearer(keys["reader"]) + bearer(keys["admin"])
    check.equal(refusal_of(lambda: stubs.operations.Status(
        operations.StatusRequest(), metadata=both))[1], "CREDENTIALS_INVALID", "two credentials")
    check.equal(code_of(lambda: stubs.channel.unary_unary("/kyrodb.v2.Search/Nothing")(b"")),
                "UNIMPLEMENTED", "a method that there is not")


def check_life(server, stubs, path, keys):
    """New keys count and revoked ones end within seconds, also in the middle of a stream."""
    scope = types.Scope(namespace=NAMESPACE)
    second = make_key(path, "reader")
    keys["second"] = second
    status = lambda key: refusal_of(lambda: stubs.operations.Status(  # noqa: E731
        operations.StatusRequest(), metadata=bearer(key)))[1]
    check(eventually(lambda: status(second) == ""), "a new key is taken")
    check.equal(status(keys["reader"]), "", "and the old one still")
    asked = queue.Queue()
    answers = stubs.search.SearchMany(iter(asked.get, None), metadata=bearer(second), timeout=60)
    query = search.SearchManyRequest(search=search.SearchRequest(
        scope=scope, text=search.TextQuery(query="common"), limit=3))
    asked.put(query)
    check(next(answers).response.hits, "a stream under the new key")
    kyroctl("keys", "revoke", key_id(second), "--file", str(path), check=True)
    check(eventually(lambda: status(second) == "CREDENTIALS_REVOKED"), "a revoked key ends")
    check.equal(status(keys["reader"]), "", "the other key of the principal goes on")
    asked.put(query)
    code, reason, _ = refusal_of(lambda: answers)
    check.equal((code, reason), ("UNAUTHENTICATED", "CREDENTIALS_REVOKED"), "its stream ends")
    asked.put(None)

    good = Path(path).read_text()
    before = server.log().count("could not be read anew")
    Path(path).write_text(good[:-20])
    check(eventually(lambda: server.log().count("could not be read anew") > before),
          "a broken file is told")
    check.equal((status(keys["reader"]), status(second)), ("", "CREDENTIALS_REVOKED"),
                "a broken file leaves what was before")
    Path(path).write_text(good)
    third = make_key(path, "reader")
    keys["third"] = third
    check(eventually(lambda: status(third) == ""), "the mended file is read")


def check_quotas(stubs, path, keys):
    """A tenant's quota refuses what is above it, says when to come again, and binds nobody else."""
    def limit(access):
        access["quotas"] = {"tenants": {"beta": {"requests_per_second": 5}},
                            "principals": {"reader": {"concurrent_calls": 1}}}

    def look(key):
        return failure_of(lambda: stubs.collections.List(
            collections.ListCollectionsRequest(), metadata=bearer(key)))

    edit(path, limit)
    check(eventually(lambda: any(look(keys["other"]) for _ in range(10))), "the quota holds")
    failures = [failure for failure in (look(keys["other"]) for _ in range(20)) if failure]
    check(len(failures) >= 10, f"{len(failures)} of 20 were refused")
    check(all((f.code.name, f.reason, f.retry) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", True)
              for f in failures), f"{failures[:1]}")
    check(not any(look(keys["admin"]) for _ in range(50)), "another tenant is not limited")
    asked = queue.Queue()
    answers = stubs.search.SearchMany(
        iter(asked.get, None), metadata=bearer(keys["reader"]), timeout=60)
    asked.put(search.SearchManyRequest(search=search.SearchRequest(
        scope=types.Scope(namespace=NAMESPACE), text=search.TextQuery(query="common"))))
    next(answers)
    failure = look(keys["reader"])
    check(failure and failure.reason == "QUOTA_EXCEEDED", f"a second call at a time: {failure}")
    asked.put(None)
    list(answers)
    check(eventually(lambda: look(keys["reader"]) is None), "a call after the one that ended")
    searches = [search.SearchManyRequest(tag=tag, search=search.SearchRequest(
        scope=types.Scope(tenant_id="beta", namespace="none"))) for tag in range(15)]

    def stream():
        """Answers and seconds; none where the quota has no room for the call itself."""
        start = time.monotonic()
        try:
            return list(stubs.search.SearchMany(
                iter(searches), metadata=bearer(keys["other"]))), time.monotonic() - start
        except grpc.RpcError:
            return [], 0

    streams = []
    check(eventually(lambda: streams.append(stream()) or streams[-1][0]), "a stream begins")
    told, seconds = streams[-1]
    check.equal((sorted(answer.tag for answer in told), {answer.error.reason for answer in told}),
                (list(range(15)), {"COLLECTION_NOT_FOUND"}), "a stream above the quota")
    check(seconds >= 1.5, f"is slowed down: {seconds} s")
    edit(path, lambda access: access.update(quotas={}))
    check(eventually(lambda: not any(look(keys["other"]) for _ in range(20))), "no quota any more")


def check_kyroctl(server, folder, keys):
    target = ("--server", server.target)
    check.equal(kyroctl("status", *target).returncode, 5, "kyroctl without a key")
    check.equal(kyroctl("status", *target, key=keys["operator"]).returncode, 0, "KYRODB_API_KEY")
    check.equal(kyroctl("status", *target, key=keys["reader"]).returncode, 0, "a part of the status")
    file = Path(folder, "operator.key")
    file.write_text(keys["operator"] + "\n")
    check.equal(kyroctl("snapshot", *target, "--api-key-file", str(file)).returncode, 0, "key file")
    result = kyroctl("status", "--server", "192.0.2.1:1", key=keys["operator"])
    check(result.returncode == 2 and "plaintext" in result.stderr, f"plaintext: {result.stderr}")
    listed = json.loads(kyroctl("keys", "list", "--file", f"{folder}/access.json", "--json").stdout)
    states = {key["state"] for key in listed["keys"]}
    check.equal(states, {"good", "expired", "revoked"}, "states of the keys")
    check("importer" not in kyroctl("keys", "list", "--file", f"{folder}/access.json").stdout,
          "no principal that was not made")


PYTHON_CLIENT = """
import os, sys
from kyrodb_v2 import Client, KyroError
target, tenant, namespace = sys.argv[1:]
with Client(target, tenant=tenant) as client:  # by KYRODB_API_KEY
    assert client.describe_collection(namespace).namespace == namespace
    assert client.search(namespace, text="common").hits
    try:
        client.drop_collection(namespace)
        raise SystemExit("a reader dropped a collection")
    except KyroError as error:
        assert error.reason == "ROLE_MISSING", error.reason
try:
    Client("192.0.2.1:1")
    raise SystemExit("a key would go out in plaintext")
except ValueError as error:
    assert "plaintext" in str(error)
"""


def check_python(server, keys):
    """In a process of its own: two sets of stubs do not fit into one."""
    source = ROOT / "clients/python/src"
    stubs = source / "kyrodb_v2/_proto"
    if not all((stubs / f"{proto.stem}_pb2.py").exists()
               for proto in (ROOT / "Protos/kyrodb/v2").glob("*.proto")):
        print("the Python client skipped: make clients generates its stubs")
        return
    result = subprocess.run(
        [sys.executable, "-c", PYTHON_CLIENT, server.target, TENANT, NAMESPACE],
        capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(source), "KYRODB_API_KEY": keys["reader"]})
    check.equal(result.returncode, 0, f"the Python client: {result.stderr[-1000:]}")


def check_tokens(folder):
    issuer, other = Issuer(folder, "one"), Issuer(folder, "two")
    path = Path(folder, "jwks.json")
    path.write_text(json.dumps({"keys": [issuer.jwk]}))
    rights = {"tenants": [TENANT], "namespaces": ["*"], "roles": ["admin"]}
    token = issuer.token(rights)
    server = Server("--jwks", str(path), "--jwt-issuer", "https://issuer.example",
                    "--jwt-audience", "kyrodb")
    with server, Stubs(server.target) as stubs:
        def create(token, name, tenant=""):
            return refusal_of(lambda: stubs.collections.Create(collections.CreateCollectionRequest(
                scope=types.Scope(tenant_id=tenant, namespace=name)), metadata=bearer(token)))[1]
        check.equal(create(token, "a"), "", "a token")
        check.equal(create(token, "b"), "", "the same token again")
        check.equal(create(token, "c", "beta"), "SCOPE_DENIED", "another tenant")
        now = int(time.time())
        for claims, wanted in (({"exp": now - 61}, "CREDENTIALS_EXPIRED"),
                               ({"nbf": now + 3_600}, "CREDENTIALS_INVALID"),
                               ({"aud": "other"}, "CREDENTIALS_INVALID"),
                               ({"kyrodb": {**rights, "roles": ["read"]}}, "ROLE_MISSING")):
            check.equal(create(issuer.token(rights, **claims), "c"), wanted, f"token with {claims}")
        check.equal(create(other.token(rights), "c"), "CREDENTIALS_INVALID", "another issuer's key")
        short = issuer.token(rights, exp=now - 58)  # within the leeway for two seconds
        check(eventually(lambda: create(short, "c") == "CREDENTIALS_EXPIRED"), "a token runs out")
        path.write_text(json.dumps({"keys": [other.jwk]}))
        check(eventually(lambda: create(other.token(rights), "d") in ("", "COLLECTION_EXISTS")),
              "keys are rotated")
        check.equal(create(token, "e"), "CREDENTIALS_INVALID", "a token of the key before")


def check_start(folder):
    """What a command line must say together, and what is refused before it listens."""
    data = ("serve", "--data", f"{folder}/never")
    for flags, words in (
            (("--listen", "0.0.0.0:0"), "--access"),
            (("--listen", "127.example.com:0"), "--access"),
            (("--listen", "0.0.0.0:0", "--access", f"{folder}/access.json"), "plaintext"),
            (("--jwks", "x"), "--jwt-issuer"), (("--audit", "x"), "--access"),
            (("--tls-client-ca", "x"), "--tls-cert"),
            (("--tls-client-required",), "--tls-client-ca")):
        result = subprocess.run([BINARY, *data, *flags], capture_output=True, text=True, timeout=20)
        check(result.returncode == 2 and words in result.stderr, f"{flags}: {result.stderr}")
    for text in ("{", '{"principals": [{"name": "a", "roles": ["root"]}]}'):
        Path(folder, "broken.json").write_text(text)
        result = subprocess.run([BINARY, *data, "--access", f"{folder}/broken.json"],
                                capture_output=True, text=True, timeout=20)
        check(result.returncode == 1 and "broken.json" in result.stderr, f"{result.stderr}")
    check(not Path(folder, "never").exists(), "nothing was made")


def check_audit(path, keys):
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    members = {"time", "principal", "method", "tenant", "namespace", "code", "reason", "peer"}
    check(all(set(line) == members for line in lines), "members of the audit log")
    seen = {(line["principal"], line["method"].rsplit("/", 1)[1], line["code"], line["reason"])
            for line in lines}
    for entry in ((None, "Search", "UNAUTHENTICATED", "CREDENTIALS_MISSING"),
                  ("reader", "Drop", "PERMISSION_DENIED", "ROLE_MISSING"),
                  ("other", "Search", "PERMISSION_DENIED", "SCOPE_DENIED"),
                  ("admin", "Drop", "OK", ""), ("operator", "Snapshot", "OK", ""),
                  ("other", "List", "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")):
        check(entry in seen, f"the audit log has {entry}")
    check(not any(line["method"].endswith("/Search") and line["code"] == "OK" for line in lines),
          "what is neither administrative nor refused is not audited")
    check(all(re.fullmatch(r"127\.0\.0\.1:\d+", line["peer"]) for line in lines), "peers")
    drop = next(line for line in lines if line["principal"] == "reader"
                and line["method"].endswith("/Drop"))
    check.equal((drop["tenant"], drop["code"]), (None, "PERMISSION_DENIED"), "a denied drop")


def main():
    with tempfile.TemporaryDirectory() as folder:
        path, audit = f"{folder}/access.json", f"{folder}/audit.jsonl"
        alpha, everything = ("--tenants", TENANT), ("--tenants", "*", "--roles", "admin")
        keys = {
            "none": None, "malformed": "kyro_nonsense",
            "reader": make_key(path, "reader", *alpha, "--roles", "read"),
            "expired": make_key(path, "reader", "--expires", "1ms"),
            "revoked": make_key(path, "reader"),
            "writer": make_key(path, "writer", *alpha, "--roles", "write"),
            "narrow": make_key(path, "narrow", *alpha, "--roles", "read", "--namespaces", "logs-*"),
            "admin": make_key(path, "admin", *alpha, "--roles", "admin"),
            "other": make_key(path, "other", "--tenants", "beta", "--roles", "admin"),
            "operator": make_key(path, "operator", *everything),
        }
        kyroctl("keys", "revoke", key_id(keys["revoked"]), "--file", path, check=True)
        server = Server("--access", path, "--audit", audit, "--backups", f"{folder}/backups")
        with server:
            with Stubs(server.target) as stubs:
                for namespace in (NAMESPACE, "logs-1"):
                    make_collection(stubs, keys["operator"],
                                    types.Scope(tenant_id=TENANT, namespace=namespace))
                check_matrix(server, stubs, keys)
                check_unknown(stubs, keys)
                check_tenants(stubs, keys)
                check_life(server, stubs, path, keys)
                check_quotas(stubs, path, keys)
                check_kyroctl(server, folder, keys)
                check_python(server, keys)
            check.equal(server.stop(), 0, "exit status")
            check_audit(audit, keys)
            written = server.log() + Path(audit).read_text() + Path(path).read_text()
            for name, key in keys.items():
                if key and name != "malformed":
                    secret = key.split("_", 2)[2]
                    check(secret not in written, f"the secret of {name} is in a file")
            check("common" not in server.log() + Path(audit).read_text(), "payload in a log")
        check_tokens(folder)
        check_start(folder)
    check.finish()


if __name__ == "__main__":
    main()
