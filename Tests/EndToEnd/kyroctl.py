#!/usr/bin/env python3
"""kyroctl against the running server, as a script would call it: the sample goes in, every kind of
question is asked, bad lines and bad command lines are told apart by exit code, pipes stay quiet."""
import json
import os
import re
import subprocess

import numpy as np
from process import ROOT, Checks, Server

CTL = os.environ.get("KYROCTL_BINARY", str(ROOT / ".build/ship/release/kyroctl"))
SAMPLE = ROOT / "Tests/Fixtures/commits"
ROWS = 2748
DONE, SOME_FAILED, USAGE, NOT_FOUND, UNAVAILABLE, REFUSED, DEADLINE, UNREADABLE = 0, 1, 2, 3, 4, 5, 6, 8
check = Checks()


class Result:
    def __init__(self, done: subprocess.CompletedProcess):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def json(self):
        try:
            return json.loads(self.out)
        except json.JSONDecodeError as error:
            check(False, f"no JSON ({error}): {self.out[:200]!r} {self.err[:200]!r}")
            return {}

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Ctl:
    def __init__(self, target: str, namespace: str = "commits"):
        self.environment = {**os.environ, "KYRODB_SERVER": target, "KYRODB_NAMESPACE": namespace}

    def __call__(self, *words, code=DONE, text=None) -> Result:
        """Runs kyroctl in a pipe; its exit code must be `code`."""
        result = Result(subprocess.run(
            [CTL, *map(str, words)], capture_output=True, text=True, timeout=120, input=text,
            env=self.environment))
        shown = " ".join(map(str, words))
        check(result.code == code,
              f"kyroctl {shown}: exit {result.code}, wanted {code}\n{result.out[-600:]}{result.err[-600:]}")
        for stream, name in ((result.out, "output"), (result.err, "errors")):
            check("\x1b" not in stream and "\r" not in stream,
                  f"kyroctl {shown}: control characters in the {name} of a pipe")
        if code != DONE and code != SOME_FAILED:
            check(result.err + result.out != "", f"kyroctl {shown}: says nothing of what went wrong")
        return result

    def hits(self, *words):
        """Hits of a search with --json."""
        answer = self("search", "--json", *words).json()
        hits = answer.get("hits", [])
        scores = [hit["score"] for hit in hits]
        check(scores == sorted(scores, reverse=True), f"search {words}: scores {scores[:10]}")
        return hits


