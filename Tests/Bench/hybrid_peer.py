"""The questions of `kyrobench hybrid` on PostgreSQL 15 as one stitches them there, with Redis in front.

One row a document: text with its tsvector under a GIN index, metadata as jsonb with the filtered fields
in columns under B-trees, the vector. A question takes three statements: the best 100 by ts_rank of the
rows that match the text and pass filter and time; the best 100 by vector of the rows that pass; the
metadata of the ten best, after the client has fused both lists (min-max, as KyroDB does). The vector
leg is exact over the rows that pass: ordered by pgvector where that extension is there (through HNSW
from 0.8 on: before, a filter leaves few of a walk's rows); where it is not, PostgreSQL hands over their
vectors in one value and NumPy orders them, since arithmetic on arrays in SQL takes far longer.

  any word    matches rows with any of the words, as BM25 does
  all words   rows with all of them: plainto_tsquery, which is cheaper and finds little
  Redis hit   the answer to a question asked before, by one GET

Reads documents.jsonl, vectors.npy and queries.jsonl of --folder; prints JSON lines of name, value, unit
for kyrobench; progress on standard error. Both servers listen on Unix sockets in that folder, run as an
unprivileged user, and are gone at the end.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import pwd
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import time

import numpy as np
import psycopg
import redis

DATABASE = "postgres"
USER = "peer"
# Of the binary format of COPY (PostgreSQL's documentation of COPY, "Binary Format").
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
COPY_TRAILER = struct.pack(">h", -1)
BLOCK_BYTES = 1 << 22
WARM_UPS = 3
RAM_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def note(text):
    print(f"hybrid_peer: {text}", file=sys.stderr, flush=True)


def fact(name, value, unit=""):
    print(json.dumps({"name": name, "value": value, "unit": unit}), flush=True)


# Servers


class Servers:
    """PostgreSQL and Redis in a folder, as a user who may do nothing else."""

    def __init__(self, options):
        self.options = options
        self.folder = os.path.join(options.folder, "peer")
        self.processes = []
        self.account = {}
        os.mkdir(self.folder)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            # kyrobench's folder is its owner's alone, but these two must get through.
            os.chmod(options.folder, 0o711)
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)

    def __enter__(self):
        try:
            self.start_postgres()
            self.start_redis()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            # SIGINT: PostgreSQL's fast shutdown.
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, words):
        log = open(os.path.join(self.folder, os.path.basename(words[0]) + ".log"), "ab")
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            **self.account)
        self.processes.append(process)
        return process

    def start_postgres(self):
        data = os.path.join(self.folder, "postgres")
        binary = os.path.join(self.options.postgres, "postgres")
        subprocess.run(
            [os.path.join(self.options.postgres, "initdb"), "--no-sync", "--auth=trust",
             "--encoding=UTF8", "--locale=C.UTF-8", f"--username={USER}", data],
            stdout=subprocess.DEVNULL, check=True, cwd=self.folder, **self.account)
        buffers = min(RAM_BYTES // 4, max(256 << 20, 5 * self.options.bytes))
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.folder}'",
            "shared_buffers": f"{buffers >> 20}MB",
            "effective_cache_size": f"{RAM_BYTES // 2 >> 20}MB",
            "work_mem": "256MB",
            "maintenance_work_mem": "1GB",
            "random_page_cost": "1.1",
            "jit": "off",
            "max_parallel_workers_per_gather": str(self.options.threads),
            "max_parallel_maintenance_workers": str(self.options.threads),
            # Nothing is written while it is measured, and the load need not last.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "32GB",
            "autovacuum": "off",
        }
        with open(os.path.join(data, "postgresql.conf"), "a", encoding="utf-8") as file:
            for name, value in settings.items():
                file.write(f"{name} = {value}\n")
        process = self.start([binary, "-D", data])
        self.wait(process, lambda: psycopg.connect(self.conninfo).close(), psycopg.Error)
        fact("PostgreSQL: shared_buffers", buffers / 1e6, "MB")
        fact("PostgreSQL: parallel workers a query", self.options.threads)

    def start_redis(self):
        socket = os.path.join(self.folder, "redis.sock")
        process = self.start(
            [self.options.redis, "--port", "0", "--unixsocket", socket, "--save", "",
             "--appendonly", "no", "--daemonize", "no"])
        self.cache = redis.Redis(unix_socket_path=socket)
        self.wait(process, self.cache.ping, redis.RedisError)

    @property
    def conninfo(self):
        return f"host={self.folder} user={USER} dbname={DATABASE}"

    def wait(self, process, answers, error):
        deadline = time.monotonic() + 60
        while True:
            try:
                return answers()
            except error as problem:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        f"hybrid_peer: {process.args[0]} does not answer: {problem}") from None
                time.sleep(0.05)


# Loading


def copy_field(value):
    return struct.pack(">i", len(value)) + value


def vector_bytes(row, has_pgvector):
    if has_pgvector:
        return struct.pack(">hh", len(row), 0) + row.astype(">f4").tobytes()
    return row.tobytes()


def load_part(conninfo, folder, part, parts, has_pgvector):
    """Every `parts`-th document from `part` on."""
    vectors = np.load(os.path.join(folder, "vectors.npy"), mmap_mode="r")
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        statement = (
            "COPY documents (id, channel, priority, event_time, body, metadata, embedding) "
            "FROM STDIN (FORMAT binary)")
        with cursor.copy(statement) as copy:
            block = bytearray(COPY_HEADER)
            with open(os.path.join(folder, "documents.jsonl"), encoding="utf-8") as lines:
                for number, line in enumerate(lines):
                    if number % parts != part:
                        continue
                    document = json.loads(line)
                    metadata = document["metadata"]
                    block += struct.pack(">hiq", 7, 8, document["id"])
                    block += copy_field(metadata["channel"].encode())
                    block += struct.pack(">iiiq", 4, metadata["priority"], 8, document["time"])
                    # A text of PostgreSQL's holds no NUL.
                    block += copy_field(document["text"].replace("\0", " ").encode())
                    text = json.dumps(metadata, ensure_ascii=False).replace("\\u0000", " ")
                    block += copy_field(b"\x01" + text.encode())
                    block += copy_field(vector_bytes(vectors[document["id"]], has_pgvector))
                    if len(block) > BLOCK_BYTES:
                        copy.write(bytes(block))
                        block.clear()
            copy.write(bytes(block + COPY_TRAILER))


def load(servers, options):
    """Fills the table and its indexes; says whether pgvector is there."""
    started = time.monotonic()
    with psycopg.connect(servers.conninfo, autocommit=True) as connection:
        version = connection.execute("SHOW server_version").fetchone()[0]
        note(f"PostgreSQL {version}, Redis {servers.cache.info('server')['redis_version']}")
        fact("PostgreSQL: server_version_num", connection.info.server_version)
        has_pgvector = connection.execute(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'").fetchone()[0] > 0
        fact("PostgreSQL: has pgvector (else vectors are ordered exactly by NumPy)", int(has_pgvector))
        if has_pgvector:
            connection.execute("CREATE EXTENSION vector")
            pgvector = connection.execute(
                "SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()[0]
            note(f"pgvector {pgvector}")
            has_hnsw = tuple(map(int, pgvector.split(".")[:2])) >= (0, 8)
            fact("PostgreSQL: has HNSW that goes on until enough rows pass", int(has_hnsw))
        kind = f"vector({options.dimension})" if has_pgvector else "bytea"
        connection.execute(f"""
            CREATE TABLE documents (
                id bigint NOT NULL, channel text NOT NULL, priority int NOT NULL,
                event_time bigint NOT NULL, body text NOT NULL, metadata jsonb NOT NULL,
                embedding {kind} NOT NULL,
                words tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED)""")
        # In the row, as it is: fetching it elsewhere would cost as much as the row.
        connection.execute("ALTER TABLE documents ALTER COLUMN embedding SET STORAGE PLAIN")
        parts = [
            multiprocessing.Process(
                target=load_part,
                args=(servers.conninfo, options.folder, part, options.threads, has_pgvector))
            for part in range(options.threads)
        ]
        for part in parts:
            part.start()
        for part in parts:
            part.join()
        if any(part.exitcode for part in parts):
            raise SystemExit("hybrid_peer: the load failed")
        note(f"loaded after {time.monotonic() - started:.1f} s; now the indexes")
        for index in [
            "UNIQUE INDEX ON documents (id)",
            "INDEX ON documents USING gin (words)",
            "INDEX ON documents (event_time)",
            "INDEX ON documents (channel, event_time)",
            "INDEX ON documents (priority)",
        ]:
            connection.execute(f"CREATE {index}")
        if has_pgvector and has_hnsw:
            connection.execute(
                "CREATE INDEX ON documents USING hnsw (embedding vector_ip_ops) "
                "WITH (m = 16, ef_construction = 100)")
        connection.execute("VACUUM (ANALYZE, PARALLEL 0) documents")
        connection.execute("CHECKPOINT")
    fact("PostgreSQL: loaded and indexed in", time.monotonic() - started, "s")
    return has_pgvector


# Questions


WHERE = "channel = ANY(%(channels)s) AND event_time >= %(from)s AND event_time < %(to)s"


class Stitched:
    """One question after the other, over one connection each to PostgreSQL and Redis."""

    def __init__(self, servers, has_pgvector, matches_any):
        self.cache = servers.cache
        self.has_pgvector = has_pgvector
        self.matches_any = matches_any
        # Planned anew for each question's values, which is what makes its plan a good one.
        self.connection = psycopg.connect(
            servers.conninfo, autocommit=True, prepare_threshold=None,
            # Unknown to servers without pgvector, which take any name with a point.
            options="-c hnsw.ef_search=100 -c hnsw.iterative_scan=relaxed_order")
        self.millis = {"text": [], "vector": [], "metadata": []}
        self.rows = []
        self.matched = []

    def ask(self, query):
        """The answer, from Redis where it has been asked before."""
        key = hashlib.sha1(json.dumps(query["question"]).encode()).digest()
        cached = self.cache.get(key)
        if cached is not None:
            return json.loads(cached)
        answer = self.compute(query["question"], query["embedding"])
        self.cache.set(key, json.dumps(answer))
        return answer

    def compute(self, question, embedding):
        where = WHERE
        if question["priority_below"] is not None:
            where += " AND priority < %(priority_below)s"
        started = time.perf_counter()
        texts = self.by_text(question, where)
        after_text = time.perf_counter()
        vectors = self.by_vector(question, where, embedding)
        after_vector = time.perf_counter()
        scores = {}
        for leg in (texts, vectors):
            if not leg:
                continue
            best, worst = leg[0][1], leg[-1][1]
            for document, score in leg:
                share = (score - worst) / (best - worst) if best > worst else 1.0
                scores[document] = scores.get(document, 0.0) + share
        order = sorted(scores, key=lambda document: (-scores[document], document))
        chosen = order[: question["limit"]]
        found = self.connection.execute(
            "SELECT id, event_time, metadata FROM documents WHERE id = ANY(%s)", (chosen,))
        known = {row[0]: row[1:] for row in found}
        ended = time.perf_counter()
        self.millis["text"].append(1e3 * (after_text - started))
        self.millis["vector"].append(1e3 * (after_vector - after_text))
        self.millis["metadata"].append(1e3 * (ended - after_vector))
        self.matched.append(len(texts))
        return [[document, scores[document], *known[document]] for document in chosen]

    def by_text(self, question, where):
        if self.matches_any:
            words = " | ".join(re.findall(r"\w+", question["text"]))
            match = "to_tsquery('english', %(words)s)"
        else:
            words = question["text"]
            match = "plainto_tsquery('english', %(words)s)"
        return self.connection.execute(
            f"SELECT id, ts_rank(words, {match}) AS score FROM documents "
            f"WHERE words @@ {match} AND {where} ORDER BY score DESC, id LIMIT %(candidates)s",
            {**question, "words": words}).fetchall()

    def by_vector(self, question, where, embedding):
        if self.has_pgvector:
            text = "[" + ",".join(map(str, embedding.tolist())) + "]"
            return self.connection.execute(
                "SELECT id, -(embedding <#> %(embedding)s::vector) AS score FROM documents "
                f"WHERE {where} ORDER BY embedding <#> %(embedding)s::vector "
                "LIMIT %(candidates)s", {**question, "embedding": text}).fetchall()
        ids, rows = self.connection.execute(
            "SELECT string_agg(int8send(id), ''), string_agg(embedding, '') FROM documents "
            f"WHERE {where}", question, binary=True).fetchone()
        if ids is None:
            return []
        ids = np.frombuffer(ids, ">i8")
        self.rows.append(len(ids))
        scores = np.frombuffer(rows, "<f4").reshape(len(ids), -1) @ embedding
        count = min(question["candidates"], len(ids))
        best = np.argpartition(-scores, count - 1)[:count]
        best = best[np.lexsort((ids[best], -scores[best]))]
        return list(zip(ids[best].tolist(), scores[best].tolist()))


def quantile(values, share):
    """The smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def report(name, millis):
    fact(f"{name}: questions", len(millis))
    fact(f"{name}: p50", quantile(millis, 0.5), "ms")
    fact(f"{name}: p99", quantile(millis, 0.99), "ms")


