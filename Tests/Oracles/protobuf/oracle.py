"""Compares KyroWire with Python's protobuf and with libprotobuf-c on random and damaged messages.

Python decides: a message is accepted if and only if Python accepts it and it breaks no rule of
domain.py; then our encoding of what we understood must parse, in Python, to the canonical form of
what Python understood; a rejection must name a rule that the message does break, and its field.

libprotobuf-c must unpack our canonical bytes and pack the same bytes again, and what it packs must
mean the same to us. Where it cannot, and where it judges damaged bytes otherwise than Python, the
reason is looked up in the tables below; a difference without an entry there is a failure.
"""

import argparse
import collections
import multiprocessing
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))

from google.protobuf.message import DecodeError  # noqa: E402

import c_differences  # noqa: E402
import domain  # noqa: E402
import generate  # noqa: E402
import schema  # noqa: E402
from testee import Testee  # noqa: E402

VARIANTS = 12  # of each random message, the message itself among them
BATCH = 480


def messages(rng, family, count):
    """`count` pairs of (message class, bytes)."""
    classes = [cls for cls, weight in family for _ in range(weight)]
    shapes = {cls: schema.shape(cls.DESCRIPTOR) for cls, _ in family}
    previous = {cls: b"" for cls, _ in family}
    out = []
    while len(out) < count:
        cls = rng.choice(classes)
        s = shapes[cls]
        data = generate.message(rng, s)
        out.append((cls, data))
        for _ in range(VARIANTS - 1):
            out.append((cls, generate.variant(rng, data, previous[cls], s)))
        previous[cls] = data
    return out[:count]


def expect(cls, data):
    """What Python makes of it: ("malformed",), ("broken", rules) or ("value", message, items)."""
    try:
        message = cls.FromString(data)
        broken, items = domain.settle(message)
    except DecodeError:
        return ("malformed",)
    if broken:
        return ("broken", broken)
    return ("value", message, items)


def differs(cls, expected, answer):
    """Why our answer is not the one expected; None when it is."""
    kind, first, second = answer
    if expected[0] == "malformed":
        if kind == 0:
            return "Python rejects, we accept"
        reason = first.split(b"\t")[0]
        return None if reason == b"MALFORMED_MESSAGE" else f"Python rejects, we say {first!r}"
    if expected[0] == "broken":
        if kind == 0:
            return f"we accept what breaks {expected[1]}"
        reason, path = first.decode().split("\t", 1)
        if (reason, path) in expected[1]:
            return None
        return f"we name {reason} {path!r}, broken are {expected[1]}"
    if kind != 0:
        return f"Python accepts, we say {first!r} {second!r}"
    _, message, items = expected
    wanted = message.SerializeToString(deterministic=True)
    if first != wanted:
        # Python sorts a map's keys otherwise where one begins with another.
        try:
            ours = cls.FromString(first)
        except DecodeError:
            return "Python rejects our encoding"
        if ours.SerializeToString(deterministic=True) != wanted:
            return f"values differ: wanted {wanted!r}, got {first!r}"
    got = dict()
    for line in second.decode().split("\n") if second else ():
        index, reason, path = line.split("\t", 2)
        got[int(index)] = (reason, path)
    if got.keys() != items.keys():
        return f"item errors differ: wanted {items}, got {got}"
    for index, rule in got.items():
        escaped = [(reason, path.replace("\\", "\\\\").replace("\n", "\\n"))
                   for reason, path in items[index]]
        if rule not in escaped:
            return f"item error {index} names {rule}, broken are {items[index]}"
    return None


def run_chunk(task):
    """One seeded part of one family."""
    family, chunk, count, seed, ours_command, c_command = task
    rng = random.Random(f"{seed}/{family}/{chunk}")
    ours = Testee(ours_command + schema.NAMES)
    c = Testee(c_command + schema.NAMES)
    tally = collections.Counter()
    failures = []
    cases = messages(rng, schema.FAMILIES[family], count)
    for start in range(0, len(cases), BATCH):
        batch = cases[start:start + BATCH]
        numbered = [(schema.INDEX[cls], data) for cls, data in batch]
        answers = ours.ask(numbered)
        canonical = [
            (number, answer[1]) for (number, _), answer in zip(numbered, answers)
            if answer[0] == 0]
        expectations = []
        for (cls, data), answer in zip(batch, answers):
            expected = expect(cls, data)
            expectations.append(expected)
            tally[expected[0]] += 1
            problem = differs(cls, expected, answer)
            if problem:
                failures.append((cls.DESCRIPTOR.name, data.hex(), problem))
        failures += c_differences.canonical(c, ours, canonical, tally)
        failures += c_differences.damaged(c, ours, numbered, answers, expectations, tally)
    ours.close()
    c.close()
    return family, len(cases), tally, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--testee", required=True)
    parser.add_argument("--c-testee", required=True)
    parser.add_argument("--count", type=int, default=100_000, help="messages of each family")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.count} messages of each family", flush=True)

    chunk = 5_000
    tasks = []
    for family in schema.FAMILIES:
        for number, start in enumerate(range(0, options.count, chunk)):
            tasks.append((family, number, min(chunk, options.count - start), options.seed,
                          [options.testee], [options.c_testee]))
    begin = time.monotonic()
    totals = {family: collections.Counter() for family in schema.FAMILIES}
    failed = collections.Counter()
    with multiprocessing.Pool(options.jobs) as pool:
        for family, count, tally, failures in pool.imap_unordered(run_chunk, tasks):
            totals[family] += tally
            totals[family]["messages"] += count
            failed[family] += len(failures)
            for name, data, problem in failures[:3]:
                print(f"FAILED {family}: {name} {data}\n    {problem}")
    passed = 0
    print("\nPython's protobuf         messages   accepted    broken rule   malformed   failed")
    for family, tally in totals.items():
        print(f"  {family:<22} {tally['messages']:>10} {tally['value']:>10} "
              f"{tally['broken']:>14} {tally['malformed']:>11} {failed[family]:>8}")
        passed += tally["messages"]
    c_differences.report(sum(totals.values(), collections.Counter()))
    failures = sum(failed.values())
    print(f"\n{time.monotonic() - begin:.0f} s")
    print(f"{passed - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
