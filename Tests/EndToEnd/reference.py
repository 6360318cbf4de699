#!/usr/bin/env python3
"""Filters mean what SQL says they mean, now and in the past: random expressions over random data
sets, asked of servers with 1, 2 and 7 shards and of DuckDB on the same rows.

    reference.py [--count EXPRESSIONS] [--seed N] [--rows N]
"""
import random
import sys

from harness import Checks, collections, search, types
from reference_world import EVERYTHING, SHARDS, DataSet, Expressions, drive, time_range

PER_STATEMENT = 25
check = Checks()


def searched(stubs, scope, questions, moments):
    """Ids by search, all questions on one stream."""
    requests = (search.SearchManyRequest(tag=tag, search=search.SearchRequest(
        scope=scope, limit=10_000, filter=wire, time_range=times, as_of=as_of(moments, past),
        sparse=search.SparseQuery(field="all", vector=EVERYTHING)))
        for tag, (wire, times, _, past) in enumerate(questions))
    answers = {}
    for answer in stubs.search.SearchMany(requests):
        if answer.WhichOneof("result") == "error":
            answers[answer.tag] = f"{answer.error.reason} {answer.error.message}"
        else:
            answers[answer.tag] = sorted(hit.id.number for hit in answer.response.hits)
    return [answers.get(tag) for tag in range(len(questions))]


def as_of(moments, past):
    """None, or the moment behind a stage: (stage, 0 for its sequence or 1 for its time)."""
    return None if past is None else moments[past[0]][past[1]]


def scanned(stubs, scope, question, moments):
    wire, times, _, past = question
    return [document.id.number for answer in stubs.search.Scan(search.ScanRequest(
        scope=scope, filter=wire, time_range=times, projection=types.Projection(),
        as_of=as_of(moments, past))) for document in answer.documents]


def referred(duck, data, questions):
    """Ids by DuckDB, several questions in a statement."""
    answers = [None] * len(questions)
    for stage in range(3):
        data.create_table(duck, "documents", stage)
        mine = [n for n, (_, _, _, past) in enumerate(questions)
                if (2 if past is None else past[0]) == stage]
        for first in range(0, len(mine), PER_STATEMENT):
            batch = mine[first:first + PER_STATEMENT]
            columns = ", ".join(
                f"list(id ORDER BY id) FILTER (WHERE {questions[n][2]})" for n in batch)
            row = duck.execute(f"SELECT {columns} FROM documents").fetchone()
            for number, ids in zip(batch, row):
                answers[number] = ids or []
    return answers


def compare(name, seed, servers, duck, pool, rows, count):
    """One data set; how many documents matched in all."""
    rng = random.Random(seed)
    data = DataSet(rng, rows)
    scope = types.Scope(namespace=name)
    expressions = Expressions(rng, data)
    questions = []
    for _ in range(count):
        wire, sql = expressions.make()
        times, within = time_range(rng) if rng.random() < .1 else (None, "TRUE")
        past = (rng.randrange(3), rng.randrange(2)) if rng.random() < .2 else None
        questions.append((wire, times, f"({sql}) AND ({within})", past))
    moments = list(pool.map(lambda stubs: data.load(stubs, scope), servers))
    answers = [pool.submit(searched, stubs, scope, questions, mine)
               for stubs, mine in zip(servers, moments)]
    wanted = referred(duck, data, questions)
    for shards, stubs, mine, answer in zip(SHARDS, servers, moments, answers):
        for number, (got, ids) in enumerate(zip(answer.result(), wanted)):
            if got != ids:
                wrong = sorted(set(got) ^ set(ids)) if isinstance(got, list) else got
                check(False, f"{shards} shards, seed {seed}, expression {number}: {wrong} differ\n"
                      f"{questions[number][0]}\n{questions[number][2:]}")
            else:
                check.passed += 1
        for number in rng.sample(range(count), min(count, 12)):
            check.equal(scanned(stubs, scope, questions[number], mine), wanted[number],
                        f"{shards} shards, seed {seed}, scan {number}")
    for stubs in servers:
        stubs.collections.Drop(collections.DropCollectionRequest(scope=scope))
    return sum(map(len, wanted))


if __name__ == "__main__":
    sys.exit(drive(compare, check, 1_500, "expressions", "documents matched"))
