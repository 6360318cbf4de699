#!/usr/bin/env python3
"""Random operations of many tenants over one connection, against a model: every answer is the caller's
own, to the last score and count, and names nothing of anybody else; also behind a kill in the middle.

    tenants.py [--count 100000] [--tenants 50] [--seed 1]
"""
import argparse
import math
import random
import re
import tempfile
import threading
from collections import Counter

import grpc
from access_world import bearer, make_key
from harness import (
    Checks,
    Failure,
    Server,
    Stubs,
    collections,
    ingest,
    operations,
    search,
    types,
)

check = Checks()
NAMESPACES = ("notes", "logs", "drafts")  # the same names everywhere
WORDS = 12
IDS = 40
K1, B = 1.2, 0.75
MARK = re.compile(rb"mark(\d+)q")


class Tenant:
    """What one tenant has, and operations that compare answers with it."""

    def __init__(self, number, key, chance):
        self.number, self.key, self.chance = number, key, chance
        self.name = f"tenant-{number}"
        self.mark = f"mark{number}q"
        self.model = {}  # namespace: {id: words}

    def __str__(self):
        return self.name

    def scope(self, namespace, tenant=None):
        # The caller's only tenant need not be named.
        named = self.chance.random() < 0.5 if tenant is None else True
        return types.Scope(tenant_id=(tenant or self.name) if named else "", namespace=namespace)

    def call(self, method, request):
        """The answer, or the failure; neither holds another tenant's mark."""
        try:
            answer = method(request, metadata=bearer(self.key), timeout=60)
            if hasattr(answer, "__next__"):
                answer = list(answer)
            seen = b"".join(part.SerializeToString() for part in (
                answer if isinstance(answer, list) else [answer]))
        except grpc.RpcError as error:
            answer = Failure(error)
            seen = (str(error) + str(error.trailing_metadata())).encode()
        strangers = {int(mark) for mark in MARK.findall(seen)} - {self.number}
        check(not strangers, f"{self}: an answer holds marks of {strangers}")
        return answer

    # Operations

    def write(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        batch = {self.chance.randrange(IDS): self.words() for _ in range(self.chance.randint(1, 4))}
        answer = self.call(stubs.ingest.Write, ingest.WriteRequest(
            scope=self.scope(namespace), create_if_missing=ingest.CreateIfMissing(),
            mutations=[ingest.Mutation(upsert=types.Document(
                id=types.DocumentId(number=number), texts={"body": " ".join(words)},
                metadata={"mark": types.Value(string_value=self.mark)}))
                for number, words in batch.items()]))
        if check(not isinstance(answer, Failure), f"{self}: write: {answer}"):
            check(all(o.result == ingest.WRITE_RESULT_APPLIED for o in answer.outcomes),
                  f"{self}: outcomes {answer.outcomes}")
            self.model.setdefault(namespace, {}).update(batch)

    def words(self):
        return [self.mark] + [f"w{self.chance.randrange(WORDS)}x"
                              for _ in range(self.chance.randint(1, 6))]

    def remove(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        number = self.chance.randrange(IDS)
        answer = self.call(stubs.ingest.Write, ingest.WriteRequest(
            scope=self.scope(namespace),
            mutations=[ingest.Mutation(remove=types.DocumentId(number=number))]))
        if self.is_absent(namespace, answer):
            return
        had = self.model[namespace].pop(number, None) is not None
        check.equal(answer.outcomes[0].result, ingest.WRITE_RESULT_APPLIED if had
                    else ingest.WRITE_RESULT_NOT_FOUND, f"{self}: removal of {number}")

    def is_absent(self, namespace, answer):
        """Whether there is no such collection; the answer must say the same."""
        if namespace in self.model:
            return not check(not isinstance(answer, Failure), f"{self}: {namespace}: {answer}")
        check(isinstance(answer, Failure) and answer.reason == "COLLECTION_NOT_FOUND"
              and "tenant-" not in answer.message.replace(f'"{self.name}"', ""),
              f"{self}: {namespace} is not there: {answer}")
        return True

    def lookup(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        ids = self.chance.sample(range(IDS), 5)
        answer = self.call(stubs.search.Lookup, search.LookupRequest(
            scope=self.scope(namespace), ids=[types.DocumentId(number=n) for n in ids]))
        if self.is_absent(namespace, answer):
            return
        got = {n: result.document.texts["body"].split() if result.HasField("document") else None
               for n, result in zip(ids, answer.results)}
        check.equal(got, {n: self.model[namespace].get(n) for n in ids}, f"{self}: lookup")

    def find(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        word = self.mark if self.chance.random() < 0.3 else f"w{self.chance.randrange(WORDS)}x"
        if self.chance.random() < 0.1:
            word = f"mark{self.number + 1}q"  # a neighbour's
        answer = self.call(stubs.search.Search, search.SearchRequest(
            scope=self.scope(namespace), text=search.TextQuery(query=word), limit=IDS))
        if self.is_absent(namespace, answer):
            return
        wanted = self.scores(self.model[namespace], word)
        got = {hit.id.number: hit.score for hit in answer.hits}
        if check.equal(sorted(got), sorted(wanted), f"{self}: search for {word}"):
            for number, score in wanted.items():
                check(abs(got[number] - score) <= 1e-4 * abs(score) + 1e-6,
                      f"{self}: score of {number} for {word} is {got[number]}, by its own "
                      f"collection {score}")

    @staticmethod
    def scores(documents, word):
        """BM25 over these documents alone."""
        counts = {number: Counter(words) for number, words in documents.items()}
        df = sum(1 for count in counts.values() if count[word])
        idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        average = sum(len(words) for words in documents.values()) / max(1, len(documents))
        result = {}
        for number, count in counts.items():
            if tf := count[word]:
                norm = 1 - B + B * len(documents[number]) / average
                result[number] = idf * tf / (tf + K1 * norm)
        return result

    def scan(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        pages = self.call(stubs.search.Scan, search.ScanRequest(scope=self.scope(namespace)))
        if self.is_absent(namespace, pages):
            return
        got = {d.id.number: d.texts["body"].split() for page in pages for d in page.documents}
        check.equal(got, self.model[namespace], f"{self}: scan of {namespace}")

    def describe(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        answer = self.call(stubs.collections.Describe, collections.DescribeCollectionRequest(
            scope=self.scope(namespace)))
        if self.is_absent(namespace, answer):
            return
        check.equal((answer.collection.scope.tenant_id, answer.collection.document_count),
                    (self.name, len(self.model[namespace])), f"{self}: {namespace} described")

    def list(self, stubs):
        answer = self.call(stubs.collections.List, collections.ListCollectionsRequest(
            tenant_id="" if self.chance.random() < 0.5 else self.name))
        check.equal([(c.scope.tenant_id, c.scope.namespace, c.document_count)
                     for c in answer.collections],
                    [(self.name, n, len(self.model[n])) for n in sorted(self.model)],
                    f"{self}: list")
        status = self.call(stubs.operations.Status, operations.StatusRequest())
        check.equal((status.collection_count, len(status.shards)), (len(self.model), 0),
                    f"{self}: status")

    def drop(self, stubs):
        namespace = self.chance.choice(NAMESPACES)
        answer = self.call(stubs.collections.Drop, collections.DropCollectionRequest(
            scope=self.scope(namespace)))
        if not self.is_absent(namespace, answer):
            check.equal(answer.documents_dropped, len(self.model.pop(namespace)),
                        f"{self}: documents dropped")

    def trespass(self, stubs):
        """Another tenant by name: refused in the same words whether anything is there or not."""
        stranger = f"tenant-{self.chance.choice([n for n in range(60) if n != self.number])}"
        scope = self.scope(self.chance.choice(NAMESPACES + ("nothing",)), stranger)
        method, request = self.chance.choice((
            (stubs.search.Lookup, search.LookupRequest(
                scope=scope, ids=[types.DocumentId(number=1)])),
            (stubs.search.Search, search.SearchRequest(
                scope=scope, text=search.TextQuery(query="w1x"))),
            (stubs.search.Scan, search.ScanRequest(scope=scope)),
            (stubs.ingest.Write, ingest.WriteRequest(
                scope=scope, mutations=[ingest.Mutation(remove=types.DocumentId(number=1))])),
            (stubs.collections.Create, collections.CreateCollectionRequest(scope=scope)),
            (stubs.collections.Drop, collections.DropCollectionRequest(scope=scope)),
            (stubs.collections.Describe, collections.DescribeCollectionRequest(scope=scope)),
            (stubs.collections.List, collections.ListCollectionsRequest(tenant_id=stranger))))
        answer = self.call(method, request)
        check(isinstance(answer, Failure) and answer.message
              == f'the caller has no rights in tenant "{stranger}"'
              and (answer.code.name, answer.reason) == ("PERMISSION_DENIED", "SCOPE_DENIED"),
              f"{self}: {type(request).__name__} in {stranger}: {answer}")

    OPERATIONS = ((write, 28), (remove, 10), (lookup, 20), (find, 22), (scan, 4), (describe, 4),
                  (list, 3), (drop, 1), (trespass, 8))

    def step(self, stubs):
        names, weights = zip(*self.OPERATIONS)
        self.chance.choices(names, weights)[0](self, stubs)

    def whole(self, stubs):
        """All that the tenant has."""
        self.list(stubs)
        for namespace in self.model:
            pages = self.call(stubs.search.Scan, search.ScanRequest(scope=self.scope(namespace)))
            got = {d.id.number: d.texts["body"].split() for page in pages for d in page.documents}
            check.equal(got, self.model[namespace], f"{self}: all of {namespace}")


def run(stubs, tenants, count, threads=4):
    """Each tenant belongs to one thread; all share one connection."""
    def work(part):
        for number in range(count // threads):
            part[number % len(part)].step(stubs)

    workers = [threading.Thread(target=work, args=(tenants[i::threads],)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=4_000)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.count} operations of {options.tenants} tenants, seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/access.json"
        tenants = [
            Tenant(n, make_key(path, f"caller-{n}", "--tenants", f"tenant-{n}", "--roles", "admin"),
                   random.Random(f"{options.seed}/{n}")) for n in range(options.tenants)]
        server = Server("--access", path, "--shards", "2", "--snapshot-log-bytes", "262144")
        with server:
            for part in ("before", "behind"):
                with Stubs(server.target) as stubs:
                    for tenant in tenants:
                        tenant.whole(stubs)
                    run(stubs, tenants, options.count // 2)
                if part == "before":
                    server.kill()
                    server.start()
            with Stubs(server.target) as stubs:
                for tenant in tenants:
                    tenant.whole(stubs)
            check(MARK.search(server.log().encode()) is None, "a log holds what documents say")
    check.finish()


if __name__ == "__main__":
    main()
