"""What KyroDB's codecs make of a legal message: the rules it must keep, and its canonical form.

`settle(message)` changes a parsed message into the form that our encoder writes and returns the
rules it breaks, each as (reason, path of the field). Every rule is of one of these kinds:

    DocumentId, Value, Filter, TextNode, AsOf, Mutation, StreamRequest, StreamResponse,
    SearchManyResponse, TuneRequest, TuneResponse
                            without a member of their oneof (an absent message is an empty one)
    Aggregation             the same
    DenseVector             format unknown; values and packed both; packed of odd length
    SparseVector            indices and values of different counts
    VectorQuery, SparseQuery, Rescore, SearchManyRequest, GeoDistanceFilter
                            without the message that they are about
    Schema                  a name declared twice
    any enum                a number that the .proto does not name; VALUE_TYPE_UNSPECIFIED
    Filter                  nested deeper than 32 (LIMIT_EXCEEDED at the outermost filter)
    TextNode                nested deeper than 16 (LIMIT_EXCEEDED at the outermost node)
    TextField               more than 4096 stop words (LIMIT_EXCEEDED at stop_word_list)
    Filter.in_set, contains_any, contains_all
                            more than 4096 values (LIMIT_EXCEEDED at in_set.values and so on)
    Document, Schema, PartialUpdate, RebuildRequest
                            more than 256 fields of a kind, in a map or a list (LIMIT_EXCEEDED there)

A broken rule inside a Mutation is that item's error, not the message's.

Normalised, because the domain type holds one form only:

    everywhere              unknown fields are dropped
    Scope, ListCollectionsRequest   empty tenant_id → "default"; absent scope → scope of defaults
    DenseVector             packed, of any format → values
    Projection              empty Selection → absent
    MultiVector.vectors     absent → present
    TextField               empty language → "english"; absent bm25 → k1 1.2, b 0.75;
                            stop_word_list only under LIST; in RebuildRequest without name
    TextNode                boost of 1 → 0
    Schema                  fields sorted by the UTF-8 of their names; absent → present where the
                            message is nothing without it
    VectorField             empty indexing → absent
    Durability              interval_ms only under INTERVAL
    ItemError               code outside google.rpc.Code → UNKNOWN
    WriteOutcome            seq only when APPLIED, error only and always when FAILED
    IndexedError.error, CreateCollectionResponse.collection, DescribeCollectionResponse.collection,
    RebuildResponse.collection, SetRetentionResponse.collection, Judgement.id, TuneOutcome.fusion,
    and of LearnedFusion and TuningFold every message
                            absent → present
    Mutation                one that breaks a rule → empty
    Status                  details → the first of each kind known, in the order ErrorInfo,
                            BadRequest, RetryInfo; ErrorInfo.metadata dropped, domain "kyrodb";
                            the first violation only, its description the message; retry_delay in
                            whole milliseconds, dropped when negative or beyond 63 bits
"""

import struct

from generate import field, LEN
from schema import ANY_CONTENTS

FILTER_DEPTH_MAX = 32
SET_VALUES_MAX = 4096
FIELDS_MAX = 256
TEXT_DEPTH_MAX = 16
STOP_WORDS_MAX = 4096
INVALID, LIMIT = "INVALID_FIELD", "LIMIT_EXCEEDED"


def half_to_single(half):
    """Bits of a binary16 as bits of a binary32; a NaN keeps its payload."""
    sign, exponent, fraction = (half & 0x8000) << 16, half >> 10 & 31, half & 0x3FF
    if exponent == 31:
        return sign | 0x7F800000 | fraction << 13
    if exponent:
        return sign | exponent + 112 << 23 | fraction << 13
    return sign | struct.unpack("<I", struct.pack("<f", fraction * 2.0**-24))[0]


HALVES = [half_to_single(half) for half in range(65536)]


def join(path, name):
    if not path:
        return name
    return path + name if name.startswith("[") else path + "." + name


def enum(m, name, path, out, count, first=0):
    if not first <= getattr(m, name) < count:
        out.append((INVALID, join(path, name)))