def corpus():
    with open(SAMPLE / "corpus.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def check_options(ctl):
    options = "kind=graph,codes=sq8,m=24,ef_search=50"
    ctl("collections", "create", "dense", "--vector", f"e:32:l2,{options}")
    described = ctl("collections", "describe", "dense", "--json").json()
    kept = described["vectors"]["e"]["indexing"]
    check.equal((kept["kind"], kept["codes"], kept["m"], kept["ef_search"], kept["lists"]),
                ("graph", "sq8", 24, 50, 0), "options of a field")
    index = described["vector_indexes"][0]
    check.equal((index["field"], index["kind"], index["rows"], index["rebuild_rows_total"]),
                ("e", "graph", 0, 0), "what serves a field")
    table = ctl("collections", "describe", "dense").out
    check(options in table and "code bytes" in table, f"describe: {table}")
    for wrong in ("e:32,m", "e:32,codes=sq9", "e:32,m=x"):
        ctl("collections", "create", "x", "--vector", wrong, code=USAGE)
    refused = ctl("collections", "create", "x", "--vector", "e:32,m=33", code=REFUSED)
    check("indexing.m" in refused.err and "4...32" in refused.err, refused.err)
    rebuilt = ctl("rebuild", "dense", "--vector", "e:m=0,ef_search=70")
    check("ef_search=70" in rebuilt.out and "done in" in rebuilt.out, rebuilt.out)
    after = ctl("rebuild", "dense", "--vector", "e:kind=flat,ef_search=0", "--no-wait", "--json")
    check.equal(after.json()["vectors"]["e"]["indexing"]["kind"], "flat", "kind after a rebuild")
    check("nothing changes" in ctl("rebuild", "dense", "--vector", "e:kind=flat").out, "again")
    ctl("rebuild", "dense", code=USAGE)
    ctl("rebuild", "dense", "--vector", "codes=sq8", code=USAGE)
    ctl("rebuild", "dense", "--vector", "none:codes=sq8", code=REFUSED)
    ctl("collections", "drop", "dense", "--yes")
    ctl("rebuild", "dense", "--vector", "e:codes=sq8", code=NOT_FOUND)
    rows = ctl("collections", "describe", "commits", "--json").json()["vector_indexes"]
    check.equal(ctl("status", "--vectors", "--json").json()["vectors"], {"commits": rows},
                "what serves all vector fields")
    check("code bytes" in ctl("status", "--vectors").out, "a table of vector fields")
    check(rows and rows[0]["rows"] >= ROWS and rows[0]["row_bytes"] >= ROWS * 384 * 4, f"{rows}")


def check_ingest(ctl):
    ctl("collections", "create", "commits", "--vector", "embedding:384", "--text", "title",
        "--text", "text")
    check.equal(ctl("collections", "create", "commits", code=REFUSED).out, "", "output of a refusal")
    words = ("ingest", SAMPLE / "corpus.jsonl", "--vectors", SAMPLE / "corpus.npy", "--vectors-as",
             "embedding", "--time-field", "ts", "--time-unit", "s", "--skip-field", "hash",
             "--skip-field", "commit_ts")
    first = ctl(*words, "--json")
    check.equal(first.err, "", "errors of an ingest in a pipe")
    summary = first.json()
    check.equal(summary.get("applied"), ROWS, "documents applied")
    check.equal(summary.get("bad_lines"), 0, "bad lines")
    again = ctl(*words, "--json").json()
    check.equal((again.get("applied"), again.get("lines_skipped")), (0, ROWS), "the second run")
    third = ctl(*words)
    check("2,748 lines were there" in third.out and third.err == "", f"third run: {third.out} {third.err}")
    check.equal(ctl(*words, "--quiet").out, "", "a quiet run")
    restarted = ctl(*words, "--restart", "--json").json()
    check.equal(restarted.get("applied"), ROWS, "applied after --restart")
    check_options(ctl)
    described = ctl("collections", "describe", "commits", "--json").json()
    check.equal(described.get("documents"), ROWS, f"documents of {str(described)[:300]}")
    listed = ctl("collections", "list", "--json")
    check("commits" in listed.out, f"list: {listed.out}")


def check_durability(ctl):
    for text in ("always", "interval:250", "never"):
        ctl("collections", "create", "promised", "--durability", text)
        described = ctl("collections", "describe", "promised", "--json").json()
        check.equal(described.get("durability"), text, "durability of a collection")
        check(f"durability {text}" in ctl("collections", "describe", "promised").out, text)
        ctl("collections", "drop", "promised", "--yes")
    described = ctl("collections", "describe", "commits", "--json").json()
    check.equal(described.get("durability"), None, "durability of a collection without one")
    for text in ("interval", "interval:0", "interval:60001", "soon"):
        ctl("collections", "create", "promised", "--durability", text, code=USAGE)
    status = ctl("status", "--json").json()
    check.equal(status.get("clock_held"), False, "a clock that is right")


def check_bad_lines(ctl):
    lines = [
        '{"id": 1, "title": "one", "n": 1}',
        '{"id": 2, "title": "two", "n": ',
        '{"id": 3, "title": "three", "n": 3}',
        '{"title": "no id", "n": 4}',
        '',
        '{"id": 6, "title": "six", "n": "a text where a number was"}',
        '[7]',
        '{"id": -8, "title": "eight"}',
        '{"id": 9, "title": "nine", "n": 9}',
    ]
    text = "\n".join(lines) + "\n"
    result = ctl("ingest", "-", "-n", "bad", "--create", "--json", code=SOME_FAILED, text=text)
    for number in (2, 4, 6, 7, 8):
        check(f"line {number}:" in result.err, f"line {number} is not named: {result.err}")
    for number in (1, 3, 5, 9):
        check(f"line {number}:" not in result.err, f"line {number} is blamed: {result.err}")
    summary = result.json()
    check.equal((summary.get("applied"), summary.get("bad_lines"), summary.get("refused")), (3, 4, 1),
                "applied, bad and refused lines")
    found = ctl("get", "-n", "bad", "#1", "#3", "#9", "--json").lines()
    check.equal([d["found"] for d in found], [True] * 3, "the good lines")
    ctl("get", "-n", "bad", "#6", code=NOT_FOUND)
    few = ctl("ingest", "-", "-n", "bad", "--errors", "1", code=SOME_FAILED, text=text)
    check.equal(few.err.count("line "), 1, f"reports with --errors 1: {few.err}")
    ctl("ingest", "-", "-n", "nowhere", code=NOT_FOUND, text=text)
    ctl("ingest", "/nonexistent.jsonl", code=UNREADABLE)
    # A producer that is named is taken up, from whichever file.
    half, whole = "\n".join(lines[:1]) + "\n", lines[0] + "\n" + lines[2] + "\n"
    ctl("ingest", "-", "-n", "bad", "--producer", "nightly", text=half)
    more = ctl("ingest", "-", "-n", "bad", "--producer", "nightly", "--json", text=whole).json()
    check.equal((more.get("lines_skipped"), more.get("applied")), (1, 1), "a named producer")
    ctl("collections", "drop", "bad", "--yes")
    ctl("get", "-n", "bad", "#1", code=NOT_FOUND)


def check_search(ctl, folder):
    documents = corpus()
    vectors = np.load(SAMPLE / "corpus.npy").astype(np.float32)
    queries = np.load(SAMPLE / "queries.npy").astype(np.float32)
    norms = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    # By vector: the answers are brute force's, whether it comes as .npy row, file, list or input.
    row = 2
    scores = norms @ (queries[row] / np.linalg.norm(queries[row]))
    best = [documents[i]["id"] for i in np.argsort(-scores, kind="stable")[:5]]
    numbers = json.dumps([float(x) for x in queries[row]])
    path = os.path.join(folder, "vector.json")
    with open(path, "w", encoding="ascii") as file:
        file.write(numbers)
    for words in (("--vector", SAMPLE / "queries.npy", "--row", row), ("--vector", path),
                  ("--vector", numbers)):
        hits = ctl.hits(*words, "--exact", "--limit", 5)
        check.equal([hit["id"] for hit in hits], best, f"hits by vector {str(words)[:60]}")
    answer = ctl("search", "--vector", "-", "--exact", "--limit", 5, "--json", text=numbers).json()
    check.equal([hit["id"] for hit in answer["hits"]], best, "hits by a vector from input")
    check(all(abs(hit["score"] - s) < 1e-4 for hit, s in zip(answer["hits"], -np.sort(-scores))),
          "scores by vector")

    # Like a document: itself left out.
    number = 100
    like = documents[number]["id"]
    own = np.argsort(-(norms @ norms[number]), kind="stable")
    hits = ctl.hits("--like", like, "--exact", "--limit", 7)
    check.equal(len(hits), 7, "hits like a document")
    check(like not in [hit["id"] for hit in hits], "a document is like itself")
    check(len({documents[i]["id"] for i in own[:12]} & {hit["id"] for hit in hits}) == 7,
          "hits like a document are not its neighbours")

    # By words, filters, times.
    hits = ctl.hits("--text", "flow control", "--limit", 20, "--fields", "all")
    check(len(hits) == 20 and all("text" in hit for hit in hits), "hits by words carry their leg")
    hits = ctl.hits("--text", "fix", "--limit", 3000, "--candidates", 10000, "--filter",
                    'repo = "grpc/grpc-go" and files < 3 and not main_ext = ".md"')
    by_id = {document["id"]: document for document in documents}

    def wanted(document):
        return (document["repo"] == "grpc/grpc-go" and document["files"] < 3
                and document.get("main_ext") != ".md")

    check(hits and all(wanted(by_id[hit["id"]]) for hit in hits), "a filter lets others through")
    unfiltered = ctl.hits("--text", "fix", "--limit", 3000, "--candidates", 10000)
    check.equal(sorted(hit["id"] for hit in hits),
                sorted(hit["id"] for hit in unfiltered if wanted(by_id[hit["id"]])),
                "a filter's hits")
    for text, holds in {
        'files in (1, 2)': lambda d: d["files"] in (1, 2),
        'files not in (1, 2)': lambda d: d["files"] not in (1, 2),
        'files >= 2 and files <= 4': lambda d: 2 <= d["files"] <= 4,
        'files != 1': lambda d: d["files"] != 1,
        'repo ^= "apple/"': lambda d: d["repo"].startswith("apple/"),
        'exists release': lambda d: d.get("release") is not None,
        'not exists release': lambda d: d.get("release") is None,
        '(files = 1 or files = 3) and repo prefix "grpc"':
            lambda d: d["files"] in (1, 3) and d["repo"].startswith("grpc"),
    }.items():
        count = sum(1 for _ in ctl("scan", "--filter", text, "--fields", "none", "--json").lines())
        check.equal(count, sum(map(holds, documents)), f"documents with {text}")
    since = 1_500_000_000
    found = ctl("scan", "--since", "2017-07-14T02:40:00Z", "--until", "2019-01-01", "--json",
                "--fields", "none").lines()
    check.equal(len(found), sum(since <= d["ts"] < 1_546_300_800 for d in documents), "a time range")
    hits = ctl.hits("--text", "fix", "--since", "2017-07-14T02:40:00Z", "--limit", 50)
    check(all(by_id[hit["id"]]["ts"] >= since for hit in hits), "--since lets older ones through")

    # Decay, fusion, weights.
    decayed = ctl.hits("--text", "leak", "--limit", 100, "--decay", "365d", "--decay-origin",
                       "2021-01-01")
    legs = [hit["text"]["score"] for hit in decayed]
    for hit in decayed:
        age_years = max(0.0, 1_609_459_200 - by_id[hit["id"]]["ts"]) / (365 * 86_400)
        normal = (hit["text"]["score"] - min(legs)) / (max(legs) - min(legs))
        check(abs(hit["score"] - normal * 2 ** -age_years) < 1e-5, f"decay of {hit}")
    hybrid = ("--text", "metadata encoding", "--vector", SAMPLE / "queries.npy", "--row", row)
    fused = ctl.hits(*hybrid, "--rrf", "--rrf-k", 60, "--limit", 20)
    for hit in fused:
        rank_sum = sum(1 / (60 + hit[leg]["rank"]) for leg in ("vector", "text") if leg in hit)
        check(abs(hit["score"] - rank_sum) < 1e-9, f"reciprocal ranks of {hit}")
    only_text = ctl.hits(*hybrid, "--weights", "vector=0,text=1", "--limit", 5)
    text_alone = ctl.hits("--text", "metadata encoding", "--limit", 5)
    check.equal([hit["id"] for hit in only_text], [hit["id"] for hit in text_alone],
                "a vector of no weight")
    second = ctl.hits(*hybrid, "--limit", 5, "--offset", 5)
    check.equal([hit["id"] for hit in ctl.hits(*hybrid, "--limit", 10)[5:]],
                [hit["id"] for hit in second], "the second page")
    explained = ctl("search", *hybrid, "--explain", "--json").json()
    check("explain" in explained and len(explained["explain"]["shards"]) == 2,
          f"explain: {str(explained.get('explain'))[:300]}")
    table = ctl("search", *hybrid, "--explain", "--limit", 3)
    check(len(table.out.splitlines()) > 3, f"a table: {table.out}")
    for line in table.out.splitlines():
        told = re.match(r"\d\. [^:]*: ([\d.]+) = ([^;]*)$", line)
        if told:
            sum_text = re.sub(r"\([^()]*rank \d+\)|vector|text|age", "", told[2])
            value = eval(sum_text.replace("×", "*"))  # noqa: S307
            check(abs(value - float(told[1])) < 2e-5, f"a sum that is none: {line}")
    check(len(re.findall(r"(?m)^[123]\. .* = .* × ", table.out)) == 3, f"no sums: {table.out}")
    check("of which" in table.out and "candidates" in table.out, f"stages and legs: {table.out}")
    check_ranking(ctl, hybrid)
    sparse = ctl("search", "--sparse", '{"indices": [1], "values": [2]}', code=REFUSED)
    check(sparse.err != "", "a sparse query where there is no sparse field")


def check_ranking(ctl, hybrid):
    doubled = ctl.hits(*hybrid, "--formula", "2 * score + 1", "--limit", 5)
    plain = ctl.hits(*hybrid, "--limit", 5)
    check.equal([hit["id"] for hit in doubled], [hit["id"] for hit in plain], "a formula")
    check(all(abs(a["score"] - 2 * b["score"] - 1) < 1e-9 for a, b in zip(doubled, plain)),
          f"a formula: {doubled}")
    refused = ctl("search", *hybrid, "--formula", "score +* 2", code=REFUSED)
    check("column 8" in refused.err and "expected" in refused.err, refused.err)
    greatest = ctl.hits(*hybrid, "--fusion", "max", "--normalise", "distribution",
                        "--leg-candidates", "vector=20,text=5", "--limit", 30)
    check(0 < len(greatest) <= 25 and all(hit["score"] <= 1 for hit in greatest), f"{greatest}")
    grouped = ctl.hits(*hybrid, "--group-by", "repo", "--limit", 3)
    repos = [hit["group"] for hit in grouped]
    check(len(set(repos)) == len(repos) > 1, f"groups {repos}")
    check.equal(grouped[0]["id"], plain[0]["id"], "the best of the groups")
    diverse = ctl("search", *hybrid, "--diversify", "0.5", "--limit", 5, "--json").json()["hits"]
    check.equal(diverse[0]["id"], plain[0]["id"], "the first of a diverse order")
    decayed = ("--decay", "30d", "--decay-shape", "gauss", "--decay-offset", "1d",
               "--decay-floor", 0.25)
    check(len(ctl.hits(*hybrid, *decayed, "--limit", 5)) == 5, "a gauss decay")
    for words in (("--decay-shape", "gauss"), ("--fusion", "best"), ("--normalise", "x"),
                  ("--rrf", "--fusion", "max"), ("--leg-candidates", "vector=0"),
                  ("--per-group", 2), ("--diversify", 2), ("--diversity-pool", 9)):
        ctl("search", *hybrid, *words, code=USAGE)


def check_documents(ctl):
    first, second = "grpc-go-a8375891a889", "grpc-go-6dff7c5f333b"
    got = ctl("get", first, second, "--json", "--fields", "all").lines()
    check.equal([d["id"] for d in got], [first, second], "documents got")
    check(all(len(d["vectors"]["embedding"]) == 384 for d in got if "vectors" in d), "vectors got")
    some = ctl("get", first, "missing", "--json", code=NOT_FOUND).lines()
    check.equal([d["found"] for d in some], [True, False], "found")
    check("title" in ctl("get", first).out, "a document for people")
    ctl("delete", first)
    ctl("get", first, code=NOT_FOUND)
    ctl("delete", first, code=NOT_FOUND)
    whole = ctl("scan", "--json", "--fields", "none").lines()
    ids = [d["id"] for d in whole]
    check.equal(len(ids), ROWS - 1, "documents scanned")
    check.equal(ids, sorted(ids, key=lambda text: text.encode()), "order of a scan")
    page = ctl("scan", "--limit", 10, "--fields", "title")
    token = page.out.split("--resume ")[1].split(",")[0].strip()
    rest = ctl("scan", "--resume", token, "--json", "--fields", "none").lines()
    check.equal([d["id"] for d in rest], ids[10:], "a scan taken up")
    # A reader that goes away ends the scan, without noise.
    piped = subprocess.run(["bash", "-c", f"'{CTL}' scan --json --fields all | head -1 | wc -l"],
                           capture_output=True, text=True, timeout=60, env=ctl.environment)
    check.equal((piped.stdout.strip(), piped.stderr), ("1", ""), "a scan into head")


def check_operations(ctl):
    status = ctl("status", "--json").json()
    check.equal(len(status.get("shards", [])), 2, f"shards: {str(status)[:300]}")
    check.equal(sum(shard["documents"] for shard in status["shards"]), ROWS - 1, "documents")
    check("seq" in ctl("snapshot", "--json").json(), "a snapshot")
    check("durable" in ctl("flush", "--json").out, "a flush")
    ctl("ping")
    ctl("ping", "--json").json()
    check(ctl("status").out != "", "a status for people")


def check_exit_codes(ctl, target):
    for words in ((), ("sarch",), ("search",), ("search", "--text"), ("search", "--text", "a", "b"),
                  ("search", "--text", "a", "--limit", "x"), ("search", "--text", "a", "--nope"),
                  ("search", "--text", "a", "--filter", "files <"), ("get",),
                  ("search", "--text", "a", "--like", "b", "--vector", "[1]"),
                  ("search", "--text", "a", "--since", "2020-01-02", "--until", "2020-01-01"),
                  ("scan", "--resume", "zz")):
        ctl(*words, code=USAGE)
    nowhere = Ctl(target, "nowhere")
    nowhere("search", "--text", "a", code=NOT_FOUND)
    nowhere("collections", "describe", "nowhere", code=NOT_FOUND)
    nowhere("scan", code=NOT_FOUND)
    ctl("search", "--vector", "[1, 2, 3]", code=REFUSED)
    ctl("search", "--text", "a", "--filter", 'files = "three"', code=REFUSED)
    ctl("search", "--like", "no-such-document", code=NOT_FOUND)
    ctl("search", "--vector", "/nonexistent.npy", code=UNREADABLE)
    refusal = ctl("search", "--vector", "[1, 2, 3]", "--json", code=REFUSED)
    check("384" in refusal.out + refusal.err, f"a refusal names the limit: {refusal.err}")
    ctl("--help")
    ctl("search", "--help")
    ctl("--version")
    Ctl("127.0.0.1:1")("ping", code=UNAVAILABLE)
    Ctl("127.0.0.1:1")("search", "--text", "a", code=UNAVAILABLE)


def main():
    with Server("--shards", "2") as server:
        ctl = Ctl(server.target)
        check_ingest(ctl)
        check_durability(ctl)
        check_bad_lines(ctl)
        check_search(ctl, server.folder)
        check_documents(ctl)
        check_operations(ctl)
        check_exit_codes(ctl, server.target)
        check.equal(server.stop(), 0, "exit status")
        ctl("ping", code=UNAVAILABLE)
    check.finish()


if __name__ == "__main__":
    main()
