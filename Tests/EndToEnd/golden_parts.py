"""What a golden data directory holds, and how a server is asked for all of it.

`fill` writes the documents and returns what must be there; `expectation` adds what the server that
wrote them answers; `compare` asks another server for the same. Messages are kept as protobuf's JSON,
so that fields which come later do not disturb.
"""
import base64
import math
import random

import numpy as np
from google.protobuf.json_format import MessageToDict, ParseDict
from harness import Checks, collections, failure_of, ingest, search, tuning, types

NOTES = types.Scope(namespace="notes")
OTHER = types.Scope(tenant_id="acme", namespace="notes")
DROPPED = types.Scope(namespace="dropped")
PRODUCER = "import-1"
YEAR_2001, YEAR_2100 = 1_000_000_000_000, 4_102_444_800_000
CENTURY_MS = 3_155_760_000_000
WORDS = ("granite basalt marble slate quartz shale gneiss pumice chalk flint running runner "
         "HttpServer parse_frame straße naïve").split()
PROSE = "Der Käse die Häuser eines Hauses laufen lief gelaufen und schöne Straßen".split()
# Missing in what servers write that know no such part.
EVERYTHING = types.Projection(
    metadata=types.Selection(all=True), texts=types.Selection(all=True),
    vectors=types.Selection(all=True), sparse_vectors=types.Selection(all=True),
    multi_vectors=types.Selection(all=True), vector_encoding=types.VECTOR_ENCODING_PACKED_F32)


def vector(chance, dimension, unit):
    raw = np.array([chance.gauss(0, 1) for _ in range(dimension)])
    if unit:
        raw /= np.linalg.norm(raw)
    return raw.astype("<f4")


def document(chance, name, version):
    """Every part that a document can have, some of them now and then absent."""
    message = types.Document(id=name, event_time_ms=1_600_000_000_000 + chance.randrange(10**10))
    message.vectors["v"].packed = vector(chance, 16, unit=True).tobytes()
    if chance.random() < 0.5:
        message.vectors["w"].packed = vector(chance, 4, unit=False).tobytes()
    indices = sorted(chance.sample(range(200), 5))
    message.sparse_vectors["s"].CopyFrom(types.SparseVector(
        indices=indices, values=[float(chance.randrange(1, 9)) / 4 for _ in indices]))
    message.texts["body"] = " ".join(chance.choice(WORDS) for _ in range(12))
    message.texts["code"] = chance.choice(WORDS)
    message.texts["prose"] = " ".join(chance.choice(PROSE) for _ in range(6))
    for field, dimension in (("tokens", 3), ("late", 2)):
        if chance.random() < 0.5:
            rows = np.array([[chance.randrange(-8, 9) / 4 for _ in range(dimension)]
                             for _ in range(chance.randrange(1, 4))], dtype="<f4")
            message.multi_vectors[field].dimension = dimension
            message.multi_vectors[field].vectors.packed = rows.tobytes()
    places = [types.GeoPoint(lat=chance.randrange(-360, 361) / 4,
                             lon=chance.randrange(-720, 721) / 4) for _ in range(3)]
    metadata = {
        "place": types.Value(geo_point=places[0]),
        "places": types.Value(geo_points=types.GeoPointList(points=places[1:])),
        "version": types.Value(int_value=version),
        "color": types.Value(string_value=chance.choice(("red", "green", "blue"))),
        "weight": types.Value(double_value=chance.randrange(-40, 40) / 8),
        "fresh": types.Value(bool_value=chance.random() < 0.5),
        "seen": types.Value(timestamp_ms=1_500_000_000_000 + chance.randrange(10**9)),
        "tags": types.Value(strings=types.StringList(values=chance.sample(WORDS, 2))),
        "sizes": types.Value(ints=types.Int64List(values=[chance.randrange(-9, 9), 2**53])),
        "ratios": types.Value(doubles=types.DoubleList(values=[0.25, chance.randrange(9) / 4])),
        "bits": types.Value(bools=types.BoolList(values=[True, False])),
        "times": types.Value(timestamps_ms=types.Int64List(values=[1_400_000_000_000])),
    }
    for field, value in metadata.items():
        if chance.random() < 0.9:
            message.metadata[field].CopyFrom(value)
    if chance.random() < 0.2:
        message.expires_at_ms = YEAR_2100
    return message


def numbered(number):
    return types.DocumentId(number=number)


