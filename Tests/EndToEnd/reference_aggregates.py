#!/usr/bin/env python3
"""Aggregations, sorted scans and pages mean what SQL says they mean: random questions over random data
sets, asked of servers with 1, 2 and 7 shards and of DuckDB on the same rows.

    reference_aggregates.py [--count QUESTIONS] [--seed N] [--rows N]

DuckDB groups, counts and sorts. What lies beyond its types is put together here from its rows: sums
of doubles are exact there (Fraction), quantiles interpolate between two of its sorted values.
"""
import math
import random
import sys
from fractions import Fraction

from harness import Checks, collections, ingest, search, types
from kyrodb.v2 import aggregations_pb2 as aggregations
from reference_world import (
    EVERYTHING, INT_MAX, INT_MIN, SHARDS, DataSet, Expressions, drive, time_range)

CYCLE_MS = 146_097 * 86_400_000  # 400 years, in which the calendar repeats, weeks too
check = Checks()


def as_value(message):
    return getattr(message, message.WhichOneof("kind"))


class Aggregates:
    """Random aggregations of a data set: protobuf, and a function that asks DuckDB for the result."""

    def __init__(self, rng, data, duck):
        self.rng, self.data, self.duck = rng, data, duck
        self.expressions = Expressions(rng, data)

    def make(self, source):
        """`source` makes SQL of the rows, with id and all columns, of AggregationSource and None."""
        rng = self.rng
        message = aggregations.Aggregation(name=rng.choice(("", "a", "größe")))
        own = "TRUE"
        if rng.random() < .3:
            wire, own = self.expressions.make(rng.choice((0, 1, 2)))
            message.filter.CopyFrom(wire)
        if rng.random() < .3 and source(1):
            message.over = aggregations.AGGREGATION_SOURCE_CANDIDATES
        rows = f"SELECT * FROM ({source(message.over)}) WHERE ({own})"
        make = rng.choice((self.count, self.facet, self.facet, self.histogram, self.time_histogram,
                           self.stats, self.stats))
        wanted = make(message, rows)
        return message, lambda: (message.name, self.rows_in(rows), *wanted())

    def rows_in(self, rows):
        return self.duck.execute(f"SELECT count(*) FROM ({rows})").fetchone()[0]

    def pick(self, *kinds):
        fields = [f for f in self.data.fields if f.kind in kinds]
        return self.rng.choice(fields) if fields else None

    @staticmethod
    def values(field, rows):
        """SQL with a row (id, v) for each value; NULL stands for a document without one."""
        if field is None:
            return f"SELECT id, event_time AS v FROM ({rows})"
        if not field.is_list:
            return f"SELECT id, {field.column} AS v FROM ({rows})"
        return (f"SELECT id, unnest(CASE WHEN {field.column} IS NULL OR len({field.column}) = 0 "
                f"THEN [NULL] ELSE {field.column} END) AS v FROM ({rows})")

    def groups(self, field, rows, bucket):
        """Documents by bucket, and those without a value."""
        got = self.duck.execute(
            f"SELECT v IS NULL, {bucket}, count(DISTINCT id) FROM ({self.values(field, rows)}) "
            "GROUP BY ALL").fetchall()
        missing = sum(n for is_missing, _, n in got if is_missing)
        return sorted((key, n) for is_missing, key, n in got if not is_missing), missing

    def count(self, message, rows):
        message.count.SetInParent()
        return lambda: (None,)

    def facet(self, message, rows):
        rng = self.rng
        field = self.pick("string", "int64", "double", "bool", "timestamp")
        if field is None:
            return self.count(message, rows)
        limit, least = rng.choice((0, 1, 3, 50)), rng.choice((0, 1, 2, 9))
        message.facet.field, message.facet.limit, message.facet.min_count = field.name, limit, least

        def wanted():
            got = self.duck.execute(
                f"SELECT v, count(DISTINCT id) n FROM ({self.values(field, rows)}) "
                "GROUP BY v ORDER BY n DESC, v").fetchall()
            missing = sum(n for v, n in got if v is None)
            got = [(v, n) for v, n in got if v is not None]
            shown = [(v, n) for v, n in got if n >= least][:limit or 10]
            return ("facet", shown, len(got) - len(shown), sum(n for _, n in got[len(shown):]),
                    missing)
        return wanted

    def histogram(self, message, rows):
        rng, field = self.rng, self.pick("int64", "double")
        if field is None:
            return self.time_histogram(message, rows)
        interval, offset = rng.choice((.1, .5, 1.0, 7.0, 1e3, 1e300)), rng.choice((0.0, .25, -1e6))
        asked = message.histogram
        asked.field, asked.interval, asked.offset = field.name, interval, offset

        def wanted():
            buckets, missing = self.groups(
                field, rows, f"floor((v::DOUBLE - {offset!r}::DOUBLE) / {interval!r}::DOUBLE)")
            return ("histogram", [
                (offset + k * interval, offset + (k + 1) * interval, n) for k, n in buckets], missing)
        return wanted

    def time_histogram(self, message, rows):
        rng = self.rng
        field = self.pick("timestamp") if rng.random() < .6 else None
        asked = message.time_histogram
        asked.field = field.name if field else ""
        unit = rng.choice(("", "", "day", "week", "month", "year"))
        if unit:
            asked.calendar = aggregations.CalendarInterval.Value(f"CALENDAR_INTERVAL_{unit.upper()}")
            moment = f"make_timestamp(((v::HUGEINT % {CYCLE_MS} + {CYCLE_MS}) % {CYCLE_MS} * 1000)::BIGINT)"
            base = f"(v::HUGEINT - (v::HUGEINT % {CYCLE_MS} + {CYCLE_MS}) % {CYCLE_MS})"
            start = f"date_trunc('{unit}', {moment})::TIMESTAMP"
            bucket = (f"[{base} + epoch_ms({start}), "
                      f"{base} + epoch_ms({start} + INTERVAL 1 {unit.upper()})]")
        else:
            width = rng.choice((1, 7, 1000, 3_600_000, 2**62))
            offset = rng.choice((0, 5, -123_456))
            asked.interval_ms, asked.offset_ms = width, offset
            start = f"(v::HUGEINT - ((v::HUGEINT - {offset}) % {width} + {width}) % {width})"
            bucket = f"[{start}, {start} + {width}]"

        def wanted():
            buckets, missing = self.groups(field, rows, bucket)
            return ("time_histogram", [
                (max(INT_MIN, start), min(INT_MAX, end), n) for (start, end), n in buckets], missing)
        return wanted

    def stats(self, message, rows):
        rng = self.rng
        field = self.pick("int64", "double", "timestamp") if rng.random() < .8 else None
        qs = [rng.choice((0.0, .25, .5, .9, 1.0, rng.random())) for _ in range(rng.randrange(4))]
        message.stats.field = field.name if field else ""
        message.stats.quantiles.extend(qs)

        def wanted():
            values, missing = self.duck.execute(
                "SELECT list(v ORDER BY v) FILTER (WHERE v IS NOT NULL), "
                "count(DISTINCT id) FILTER (WHERE v IS NULL) "
                f"FROM ({self.values(field, rows)})").fetchone()
            values = values or []
            if not values:
                return "stats", 0, missing, None, None, 0.0, 0.0, []
            total = rounded(sum(map(Fraction, values)))
            quantiles = []
            for q in qs:
                place = q * float(len(values) - 1)
                low, high = float(values[math.floor(place)]), float(values[math.ceil(place)])
                share = place - math.floor(place)
                quantiles.append((q, low if low == high else low * (1 - share) + high * share))
            return ("stats", len(values), missing, values[0], values[-1], total,
                    total / len(values), quantiles)
        return wanted