def dense_vector(m, path, out):
    layout, packed = m.format, m.packed
    if not 0 <= layout <= 2:
        out.append((INVALID, join(path, "format")))
        return
    m.format = 0
    if not packed:
        return
    if m.values:
        out.append((INVALID, path))
        return
    if len(packed) % (4, 2, 1)[layout]:
        out.append((INVALID, join(path, "packed")))
        return
    m.ClearField("packed")
    if layout == 0:
        floats = packed
    elif layout == 1:
        halves = struct.unpack("<%dH" % (len(packed) // 2), packed)
        floats = struct.pack("<%dI" % len(halves), *[HALVES[half] for half in halves])
    else:
        floats = struct.pack("<%df" % len(packed), *struct.unpack("%db" % len(packed), packed))
    # Not by assignment: Python's floats are doubles and would quiet a signalling NaN.
    m.MergeFromString(field(1, LEN, floats))


def sparse_vector(m, path, out):
    if len(m.indices) != len(m.values):
        out.append((INVALID, path))


def multi_vector(m, path, out):
    m.vectors.SetInParent()
    dense_vector(m.vectors, join(path, "vectors"), out)


def has_kind(m, path, out):
    if m.WhichOneof("kind") is None:
        out.append((INVALID, path))


def fields_max(m, kinds, path, out):
    for kind in kinds:
        if len(getattr(m, kind)) > FIELDS_MAX:
            out.append((LIMIT, join(path, kind)))


def document(m, path, out):
    fields_max(
        m, ("vectors", "sparse_vectors", "texts", "metadata", "multi_vectors"), path, out)
    has_kind(m.id, join(path, "id"), out)
    m.id.SetInParent()
    for kind, check in (("vectors", dense_vector), ("sparse_vectors", sparse_vector),
                        ("metadata", has_kind), ("multi_vectors", multi_vector)):
        entries = getattr(m, kind)
        for key in entries:
            check(entries[key], join(path, f'{kind}["{key}"]'), out)


def filter_depth(m):
    node = m.WhichOneof("node")
    if node in ("negation", "sql_not"):
        return 1 + filter_depth(getattr(m, node))
    if node in ("all_of", "any_of"):
        return 1 + max(map(filter_depth, getattr(m, node).filters), default=0)
    return 1


def filter_node(m, path, out):
    node = m.WhichOneof("node")
    if node is None:
        out.append((INVALID, path))
        return
    inner, path = getattr(m, node), join(path, node)
    if node in ("all_of", "any_of"):
        for index, child in enumerate(inner.filters):
            filter_node(child, join(path, f"filters[{index}]"), out)
    elif node in ("negation", "sql_not"):
        filter_node(inner, path, out)
    elif node == "equals":
        has_kind(inner.value, join(path, "value"), out)
        inner.value.SetInParent()
    elif node in ("in_set", "contains_any", "contains_all"):
        if len(inner.values) > SET_VALUES_MAX:
            out.append((LIMIT, join(path, "values")))
        for index, item in enumerate(inner.values):
            has_kind(item, join(path, f"values[{index}]"), out)
    elif node == "within_distance":
        if not inner.HasField("center"):
            out.append((INVALID, join(path, "center")))
    elif node == "range":
        for bound in (inner.WhichOneof("lower"), inner.WhichOneof("upper")):
            if bound:
                has_kind(getattr(inner, bound), join(path, bound), out)


def filter_root(m, path, out):
    if filter_depth(m) > FILTER_DEPTH_MAX:
        out.append((LIMIT, path))
    else:
        filter_node(m, path, out)


def projection(m, path, out):
    for kind in ("metadata", "texts", "vectors", "sparse_vectors", "multi_vectors"):
        selection = getattr(m, kind)
        if not selection.all and not selection.names:
            m.ClearField(kind)
    enum(m, "vector_encoding", path, out, 2)


def item_error(m):
    if not 0 <= m.code <= 16:
        m.code = 2


def scope(m):
    m.scope.SetInParent()
    if not m.scope.tenant_id:
        m.scope.tenant_id = "default"


# Collections


def vector_index(m, path, out):
    """VectorIndexing and VectorIndexStatus."""
    for name, count in (("kind", 4), ("codes", 6), ("rerank", 3), ("storage", 2)):
        enum(m, name, path, out, count)


def text_field(m, path, out):
    enum(m, "analyzer", path, out, 3)
    enum(m, "stop_words", path, out, 3)
    m.language = m.language or "english"
    if not m.HasField("bm25"):
        m.bm25.k1, m.bm25.b = 1.2, 0.75
    if len(m.stop_word_list) > STOP_WORDS_MAX:
        out.append((LIMIT, join(path, "stop_word_list")))
    if m.stop_words != 2:
        m.ClearField("stop_word_list")


def schema(m, path, out):
    kinds = ("vectors", "sparse_vectors", "texts", "metadata", "multi_vectors")
    fields_max(m, kinds, path, out)
    for kind in kinds:
        fields = getattr(m, kind)
        names = set()
        for index, item in enumerate(fields):
            here = join(path, f"{kind}[{index}]")
            if item.name in names:
                out.append((INVALID, join(here, "name")))
            names.add(item.name)
            if kind == "vectors":
                enum(item, "metric", here, out, 3)
                if item.HasField("indexing"):
                    vector_index(item.indexing, join(here, "indexing"), out)
                    if not item.indexing.ByteSize():
                        item.ClearField("indexing")
            elif kind == "texts":
                text_field(item, here, out)
            elif kind == "metadata":
                enum(item, "type", here, out, 13, first=1)
        if len(fields) > 1:
            fields.sort(key=lambda item: item.name.encode())


def collection(m, path, out):
    scope(m)
    m.schema.SetInParent()
    schema(m.schema, join(path, "schema"), out)
    if m.HasField("durability"):
        enum(m.durability, "policy", join(path, "durability"), out, 3)
        if m.durability.policy != 1:
            m.durability.ClearField("interval_ms")
    # A request to create has none of them.
    if "tuning" in m.DESCRIPTOR.fields_by_name:
        if m.HasField("tuning"):
            tuning(m.tuning, join(path, "tuning"), out)
        for index, item in enumerate(m.tuning_history):
            tuning(item, join(path, f"tuning_history[{index}]"), out)


def tuning(m, path, out):
    for index, item in enumerate(m.fusions):
        learned_fusion(item, join(path, f"fusions[{index}]"), out)


def learned_fusion(m, path, out):
    m.legs.SetInParent()
    enum(m, "choice", path, out, 3)
    m.figures.SetInParent()
    m.fusion.SetInParent()
    enum(m.fusion, "method", join(path, "fusion"), out, 3)
    enum(m.fusion, "normalisation", join(path, "fusion"), out, 3)
    for index, fold in enumerate(m.folds):
        fold.figures.SetInParent()
        fold.fusion.SetInParent()
        enum(fold.fusion, "method", join(path, f"folds[{index}].fusion"), out, 3)
        enum(fold.fusion, "normalisation", join(path, f"folds[{index}].fusion"), out, 3)


def tune_request(m, path, out):
    kind = m.WhichOneof("part")
    if kind is None:
        out.append((INVALID, path))
    elif kind == "start":
        scope(m.start)
    else:
        query = m.query
        for index, item in enumerate(query.judgements):
            item.id.SetInParent()
            has_kind(item.id, f"query.judgements[{index}].id", out)
        legs(query, "query", out)
        if query.HasField("filter"):
            filter_root(query.filter, "query.filter", out)


def tune_response(m, path, out):
    kind = m.WhichOneof("part")
    if kind is None:
        out.append((INVALID, path))
    elif kind == "outcome":
        m.outcome.fusion.SetInParent()
        learned_fusion(m.outcome.fusion, "outcome.fusion", out)


def create_collection_request(m, path, out):
    collection(m, path, out)


def collection_answer(m, path, out):
    m.collection.SetInParent()
    collection(m.collection, "collection", out)


def describe_collection_response(m, path, out):
    collection_answer(m, path, out)
    for index, item in enumerate(m.vectors):
        vector_index(item, f"vectors[{index}]", out)
    for index, item in enumerate(m.metadata):
        for bound in ("lowest", "highest"):
            if item.HasField(bound):
                has_kind(getattr(item, bound), f"metadata[{index}].{bound}", out)


def rebuild_request(m, path, out):
    scope(m)
    fields_max(m, ("vectors", "texts"), path, out)
    for key in m.vectors:
        vector_index(m.vectors[key], join(path, f'vectors["{key}"]'), out)
    for key in m.texts:
        text_field(m.texts[key], join(path, f'texts["{key}"]'), out)
        m.texts[key].ClearField("name")


def scope_request(m, path, out):
    scope(m)


def list_collections_request(m, path, out):
    m.tenant_id = m.tenant_id or "default"


def list_collections_response(m, path, out):
    for index, item in enumerate(m.collections):
        collection(item, f"collections[{index}]", out)


def plain(m, path, out):
    """Nothing to normalise, no rule."""


# Ingest


def mutation(m, path, out):
    operation = m.WhichOneof("operation")
    if operation is None:
        out.append((INVALID, path))
    elif operation == "upsert":
        document(m.upsert, join(path, "upsert"), out)
    elif operation == "update":
        document(m.update.set, join(path, "update.set"), out)
        fields_max(
            m.update,
            ("remove_vectors", "remove_sparse_vectors", "remove_texts", "remove_metadata",
             "remove_multi_vectors"),
            join(path, "update"), out)
    else:
        has_kind(m.remove, join(path, "remove"), out)


def mutations(items, item_errors):
    for index, item in enumerate(items):
        broken = []
        mutation(item, f"mutations[{index}]", broken)
        if broken:
            item_errors[index] = broken
            item.Clear()


def create_if_missing(m, path, out):
    if m.HasField("create_if_missing"):
        m.create_if_missing.schema.SetInParent()
        schema(m.create_if_missing.schema, join(path, "create_if_missing.schema"), out)


def write_request(m, path, out, item_errors):
    scope(m)
    mutations(m.mutations, item_errors)
    create_if_missing(m, path, out)


def stream_request(m, path, out, item_errors):
    kind = m.WhichOneof("message")
    if kind is None:
        out.append((INVALID, path))
    elif kind == "open":
        scope(m.open)
        create_if_missing(m.open, "open", out)
    else:
        mutations(m.batch.mutations, item_errors)


def write_response(m, path, out):
    for index, item in enumerate(m.outcomes):
        enum(item, "result", f"outcomes[{index}]", out, 4)
        if item.result != 1:
            item.ClearField("seq")
        if item.result == 0:
            item.error.SetInParent()
            item_error(item.error)
        else:
            item.ClearField("error")


def stream_response(m, path, out):
    kind = m.WhichOneof("message")
    if kind is None:
        out.append((INVALID, path))
    elif kind == "ack":
        for item in m.ack.errors:
            item.error.SetInParent()
            item_error(item.error)


# Search


TEXT_LISTS = ("must", "should", "must_not")


def text_depth(m):
    if m.WhichOneof("node") != "boolean":
        return 1
    children = [child for name in TEXT_LISTS for child in getattr(m.boolean, name)]
    return 1 + max(map(text_depth, children), default=0)


def text_node(m, path, out):
    if m.boost == 1 or m.boost == 0:
        m.ClearField("boost")
    node = m.WhichOneof("node")
    if node is None:
        out.append((INVALID, path))
    elif node == "match":
        enum(m.match, "operator", join(path, "match"), out, 2)
    elif node == "boolean":
        for name in TEXT_LISTS:
            for index, child in enumerate(getattr(m.boolean, name)):
                text_node(child, join(path, f"boolean.{name}[{index}]"), out)


def text_query(m, path, out):
    enum(m, "operator", path, out, 2)
    if m.HasField("node"):
        if text_depth(m.node) > TEXT_DEPTH_MAX:
            out.append((LIMIT, join(path, "node")))
        else:
            text_node(m.node, join(path, "node"), out)


def aggregation(m, path, out):
    has_kind(m, path, out)
    enum(m, "over", path, out, 2)
    if m.HasField("time_histogram"):
        enum(m.time_histogram, "calendar", join(path, "time_histogram"), out, 5)
    if m.HasField("filter"):
        filter_root(m.filter, join(path, "filter"), out)


def aggregation_result(m, path, out):
    if m.HasField("facet"):
        for index, bucket in enumerate(m.facet.buckets):
            has_kind(bucket.value, join(path, f"facet.buckets[{index}].value"), out)
            bucket.value.SetInParent()
    if m.HasField("stats"):
        for bound in ("min", "max"):
            if m.stats.HasField(bound):
                has_kind(getattr(m.stats, bound), join(path, f"stats.{bound}"), out)


def legs(m, path, out):
    for leg, check in (("vector", dense_vector), ("sparse", sparse_vector)):
        if m.HasField(leg):
            query, here = getattr(m, leg), join(path, leg + ".vector")
            if query.HasField("vector"):
                check(query.vector, here, out)
            else:
                out.append((INVALID, here))
    if m.HasField("text"):
        text_query(m.text, join(path, "text"), out)
        fields_max(m.text, ("boosts",), join(path, "text"), out)
        enum(m.text, "scoring", join(path, "text"), out, 2)


def search_request(m, path, out):
    scope(m)
    legs(m, path, out)
    for index, item in enumerate(m.aggregations):
        aggregation(item, join(path, f"aggregations[{index}]"), out)
    if m.HasField("filter"):
        filter_root(m.filter, join(path, "filter"), out)
    if m.HasField("time_decay"):
        enum(m.time_decay, "shape", join(path, "time_decay"), out, 3)
    if m.HasField("fusion"):
        enum(m.fusion, "method", join(path, "fusion"), out, 3)
        enum(m.fusion, "normalisation", join(path, "fusion"), out, 3)
    if m.HasField("projection"):
        projection(m.projection, join(path, "projection"), out)
    as_of(m, path, out)
    if m.ranking.HasField("grouping"):
        enum(m.ranking.grouping, "missing", join(path, "ranking.grouping"), out, 3)
    if m.ranking.HasField("rescore"):
        here = join(path, "ranking.rescore.query")
        if m.ranking.rescore.HasField("query"):
            multi_vector(m.ranking.rescore.query, here, out)
        else:
            out.append((INVALID, here))


def search_response(m, path, out):
    for index, hit in enumerate(m.hits):
        here = join(path, f"hits[{index}]")
        has_kind(hit.id, join(here, "id"), out)
        if hit.HasField("document"):
            document(hit.document, join(here, "document"), out)
        if hit.HasField("group"):
            has_kind(hit.group, join(here, "group"), out)
    for index, item in enumerate(m.aggregations):
        aggregation_result(item, join(path, f"aggregations[{index}]"), out)
    if m.HasField("explain"):
        for index, item in enumerate(m.explain.shards):
            enum(item, "vector_strategy", join(path, f"explain.shards[{index}]"), out, 7)


def search_many_request(m, path, out):
    if not m.HasField("search"):
        out.append((INVALID, "search"))
    else:
        search_request(m.search, "search", out)


def search_many_response(m, path, out):
    kind = m.WhichOneof("result")
    if kind is None:
        out.append((INVALID, path))
    elif kind == "response":
        search_response(m.response, "response", out)
    else:
        item_error(m.error)


def as_of(m, path, out):
    if m.HasField("as_of") and m.as_of.WhichOneof("moment") is None:
        out.append((INVALID, join(path, "as_of")))


def lookup_request(m, path, out):
    scope(m)
    for index, item in enumerate(m.ids):
        has_kind(item, f"ids[{index}]", out)
    if m.HasField("projection"):
        projection(m.projection, "projection", out)
    as_of(m, path, out)


def lookup_response(m, path, out):
    for index, item in enumerate(m.results):
        has_kind(item.id, f"results[{index}].id", out)
        if item.HasField("document"):
            document(item.document, f"results[{index}].document", out)


def scan_request(m, path, out):
    scope(m)
    if m.HasField("filter"):
        filter_root(m.filter, "filter", out)
    if m.HasField("projection"):
        projection(m.projection, "projection", out)
    as_of(m, path, out)


def scan_response(m, path, out):
    for index, item in enumerate(m.documents):
        document(item, f"documents[{index}]", out)


# Operations, health, status


def status_response(m, path, out):
    enum(m, "state", path, out, 3)
    enum(m, "admission", path, out, 3)
    enum(m, "reserve", path, out, 3)
    for index, item in enumerate(m.shards):
        enum(item, "state", f"shards[{index}]", out, 4)
        enum(item, "recovery_phase", f"shards[{index}]", out, 4)
    if m.HasField("backup"):
        enum(m.backup, "running", "backup", out, 4)


def create_backup_response(m, path, out):
    if m.HasField("backup"):
        enum(m.backup, "kind", "backup", out, 4)


def health_check_response(m, path, out):
    enum(m, "status", path, out, 4)


def status(m, path, out):
    """Raises DecodeError when a detail of a known kind is not protobuf."""
    found = {}
    for detail in m.details:
        name = detail.type_url.rpartition("/")[2]
        if name in ANY_CONTENTS:
            found.setdefault(name, ANY_CONTENTS[name].FromString(detail.value))
    if not 0 <= m.code <= 16:
        m.code = 2
    message = m.message
    m.ClearField("details")
    info = ANY_CONTENTS["google.rpc.ErrorInfo"](domain="kyrodb")
    if "google.rpc.ErrorInfo" in found:
        info.reason = found["google.rpc.ErrorInfo"].reason
    m.details.add().Pack(info)
    request = found.get("google.rpc.BadRequest")
    if request and request.field_violations:
        pack = ANY_CONTENTS["google.rpc.BadRequest"]()
        pack.field_violations.add(
            field=request.field_violations[0].field, description=message)
        m.details.add().Pack(pack)
    retry = found.get("google.rpc.RetryInfo")
    if retry is not None and retry.HasField("retry_delay"):
        delay = retry.retry_delay
        whole = delay.seconds * 1000
        millis = whole + int(delay.nanos / 1e6)
        if -2**63 <= whole < 2**63 and 0 <= millis < 2**63:
            pack = ANY_CONTENTS["google.rpc.RetryInfo"]()
            pack.retry_delay.seconds = millis // 1000
            pack.retry_delay.nanos = millis % 1000 * 1_000_000
            if not millis:
                pack.retry_delay.SetInParent()
            m.details.add().Pack(pack)


SETTLE = {
    "Document": document, "Filter": filter_root, "Value": has_kind, "Projection": projection,
    "CreateCollectionRequest": create_collection_request,
    "CreateCollectionResponse": collection_answer, "DescribeCollectionRequest": scope_request,
    "DescribeCollectionResponse": describe_collection_response,
    "ListCollectionsRequest": list_collections_request,
    "ListCollectionsResponse": list_collections_response, "DropCollectionRequest": scope_request,
    "DropCollectionResponse": plain, "RebuildRequest": rebuild_request,
    "TuneRequest": tune_request, "TuneResponse": tune_response,
    "RollBackTuningRequest": scope_request, "RollBackTuningResponse": plain,
    "RebuildResponse": collection_answer, "SetRetentionRequest": scope_request,
    "SetRetentionResponse": collection_answer, "WriteResponse": write_response,
    "StreamResponse": stream_response, "SearchRequest": search_request,
    "SearchResponse": search_response, "SearchManyRequest": search_many_request,
    "SearchManyResponse": search_many_response, "LookupRequest": lookup_request,
    "LookupResponse": lookup_response, "ScanRequest": scan_request,
    "ScanResponse": scan_response, "StatusResponse": status_response, "SnapshotResponse": plain,
    "FlushResponse": plain, "StatusRequest": plain, "SnapshotRequest": plain,
    "FlushRequest": plain, "CreateBackupRequest": plain,
    "CreateBackupResponse": create_backup_response, "HealthCheckRequest": plain,
    "HealthCheckResponse": health_check_response, "Status": status,
}
SETTLE_BATCH = {"WriteRequest": write_request, "StreamRequest": stream_request}


def settle(message):
    """(broken rules, {position: broken rules of that item}); changes `message`."""
    name = message.DESCRIPTOR.name
    out, item_errors = [], {}
    message.DiscardUnknownFields()
    if name in SETTLE_BATCH:
        SETTLE_BATCH[name](message, "", out, item_errors)
    else:
        SETTLE[name](message, "", out)
    return out, item_errors