def schema():
    return collections.Schema(
        vectors=[collections.VectorField(name="v", dimension=16),
                 collections.VectorField(name="w", dimension=4, metric=collections.METRIC_L2)],
        sparse_vectors=[collections.SparseField(name="s")],
        texts=[collections.TextField(name="body"),
               collections.TextField(name="code", analyzer=collections.ANALYZER_CODE),
               collections.TextField(
                   name="prose", language="german", fold_diacritics=True,
                   bm25=collections.Bm25Parameters(k1=0.9, b=0.4),
                   stop_words=collections.STOP_WORDS_LIST, stop_word_list=["der", "die", "und"])],
        multi_vectors=[collections.MultiVectorField(name="tokens", dimension=3)])


class Filling:
    """Writes, and remembers what must be there: documents by scope and id."""

    def __init__(self, stubs, seed):
        self.stubs, self.chance = stubs, random.Random(seed)
        self.there = {"notes": {}, "other": {}}
        self.client_seq, self.version = 0, 0
        self.middle = None  # what the past answered

    def key(self, name):
        return name.SerializeToString(deterministic=True)

    def write(self, which, mutations):
        response = self.stubs.ingest.Write(ingest.WriteRequest(
            scope={"notes": NOTES, "other": OTHER, "dropped": DROPPED}[which],
            create_if_missing=ingest.CreateIfMissing(), mutations=mutations))
        assert all(o.result == ingest.WRITE_RESULT_APPLIED for o in response.outcomes), response

    def put(self, which, message):
        self.there[which][self.key(message.id)] = message
        return ingest.Mutation(upsert=message)

    def upserts(self, which, names):
        self.version += 1
        self.write(which, [self.put(which, document(self.chance, name, self.version))
                           for name in names])

    def removes(self, which, names):
        for name in names:
            del self.there[which][self.key(name)]
        self.write(which, [ingest.Mutation(remove=name) for name in names])

    def updates(self, which, names):
        """A part replaced, a part removed, a part added."""
        mutations = []
        for name in names:
            now = self.there[which][self.key(name)]
            change = types.Document(id=name, texts={"body": "updated obsidian"})
            change.metadata["color"].string_value = "violet"
            now.texts["body"] = "updated obsidian"
            now.metadata["color"].string_value = "violet"
            now.metadata.pop("weight", None)
            mutations.append(ingest.Mutation(update=ingest.PartialUpdate(
                set=change, remove_metadata=["weight"])))
        self.write(which, mutations)

    def expired(self, which, names):
        """Documents that nobody may find, in any year. Without texts, so that the scores of others
        do not depend on whether they have been cleared away."""
        messages = [document(self.chance, name, 1) for name in names]
        for message in messages:
            message.expires_at_ms = YEAR_2001
            message.texts.clear()
        self.write(which, [ingest.Mutation(upsert=message) for message in messages])

    def stream(self, batches):
        requests = [ingest.StreamRequest(open=ingest.StreamOpen(scope=NOTES, producer_id=PRODUCER))]
        for names in batches:
            self.client_seq += 1
            self.version += 1
            requests.append(ingest.StreamRequest(batch=ingest.StreamBatch(
                client_seq=self.client_seq,
                mutations=[self.put("notes", document(self.chance, name, self.version))
                           for name in names])))
        acks = [r.ack for r in self.stubs.ingest.Stream(iter(requests))][1:]
        assert len(acks) == len(batches) and not any(a.errors for a in acks), acks

    def tune(self):
        """Weights of vectors and words, learnt where vectors know the document and words mislead."""
        requests = [tuning.TuneRequest(start=tuning.TuneStart(scope=NOTES))]
        for n in (*range(10), *range(15, 24)):
            name = numbered(n)
            now, other = (self.there["notes"][self.key(m)] for m in (name, numbered(39 - n)))
            requests.append(tuning.TuneRequest(query=tuning.JudgedQuery(
                vector=search.VectorQuery(field="v", vector=now.vectors["v"]),
                text=search.TextQuery(query=other.texts["body"]),
                judgements=[tuning.Judgement(id=name, grade=1)])))
        outcome = list(self.stubs.collections.Tune(iter(requests)))[-1].outcome
        assert outcome.version > 0, outcome
        assert outcome.fusion.choice != tuning.TUNING_CHOICE_DEFAULTS, outcome

    def first_half(self):
        self.stubs.collections.Create(collections.CreateCollectionRequest(
            scope=NOTES, schema=schema(), retention_ms=CENTURY_MS))
        self.upserts("notes", [numbered(n) for n in range(40)])
        self.upserts("other", [types.DocumentId(text=f"o/{n}") for n in range(5)])
        self.write("dropped", [ingest.Mutation(upsert=document(self.chance, numbered(n), 1))
                               for n in range(5)])
        self.stream([[numbered(100 + 4 * b + n) for n in range(4)] for b in range(3)])
        self.upserts("notes", [numbered(n) for n in range(0, 10)])
        self.removes("notes", [numbered(n) for n in range(10, 15)])
        self.expired("notes", [numbered(500), types.DocumentId(text="gone")])
        self.tune()
        seq = self.stubs.search.Search(search.SearchRequest(
            scope=NOTES, text=search.TextQuery(query="granite"), limit=1)).seq
        self.middle = [
            {"text": {"query": "granite marble", "fields": ["body"]}, "limit": 20,
             "asOf": {"seq": str(seq)}},
            {"sparse": {"field": "s", "vector": {"indices": list(range(0, 200, 7)),
                                                 "values": [1] * 29}},
             "filter": {"equals": {"field": "color", "value": {"stringValue": "red"}}},
             "limit": 20, "asOf": {"seq": str(seq)}}]
        self.middle = [(question, ask(self.stubs, NOTES, question)) for question in self.middle]

    def second_half(self):
        self.updates("notes", [numbered(n) for n in range(20, 26)])
        self.upserts("notes", [types.DocumentId(text=text) for text in ("7", "ü", "x" * 512)])
        self.upserts("notes", [numbered(n) for n in (7, 12, 2**64 - 1)])
        self.removes("notes", [numbered(30), numbered(101)])
        self.stream([[numbered(200 + 4 * b + n) for n in range(4)] for b in range(2)])
        self.stubs.collections.Drop(collections.DropCollectionRequest(scope=DROPPED))
        self.expired("notes", [numbered(501)])
        self.removes("other", [types.DocumentId(text="o/3")])

    def expectation(self):
        """Everything that `compare` needs, as JSON. Search results are this server's own."""
        chance = random.Random(99)
        questions = [
            {"vector": {"field": "v", "vector": {
                "packed": base64.b64encode(vector(chance, 16, unit=True)).decode()}},
             "limit": 10, "exact": True},
            {"vector": {"field": "w", "vector": {"values": [0.5, -0.25, 1, 0]}},
             "limit": 5, "exact": True},
            {"text": {"query": "granite runners"}, "limit": 10},
            {"text": {"query": "parse frame", "fields": ["code"]}, "limit": 10},
            {"sparse": {"field": "s", "vector": {"indices": list(range(0, 200, 3)),
                                                 "values": [1] * 67}}, "limit": 10},
            {"text": {"query": "obsidian marble"}, "limit": 100, "filter": {"allOf": {"filters": [
                {"equals": {"field": "color", "value": {"stringValue": "violet"}}},
                {"negation": {"exists": {"field": "weight"}}}]}}},
            {"text": {"query": "chalk"}, "limit": 100, "filter": {"range": {
                "field": "weight", "atLeast": {"doubleValue": 0.5}}}},
            {"text": {"query": "flint"}, "limit": 10, "exact": True, "vector": {
                "field": "v", "vector": {
                    "packed": base64.b64encode(vector(chance, 16, unit=True)).decode()}},
             "timeDecay": {"halfLifeMs": "864000000", "originMs": "1610000000000"}},
            {"text": {"query": "schoene strasse laufen", "fields": ["prose"]}, "limit": 10},
            {"text": {"fields": ["body"], "node": {"boolean": {
                "must": [{"phrase": {"text": "granite marble", "slop": 3}}],
                "should": [{"prefix": {"text": "run"}}, {"fuzzy": {"text": "shalr", "edits": 1}}],
                "mustNot": [{"match": {"text": "obsidian"}}]}}}, "limit": 100},
            {"text": {"query": "slate"}, "limit": 20, "ranking": {"rescore": {
                "field": "tokens", "scoreWeight": 0.5, "query": {
                    "dimension": 3, "vectors": {"values": [1, -0.5, 0.25, 0, 2, 1]}}}}},
            {"text": {"query": "quartz"}, "limit": 100, "filter": {"withinDistance": {
                "field": "places", "center": {"lat": 20, "lon": 10},
                "metres": 8_000_000}}},
        ]
        answers = [{"question": question, "hits": hits} for question, hits in self.middle]
        for question in questions:
            hits = ask(self.stubs, NOTES, question)
            answers.append({"question": question, "hits": hits})
        return {
            "collections": {which: describe(self.stubs, scope)
                            for which, scope in (("notes", NOTES), ("other", OTHER))},
            "documents": {which: [MessageToDict(m) for _, m in sorted(there.items())]
                          for which, there in self.there.items()},
            "producer": {"id": PRODUCER, "last_client_seq": self.client_seq},
            "answers": answers,
        }


