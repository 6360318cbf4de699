"""A collection under crash tests: its ledger, its writers, and every way of reading it."""
import derived
from harness import collections, ingest, operations, search, types
from ledger import ABSENT, Ledger, StreamWriter, UnaryWriter, check, common_point

BASE_FIRST = 1_000_000  # ids of the documents that stay, so that there is a graph
UNARY_WRITERS = 2
ANYTHING = types.SparseVector(indices=[derived.ALL_INDEX], values=[1])


class World:
    """Documents 0 ..< hot change, `base` others stay. A third of the hot ones belongs to each unary
    writer, so that the order of two unanswered calls never matters, and a third to a stream.

    `interval_seconds` is what the server promises of this collection: None for `always`.
    """

    def __init__(self, namespace, hot, base, seed, interval_seconds=None, batch=20):
        self.scope = types.Scope(namespace=namespace)
        self.hot, self.base, self.seed, self.batch = hot, base, seed, batch
        self.ledger = Ledger(hot, interval_seconds)
        parts = UNARY_WRITERS + 1
        self.unary_numbers = [[n for n in range(hot) if n % parts == part]
                              for part in range(UNARY_WRITERS)]
        self.stream_numbers = [n for n in range(hot) if n % parts == UNARY_WRITERS]
        self.stream = StreamWriter(self.scope, self.ledger, self.stream_numbers, seed, batch)
        self.writers = []
        self.shard_of = {}

    def create(self, stubs, create_request=None):
        """`create_request` is called with the request, to add what an issue of its own is about."""
        request = collections.CreateCollectionRequest(scope=self.scope, schema=collections.Schema(
            vectors=[collections.VectorField(name="v", dimension=derived.DIMENSION)],
            sparse_vectors=[collections.SparseField(name="s")],
            texts=[collections.TextField(name="body")]))
        if create_request is not None:
            create_request(request)
        stubs.collections.Create(request)
        last = BASE_FIRST + self.base
        for first in range(BASE_FIRST, last, 1_000):
            stubs.ingest.Write(ingest.WriteRequest(scope=self.scope, mutations=[
                derived.upsert(n, 1) for n in range(first, min(first + 1_000, last))]))

    def learn_shards(self, stubs):
        """Writes every hot document once and asks which shard's part of a filter it is."""
        ledger = self.ledger
        mutations = [derived.upsert(n, 1) for n in range(self.hot)]
        outcomes = stubs.ingest.Write(ingest.WriteRequest(
            scope=self.scope, mutations=mutations)).outcomes
        check(all(o.result == ingest.WRITE_RESULT_APPLIED for o in outcomes), "the first version")
        stubs.operations.Flush(operations.FlushRequest())
        for number in range(self.hot):
            ledger.versions[number] = 1
            ledger.resolve(number, 1)
        questions = [search.SearchRequest(
            scope=self.scope, limit=1, explain=True, exact=True, filter=equals("number", n),
            vector=search.VectorQuery(field="v", vector=derived.packed(derived.vector(n, 1))))
            for n in range(self.hot)]
        for number, answer in enumerate(ask_many(stubs, questions)):
            holders = [s.shard for s in answer.response.explain.shards if s.filter_matches > 0]
            check.equal(len(holders), 1, f"shards that hold document {number}")
            self.shard_of[number] = holders[0]

    def begin(self, target, life):
        self.writers = [
            UnaryWriter(target, self.scope, self.ledger, numbers, life + part, self.batch)
            for part, numbers in enumerate(self.unary_numbers)]
        self.stream = self.stream.next_life()
        for writer in self.writers:
            writer.start()
        self.stream.begin(target)

    def join(self):
        for writer in (*self.writers, self.stream):
            writer.join(timeout=30)
            check(not writer.is_alive(), f"{writer} hangs after a crash")

    def stop(self):
        """Lets the writers end between two calls."""
        for writer in (*self.writers, self.stream):
            writer.stopping.set()
        self.join()

    def lookup_all(self, stubs):
        """State by number; the parts of each document must belong together."""
        response = stubs.search.Lookup(search.LookupRequest(
            scope=self.scope, ids=[types.DocumentId(number=n) for n in range(self.hot)]))
        states = []
        for result in response.results:
            if not result.HasField("document"):
                states.append(ABSENT)
                continue
            for problem in derived.problems(result.document):
                check(False, f"half applied: {problem}")
            states.append(result.document.metadata["version"].int_value)
        return states

    def verify(self, stubs, chance, cut_at=None):
        """After a restart. `cut_at` is when the power went, None after a kill. Returns how many
        acknowledged operations an interval has cost."""
        states = self.lookup_all(stubs)
        for number, state in enumerate(states):
            allowed = self.ledger.allowed(number, cut_at)
            if state not in allowed:
                check(False, f"{self.scope.namespace}: document {number} is at {state}, "
                      f"allowed {allowed}")
        lost = self.check_suffix(states, cut_at)
        touched = [n for n in range(self.hot) if self.ledger.is_open(n)]
        for numbers in self.unary_numbers:
            for number in numbers:
                self.ledger.resolve(number, states[number])
        lost += self.stream.resend(stubs, cut_at) * self.batch
        stubs.operations.Flush(operations.FlushRequest())
        after = self.lookup_all(stubs)
        for number, state in enumerate(after):
            if state != self.ledger.settled[number][1]:
                check(False, f"{self.scope.namespace}: document {number} is at {state} after the "
                      f"resend, wanted {self.ledger.settled[number][1]}")
        self.check_legs(stubs, after, touched, chance)
        return lost

    def check_suffix(self, states, cut_at):
        """What an interval lost is the end of what each shard's log had, the two kinds of writers
        each on their own."""
        if cut_at is None or self.ledger.interval is None:
            return 0
        unary = [n for numbers in self.unary_numbers for n in numbers]
        for name, numbers in (("unary", unary), ("stream", self.stream_numbers)):
            for shard in set(self.shard_of.values()):
                ranges = [self.ledger.cut_ranges(n, states[n])
                          for n in numbers if self.shard_of[n] == shard]
                check(common_point(ranges), f"{self.scope.namespace}: what {name} writers lost on "
                      f"shard {shard} is no suffix")
        return sum(1 for n in unary for o in self.ledger.pending[n]
                   if o.order is not None and states[n] != self.ledger.latest(n))

    def check_legs(self, stubs, states, touched, chance):
        """The same documents through every way of reading."""
        present = [n for n, state in enumerate(states) if state is not ABSENT]

        def found(**leg):
            response = stubs.search.Search(search.SearchRequest(
                scope=self.scope, filter=equals("area", "hot"), limit=10_000, candidates=10_000,
                exact=True, **leg))
            return sorted(hit.id.number for hit in response.hits)

        query = derived.packed(derived.vector(99, 99))
        same = {
            "text": found(text=search.TextQuery(query="common")),
            "sparse": found(sparse=search.SparseQuery(field="s", vector=ANYTHING)),
            "vector": found(vector=search.VectorQuery(field="v", vector=query)),
        }
        for leg, numbers in same.items():
            check(numbers == present, f"{leg} finds {len(numbers)} documents of {len(present)}; "
                  f"differing {sorted(set(numbers) ^ set(present))[:5]}")
        scanned = [d.id.number for r in stubs.search.Scan(search.ScanRequest(
            scope=self.scope, projection=types.Projection())) for d in r.documents]
        check(scanned == present + list(range(BASE_FIRST, BASE_FIRST + self.base)),
              f"scan finds {len(scanned)} documents, wanted {len(present) + self.base}")
        count = stubs.collections.Describe(
            collections.DescribeCollectionRequest(scope=self.scope)).collection.document_count
        check.equal(count, len(present) + self.base, "document count")

        sample = set(chance.sample(range(self.hot), 60)) | set(touched[:100])
        sample |= {BASE_FIRST + chance.randrange(self.base) for _ in range(20) if self.base}
        questions, answers = [], []
        for number in sorted(sample):
            state = states[number] if number < self.hot else 1
            for question, wanted in self.own_questions(number, state):
                question.scope.CopyFrom(self.scope)
                questions.append(question)
                answers.append(wanted)
        for question, wanted, answer in zip(questions, answers, ask_many(stubs, questions)):
            numbers = [hit.id.number for hit in answer.response.hits]
            if numbers != wanted:
                check(False, f"{question} finds {numbers}, wanted {wanted}: {answer.error}")
        check.passed += len(questions)

    def own_questions(self, number, state):
        """Questions that only this document in this version answers."""
        version = state if state is not ABSENT else 1
        wanted = [number] if state is not ABSENT else []
        own = derived.packed(derived.vector(number, version))
        coordinate = types.SparseVector(indices=[derived.own_index(number, version)], values=[1])
        yield search.SearchRequest(limit=3, text=search.TextQuery(
            query=derived.word(number, version))), wanted
        yield search.SearchRequest(limit=3, sparse=search.SparseQuery(
            field="s", vector=coordinate)), wanted
        yield search.SearchRequest(
            limit=3, filter=equals("tag", derived.word(number, version)),
            vector=search.VectorQuery(field="v", vector=own)), wanted
        if wanted:
            yield search.SearchRequest(limit=1, vector=search.VectorQuery(
                field="v", vector=own)), wanted
        if state is not ABSENT and state > 1 and number < BASE_FIRST:
            yield search.SearchRequest(limit=3, text=search.TextQuery(
                query=derived.word(number, version - 1))), []


def equals(field, value):
    kind = {"string_value": value} if isinstance(value, str) else {"int_value": value}
    return types.Filter(equals=types.EqualsFilter(field=field, value=types.Value(**kind)))


def ask_many(stubs, questions):
    """Answers in the order of the questions."""
    got = {a.tag: a for a in stubs.search.SearchMany(iter([
        search.SearchManyRequest(tag=n, search=q) for n, q in enumerate(questions)]))}
    check.equal(sorted(got), list(range(len(questions))), "tags of answers")
    return [got[n] for n in range(len(questions))]
