"""What a golden data directory of vector indexes holds: a field of every kind of index, codes and
rows, some with enough rows for inverted lists and for codes that are trained on them.

Everything follows from a document's number, so that no expectation is kept beside the directory.
Components are eighths, which half the bits of a float hold exactly.
"""
import random
import shutil
import tarfile

import numpy as np
from golden_parts import by_key, documents_of, numbered
from harness import Checks, collections, ingest, search, types

INDEXED = types.Scope(namespace="indexed")
# Lists are trained beyond 4,096 rows of a shard, codes from 10,000 on.
COUNT = 10_050
LATE = 40  # the last ones: behind the snapshot
KINDS, CODES, RERANKS = (
    {name.rsplit("_", 1)[1]: number for name, number in enum.items()}
    for enum in (collections.VectorIndexKind, collections.VectorCodes, collections.VectorRerank))
# name: dimension, documents that have it, kind, codes, rerank, whether rows are on disk
FIELDS = {
    "lists": (2, 4_300, "IVF", "SQ8", "F32", False),
    "trained": (4, COUNT, "FLAT", "PQ", "F32", False),
    "graph": (8, 120, "GRAPH", "SQ8", "F32", False),
    "graph-plain": (8, 120, "GRAPH", "NONE", "BF16", False),
    "graph-bits": (8, 120, "GRAPH", "BQ", "BF16", True),
    "graph-disk": (8, 120, "GRAPH", "SQ4", "F32", True),
}


def pack(folder):
    """Makes one file of `data`: rows and codes of ten thousand documents, mostly zeros."""
    with tarfile.open(folder / "data.tar.xz", "w:xz") as archive:
        archive.add(folder / "data", "data")
    shutil.rmtree(folder / "data")


def unpack(folder, target):
    with tarfile.open(folder / "data.tar.xz") as archive:
        archive.extractall(target)


def removed(number):
    return number % 50 == 7


def vector(number, field):
    """Of documents with small numbers and of the last ones, so that some come behind the snapshot."""
    dimension, count = FIELDS[field][:2]
    if number >= count - LATE and number < COUNT - LATE:
        return None
    chance = random.Random(f"{field} {number}")
    return np.array([chance.randrange(-64, 65) / 8 for _ in range(dimension)], dtype="<f4")


def document(number):
    message = types.Document(id=numbered(number))
    for field in FIELDS:
        values = vector(number, field)
        if values is not None:
            message.vectors[field].packed = values.tobytes()
    return message


def schema():
    return collections.Schema(vectors=[
        collections.VectorField(
            name=name, dimension=dimension, metric=collections.METRIC_L2,
            indexing=collections.VectorIndexing(
                kind=KINDS[kind], codes=CODES[codes], rerank=RERANKS[rerank],
                storage=(collections.VECTOR_STORAGE_DISK if on_disk
                         else collections.VECTOR_STORAGE_MEMORY)))
        for name, (dimension, _, kind, codes, rerank, on_disk) in FIELDS.items()])


def write(stubs, numbers):
    mutations = [ingest.Mutation(upsert=document(n)) for n in numbers]
    mutations += [ingest.Mutation(remove=numbered(n)) for n in numbers if removed(n)]
    for first in range(0, len(mutations), 500):
        stubs.ingest.Write(ingest.WriteRequest(scope=INDEXED, mutations=mutations[first:first + 500]))


def first_half(stubs):
    stubs.collections.Create(collections.CreateCollectionRequest(scope=INDEXED, schema=schema()))
    write(stubs, range(COUNT - LATE))


def second_half(stubs):
    write(stubs, range(COUNT - LATE, COUNT))


def indexes(stubs):
    answer = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=INDEXED))
    return {status.field: status for status in answer.vectors}


def whole(stubs):
    """Whether every field has the codes and the structure that it asks for."""
    for name, status in indexes(stubs).items():
        _, _, kind, codes, _, _ = FIELDS[name]
        if status.codes != CODES[codes] or status.rebuild_rows_total > 0:
            return False
        if kind != "FLAT" and status.indexed_rows == 0 or codes == "PQ" and not status.codes_version:
            return False
    return True


def compare(stubs, check: Checks, told):
    wanted = by_key(document(n) for n in range(COUNT) if not removed(n))
    scanned = by_key(documents_of(stubs, INDEXED))
    check.equal(sorted(scanned), sorted(wanted), f"{told}: ids of a scan")
    check(all(scanned.get(key) == message for key, message in wanted.items()),
          f"{told}: documents of a scan")
    for field in FIELDS:
        numbers = [n for n in range(COUNT) if not removed(n) and vector(n, field) is not None]
        rows = np.stack([vector(n, field) for n in numbers]).astype(float)
        found = 0
        for number in (numbers[0], numbers[len(numbers) // 2], numbers[-1]):
            query = vector(number, field) + 1 / 16
            best = np.sort(-((rows - query) ** 2).sum(axis=1))[::-1][:10]
            for exact in (True, False):
                hits = stubs.search.Search(search.SearchRequest(
                    scope=INDEXED, limit=10, exact=exact, vector=search.VectorQuery(
                        field=field, vector=types.DenseVector(packed=query.astype("<f4").tobytes())))).hits
                if exact:
                    check(np.allclose([h.score for h in hits], best, atol=1e-4),
                          f"{told}: exact hits of {field}: {[h.score for h in hits]}, {best}")
                else:
                    found += sum(h.score >= best[-1] - 1e-4 for h in hits)
        # One bit a dimension knows little of eight.
        check(found >= (20 if field == "graph-bits" else 29), f"{told}: {found} of 30 by {field}")