def describe(stubs, scope):
    answer = stubs.collections.Describe(collections.DescribeCollectionRequest(scope=scope))
    return MessageToDict(answer.collection)


def ask(stubs, scope, question):
    request = ParseDict(question, search.SearchRequest())
    request.scope.CopyFrom(scope)
    return [{"id": MessageToDict(hit.id), "score": hit.score}
            for hit in stubs.search.Search(request).hits]


def within(wanted, got):
    """Whether `got` says all that `wanted` says; it may say more."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(k in got and within(v, got[k])
                                             for k, v in wanted.items())
    if isinstance(wanted, list):
        return (isinstance(got, list) and len(got) == len(wanted)
                and all(map(within, wanted, got)))
    return wanted == got


def documents_of(stubs, scope, projection=None):
    return [document for response in stubs.search.Scan(search.ScanRequest(
        scope=scope, projection=projection or EVERYTHING)) for document in response.documents]


def by_key(messages):
    return {message.id.SerializeToString(deterministic=True): message for message in messages}


def compare(stubs, expected, check: Checks, told):
    """Asks for everything that `expected` names."""
    for which, scope in (("notes", NOTES), ("other", OTHER)):
        wanted = by_key(ParseDict(d, types.Document()) for d in expected["documents"][which])
        scanned = by_key(documents_of(stubs, scope))
        check.equal(sorted(scanned), sorted(wanted), f"{told}: ids of a scan of {which}")
        looked = stubs.search.Lookup(search.LookupRequest(
            scope=scope, ids=[m.id for m in wanted.values()], projection=EVERYTHING))
        for (key, message), result in zip(wanted.items(), looked.results):
            check.equal(result.document, message, f"{told}: look-up in {which}")
            check.equal(scanned.get(key), message, f"{told}: scan of {which}")
        described = describe(stubs, scope)
        for part in ("scope", "id", "schema", "retentionMs", "tuning", "tuningHistory"):
            check(within(expected["collections"][which].get(part), described.get(part)),
                  f"{told}: {part} of {which} is {described}")
        # What has expired counts until it is cleared away.
        count = int(expected["collections"][which]["documentCount"])
        check(len(wanted) <= int(described["documentCount"]) <= count,
              f"{told}: {which} counts {described['documentCount']}")
    gone = failure_of(lambda: stubs.collections.Describe(
        collections.DescribeCollectionRequest(scope=DROPPED)))
    check(gone is not None and gone.code.name == "NOT_FOUND", f"{told}: a dropped one: {gone}")
    hidden = stubs.search.Lookup(search.LookupRequest(
        scope=NOTES, ids=[numbered(500), numbered(501), types.DocumentId(text="gone")]))
    check(not any(r.HasField("document") for r in hidden.results), f"{told}: expired ones show")
    for answer in expected["answers"]:
        hits = ask(stubs, NOTES, answer["question"])
        check.equal([h["id"] for h in hits], [h["id"] for h in answer["hits"]],
                    f"{told}: hits of {answer['question']}")
        for hit, wanted in zip(hits, answer["hits"]):
            check(math.isclose(hit["score"], wanted["score"], rel_tol=1e-5, abs_tol=1e-6),
                  f"{told}: {hit}, wanted {wanted}, of {answer['question']}")
    for message in by_key(ParseDict(d, types.Document())
                          for d in expected["documents"]["notes"]).values():
        own = stubs.search.Search(search.SearchRequest(
            scope=NOTES, limit=1, vector=search.VectorQuery(field="v", vector=message.vectors["v"])))
        check.equal([h.id for h in own.hits], [message.id], f"{told}: its own vector")


def check_producer(stubs, expected, check: Checks, told):
    """The stream goes on where it was: what is sent again is applied once."""
    last = expected["producer"]["last_client_seq"]
    answers = list(stubs.ingest.Stream(iter([
        ingest.StreamRequest(open=ingest.StreamOpen(
            scope=NOTES, producer_id=expected["producer"]["id"])),
        ingest.StreamRequest(batch=ingest.StreamBatch(
            client_seq=last, mutations=[ingest.Mutation(remove=numbered(n)) for n in range(50)]))])))
    check.equal(answers[0].opened.last_client_seq, last, f"{told}: the producer's sequence")
    check(answers[1].ack.duplicate, f"{told}: a batch sent again: {answers[1]}")
