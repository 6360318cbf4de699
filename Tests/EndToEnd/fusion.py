#!/usr/bin/env python3
"""Fused answers of the shipped server, with one shard and with seven, equal what numpy makes of the
legs' own answers to 1e-6: every method, normalisation and decay, formulas, groups and rescoring."""
import math

import numpy as np
from harness import (
    Checks, Server, Stubs, collections, failure_of, ingest, ranking, search, types,
)

SCOPE = types.Scope(namespace="fused")
COUNT, DIMENSION, TOKEN, QUESTIONS, SEED = 600, 12, 8, 150, 58
TOLERANCE = 1e-6
LEGS = ("vector", "sparse", "text")
WORDS = "flow control window stream frame header table index shard log sync commit graph".split()
NOW = 1_700_000_000_000
check = Checks()


def documents(rng):
    """Texts and scores repeat, so that ties are met; some parts are missing here and there."""
    for number in range(COUNT):
        document = types.Document(id=types.DocumentId(number=number))
        if rng.random() < 0.8:
            row = np.round(rng.standard_normal(DIMENSION)).astype("<f4")
            row[0] += 0.5
            document.vectors["v"].packed = row.tobytes()
        if rng.random() < 0.7:
            indices = np.sort(rng.choice(20, 3, replace=False)).tolist()
            document.sparse_vectors["s"].indices.extend(indices)
            document.sparse_vectors["s"].values.extend(rng.integers(1, 5, 3).tolist())
        if rng.random() < 0.9:
            document.texts["body"] = " ".join(rng.choice(WORDS, rng.integers(3, 9)))
        if rng.random() < 0.8:
            document.event_time_ms = NOW - int(rng.integers(-100, 1_000)) * 1_000
        if rng.random() < 0.6:
            document.metadata["stars"].int_value = int(rng.integers(0, 50))
        if rng.random() < 0.7:
            tokens = rng.standard_normal((int(rng.integers(1, 6)), TOKEN)).astype("<f4")
            document.multi_vectors["tokens"].dimension = TOKEN
            document.multi_vectors["tokens"].vectors.packed = tokens.tobytes()
        yield document


def question(rng):
    """Some legs, fused and decayed in some way."""
    request = search.SearchRequest(
        scope=SCOPE, limit=int(rng.integers(1, 40)), offset=int(rng.integers(0, 5)), exact=True,
        candidates=int(rng.choice([0, 10, 50, 200])))
    for leg in rng.choice(LEGS, rng.integers(1, 4), replace=False):
        if leg == "vector":
            row = rng.standard_normal(DIMENSION).astype("<f4")
            request.vector.vector.packed = row.tobytes()
        elif leg == "sparse":
            request.sparse.vector.indices.extend(rng.choice(20, 4, replace=False).tolist())
            request.sparse.vector.values.extend(rng.random(4).tolist())
        else:
            request.text.query = " ".join(rng.choice(WORDS, rng.integers(1, 4)))
    fusion = request.fusion
    fusion.method = int(rng.integers(3))
    fusion.normalisation = int(rng.integers(3))
    fusion.rrf_k = int(rng.choice([0, 1, 20]))
    if rng.random() < 0.6:
        for leg in LEGS:
            setattr(fusion.weights, leg, float(rng.random() * 2))
    if rng.random() < 0.3:
        for leg in LEGS:
            setattr(fusion.candidates, leg, int(rng.choice([0, 3, 30])))
    if rng.random() < 0.6:
        decay = request.time_decay
        decay.half_life_ms = int(rng.integers(1, 600)) * 1_000
        decay.origin_ms = NOW
        decay.shape = int(rng.integers(3))
        decay.offset_ms = int(rng.choice([0, 60_000]))
        decay.floor = float(rng.choice([0, 0, 0.2]))
    return request


def leg_answer(stubs, request, leg):
    """(id, score) of the leg alone, as many as fusion takes of it."""
    alone = search.SearchRequest(scope=SCOPE, exact=True)
    getattr(alone, leg).CopyFrom(getattr(request, leg))
    alone.limit = (getattr(request.fusion.candidates, leg)
                   or max(request.candidates or 100, request.offset + request.limit))
    return [(hit.id.number, hit.score) for hit in stubs.search.Search(alone).hits]


