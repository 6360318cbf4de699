#!/usr/bin/env python3
"""kyroctl against the running server, as a script would call it: the sample goes in, every kind of
question is asked, bad lines and bad command lines are told apart by exit code, pipes stay quiet."""
import json
import os
import re
import subprocess
from pathlib import Path

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


PLACES = """\
{"id": 1, "place": {"lat": 48.85, "lon": 2.35}, "tags": ["a", "b"], "price": 3}
{"id": 2, "place": {"lat": 48.86, "lon": 2.36}, "tags": ["b"]}
{"id": 3, "place": {"lat": -17, "lon": 179.9}, "tags": ["a", "c"], "price": 7}
{"id": 4, "place": {"lat": -17, "lon": -179.9}}
"""


def check_filters(ctl):
    """Places, lists, the unknown and the past."""
    ctl("ingest", "-n", "places", "-", "--create", text=PLACES)

    def found(filter, *words):
        return [line["id"] for line in ctl(
            "scan", "-n", "places", "--json", "--filter", filter, *words).lines()]
    for filter, wanted in (
        ("place within 2 km of (48.85, 2.35)", [1, 2]), ("place within 1 of (48.85, 2.35)", [1]),
        ("place within box (-20, 179, 0, -179)", [3, 4]), ('tags contains "b"', [1, 2]),
        ('tags contains all ("a", "b")', [1]), ('tags contains any ("a", "b")', [1, 2, 3]),
        ("not price > 3", [1, 2, 4]), ("price != 3", [2, 3, 4]),
    ):
        check.equal(found(filter), wanted, filter)
    check.equal(found("not price > 3", "--sql-not"), [1], "SQL's not")
    check.equal(found("price != 3", "--sql-not"), [3], "SQL's !=")
    wrong = ctl("scan", "-n", "places", "--filter", "place within 2 miles of (1, 2)", code=USAGE)
    check('expected "m", "km" or "of", found miles, at column 16' in wrong.err, wrong.err)
    described = ctl("collections", "describe", "places", "--json").json()
    statistics = {s["field"]: s for s in described["metadata_statistics"]}
    check.equal((statistics["price"]["rows"], statistics["price"]["lowest"],
                 statistics["price"]["highest"], statistics["tags"]["rows"]), (2, 3, 7, 3), "statistics")
    check("2 rows, 3 to 7" in ctl("collections", "describe", "places").out, "statistics in a table")

    ctl("collections", "retention", "places", "1h")
    check.equal(ctl("collections", "describe", "places", "--json").json()["retention_ms"], 3_600_000,
                "retention")
    ctl("collections", "retention", "places", "3", code=USAGE)
    then = max(line["seq"] for line in ctl(
        "get", "-n", "places", "#1", "#2", "#3", "#4", "--json").lines())
    ctl("delete", "-n", "places", "#1")
    ctl("get", "-n", "places", "#1", code=NOT_FOUND)
    check(ctl("get", "-n", "places", "#1", "--as-of", then, "--json").json()["found"],
          "a document that was removed")
    check.equal(found("exists price", "--as-of", then), [1, 3], "scan of the past")
    check.equal(found("exists price"), [3], "scan of the present")
    ctl("scan", "-n", "places", "--as-of", 10**15, code=REFUSED)
    ctl("scan", "-n", "places", "--as-of", "yesterday", code=USAGE)
    ctl("collections", "drop", "places", "--yes")


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
    titles = ctl.hits("--text", "metadata", "--limit", 20, "--boosts", "text=0")
    check.equal([hit["id"] for hit in titles],
                [hit["id"] for hit in ctl.hits("--text", "metadata", "--text-fields", "title",
                                               "--limit", 20)], "a text field of no weight")
    once, twice = (ctl.hits("--text", "metadata", "--text-fields", "title", "--limit", 20, *more)
                   for more in ((), ("--boosts", "title=2")))
    check(all(abs(2 * a["score"] - b["score"]) < 1e-5 for a, b in zip(once, twice)) and once,
          "a boost of two")
    together = ctl.hits("--text", "metadata", "--limit", 20, "--bm25f", "--boosts", "title=3")
    check(len(together) == 20 and all(0 < hit["score"] < 20 for hit in together), "BM25F")
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