def rounded(total):
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def told(result):
    """An AggregationResult in the form that DuckDB's answer is given."""
    kind = result.WhichOneof("kind")
    head = (result.name, result.documents, kind)
    if kind is None:
        return head
    m = getattr(result, kind)
    if kind == "facet":
        return (*head, [(as_value(b.value), b.documents) for b in m.buckets], m.other_values,
                m.other_documents, m.missing)
    if kind == "histogram":
        return (*head, [(b.lower, b.upper, b.documents) for b in m.buckets], m.missing)
    if kind == "time_histogram":
        return (*head, [(b.from_ms, b.to_ms, b.documents) for b in m.buckets], m.missing)
    bounds = [as_value(getattr(m, name)) if m.HasField(name) else None for name in ("min", "max")]
    return (*head, m.count, m.missing, *bounds, m.sum, m.mean, [(q.q, q.value) for q in m.quantiles])


class Question:
    """A search with aggregations, over all that passes a filter or over a leg's candidates."""

    def __init__(self, rng, aggregates, scope):
        wire, sql = aggregates.expressions.make()
        times, within = time_range(rng) if rng.random() < .1 else (None, "TRUE")
        rows = f'SELECT * FROM "documents" WHERE ({sql}) AND ({within})'
        self.request = search.SearchRequest(scope=scope, filter=wire, time_range=times)
        candidates = 0
        if rng.random() < .5:
            # Equal scores, so that the smallest ids are the candidates.
            self.request.sparse.CopyFrom(search.SparseQuery(field="all", vector=EVERYTHING))
            self.request.limit = rng.choice((0, 1, 5))
            self.request.candidates = rng.choice((0, 5, 40, 10_000))
            candidates = max(self.request.candidates or 100, self.request.limit)

        def source(over):
            if not over:
                return rows
            return candidates and f"SELECT * FROM ({rows}) ORDER BY id LIMIT {candidates}"
        made = [aggregates.make(source) for _ in range(rng.choice((1, 2, 3)))]
        self.request.aggregations.extend(message for message, _ in made)
        self.wanted = lambda: [ask() for _, ask in made]


def answered(stubs, questions):
    requests = (search.SearchManyRequest(tag=tag, search=question.request)
                for tag, question in enumerate(questions))
    answers = {}
    for answer in stubs.search.SearchMany(requests):
        if answer.WhichOneof("result") == "error":
            answers[answer.tag] = f"{answer.error.reason} {answer.error.message}"
        else:
            answers[answer.tag] = [told(result) for result in answer.response.aggregations]
    return [answers.get(tag) for tag in range(len(questions))]