def shares(scores, fusion):
    """What a leg's candidates count before their weight."""
    if fusion.method == search.FUSION_METHOD_RRF:
        return 1 / ((fusion.rrf_k or 60) + 1 + np.arange(len(scores)))
    low, high = scores.min(), scores.max()
    if low == high:
        is_middle = fusion.normalisation == search.SCORE_NORMALISATION_DISTRIBUTION
        return np.full(len(scores), 0.5 if is_middle else 1.0)
    if fusion.normalisation == search.SCORE_NORMALISATION_MIN_MAX:
        return (scores - low) / (high - low)
    if fusion.normalisation == search.SCORE_NORMALISATION_Z_SCORE:
        return (scores - low) / np.std(scores)
    return np.clip(0.5 + (scores - np.mean(scores)) / (6 * np.std(scores)), 0, 1)


def factor(decay, event_time):
    if event_time is None:
        return 1.0
    lives = max(0, decay.origin_ms - event_time - decay.offset_ms) / decay.half_life_ms
    shapes = {search.DECAY_SHAPE_EXPONENTIAL: lambda: 0.5 ** lives,
              search.DECAY_SHAPE_LINEAR: lambda: max(0.0, 1 - lives / 2),
              search.DECAY_SHAPE_GAUSS: lambda: 0.5 ** (lives * lives)}
    return max(decay.floor, shapes[decay.shape]())


def reference(request, legs, times):
    """Score by id, and what each leg counts for it."""
    parts = {}
    for leg, answer in legs.items():
        if not answer:
            continue
        weight = getattr(request.fusion.weights, leg) if request.fusion.HasField("weights") else 1.0
        counted = weight * shares(np.array([score for _, score in answer]), request.fusion)
        for (number, _), part in zip(answer, counted):
            parts.setdefault(number, {})[leg] = part
    combine = max if request.fusion.method == search.FUSION_METHOD_MAX else sum
    scores = {number: combine(found.values()) for number, found in parts.items()}
    if request.HasField("time_decay"):
        scores = {number: score * factor(request.time_decay, times.get(number))
                  for number, score in scores.items()}
    return scores, parts


def compare(hits, scores, request, what):
    """Score by score, and id by id where scores are not the same but for rounding."""
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    page = ranked[request.offset:request.offset + request.limit]
    check.equal(len(hits), len(page), f"{what}: hits")
    for hit, (number, score) in zip(hits, page):
        mine = scores.get(hit.id.number, math.inf)
        check(abs(hit.score - score) < TOLERANCE and abs(hit.score - mine) < TOLERANCE
              and (hit.id.number == number or abs(mine - score) < 1e-12),
              f"{what}: {hit.id.number} with {hit.score}, not {number} with {score}")


def check_question(stubs, rng, times, stars, what):
    request = question(rng)
    legs = {leg: leg_answer(stubs, request, leg) for leg in LEGS if request.HasField(leg)}
    scores, parts = reference(request, legs, times)
    hits = stubs.search.Search(request).hits
    compare(hits, scores, request, what)

    request.explain = True
    explained = stubs.search.Search(request).hits
    check.equal([(h.id, h.score) for h in explained], [(h.id, h.score) for h in hits],
                f"{what}: explained")
    for hit in explained:
        details = hit.details
        told = {leg: getattr(details, leg).weighted for leg in LEGS if details.HasField(leg)}
        mine = parts[hit.id.number]
        check(told.keys() == mine.keys()
              and all(abs(told[leg] - mine[leg]) < TOLERANCE for leg in told)
              and abs(hit.details.fused * hit.details.decay - hit.score) < 1e-12,
              f"{what}: details of {hit.id.number} are {told}, not {mine}")

    request.ranking.formula = "score * (1 + default(meta.stars, 0) / 10) - (text.rank > 3)"
    ranks = {number: rank for rank, (number, _) in enumerate(legs.get("text", []), 1)}
    for number in scores:
        scores[number] *= 1 + stars.get(number, 0) / 10
        scores[number] -= ranks.get(number, 0) > 3
    compare(stubs.search.Search(request).hits, scores, request, f"{what}: formula")
    return len(hits)


