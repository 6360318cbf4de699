"""One other library on the rows that `kyrobench vectors` wrote: build, then latency over recall.

Prints JSON lines for kyrobench (kinds system, build, point), progress on standard error. Rows and
queries are unit vectors, so that inner product is the cosine; M is 16 and efConstruction 100 in every
graph. Each library gets its index in one call, in its own threads, and each query by itself in one.
"""

import argparse
import ctypes
import gc
import importlib.metadata
import json
import math
import sys
import time

import numpy as np

K = 10
M = 16
EF_CONSTRUCTION = 100
SEED = 1
WARM_UPS = 100
# A call is measured on an index of so many rows, as few as k allows: it has nothing to search.
EMPTY_ROWS = K
EMPTY_CALLS = 2000
# Batches, like those of KyroDB's threads, not single calls: Python would run one at a time.
BATCH_PASSES = 3
# Lists of an IVF over n rows: four times the root of n, as faiss's own guidelines begin.
LISTS_PER_ROOT = 4
TRAINING_ROWS_PER_LIST = 64


class Hnswlib:
    package, parameter, remark = "hnswlib", "ef", ""

    def build(self, rows, threads):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=rows.shape[1])
        self.index.init_index(
            max_elements=len(rows), ef_construction=EF_CONSTRUCTION, M=M, random_seed=SEED
        )
        self.index.add_items(rows, np.arange(len(rows)), num_threads=threads)

    def set(self, value, threads):
        self.index.set_ef(value)
        self.index.set_num_threads(threads)

    def one(self, query):
        return self.index.knn_query(query, k=K, num_threads=1)

    def rows_of(self, answer):
        return answer[0][0]

    def all(self, queries, threads):
        self.index.knn_query(queries, k=K, num_threads=threads)

    def distances(self, queries):
        return None


class Faiss:
    package, parameter, remark = "faiss-cpu", "efSearch", ""

    def build(self, rows, threads):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(threads)
        self.index = self.make(faiss, rows.shape[1], len(rows))
        if not self.index.is_trained:
            self.index.train(self.training(rows))
        self.index.add(rows)

    def training(self, rows):
        return rows

    def make(self, faiss, dimension, count):
        raise NotImplementedError

    def set(self, value, threads):
        self.faiss.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = value

    def one(self, query):
        return self.index.search(query, K)

    def rows_of(self, answer):
        return answer[1][0]

    def all(self, queries, threads):
        self.faiss.omp_set_num_threads(threads)
        self.index.search(queries, K)
        self.faiss.omp_set_num_threads(1)

    def distances(self, queries):
        statistics = self.faiss.cvar.hnsw_stats
        statistics.reset()
        self.index.search(queries, K)
        return statistics.ndis / len(queries)


