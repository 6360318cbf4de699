#!/usr/bin/env python3
"""Cuts this sample from the development set `commits-dev`.

usage: cut.py DATA [OUT]      DATA holds commits-dev/, OUT defaults to this script's folder

Takes every third document, so both repositories and all years stay represented, and every query.
Nothing is random: the same input gives the same bytes.
"""
import json
import sys
from pathlib import Path

import numpy as np

STEP = 3


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip()]


def write_lines(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            text = json.dumps(json.loads(row), ensure_ascii=False, separators=(",", ":"))
            file.write(text + "\n")


def write_vectors(path, matrix):
    np.save(path, np.ascontiguousarray(matrix, dtype="<f2"))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    source = Path(sys.argv[1]) / "commits-dev"
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).resolve().parent
    out.mkdir(parents=True, exist_ok=True)

    corpus, vectors = lines(source / "corpus.jsonl"), np.load(source / "corpus.npy")
    assert len(corpus) == len(vectors)
    write_lines(out / "corpus.jsonl", corpus[::STEP])
    write_vectors(out / "corpus.npy", vectors[::STEP])

    queries, query_vectors = lines(source / "queries.jsonl"), np.load(source / "queries.npy")
    assert len(queries) == len(query_vectors)
    write_lines(out / "queries.jsonl", queries)
    write_vectors(out / "queries.npy", query_vectors)


if __name__ == "__main__":
    main()
