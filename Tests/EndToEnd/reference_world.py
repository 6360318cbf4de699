"""Random data sets and random questions, each said twice: to KyroDB in protobuf and to DuckDB in SQL.

A data set is a list of typed fields and of rows, some of which lack a field (NULL to SQL). What
DuckDB is told never leans on its own rules for NULL inside functions: a comparison with a list or a
place is NULL where the field is NULL, by CASE, and AND, OR, NOT and IS NOT TRUE do the rest.
"""
import argparse
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
from harness import Server, Stubs, collections, ingest, types

SHARDS = (1, 2, 7)
# What each row carries, for the one leg that finds them all.
EVERYTHING = types.SparseVector(indices=[0], values=[1])
PER_DATA_SET = 250
INT_MIN, INT_MAX = -2**63, 2**63 - 1
EARTH_RADIUS = 6_371_008.8
STRINGS = ["", "a", "A", "ab", "abc", "apple/swift", "apple/swift-nio", "Ä", "ä", "a\u0308", "ß", "日本",
           "日本語", "\U0001F600", "\uFFFD", "z", "zz", "it's", "%", "_", "\\", "\"q\"", "a b", " "]
INTS = [INT_MIN, INT_MIN + 1, -2**53 - 1, -2**32, -1000, -2, -1, 0, 1, 2, 3, 10, 1000, 2**31, 2**53 - 1,
        2**53, 2**53 + 1, INT_MAX - 1, INT_MAX]
SUBNORMAL = struct.unpack("<d", b"\x01" + bytes(7))[0]
DOUBLES = [-1.7976931348623157e308, -1e300, -2.5, -1.0, -SUBNORMAL, -0.0, 0.0, SUBNORMAL, 1e-308, 0.1,
           0.30000000000000004, 0.5, 1.0, 2.0, 2.0**53, 2.0**63, 1e300, 1.7976931348623157e308]
LATITUDES = [-90.0, -45.0, -0.0, 0.0, 30.0, 45.0, 89.999, 90.0]
LONGITUDES = [-180.0, -179.999, -90.0, -1.0, 0.0, 0.5, 90.0, 179.999, 180.0]
SCALARS = ("string", "int64", "double", "bool", "timestamp", "geo_point")
SQL_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN",
             "timestamp": "BIGINT", "geo_point": "STRUCT(lat DOUBLE, lon DOUBLE)"}
VALUE_TYPES = {
    name: number for name, number in (
        (name.removeprefix("VALUE_TYPE_").lower(), number)
        for name, number in collections.ValueType.items())}
NAMES = ["n", "price", "größe", "two words", "日付", "a.b", "x" * 40, "select", "k", "tag", "where?", "Z"]


class Field:
    """A field of metadata: `kind` is the type of an element, `pool` what its values come from."""

    def __init__(self, name, column, kind, is_list, pool, missing):
        self.name, self.column, self.kind, self.is_list = name, column, kind, is_list
        self.pool, self.missing = pool, missing

    @property
    def value_type(self):
        return VALUE_TYPES[self.kind + ("_list" if self.is_list else "")]

    @property
    def sql_type(self):
        return SQL_TYPES[self.kind] + ("[]" if self.is_list else "")

    @property
    def has_order(self):
        return self.kind in ("string", "int64", "double", "timestamp")


def element(rng, kind):
    """A value of a type, one in two an extreme."""
    extreme = rng.random() < .5
    if kind == "string":
        return rng.choice(STRINGS) if extreme else "".join(
            rng.choice("abcä日") for _ in range(rng.randrange(4)))
    if kind in ("int64", "timestamp"):
        return rng.choice(INTS) if extreme else rng.randrange(-20, 21)
    if kind == "double":
        return rng.choice(DOUBLES) if extreme else rng.choice((rng.gauss(0, 3), rng.randrange(-9, 9) / 2))
    if kind == "bool":
        return extreme
    if extreme:
        return rng.choice(LATITUDES), rng.choice(LONGITUDES)
    return rng.uniform(-90, 90), rng.uniform(-180, 180)