def measure(servers, queries, seconds, has_pgvector, matches_any):
    """Cold, until the time is over; then the same questions once more, which Redis answers."""
    name = "stitched, any word" if matches_any else "stitched, all words"
    servers.cache.flushall()
    stitched = Stitched(servers, has_pgvector, matches_any)
    for query in queries[-WARM_UPS:]:
        stitched.compute(query["question"], query["embedding"])
    for values in (*stitched.millis.values(), stitched.rows, stitched.matched):
        values.clear()
    millis, answers = [], []
    begun = time.monotonic()
    for query in queries:
        started = time.perf_counter()
        answers.append(stitched.ask(query))
        millis.append(1e3 * (time.perf_counter() - started))
        if time.monotonic() - begun > seconds:
            break
    report(name, millis)
    for part, values in stitched.millis.items():
        fact(f"{name}: {part} p50", quantile(values, 0.5), "ms")
    fact(f"{name}: rows that match the text, of 100 at most", statistics.fmean(stitched.matched))
    if stitched.rows:
        fact(f"{name}: rows that pass", statistics.fmean(stitched.rows))
    same = total = 0
    for query, answer in zip(queries, answers):
        own = set(query["kyrodb"])
        same += sum(row[0] in own for row in answer)
        total += max(len(own), len(answer))
    fact(f"{name}: of the ten as KyroDB answers", same / max(1, total))
    hits = []
    for query, answer in zip(queries, answers):
        started = time.perf_counter()
        again = stitched.ask(query)
        hits.append(1e3 * (time.perf_counter() - started))
        if again != answer:
            raise SystemExit("hybrid_peer: Redis has another answer than PostgreSQL gave")
    stitched.connection.close()
    return hits


def read_queries(folder):
    queries = []
    with open(os.path.join(folder, "queries.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            question = json.loads(line)
            vector = question.pop("vector")
            queries.append({
                "kyrodb": question.pop("kyrodb"), "question": question,
                "embedding": np.array(vector, "<f4"),
            })
    return queries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgres", required=True, help="folder of postgres and initdb")
    parser.add_argument("--redis", required=True, help="redis-server")
    parser.add_argument("--folder", required=True, help="with the files; everything is made there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120, help="at most, of each way")
    options = parser.parse_args()
    options.folder = os.path.abspath(options.folder)
    shape = np.load(os.path.join(options.folder, "vectors.npy"), mmap_mode="r").shape
    options.dimension = shape[1]
    options.bytes = shape[0] * shape[1] * 4
    # The servers end, too, where this is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    queries = read_queries(options.folder)
    with Servers(options) as servers:
        has_pgvector = load(servers, options)
        hits = measure(servers, queries, options.seconds, has_pgvector, matches_any=True)
        hits += measure(servers, queries, options.seconds, has_pgvector, matches_any=False)
        report("stitched, Redis hit", hits)


if __name__ == "__main__":
    main()