def check_aggregations(ctl):
    """Counts beside hits and without any, sorted scans, pages."""
    documents = corpus()
    counts = {}
    for document in documents:
        counts[document["repo"]] = counts.get(document["repo"], 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))[:1]
    answer = ctl("search", "--facet", "repo:1", "--histogram", "files:5", "--histogram", "@time:year",
                 "--stats", "files:0.5", "--json").json()
    facet, files, years, stats = answer["aggregations"]
    check.equal([(b["value"], b["documents"]) for b in facet["facet"]["buckets"]], most, "a facet")
    check.equal(facet["facet"]["other_values"], len(counts) - 1, "values of a facet left out")
    buckets = {}
    for document in documents:
        buckets[document["files"] // 5 * 5.0] = buckets.get(document["files"] // 5 * 5.0, 0) + 1
    check.equal([(b["lower"], b["documents"]) for b in files["histogram"]["buckets"]],
                sorted(buckets.items()), "a histogram")
    check.equal(sum(b["documents"] for b in years["time_histogram"]["buckets"]), len(documents),
                "a histogram of time")
    numbers = sorted(document["files"] for document in documents)
    check.equal((stats["stats"]["min"], stats["stats"]["max"], stats["stats"]["sum"]),
                (numbers[0], numbers[-1], sum(numbers)), "statistics")
    check.equal(stats["stats"]["quantiles"][0]["value"],
                (numbers[(len(numbers) - 1) // 2] + numbers[len(numbers) // 2]) / 2, "a median")
    table = ctl("search", "--text", "fix", "--facet", "repo", "--stats", "@time", "--histogram",
                "@time:month", "--over", "candidates", "-k", 3).out
    check("of 100 documents" in table and "quantile 0.9" in table and "#" in table, table)
    for words in (("--histogram", "files"), ("--stats", "files:2"), ("--over", "candidates"),
                  ("--facet", "repo:0"), ("--text", "a", "--page-token", "zz")):
        ctl("search", *words, code=USAGE)
    ctl("search", "--stats", "repo", code=REFUSED)

    whole = ctl.hits("--text", "fix", "--limit", 100)
    pages = ctl("search", "--text", "fix", "--limit", 40, "--all-pages", "--json").lines()
    check.equal([h["id"] for page in pages for h in page["hits"]][:100], [h["id"] for h in whole],
                "all pages")
    page = ctl("search", "--text", "fix", "--limit", 40, "--paged")
    token = page.out.split("--page-token ")[1].split()[0]
    hits = ctl.hits("--text", "fix", "--limit", 10, "--page-token", token)
    check.equal([h["id"] for h in hits], [h["id"] for h in whole[40:50]], "the page behind a token")
    ctl("search", "--text", "fixed", "--page-token", token, code=REFUSED)

    ordered = ctl("scan", "--order-by", "files:desc,@time", "--json", "--fields", "none").lines()
    check.equal([d["id"] for d in ordered], [d["id"] for d in sorted(
        documents, key=lambda d: (-d["files"], d["ts"], d["id"].encode()))], "a sorted scan")
    check.equal(len(ctl("scan", "--order-by", "@time:desc", "-k", 7, "--json").lines()), 7,
                "the newest seven")


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


def check_texts(ctl):
    """Text syntax, highlights, and an analyser that changes."""
    texts = {doc["id"]: " ".join(str(value) for value in doc.values() if isinstance(value, str))
             for doc in corpus()}
    hits = ctl.hits("--text", '+"flow control" -window', "--limit", 50, "--highlight")
    check(hits, "a phrase finds something")
    for hit in hits:
        check(re.search(r"flow\w*\W+control", texts[hit["id"]].lower()),
              f"phrase: {texts[hit['id']]}")
        shown = " ".join(sum(hit["highlights"].values(), []))
        check("<em>" in shown, f"highlights of {hit}")
    wide = ctl.hits("--text", '"control flow"~2', "--limit", 50)
    check({hit["id"] for hit in hits} <= {hit["id"] for hit in wide}, "a phrase with slop")
    check(ctl.hits("--text", "deadlok~1") and ctl.hits("--text", "dead*"), "fuzzy and prefix")
    check.equal(ctl.hits("--text", "flow window", "--all-words", "--limit", 50),
                ctl.hits("--text", "flow window", "--min-words", 2, "--limit", 50),
                "all words are both")
    table = ctl("search", "--text", "flow", "--highlight", "--limit", 1).out
    check("<em>" in table, f"highlights for people: {table}")
    for text, words in (('"open', "no closing quote, at column 1"), ("a~3", "1 or 2 edits"),
                        ("-a", "only what must not be there"), ("a (b", "at column 3")):
        refused = ctl("search", "--text", text, code=USAGE)
        check(words in refused.err, f"{text}: {refused.err}")
    ctl("search", "--text", "none:word", code=REFUSED)
    ctl("search", "--text", "+a", "--all-words", code=USAGE)
    ctl("search", "--text", "a -b", "--plain", "--all-words")

    ctl("collections", "create", "words", "--text", "t:standard:french,fold=yes,stop=le+la,stem=no")
    described = ctl("collections", "describe", "words", "--json").json()
    check.equal(described["texts"]["t"]["options"], "fold=yes,stop=le+la,stem=no", "options")
    check("stop=le+la" in ctl("collections", "describe", "words").out, "options for people")
    refused = ctl("collections", "create", "x", "--text", "t:standard:klingon", code=REFUSED)
    check("it must be one of arabic" in refused.err, refused.err)
    refused = ctl("collections", "create", "x", "--text", "t:standard:english,stop=a+b c",
                  code=REFUSED)
    check('stop_word_list[1] is "b c"; it must be one word' in refused.err, refused.err)
    rebuilt = ctl("rebuild", "words", "--text", "t:language=english,stop=none,fold=no,stem=yes")
    check("language=english,stop=none" in rebuilt.out and "done in" in rebuilt.out, rebuilt.out)
    described = ctl("collections", "describe", "words", "--json").json()
    check.equal(described["text_indexes"],
                [{"field": "t", "rebuild_rows_done": 0, "rebuild_rows_total": 0}], "rebuilt")
    check("nothing changes" in ctl("rebuild", "words", "--text", "t:stop=none").out, "again")
    ctl("rebuild", "words", "--text", "t:colour=red", code=USAGE)
    ctl("rebuild", "words", "--text", "u:stop=none", code=REFUSED)
    ctl("collections", "drop", "words", "--yes")


def check_multi_vectors(ctl, folder):
    """Token vectors come in as lists of lists, and rank again what words have found."""
    chance = np.random.default_rng(7)
    tokens = {n: chance.integers(-8, 9, (n % 4 + 1, 3)) / 4 for n in range(30)}
    lines = [json.dumps({"id": n, "text": "some words", "tokens": tokens[n].tolist()}) for n in tokens]
    lines.append(json.dumps({"id": 100, "tokens": [[1, 2]]}))
    lines.append(json.dumps({"id": 101, "tokens": [[1, 2, 3], [1]]}))
    refused = ctl("ingest", "-", "-n", "tokens", "--create", "--multi-vector-field", "tokens",
                  text="\n".join(lines), code=SOME_FAILED)
    check('line 31: mutations[30].upsert.multi_vectors["tokens"] has rows of 2 dimensions; the '
          "collection has it with 3" in refused.err, refused.err)
    check("1 numbers in row 1 and 3 in row 0" in refused.err, refused.err)
    check.equal(ctl("collections", "describe", "tokens", "--json").json()["multi_vectors"],
                {"tokens": {"dimension": 3}}, "multi-vectors")
    check("rows of 3 floats" in ctl("collections", "describe", "tokens").out, "a multi-vector")
    query = chance.integers(-8, 9, (2, 3)) / 4
    np.save(f"{folder}/tokens.npy", query.astype("<f4"))
    sums = {n: (query @ rows.T).max(axis=1).sum() for n, rows in tokens.items()}
    wanted = sorted(sums, key=lambda n: (-sums[n], n))
    asked = ("-n", "tokens", "--text", "words", "--limit", "30")
    for source in (json.dumps(query.tolist()), f"{folder}/tokens.npy"):
        hits = ctl.hits(*asked, "--rescore", source)
        check.equal([hit["id"] for hit in hits], wanted, f"rescored by {source}")
        check.equal([hit["score"] for hit in hits], [sums[n] for n in wanted], f"MaxSim by {source}")
    top = ctl.hits("-n", "tokens", "--text", "words", "--limit", "3", "--rescore", "[[1,0,0]]",
                   "--rescore-field", "tokens", "--rescore-top", "5", "--rescore-weights", "0.5,2",
                   "--explain", "--fields", "tokens")
    for hit in top:
        told = hit["details"]
        check.equal(hit["score"], 0.5 * told["max_sim"] + 2 * told["score_before"], "weights")
        check.equal(hit["document"]["multi_vectors"]["tokens"], tokens[hit["id"]].tolist(), "rows")
    ctl(*("search", *asked, "--rescore", "[[1, 2]]"), code=REFUSED)
    ctl(*("search", *asked, "--rescore", "[1, 2]"), code=UNREADABLE)
    ctl(*("search", *asked, "--rescore-top", "5"), code=USAGE)
    ctl("collections", "create", "declared", "--multi-vector", "t:8")
    ctl("collections", "create", "declared2", "--multi-vector", "t", code=USAGE)
    for name in ("tokens", "declared"):
        ctl("collections", "drop", name, "--yes")


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


def check_tune(ctl, folder):
    """Documents are looked for by their own words, and by the vectors of others."""
    folder = Path(folder)
    rows = corpus()[:60]
    vectors = np.load(SAMPLE / "corpus.npy")[100:160]
    queries, judged = folder / "tune.jsonl", folder / "tune.tsv"
    np.save(folder / "tune.npy", vectors)
    queries.write_text("".join(json.dumps(
        {"id": f"q{n}", "text": f"{row['title']} {row['text']}"[:400]}) + "\n" for n, row in enumerate(rows)))
    judged.write_text("query-id\tcorpus-id\tscore\n" + "".join(
        f"q{n}\t{row['id']}\t1\n" for n, row in enumerate(rows) if n != 3))
    words = ("collections", "tune", "commits", "--queries", queries, "--qrels", judged,
             "--vectors", folder / "tune.npy")
    learnt = ctl(*words, "--dry-run", "--json").json()
    figures = learnt["fusion"]["ndcg_at_10"]
    check((learnt["version"], learnt["fusion"]["queries"]) == (0, 59), f"{learnt}")
    check(figures["text"] > 0.7 and figures["vector"] < 0.1
          and figures["tuned"] > figures["text"] - 0.05, f"figures: {figures}")
    table = ctl(*words, "--folds", 10)
    check("held out" in table.out and "kept" in table.out and "version 1" in table.out, table.out)
    check("1 queries have no grade" in table.err, table.err)
    listed = ctl("collections", "tune", "commits", "--list", "--json").json()
    check((listed["active_version"], len(listed["versions"])) == (1, 1), f"{listed}")
    check("* is what" in ctl("collections", "tune", "commits", "--list").out, "list")
    explained = ctl("search", "--text", "memory leak", "--vector", folder / "tune.npy", "--row", 5,
                    "--explain", "--json").json()
    check(any("version 1" in note for note in explained["explain"]["notes"]), f"{explained}")
    ctl("collections", "tune", "commits", "--roll-back", 0)
    check.equal(ctl("collections", "tune", "commits", "--list", "--json").json()["active_version"],
                0, "version after a roll-back")
    ctl("collections", "tune", "commits", "--roll-back", 9, code=REFUSED)
    ctl("collections", "tune", "commits", code=USAGE)
    ctl(*words, "--folds", 1, code=USAGE)
    one_leg = ctl(*words[:-2], code=REFUSED)
    check("queries[0]" in one_leg.err, one_leg.err)


def main():
    with Server("--shards", "2") as server:
        ctl = Ctl(server.target)
        check_ingest(ctl)
        check_filters(ctl)
        check_durability(ctl)
        check_bad_lines(ctl)
        check_search(ctl, server.folder)
        check_texts(ctl)
        check_multi_vectors(ctl, server.folder)
        check_aggregations(ctl)
        check_tune(ctl, server.folder)
        check_documents(ctl)
        check_operations(ctl)
        check_exit_codes(ctl, server.target)
        check.equal(server.stop(), 0, "exit status")
        ctl("ping", code=UNAVAILABLE)
    check.finish()


if __name__ == "__main__":
    main()