class FaissHNSW(Faiss):
    def make(self, faiss, dimension, count):
        index = faiss.IndexHNSWFlat(dimension, M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        return index


class FaissHNSWSQ8(Faiss):
    def make(self, faiss, dimension, count):
        index = faiss.IndexHNSWSQ(
            dimension, faiss.ScalarQuantizer.QT_8bit, M, faiss.METRIC_INNER_PRODUCT
        )
        index.hnsw.efConstruction = EF_CONSTRUCTION
        return index


class FaissIVF(Faiss):
    parameter = "nprobe"

    def make(self, faiss, dimension, count):
        # Few rows, as for the empty call, still need one list with enough of them to train.
        self.lists = max(1, min(round(LISTS_PER_ROOT * math.sqrt(count)), count // 39))
        self.remark = f"{self.lists} lists"
        self.quantizer = faiss.IndexFlatIP(dimension)
        return faiss.IndexIVFFlat(
            self.quantizer, dimension, self.lists, faiss.METRIC_INNER_PRODUCT
        )

    def training(self, rows):
        return rows[: self.lists * TRAINING_ROWS_PER_LIST]

    def set(self, value, threads):
        self.faiss.omp_set_num_threads(threads)
        self.index.nprobe = value

    def distances(self, queries):
        statistics = self.faiss.cvar.indexIVF_stats
        statistics.reset()
        self.index.search(queries, K)
        return statistics.ndis / len(queries) + self.lists


class USearch:
    package, parameter, remark = "usearch", "expansion_search", ""

    def __init__(self, element):
        self.element = element

    def build(self, rows, threads):
        from usearch.index import Index

        # Its int8 rows are scaled to unit length for the cosine alone.
        self.index = Index(
            ndim=rows.shape[1],
            metric="cos" if self.element == "i8" else "ip",
            dtype=self.element,
            connectivity=M,
            expansion_add=EF_CONSTRUCTION,
        )
        self.remark = str(getattr(self.index, "hardware_acceleration", ""))
        self.index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=threads, copy=True)

    def set(self, value, threads):
        self.index.expansion_search = value

    def one(self, query):
        return self.index.search(query[0], K, threads=1)

    def rows_of(self, answer):
        return answer.keys

    def all(self, queries, threads):
        self.index.search(queries, K, threads=threads)

    def distances(self, queries):
        return self.index.search(queries, K, threads=1).computed_distances / len(queries)


PEERS = {
    "hnswlib": Hnswlib,
    "faiss-hnsw": FaissHNSW,
    "faiss-hnsw-sq8": FaissHNSWSQ8,
    "faiss-ivf": FaissIVF,
    "usearch-f32": lambda: USearch("f32"),
    "usearch-bf16": lambda: USearch("bf16"),
    "usearch-i8": lambda: USearch("i8"),
}


def emit(kind, name, **members):
    print(json.dumps({"kind": kind, "system": name, **members}), flush=True)


def note(text):
    print(f"vectors_peers: {text}", file=sys.stderr, flush=True)


def anonymous_bytes():
    """Resident memory without mapped files, after what was freed has gone back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def times(nanos):
    ordered = sorted(nanos)

    def quantile(fraction):
        return ordered[max(1, math.ceil(fraction * len(ordered))) - 1] / 1e3

    return {
        "samples": len(ordered),
        "mean_micros": sum(ordered) / len(ordered) / 1e3,
        "min_micros": ordered[0] / 1e3,
        "p50_micros": quantile(0.5),
        "p90_micros": quantile(0.9),
        "p99_micros": quantile(0.99),
        "max_micros": ordered[-1] / 1e3,
    }


def call_micros(make, dimension):
    """Median of a search in an index of ten rows: what the call takes without what it is for."""
    numbers = np.random.default_rng(SEED)
    rows = numbers.standard_normal((EMPTY_ROWS, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    peer = make()
    peer.build(rows, 1)
    peer.set(K, 1)
    query = rows[:1].copy()
    nanos = []
    for _ in range(EMPTY_CALLS):
        start = time.perf_counter_ns()
        peer.one(query)
        nanos.append(time.perf_counter_ns() - start)
    return times(nanos)["p50_micros"]


def throughput(peer, queries, threads):
    start = time.perf_counter()
    for _ in range(BATCH_PASSES):
        peer.all(queries, threads)
    return BATCH_PASSES * len(queries) / (time.perf_counter() - start)


def point(peer, value, queries, accepted, options):
    peer.set(value, 1)
    single = [queries[i : i + 1] for i in range(len(queries))]
    for query in single[:WARM_UPS]:
        peer.one(query)
    nanos = []
    found = 0
    for turn in range(options.passes):
        for number, query in enumerate(single):
            start = time.perf_counter_ns()
            answer = peer.one(query)
            nanos.append(time.perf_counter_ns() - start)
            if turn == 0:
                rows = peer.rows_of(answer)
                found += min(K, sum(int(row) in accepted[number] for row in rows))
    return {
        "value": value,
        "recall": found / (K * len(single)),
        "distances": peer.distances(queries),
        **times(nanos),
        "per_second_of_one": throughput(peer, queries, 1),
        "per_second_of_all": throughput(peer, queries, options.threads),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--corpus", required=True, help=".npy of float32 unit vectors")
    parser.add_argument("--queries", required=True, help=".npy of float32 unit vectors")
    parser.add_argument("--truth", required=True, help=".npy of int32 rows, -1 behind the last")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--sweep", required=True, help="values of the search parameter")
    parser.add_argument("--recall-max", type=float, default=0.995)
    parser.add_argument("--flat-points-max", type=int, default=3)
    options = parser.parse_args()

    make = PEERS[options.peer]
    rows = np.load(options.corpus, mmap_mode="r")
    queries = np.load(options.queries)
    accepted = [{int(row) for row in line if row >= 0} for line in np.load(options.truth)]
    empty = call_micros(make, rows.shape[1])

    note(f"{options.peer}: building over {rows.shape[0]} × {rows.shape[1]}")
    peer = make()
    before = anonymous_bytes()
    start = time.perf_counter()
    peer.build(rows, options.threads)
    seconds = time.perf_counter() - start
    resident = anonymous_bytes() - before
    note(f"{options.peer}: {len(rows) / seconds:.0f} vectors/s, empty call {empty:.1f} µs")
    emit(
        "system",
        options.peer,
        library=f"{peer.package} {importlib.metadata.version(peer.package)}",
        parameter=peer.parameter,
        call_micros=empty,
    )
    emit(
        "build",
        options.peer,
        threads=options.threads,
        rows=len(rows),
        seconds=seconds,
        resident_bytes=resident,
        remark=peer.remark,
    )
    gc.disable()
    recalls = []
    for value in map(int, options.sweep.split(",")):
        members = point(peer, value, queries, accepted, options)
        emit("point", options.peer, **members)
        note(
            f"{options.peer}: {peer.parameter} {value}, recall {members['recall']:.4f}, "
            f"p50 {members['p50_micros']:.0f} µs, p99 {members['p99_micros']:.0f} µs"
        )
        recalls.append(members["recall"])
        earlier = recalls[: -options.flat_points_max]
        if recalls[-1] >= options.recall_max or (earlier and recalls[-1] <= earlier[-1]):
            break


if __name__ == "__main__":
    main()