def sort_keys(rng, data):
    """SortKeys, and what follows ORDER BY."""
    keys, terms = [], []
    fields = [f for f in data.fields if f.kind != "geo_point"]
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = search.SortKey(descending=rng.random() < .5, missing_first=rng.random() < .4)
        column = "event_time"
        if rng.random() < .8 and fields:
            field = rng.choice(fields)
            key.field, column = field.name, field.column
            if field.is_list:
                column = f"list_{'max' if key.descending else 'min'}({column})"
        keys.append(key)
        terms.append(f"{column} {'DESC' if key.descending else 'ASC'} "
                     f"NULLS {'FIRST' if key.missing_first else 'LAST'}")
    return keys, ", ".join(terms + ["id"])


def scanned(stubs, request, piece):
    """Ids, in pieces of so many documents that each begin anew by a token; 0 for all at once."""
    ids = []
    while True:
        request.limit = piece
        before = len(ids)
        for answer in stubs.search.Scan(request):
            ids += [document.id.number for document in answer.documents]
            request.resume_token = answer.resume_token
        if not piece or len(ids) - before < piece:
            return ids


def compare_scans(rng, data, servers, duck, scope, seed, count):
    for number in range(count):
        wire, sql = Expressions(rng, data).make()
        keys, order = sort_keys(rng, data)
        wanted = [row[0] for row in duck.execute(
            f'SELECT id FROM "documents" WHERE {sql} ORDER BY {order}').fetchall()]
        piece = rng.choice((0, 7, 40))
        for shards, stubs in zip(SHARDS, servers):
            request = search.ScanRequest(
                scope=scope, filter=wire, order_by=keys, projection=types.Projection())
            check.equal(scanned(stubs, request, piece), wanted,
                        f"{shards} shards, seed {seed}, sorted scan {number}: ORDER BY {order}")


def compare_pages(rng, data, servers, duck, scope, seed, count):
    """Between the pages the documents change; at the end of a data set, which is of no use then."""
    questions = []
    for _ in range(count):
        wire, sql = Expressions(rng, data).make()
        ids = [row[0] for row in duck.execute(
            f'SELECT id FROM "documents" WHERE {sql} ORDER BY id').fetchall()]
        request = search.SearchRequest(
            scope=scope, filter=wire, paged=True,
            sparse=search.SparseQuery(field="all", vector=EVERYTHING))
        questions.append((request, ids))
    for shards, stubs in zip(SHARDS, servers):
        # All begin before the first write.
        open_pages = []
        for request, ids in questions:
            page = search.SearchRequest()
            page.CopyFrom(request)
            page.limit = rng.choice((1, 9, 30))
            open_pages.append((page, [], ids))
        is_first = True
        while open_pages:
            rest = []
            for page, got, ids in open_pages:
                answer = stubs.search.Search(page)
                got += [hit.id.number for hit in answer.hits]
                page.page_token, page.limit = answer.next_page_token, rng.choice((1, 9, 30))
                if page.page_token:
                    rest.append((page, got, ids))
                else:
                    check.equal(got, ids, f"{shards} shards, seed {seed}, pages of {page.filter}")
            open_pages = rest
            rows = list(data.rows.values())
            mutations = [data.upsert(rng.randrange(1, 2 * len(rows)), rng.choice(rows))
                         for _ in range(rng.randrange(30 if is_first else 10))]
            mutations += [ingest.Mutation(remove=types.DocumentId(number=n))
                          for n in rng.sample(sorted(data.rows), 12 if is_first else 3)]
            stubs.ingest.Write(ingest.WriteRequest(scope=scope, mutations=mutations))
            is_first = False


def compare(name, seed, servers, duck, pool, rows, count):
    """One data set; how many aggregations were compared."""
    rng = random.Random(seed)
    data = DataSet(rng, rows)
    scope = types.Scope(namespace=name)
    list(pool.map(lambda stubs: data.load(stubs, scope), servers))
    data.create_table(duck, "documents")
    aggregates = Aggregates(rng, data, duck)
    questions = [Question(rng, aggregates, scope) for _ in range(count)]
    answers = [pool.submit(answered, stubs, questions) for stubs in servers]
    wanted = [question.wanted() for question in questions]
    for shards, answer in zip(SHARDS, answers):
        for number, (got, expected) in enumerate(zip(answer.result(), wanted)):
            if got == expected:
                check.passed += 1
            else:
                check(False, f"{shards} shards, seed {seed}, question {number}:\n{got}\nnot\n{expected}"
                      f"\n{questions[number].request}")
    compare_scans(rng, data, servers, duck, scope, seed, max(1, count // 10))
    compare_pages(rng, data, servers, duck, scope, seed, max(1, count // 25))
    for stubs in servers:
        stubs.collections.Drop(collections.DropCollectionRequest(scope=scope))
    return sum(map(len, wanted))


if __name__ == "__main__":
    sys.exit(drive(compare, check, 500, "questions", "aggregations, beside sorted scans and pages"))