def check_groups(stubs, rng, rows, what):
    """One leg's answer by groups of a field."""
    request = search.SearchRequest(scope=SCOPE, limit=int(rng.integers(1, 12)), candidates=200)
    request.sparse.vector.indices.extend([1, 2, 3])
    request.sparse.vector.values.extend([1, 2, 3])
    wide = search.SearchRequest()
    wide.CopyFrom(request)
    wide.limit = 200
    grouping = request.ranking.grouping
    grouping.field, grouping.missing = "stars", int(rng.integers(3))
    grouping.hits_per_group = int(rng.integers(4))
    groups = {}
    for hit in stubs.search.Search(wide).hits:
        metadata = rows[hit.id.number].metadata
        key = metadata["stars"].int_value if "stars" in metadata else None
        if key is None and grouping.missing == ranking.MISSING_GROUP_DROPPED:
            continue
        if key is None and grouping.missing == ranking.MISSING_GROUP_ALONE:
            key = f"alone {hit.id.number}"
        groups.setdefault(key, []).append(hit.id.number)
    wanted = [number for group in list(groups.values())[:request.limit]
              for number in group[:grouping.hits_per_group or 1]]
    hits = stubs.search.Search(request).hits
    check.equal([hit.id.number for hit in hits], wanted, f"{what}: groups")


def check_rescore(stubs, rng, rows, what):
    """The best of one leg, ordered anew by MaxSim."""
    request = search.SearchRequest(scope=SCOPE, limit=20)
    request.sparse.vector.indices.extend([1, 2, 3])
    request.sparse.vector.values.extend([1, 2, 3])
    wide = search.SearchRequest()
    wide.CopyFrom(request)
    wide.limit = 60
    tokens = rng.standard_normal((int(rng.integers(1, 9)), TOKEN)).astype("<f4")
    rescore = request.ranking.rescore
    rescore.field, rescore.top, rescore.weight, rescore.score_weight = "tokens", 60, 0.5, 0.25
    rescore.query.dimension, rescore.query.vectors.packed = TOKEN, tokens.tobytes()
    scores = {}
    for hit in stubs.search.Search(wide).hits:
        document, best = rows[hit.id.number], 0.0
        if "tokens" in document.multi_vectors:
            packed = document.multi_vectors["tokens"].vectors.packed
            stored = np.frombuffer(packed, "<f4").reshape(-1, TOKEN).astype(float)
            best = (tokens.astype(float) @ stored.T).max(axis=1).sum()
        scores[hit.id.number] = 0.25 * hit.score + 0.5 * best
    compare(stubs.search.Search(request).hits, scores, request, f"{what}: rescoring")


def check_refusals(stubs):
    request = search.SearchRequest(scope=SCOPE, limit=3)
    request.text.query = "flow"
    request.ranking.formula = "score + meta.stars *"
    failure = failure_of(lambda: stubs.search.Search(request))
    check(failure and failure.code.name == "INVALID_ARGUMENT" and failure.field == "ranking.formula"
          and "column 21" in failure.message and "expected" in failure.message, f"{failure}")


def main():
    rows = list(documents(np.random.default_rng(SEED)))
    times = {row.id.number: row.event_time_ms for row in rows if row.HasField("event_time_ms")}
    stars = {row.id.number: row.metadata["stars"].int_value for row in rows
             if "stars" in row.metadata}
    hits = 0
    for shards in (1, 7):
        with Server("--shards", str(shards), "--fsync", "never") as server, \
                Stubs(server.target) as stubs:
            stubs.collections.Create(collections.CreateCollectionRequest(
                scope=SCOPE, schema=collections.Schema(
                    vectors=[collections.VectorField(name="v", dimension=DIMENSION)])))
            stubs.ingest.Write(ingest.WriteRequest(
                scope=SCOPE, mutations=[ingest.Mutation(upsert=row) for row in rows]))
            rng = np.random.default_rng(SEED + 1)
            for number in range(QUESTIONS):
                hits += check_question(
                    stubs, rng, times, stars, f"{shards} shards, question {number}, seed {SEED}")
                check_rescore(stubs, rng, rows, f"{shards} shards, question {number}, seed {SEED}")
                check_groups(stubs, rng, rows, f"{shards} shards, question {number}, seed {SEED}")
            check_refusals(stubs)
    check(hits > 10 * QUESTIONS, f"only {hits} hits")
    print(f"RESULT {2 * QUESTIONS} fused answers with {hits} hits equal numpy's to {TOLERANCE}")
    check.finish()


if __name__ == "__main__":
    main()