def value(kind, raw):
    """One value as protobuf."""
    if kind == "string":
        return types.Value(string_value=raw)
    if kind == "int64":
        return types.Value(int_value=raw)
    if kind == "double":
        return types.Value(double_value=raw)
    if kind == "bool":
        return types.Value(bool_value=raw)
    if kind == "timestamp":
        return types.Value(timestamp_ms=raw)
    return types.Value(geo_point=types.GeoPoint(lat=raw[0], lon=raw[1]))


def values(kind, raws):
    """A list of values as protobuf."""
    if kind == "string":
        return types.Value(strings=types.StringList(values=raws))
    if kind == "int64":
        return types.Value(ints=types.Int64List(values=raws))
    if kind == "double":
        return types.Value(doubles=types.DoubleList(values=raws))
    if kind == "bool":
        return types.Value(bools=types.BoolList(values=raws))
    if kind == "timestamp":
        return types.Value(timestamps_ms=types.Int64List(values=raws))
    return types.Value(geo_points=types.GeoPointList(
        points=[types.GeoPoint(lat=lat, lon=lon) for lat, lon in raws]))


def literal(kind, raw):
    """One value as SQL; floats by their shortest exact text, strings whatever they hold."""
    if kind == "string":
        return "'" + raw.replace("'", "''") + "'"
    if kind == "double":
        return f"'{raw!r}'::DOUBLE"
    if kind == "bool":
        return "TRUE" if raw else "FALSE"
    return f"'{raw}'::BIGINT"


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


