#!/usr/bin/env python3
"""Scores of text against others: BM25 against bm25s, boosts and BM25F against their formulas.

Texts are analysed here as the server says that it does: words of letters, numbers, marks and
underscores, case-folded, without 33 stop words, stemmed by Snowball's English. scifact where
KYRODB_DATA names the data sets, else the repository's sample.
"""
import json
import math
import os
import unicodedata
from collections import Counter
from pathlib import Path

import bm25s
import Stemmer

from harness import ROOT, Checks, Server, Stubs, collections, ingest, search, types

check = Checks()
SCOPE = types.Scope(namespace="texts")
K1, B = 1.2, 0.75
BOOSTS = {"title": 2.5, "text": 1.0}
TOLERANCE = 1e-5
CANDIDATES = 100
STOP_WORDS = frozenset(  # of Lucene's classic analyser
    """a an and are as at be but by for if in into is it no not of on or such that the their then
    there these they this to was will with""".split())
stemmer = Stemmer.Stemmer("english")


def tokens(text):
    """Terms in the order of the text, with repetitions."""
    words, word = [], ""
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] in "LMN" or kind == "Pc":
            word += character
        elif word:
            words.append(word.casefold())
            word = ""
    if word:
        words.append(word.casefold())
    return [stemmer.stemWord(word) for word in words if word not in STOP_WORDS]


def load(folder):
    def lines(name):
        with open(folder / name, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    documents = [(str(row.get("_id", row.get("id"))), row.get("title") or "", row.get("text") or "")
                 for row in lines("corpus.jsonl")]
    return documents, [row["text"] for row in lines("queries.jsonl")]


def write(stubs, documents):
    schema = collections.Schema()
    for name in ("both", "text", "title"):
        schema.texts.add(name=name).bm25.CopyFrom(collections.Bm25Parameters(k1=K1, b=B))
    stubs.collections.Create(collections.CreateCollectionRequest(scope=SCOPE, schema=schema))
    for first in range(0, len(documents), 500):
        request = ingest.WriteRequest(scope=SCOPE)
        for number, title, text in documents[first:first + 500]:
            document = request.mutations.add().upsert
            document.id.text = number
            document.texts["both"] = title + " " + text
            # A document may lack a field.
            if title:
                document.texts["title"] = title
            if text:
                document.texts["text"] = text
        stubs.ingest.Write(request)


class Field:
    """One text field by its formula."""

    def __init__(self, texts):
        self.counts = [Counter(tokens(text)) if text else None for text in texts]
        self.lengths = [sum(counts.values()) if counts is not None else 0 for counts in self.counts]
        present = [counts for counts in self.counts if counts is not None]
        self.n = len(present)
        self.average = sum(self.lengths) / self.n
        self.df = Counter(term for counts in present for term in counts)

    def idf(self, term):
        return math.log(1 + (self.n - self.df[term] + 0.5) / (self.df[term] + 0.5))

    def norm(self, row):
        return 1 - B + B * self.lengths[row] / self.average


def summed(fields, terms, row):
    score = 0.0
    for name, field in fields.items():
        for term in terms:
            tf = (field.counts[row] or {}).get(term, 0)
            score += BOOSTS[name] * field.idf(term) * tf / (tf + K1 * field.norm(row))
    return score


def combined(fields, terms, row):
    score = 0.0
    for term in terms:
        best = max(fields.values(), key=lambda field: field.df[term])
        tf = sum(BOOSTS[name] * (field.counts[row] or {}).get(term, 0) / field.norm(row)
                 for name, field in fields.items())
        score += best.idf(term) * tf / (K1 + tf)
    return score


def ask(stubs, query, **text):
    return stubs.search.Search(search.SearchRequest(
        scope=SCOPE, limit=CANDIDATES, text=search.TextQuery(query=query, **text)))


def main():
    data = os.environ.get("KYRODB_DATA")
    if not data:
        print("scifact skipped: it needs KYRODB_DATA; the repository's sample takes its place")
    folder = Path(data) / "scifact" if data else ROOT / "Tests/Fixtures/commits"
    documents, queries = load(folder)
    rows = {number: row for row, (number, _, _) in enumerate(documents)}
    retriever = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
    retriever.index([tokens(title + " " + text) for _, title, text in documents],
                    show_progress=False)
    fields = {"text": Field([text for _, _, text in documents]),
              "title": Field([title for _, title, _ in documents])}
    worst, compared = 0.0, Counter()
    answers = {}
    for shards in (1, 3):
        with Server("--shards", str(shards)) as server, Stubs(server.target) as stubs:
            write(stubs, documents)
            for number, query in enumerate(queries):
                terms = sorted(set(tokens(query)))
                known = [term for term in terms if term in retriever.vocab_dict]
                scores = retriever.get_scores(known) if known else [0.0] * len(documents)
                best = sorted(scores, reverse=True)[:CANDIDATES]
                answer = ask(stubs, query, fields=["both"])
                wanted = sum(score > 0 for score in best)
                check.equal(len(answer.hits), wanted, f"hits of {query!r}")
                for hit, score in zip(answer.hits, best):
                    # Its own score, and that of whoever is at this rank there.
                    for other in (scores[rows[hit.id.text]], score):
                        worst = max(worst, abs(hit.score - other))
                        check(abs(hit.score - other) <= TOLERANCE,
                              f"{hit.id.text} of {query!r}: {hit.score} for {other}")
                compared["bm25s"] += len(answer.hits)
                shown = [(hit.id.text, hit.score) for hit in answer.hits]
                check.equal(answers.setdefault((number, "bm25s"), shown), shown, "shards")
                for scoring, formula in ((search.TEXT_SCORING_SUM, summed),
                                         (search.TEXT_SCORING_BM25F, combined)):
                    answer = ask(stubs, query, fields=["text", "title"], boosts=BOOSTS,
                                 scoring=scoring)
                    shown = [(hit.id.text, hit.score) for hit in answer.hits]
                    check.equal(answers.setdefault((number, scoring), shown), shown, "shards")
                    for hit in answer.hits[::10]:
                        score = formula(fields, terms, rows[hit.id.text])
                        check(abs(hit.score - score) <= TOLERANCE * max(1, score),
                              f"{formula.__name__}: {hit.id.text} of {query!r}: "
                              f"{hit.score} for {score}")
                        compared[formula.__name__] += 1
    print(f"RESULT {folder.name}: {len(documents)} documents, {len(queries)} queries, 1 and 3 shards; "
          f"{dict(compared)} scores compared, the farthest from bm25s' by {worst:.1e}")
    check.finish()


if __name__ == "__main__":
    main()