class DataSet:
    """Rows by id: what each field holds, an event time or None."""

    def __init__(self, rng, row_count):
        self.rng = rng
        names = rng.sample(NAMES, rng.randrange(5, len(NAMES) + 1))
        kinds = list(SCALARS) + [rng.choice(SCALARS) for _ in names]
        rng.shuffle(kinds)
        self.fields = []
        for position, name in enumerate(names):
            kind = kinds[position]
            pool = [element(rng, kind) for _ in range(rng.choice((2, 5, 12, 60)))]
            self.fields.append(Field(
                name, f"f{position}", kind, rng.random() < .35, pool, rng.choice((0, .1, .3, .7))))
        self.rows = {number: self.row() for number in range(1, row_count + 1)}

    def row(self):
        rng, row = self.rng, {}
        for field in self.fields:
            if rng.random() < field.missing:
                continue
            if field.is_list:
                row[field.name] = [rng.choice(field.pool) for _ in range(rng.choice((0, 1, 1, 2, 3, 6)))]
            else:
                row[field.name] = rng.choice(field.pool)
        if rng.random() < .8:
            row[None] = rng.choice((rng.randrange(-1000, 1000), rng.randrange(0, 2_000_000_000_000)))
        return row

    def schema(self):
        """Half of the fields declared, the others as their first values come."""
        return collections.Schema(
            sparse_vectors=[collections.SparseField(name="all")],
            metadata=[collections.MetadataField(name=f.name, type=f.value_type)
                      for position, f in enumerate(self.fields) if position % 2 == 0])

    def upsert(self, number, row):
        """Every document has coordinate 0 of the sparse field, so that a search finds them all."""
        document = types.Document(id=types.DocumentId(number=number))
        document.sparse_vectors["all"].CopyFrom(types.SparseVector(indices=[0], values=[1]))
        for field in self.fields:
            if field.name in row:
                make = values if field.is_list else value
                document.metadata[field.name].CopyFrom(make(field.kind, row[field.name]))
        if None in row:
            document.event_time_ms = row[None]
        return ingest.Mutation(upsert=document)

    def load(self, stubs, scope):
        """Creates the collection and writes the rows in three stages (see `rows_after`). Returns the
        moment behind each, by sequence and by time."""
        stubs.collections.Create(collections.CreateCollectionRequest(
            scope=scope, schema=self.schema()))
        moments = []
        for mutations in (
            [self.upsert(n, row) for n, row in self.rows_after(0).items()],
            [self.upsert(n, row) for n, row in self.rows.items()],
            [ingest.Mutation(remove=types.DocumentId(number=n)) for n in self.removed()],
        ):
            response = stubs.ingest.Write(ingest.WriteRequest(scope=scope, mutations=mutations))
            failed = [o.error for o in response.outcomes
                      if o.result != ingest.WRITE_RESULT_APPLIED]
            if failed:
                raise ValueError(f"{len(failed)} rows were refused: {failed[0]}")
            # A millisecond that no commit shares.
            time.sleep(.002)
            moments.append((types.AsOf(seq=response.seq), types.AsOf(
                time_ms=time.time_ns() // 1_000_000)))
            time.sleep(.002)
        return moments

    def removed(self):
        return range(7, max(self.rows) + 1, 23)

    def rows_after(self, stage):
        """Every third as another one at first, then all, then without those that were removed."""
        last = max(self.rows)
        if stage == 0:
            return {n: self.rows[last + 1 - n] for n in range(1, last + 1, 3)}
        gone = set(self.removed()) if stage == 2 else ()
        return {n: row for n, row in self.rows.items() if n not in gone}

    def create_table(self, duck, table, stage=2):
        """Columns id, event_time and f0, f1, … for the fields."""
        columns = ["id BIGINT", "event_time BIGINT"] + [
            f"{f.column} {f.sql_type}" for f in self.fields]
        duck.execute(f"CREATE OR REPLACE TABLE {identifier(table)} ({', '.join(columns)})")
        rows = ", ".join(
            f"({number}, {'NULL' if None not in row else row[None]}"
            + "".join(", " + self.cell(f, row) for f in self.fields) + ")"
            for number, row in self.rows_after(stage).items())
        duck.execute(f"INSERT INTO {identifier(table)} VALUES {rows}")

    @staticmethod
    def cell(field, row):
        if field.name not in row:
            return "NULL"

        def one(raw):
            if field.kind == "geo_point":
                return f"{{'lat': {literal('double', raw[0])}, 'lon': {literal('double', raw[1])}}}"
            return literal(field.kind, raw)
        raw = row[field.name]
        text = "[" + ", ".join(map(one, raw)) + "]" if field.is_list else one(raw)
        return f"{text}::{field.sql_type}"


class Expressions:
    """Random filters over a data set, as a pair of a Filter and a boolean SQL expression."""

    def __init__(self, rng, data):
        self.rng, self.data = rng, data

    def make(self, depth=None):
        rng = self.rng
        depth = rng.choice((0, 1, 2, 2, 3, 4)) if depth is None else depth
        if depth == 0 or rng.random() < .2:
            return self.comparison()
        kind = rng.randrange(5)
        if kind < 2:
            wire, sql = self.make(depth - 1)
            if kind == 0:
                return types.Filter(negation=wire), f"(({sql}) IS NOT TRUE)"
            return types.Filter(sql_not=wire), f"(NOT ({sql}))"
        children = [self.make(depth - 1) for _ in range(rng.choice((0, 1, 2, 2, 3, 3)))]
        wires, sqls = [c[0] for c in children], [f"({c[1]})" for c in children]
        if kind < 4:
            return (types.Filter(all_of=types.FilterList(filters=wires)),
                    " AND ".join(sqls) or "TRUE")
        return (types.Filter(any_of=types.FilterList(filters=wires)), " OR ".join(sqls) or "FALSE")

    def comparison(self):
        rng = self.rng
        if rng.random() < .02:
            return types.Filter(equals=types.EqualsFilter(
                field="unknown", value=value("int64", 3))), "NULL::BOOLEAN"
        field = rng.choice(self.data.fields)
        if rng.random() < .1:
            return (types.Filter(exists=types.ExistsFilter(field=field.name)),
                    f"{field.column} IS NOT NULL")
        if field.kind == "geo_point":
            return rng.choice((self.distance, self.box))(field)
        choices = [self.equals, self.in_set, self.contains_any, self.contains_all]
        if field.has_order:
            choices += [self.range, self.range, self.range]
        if field.kind == "string":
            choices.append(self.prefix)
        return rng.choice(choices)(field)

    @staticmethod
    def any_element(field, test):
        """`test` makes SQL of the SQL of an element."""
        if not field.is_list:
            return f"CASE WHEN {field.column} IS NULL THEN NULL ELSE {test(field.column)} END"
        return (f"CASE WHEN {field.column} IS NULL THEN NULL ELSE "
                f"len(list_filter({field.column}, lambda e: {test('e')})) > 0 END")

    def operand(self, field):
        """Mostly something the field has; (protobuf, SQL). Of a double field an int64 too."""
        rng = self.rng
        if field.kind == "double" and rng.random() < .2:
            raw = element(rng, "int64")
            return value("int64", raw), f"CAST({literal('int64', raw)} AS DOUBLE)"
        raw = rng.choice(field.pool) if rng.random() < .8 else element(rng, field.kind)
        if field.kind == "double" and rng.random() < .03:
            raw = rng.choice((float("inf"), float("-inf")))
        return value(field.kind, raw), literal(field.kind, raw)

    def operands(self, field):
        return [self.operand(field) for _ in range(self.rng.choice((0, 1, 1, 2, 3, 9)))]

    def equals(self, field):
        wire, sql = self.operand(field)
        return (types.Filter(equals=types.EqualsFilter(field=field.name, value=wire)),
                self.any_element(field, lambda e: f"{e} = {sql}"))

    def one_of(self, field, operands):
        return self.any_element(
            field, lambda e: " OR ".join(f"{e} = {sql}" for _, sql in operands) or "FALSE")

    def in_set(self, field):
        operands = self.operands(field)
        return (types.Filter(in_set=types.InFilter(
            field=field.name, values=[wire for wire, _ in operands])), self.one_of(field, operands))

    def contains_any(self, field):
        operands = self.operands(field)
        return (types.Filter(contains_any=types.ContainsFilter(
            field=field.name, values=[wire for wire, _ in operands])), self.one_of(field, operands))

    def contains_all(self, field):
        operands = self.operands(field)
        each = [f"({self.one_of(field, [operand])})" for operand in operands]
        return (types.Filter(contains_all=types.ContainsFilter(
            field=field.name, values=[wire for wire, _ in operands])),
            " AND ".join(each) or f"CASE WHEN {field.column} IS NULL THEN NULL ELSE TRUE END")

    def range(self, field):
        rng = self.rng
        bounds, tests = {}, []
        for names, signs in ((("greater_than", "at_least"), (">", ">=")),
                             (("less_than", "at_most"), ("<", "<="))):
            if rng.random() < .7:
                bounds[rng.randrange(2)], which = self.operand(field), rng.randrange(2)
                wire, sql = bounds.popitem()[1]
                tests.append((names[which], wire, signs[which], sql))
        wire = types.RangeFilter(field=field.name)
        for name, bound, _, _ in tests:
            getattr(wire, name).CopyFrom(bound)
        if len(tests) == 2 and is_reversed(tests[0][1], tests[1][1]):
            return self.range(field)
        return types.Filter(range=wire), self.any_element(
            field, lambda e: " AND ".join(f"{e} {sign} {sql}" for _, _, sign, sql in tests) or "TRUE")

    def prefix(self, field):
        text = self.rng.choice(field.pool)[:self.rng.randrange(3)]
        return (types.Filter(prefix=types.PrefixFilter(field=field.name, prefix=text)),
                self.any_element(field, lambda e: f"starts_with({e}, {literal('string', text)})"))

    def distance(self, field):
        """Radii that no two extremes are apart: at the very distance the last bit decides."""
        rng = self.rng
        lat, lon = rng.choice(field.pool) if rng.random() < .7 else element(rng, "geo_point")
        metres = rng.choice((7.5, 1_234.5, 5e5 + .5, rng.uniform(1e3, 2e7), rng.uniform(1e3, 2e7), 3e7))
        center = f"radians({literal('double', lat)})"

        def test(e):
            haversine = (
                f"pow(sin((radians({e}.lat) - {center}) / 2), 2) + cos({center}) * "
                f"cos(radians({e}.lat)) * pow(sin(radians({e}.lon - {literal('double', lon)}) / 2), 2)")
            return (f"2 * {EARTH_RADIUS!r}::DOUBLE * asin(sqrt(least(1::DOUBLE, {haversine}))) "
                    f"<= {literal('double', metres)}")
        return (types.Filter(within_distance=types.GeoDistanceFilter(
            field=field.name, center=types.GeoPoint(lat=lat, lon=lon), metres=metres)),
            self.any_element(field, test))

    def box(self, field):
        rng = self.rng
        corners = [rng.choice(field.pool) if rng.random() < .5 else element(rng, "geo_point")
                   for _ in range(2)]
        south, north = sorted(lat for lat, _ in corners)
        west, east = (lon for _, lon in corners)

        def spans(lon):
            low, high = (f"{literal('double', west)} <= {lon}", f"{lon} <= {literal('double', east)}")
            return f"({low} {'AND' if west <= east else 'OR'} {high})"

        def test(e):
            return (f"{literal('double', south)} <= {e}.lat AND {e}.lat <= {literal('double', north)} "
                    f"AND (abs({e}.lat) = 90 OR {spans(e + '.lon')} "
                    f"OR (abs({e}.lon) = 180 AND {spans(f'-{e}.lon')}))")
        return (types.Filter(within_box=types.GeoBoxFilter(
            field=field.name, south=south, west=west, north=north, east=east)),
            self.any_element(field, test))


def is_reversed(low, high):
    """What the server refuses; of an integer beside a double it compares doubles."""
    a, b = (getattr(v, v.WhichOneof("kind")) for v in (low, high))
    if isinstance(a, str):
        return a.encode() > b.encode()
    return float(a) > float(b) if isinstance(a, float) or isinstance(b, float) else a > b


def time_range(rng):
    """Sometimes a TimeRange with its SQL."""
    bounds, tests = {}, ["event_time IS NOT NULL"]
    if rng.random() < .7:
        bounds["from_ms"] = rng.randrange(-1000, 1000)
        tests.append(f"event_time >= {bounds['from_ms']}")
    if rng.random() < .7:
        bounds["to_ms"] = bounds.get("from_ms", -1000) + rng.choice((0, 500, 10**12))
        tests.append(f"event_time < {bounds['to_ms']}")
    if not bounds:
        return None, "TRUE"
    return types.TimeRange(**bounds), " AND ".join(tests)


def drive(compare, check, count, noun, summed):
    """`count` questions unless the command line says otherwise, to servers with 1, 2 and 7 shards; the
    process's exit status.

    `compare(name, seed, servers, duck, pool, rows, count)` makes one data set, asks so many questions
    of it and returns how many things it saw: `summed` names them, `noun` the questions.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=150)
    options = parser.parse_args()
    started, seen, done, sets = time.monotonic(), 0, 0, 0
    duck = duckdb.connect(config={"threads": 1})
    flags = ("--fsync", "never")
    with (Server("--shards", "1", *flags) as one, Server("--shards", "2", *flags) as two,
          Server("--shards", "7", *flags) as seven, ThreadPoolExecutor(len(SHARDS)) as pool):
        servers = [Stubs(server.target) for server in (one, two, seven)]
        while done < options.count and check.failed < 10:
            count = min(PER_DATA_SET, options.count - done)
            rows = options.rows if sets % 10 else 4 * options.rows
            seen += compare(
                f"set{sets}", options.seed * 1_000_000 + sets, servers, duck, pool, rows, count)
            done, sets = done + count, sets + 1
            if sets % 20 == 0:
                print(f"{done} {noun}, {seen} {summed}, {check.failed} failed, "
                      f"{time.monotonic() - started:.0f} s", flush=True)
        for stubs in servers:
            stubs.close()
    print(f"RESULT {done} {noun} over {sets} data sets, seed {options.seed}: "
          f"{check.passed} answers of {'/'.join(map(str, SHARDS))} shards equal DuckDB's, "
          f"{seen} {summed}, {check.failed} failed, {time.monotonic() - started:.1f} s")
    return 1 if check.failed else 0
