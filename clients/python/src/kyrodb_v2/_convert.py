"""Between the values of `types` and protobuf messages; vectors go and come as packed bytes."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

import numpy as np

from . import types
from ._proto import (
    aggregations_pb2, collections_pb2, ingest_pb2, ranking_pb2, search_pb2, text_pb2,
    tuning_pb2, types_pb2,
)
from .errors import KyroError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLI = timedelta(milliseconds=1)
_METRICS = ("cosine", "inner_product", "l2")
_ANALYZERS = ("standard", "code", "raw")
_DURABILITIES = ("always", "interval", "never")
_VALUE_TYPES = ("", "string", "int64", "double", "bool", "timestamp", "string_list", "int64_list",
                "double_list", "bool_list", "timestamp_list", "geo_point", "geo_point_list")
_TEXT_SCORINGS = ("sum", "bm25f")
_FUSIONS = ("weighted", "rrf", "max")
_NORMALISATIONS = ("min_max", "z_score", "distribution")
_MISSING_GROUPS = ("alone", "together", "dropped")
_DECAY_SHAPES = ("exponential", "linear", "gauss")
_INDEXING = {
    "kind": ("automatic", "graph", "ivf", "flat"),
    "codes": ("automatic", "none", "sq8", "sq4", "bq", "pq"),
    "rerank": ("f32", "bf16", "none"),
    "storage": ("memory", "disk"),
}
_INDEXING_NUMBERS = ("m", "ef_construction", "ef_search", "lists", "probes")


def _position(name: str, names: Sequence[str], what: str) -> int:
    if name not in names:
        raise ValueError(f"{what} is {name!r}; it must be one of {', '.join(filter(None, names))}")
    return names.index(name)


def millis(time: datetime) -> int:
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone")
    return (time - _EPOCH) // _MILLI


def time(unix_millis: int) -> datetime:
    return _EPOCH + unix_millis * _MILLI


def document_id(raw: types.DocumentID) -> types_pb2.DocumentId:
    if isinstance(raw, str):
        return types_pb2.DocumentId(text=raw)
    return types_pb2.DocumentId(number=raw)


def document_id_back(message: types_pb2.DocumentId) -> types.DocumentID:
    return message.text if message.WhichOneof("kind") == "text" else message.number


def dense(vector: types.Vector) -> types_pb2.DenseVector:
    """f16 arrays travel as f16, everything else as f32."""
    array = np.asarray(vector)
    if array.ndim != 1:
        raise ValueError(f"a vector has one axis, this array has shape {array.shape}")
    if array.dtype == np.float16:
        return types_pb2.DenseVector(
            packed=array.astype("<f2", copy=False).tobytes(),
            format=types_pb2.VECTOR_FORMAT_F16)
    return types_pb2.DenseVector(packed=array.astype("<f4", copy=False).tobytes())


def multi_vector(rows: types.Vector) -> types_pb2.MultiVector:
    array = np.asarray(rows)
    if array.ndim != 2:
        raise ValueError(f"a multi-vector has two axes, this array has shape {array.shape}")
    return types_pb2.MultiVector(dimension=array.shape[1], vectors=dense(array.reshape(-1)))


def dense_back(message: types_pb2.DenseVector) -> types.Vector:
    if not message.packed:
        return np.array(message.values, dtype=np.float32)
    if message.format == types_pb2.VECTOR_FORMAT_F16:
        return np.frombuffer(message.packed, dtype="<f2")
    if message.format == types_pb2.VECTOR_FORMAT_INT8:
        return np.frombuffer(message.packed, dtype=np.int8).astype(np.float32)
    return np.frombuffer(message.packed, dtype="<f4")


def sparse(vector: types.SparseVector) -> types_pb2.SparseVector:
    return types_pb2.SparseVector(
        indices=np.asarray(vector.indices, dtype=np.uint32).tolist(),
        values=np.asarray(vector.values, dtype=np.float32).tolist())


def sparse_back(message: types_pb2.SparseVector) -> types.SparseVector:
    return types.SparseVector(
        np.array(message.indices, dtype=np.uint32), np.array(message.values, dtype=np.float32))


def geo_point(raw: types.GeoPoint) -> types_pb2.GeoPoint:
    return types_pb2.GeoPoint(lat=raw.lat, lon=raw.lon)


def geo_point_back(message: types_pb2.GeoPoint) -> types.GeoPoint:
    return types.GeoPoint(message.lat, message.lon)


def value(raw: types.Value) -> types_pb2.Value:
    if isinstance(raw, str):
        return types_pb2.Value(string_value=raw)
    if isinstance(raw, (bool, np.bool_)):  # before int: a bool is one
        return types_pb2.Value(bool_value=bool(raw))
    if isinstance(raw, (int, np.integer)):
        return types_pb2.Value(int_value=int(raw))
    if isinstance(raw, (float, np.floating)):
        return types_pb2.Value(double_value=float(raw))
    if isinstance(raw, datetime):
        return types_pb2.Value(timestamp_ms=millis(raw))
    if isinstance(raw, types.GeoPoint):
        return types_pb2.Value(geo_point=geo_point(raw))
    items = list(raw)
    first = items[0] if items else ""
    if isinstance(first, str):
        return types_pb2.Value(strings=types_pb2.StringList(values=items))
    if isinstance(first, (bool, np.bool_)):
        return types_pb2.Value(bools=types_pb2.BoolList(values=items))
    if isinstance(first, datetime):
        return types_pb2.Value(timestamps_ms=types_pb2.Int64List(values=map(millis, items)))
    if isinstance(first, types.GeoPoint):
        return types_pb2.Value(geo_points=types_pb2.GeoPointList(points=map(geo_point, items)))
    if any(isinstance(item, (float, np.floating)) for item in items):
        return types_pb2.Value(doubles=types_pb2.DoubleList(values=items))
    return types_pb2.Value(ints=types_pb2.Int64List(values=items))


def value_back(message: types_pb2.Value) -> types.Value:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ValueError("a value without a kind")
    raw = getattr(message, kind)
    if kind == "timestamp_ms":
        return time(raw)
    if kind == "timestamps_ms":
        return [time(item) for item in raw.values]
    if kind == "geo_point":
        return geo_point_back(raw)
    if kind == "geo_points":
        return [geo_point_back(item) for item in raw.points]
    if kind in ("strings", "ints", "doubles", "bools"):
        return list(raw.values)
    return raw


def document(raw: types.Document) -> types_pb2.Document:
    message = types_pb2.Document(id=document_id(raw.id), texts=raw.texts)
    for name, vector in raw.vectors.items():
        message.vectors[name].CopyFrom(dense(vector))
    for name, entries in raw.sparse_vectors.items():
        message.sparse_vectors[name].CopyFrom(sparse(entries))
    for name, rows in raw.multi_vectors.items():
        message.multi_vectors[name].CopyFrom(multi_vector(rows))
    for name, item in raw.metadata.items():
        message.metadata[name].CopyFrom(value(item))
    if raw.event_time is not None:
        message.event_time_ms = millis(raw.event_time)
    if raw.expires_at is not None:
        message.expires_at_ms = millis(raw.expires_at)
    return message


def document_back(message: types_pb2.Document) -> types.Document:
    return types.Document(
        id=document_id_back(message.id),
        vectors={name: dense_back(vector) for name, vector in message.vectors.items()},
        texts=dict(message.texts),
        metadata={name: value_back(item) for name, item in message.metadata.items()},
        sparse_vectors={name: sparse_back(v) for name, v in message.sparse_vectors.items()},
        event_time=time(message.event_time_ms) if message.HasField("event_time_ms") else None,
        expires_at=time(message.expires_at_ms) if message.HasField("expires_at_ms") else None,
        multi_vectors={name: dense_back(rows.vectors).reshape(-1, rows.dimension)
                       for name, rows in message.multi_vectors.items()})


def mutation(raw: types.Document | types.Update | types.DocumentID) -> ingest_pb2.Mutation:
    """A document is an upsert, an update a partial one, a bare id a removal."""
    if isinstance(raw, types.Document):
        return ingest_pb2.Mutation(upsert=document(raw))
    if isinstance(raw, types.Update):
        return ingest_pb2.Mutation(update=ingest_pb2.PartialUpdate(
            set=document(raw.set), remove_vectors=raw.remove_vectors,
            remove_sparse_vectors=raw.remove_sparse_vectors, remove_texts=raw.remove_texts,
            remove_metadata=raw.remove_metadata, clear_event_time=raw.clear_event_time,
            clear_expiry=raw.clear_expiry, remove_multi_vectors=raw.remove_multi_vectors))
    return ingest_pb2.Mutation(remove=document_id(raw))


def mutation_id(message: ingest_pb2.Mutation) -> types.DocumentID:
    operation = message.WhichOneof("operation")
    if operation == "upsert":
        return document_id_back(message.upsert.id)
    if operation == "update":
        return document_id_back(message.update.set.id)
    return document_id_back(message.remove)


def outcome_back(message: ingest_pb2.WriteOutcome) -> types.WriteOutcome:
    error = KyroError.from_item(message.error) if message.HasField("error") else None
    return types.WriteOutcome(types.WriteResult(message.result), message.seq, error)


def indexing(raw: types.VectorIndexing) -> collections_pb2.VectorIndexing | None:
    return None if raw == types.VectorIndexing() else indexing_message(raw)


def indexing_message(raw: types.VectorIndexing) -> collections_pb2.VectorIndexing:
    return collections_pb2.VectorIndexing(
        **{name: _position(getattr(raw, name), names, name) for name, names in _INDEXING.items()},
        **{name: getattr(raw, name) for name in _INDEXING_NUMBERS})


def _words(message) -> dict[str, str]:
    """The enumerations of a VectorIndexing or a VectorIndexStatus."""
    return {name: names[getattr(message, name)] for name, names in _INDEXING.items()}


def indexing_back(message: collections_pb2.VectorIndexing) -> types.VectorIndexing:
    return types.VectorIndexing(
        **_words(message), **{name: getattr(message, name) for name in _INDEXING_NUMBERS})


def index_status_back(message: collections_pb2.VectorIndexStatus) -> types.VectorIndexStatus:
    return types.VectorIndexStatus(**{**plain(message), **_words(message)})


def text_field(raw: types.TextField) -> collections_pb2.TextField:
    message = collections_pb2.TextField(
        name=raw.name, language=raw.language,
        analyzer=_position(raw.analyzer, _ANALYZERS, "analyzer"),
        fold_diacritics=raw.fold_diacritics, no_stemming=not raw.stemming)
    if raw.k1 is not None and raw.b is not None:
        message.bm25.k1, message.bm25.b = raw.k1, raw.b
    if raw.stop_words is not None:
        message.stop_words = 2 if raw.stop_words else 1
        message.stop_word_list.extend(raw.stop_words)
    return message


def schema(raw: types.Schema) -> collections_pb2.Schema:
    message = collections_pb2.Schema()
    for vector in raw.vectors:
        message.vectors.add(
            name=vector.name, dimension=vector.dimension,
            metric=_position(vector.metric, _METRICS, "metric"), indexing=indexing(vector.indexing))
    for name in raw.sparse_vectors:
        message.sparse_vectors.add(name=name)
    message.texts.extend(text_field(text) for text in raw.texts)
    for name, type_name in raw.metadata.items():
        message.metadata.add(name=name, type=_position(type_name, _VALUE_TYPES, "metadata type"))
    for name, dimension in raw.multi_vectors.items():
        message.multi_vectors.add(name=name, dimension=dimension)
    return message


def durability(text: str | None) -> collections_pb2.Durability | None:
    if text is None:
        return None
    kind, colon, millis = text.partition(":")
    if kind not in _DURABILITIES or (kind == "interval") != bool(colon):
        raise ValueError(
            f"durability is {text!r}; it must be always, interval:MILLIS, never or None")
    return collections_pb2.Durability(
        policy=_DURABILITIES.index(kind), interval_ms=int(millis) if colon else 0)


def durability_back(message: collections_pb2.Durability) -> str:
    kind = _DURABILITIES[message.policy]
    return f"{kind}:{message.interval_ms}" if kind == "interval" else kind


def collection_back(
    message: collections_pb2.Collection,
    vectors: Sequence[collections_pb2.VectorIndexStatus] = (),
    texts: Sequence[collections_pb2.TextIndexStatus] = (),
) -> types.Collection:
    fields = message.schema
    return types.Collection(
        tenant=message.scope.tenant_id, namespace=message.scope.namespace,
        collection_id=message.collection_id, schema_version=message.schema_version,
        document_count=message.document_count,
        durability=(durability_back(message.durability)
                    if message.HasField("durability") else None),
        vector_indexes=[index_status_back(status) for status in vectors],
        retention=message.retention_ms * _MILLI,
        tuning=tuning_back(message.tuning) if message.HasField("tuning") else None,
        tuning_history=[tuning_back(tuning) for tuning in message.tuning_history],
        text_indexes=[types.TextIndexStatus(
            status.field, status.rebuild_rows_done, status.rebuild_rows_total) for status in texts],
        schema=types.Schema(
            vectors=[types.VectorField(
                v.name, v.dimension, _METRICS[v.metric], indexing_back(v.indexing))
                for v in fields.vectors],
            texts=[types.TextField(
                t.name, _ANALYZERS[t.analyzer], t.language,
                t.bm25.k1 if t.HasField("bm25") else None,
                t.bm25.b if t.HasField("bm25") else None, t.fold_diacritics,
                None if t.stop_words == 0 else list(t.stop_word_list), not t.no_stemming)
                for t in fields.texts],
            sparse_vectors=[s.name for s in fields.sparse_vectors],
            metadata={m.name: _VALUE_TYPES[m.type] for m in fields.metadata},
            multi_vectors={m.name: m.dimension for m in fields.multi_vectors}))


def tuning_back(message: tuning_pb2.Tuning) -> types.Tuning:
    return types.Tuning(message.version, [learned_back(fusion) for fusion in message.fusions])


def learned_back(message: tuning_pb2.LearnedFusion) -> types.LearnedFusion:
    fields: dict[str, str | Sequence[str]] = {}
    if message.legs.HasField("vector_field"):
        fields["vector"] = message.legs.vector_field
    if message.legs.HasField("sparse_field"):
        fields["sparse"] = message.legs.sparse_field
    if message.legs.HasField("text"):
        fields["text"] = tuple(message.legs.text.names)

    def figures(raw: tuning_pb2.TuningFigures) -> dict[str, float]:
        return {name: getattr(raw, name) for name in ("tuned", "defaults", *fields)}

    choice = tuning_pb2.TuningChoice.Name(message.choice).removeprefix("TUNING_CHOICE_")
    return types.LearnedFusion(
        legs=fields, choice=choice.lower(), fusion=_FUSIONS[message.fusion.method],
        normalisation=_NORMALISATIONS[message.fusion.normalisation],
        weights={leg: getattr(message.fusion.weights, leg) for leg in fields},
        queries=message.queries, figures=figures(message.figures),
        folds=[figures(fold.figures) for fold in message.folds], reason=message.reason,
        time=datetime.fromtimestamp(message.time_ms / 1000, timezone.utc))


def judged_query(raw: types.JudgedQuery) -> tuning_pb2.JudgedQuery:
    asked = query(types_pb2.Scope(), raw.query)
    message = tuning_pb2.JudgedQuery()
    for part in ("vector", "sparse", "text", "filter", "time_range"):
        if asked.HasField(part):
            getattr(message, part).CopyFrom(getattr(asked, part))
    for key, grade in raw.grades.items():
        message.judgements.add(id=document_id(key), grade=grade)
    return message


def selection(raw: bool | Sequence[str]) -> types_pb2.Selection | None:
    if raw is True:
        return types_pb2.Selection(all=True)
    return types_pb2.Selection(names=raw) if raw else None


def projection(
    metadata: bool | Sequence[str], texts: bool | Sequence[str], vectors: bool | Sequence[str]
) -> types_pb2.Projection:
    """Sparse vectors and multi-vectors come with `vectors=True`."""
    return types_pb2.Projection(
        metadata=selection(metadata), texts=selection(texts), vectors=selection(vectors),
        sparse_vectors=selection(vectors), multi_vectors=selection(vectors),
        vector_encoding=types_pb2.VECTOR_ENCODING_PACKED_F32)


def time_range(start: datetime | None, end: datetime | None) -> types_pb2.TimeRange | None:
    if start is None and end is None:
        return None
    message = types_pb2.TimeRange()
    if start is not None:
        message.from_ms = millis(start)
    if end is not None:
        message.to_ms = millis(end)
    return message


def as_of(moment: int | datetime | None) -> types_pb2.AsOf | None:
    """Of a sequence or a time."""
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return types_pb2.AsOf(time_ms=millis(moment))
    return types_pb2.AsOf(seq=moment)


def query(scope: types_pb2.Scope, raw: types.Query) -> search_pb2.SearchRequest:
    message = search_pb2.SearchRequest(
        scope=scope, filter=raw.filter, time_range=time_range(raw.time_from, raw.time_to),
        limit=raw.limit, offset=raw.offset, candidates=raw.candidates, min_seq=raw.min_seq,
        exact=raw.exact, explain=raw.explain, aggregations=raw.aggregations, paged=raw.paged,
        page_token=raw.page_token, as_of=as_of(raw.as_of))
    if raw.metadata or raw.texts or raw.vectors:
        message.projection.CopyFrom(projection(raw.metadata, raw.texts, raw.vectors))
    if raw.vector is not None:
        message.vector.field = raw.vector_field
        message.vector.ef_search = raw.ef_search
        message.vector.probes = raw.probes
        message.vector.recall = raw.recall
        message.vector.vector.CopyFrom(dense(raw.vector))
    if raw.sparse is not None:
        message.sparse.field = raw.sparse_field
        message.sparse.vector.CopyFrom(sparse(raw.sparse))
    if raw.text is not None:
        if isinstance(raw.text, str):
            message.text.query = raw.text
        else:
            message.text.node.CopyFrom(raw.text)
        message.text.fields.extend(raw.text_fields)
        message.text.operator = 1 if raw.all_words else 0
        message.text.minimum_should_match = raw.min_words
        if raw.highlight:
            before, after = raw.highlight_tags
            message.text.highlight.CopyFrom(text_pb2.HighlightQuery(
                fields=[] if raw.highlight is True else raw.highlight, fragments=raw.fragments,
                fragment_size=raw.fragment_size, before=before, after=after))
        for name, boost in (raw.boosts or {}).items():
            message.text.boosts[name] = boost
        message.text.scoring = _position(raw.text_scoring, _TEXT_SCORINGS, "text_scoring")
    if raw.half_life is not None:
        message.time_decay.half_life_ms = raw.half_life // _MILLI
        if raw.decay_origin is not None:
            message.time_decay.origin_ms = millis(raw.decay_origin)
        message.time_decay.shape = _position(raw.decay_shape, _DECAY_SHAPES, "decay_shape")
        message.time_decay.offset_ms = (raw.decay_offset or timedelta()) // _MILLI
        message.time_decay.floor = raw.decay_floor
    if raw.formula:
        message.ranking.formula = raw.formula
    if raw.rescore_vectors is not None:
        rescore = message.ranking.rescore
        rescore.field = raw.rescore_field
        rescore.query.CopyFrom(multi_vector(raw.rescore_vectors))
        rescore.top, rescore.weight = raw.rescore_top, raw.rescore_weight
        rescore.score_weight = raw.rescore_score_weight
    if raw.group_by:
        message.ranking.grouping.field = raw.group_by
        message.ranking.grouping.hits_per_group = raw.hits_per_group
        message.ranking.grouping.missing = _position(
            raw.missing_group, _MISSING_GROUPS, "missing_group")
    if raw.diversity is not None:
        message.ranking.diversity.CopyFrom(ranking_pb2.Diversity(
            **{"lambda": raw.diversity, "pool": raw.diversity_pool}))
    if raw.fusion is not None:
        message.fusion.method = _position(raw.fusion, _FUSIONS, "fusion")
    if raw.rrf_k:
        message.fusion.rrf_k = raw.rrf_k
    if raw.normalisation is not None:
        message.fusion.normalisation = _position(
            raw.normalisation, _NORMALISATIONS, "normalisation")
    if raw.weights is not None:
        message.fusion.weights.CopyFrom(search_pb2.LegWeights(**_by_leg(raw.weights, "weights")))
    if raw.leg_candidates is not None:
        message.fusion.candidates.CopyFrom(
            search_pb2.LegCandidates(**_by_leg(raw.leg_candidates, "leg_candidates")))
    return message


def _by_leg(raw: Mapping[str, float], what: str) -> Mapping[str, float]:
    unknown = set(raw) - {"vector", "sparse", "text"}
    if unknown:
        raise ValueError(f"{what} of unknown legs: {', '.join(sorted(unknown))}")
    return raw


def _leg_back(message: search_pb2.Hit, leg: str) -> types.LegScore | None:
    if not message.HasField(leg):
        return None
    score = getattr(message, leg)
    return types.LegScore(score.score, score.rank)


def _details_back(hit: search_pb2.Hit) -> types.ScoreDetails | None:
    if not hit.HasField("details"):
        return None
    told = hit.details
    parts = {
        leg: types.LegContribution(**plain(getattr(told, leg))) if told.HasField(leg) else None
        for leg in ("vector", "sparse", "text")}
    return types.ScoreDetails(
        **parts, fused=told.fused, decay=told.decay,
        formula=told.formula if told.HasField("formula") else None,
        **(plain(told.diversity) if told.HasField("diversity") else {}),
        score_before=told.rescore.score if told.HasField("rescore") else None,
        max_sim=told.rescore.max_sim if told.HasField("rescore") else None)


def plain(message) -> dict[str, int | str]:
    """The scalar fields of a message by name, enumerations by the end of their names."""
    fields = {}
    for descriptor in message.DESCRIPTOR.fields:
        raw = getattr(message, descriptor.name)
        if descriptor.enum_type is not None:
            known = descriptor.enum_type.values_by_number.get(raw)
            raw = known.name if known else str(raw)
        fields[descriptor.name] = raw
    return fields


def _moment(unix_millis: int) -> datetime:
    """A bound of a bucket may lie outside what datetime holds."""
    try:
        return time(unix_millis)
    except OverflowError:
        return (datetime.max if unix_millis > 0 else datetime.min).replace(tzinfo=timezone.utc)


def aggregation_back(
    message: aggregations_pb2.AggregationResult,
) -> types.Count | types.Facet | types.Histogram | types.Stats:
    kind = message.WhichOneof("kind")
    if kind is None:
        return types.Count(message.name, message.documents)
    told = getattr(message, kind)
    if kind == "facet":
        return types.Facet(
            message.name, message.documents,
            [types.FacetBucket(value_back(b.value), b.documents) for b in told.buckets],
            told.other_values, told.other_documents, told.missing)
    if kind == "stats":
        return types.Stats(
            message.name, message.documents, told.count, told.missing,
            value_back(told.min) if told.HasField("min") else None,
            value_back(told.max) if told.HasField("max") else None, told.sum, told.mean,
            {quantile.q: quantile.value for quantile in told.quantiles})
    if kind == "histogram":
        buckets = [types.HistogramBucket(b.lower, b.upper, b.documents)
                   for b in told.buckets]
    else:
        buckets = [types.HistogramBucket(_moment(b.from_ms), _moment(b.to_ms), b.documents)
                   for b in told.buckets]
    return types.Histogram(message.name, message.documents, buckets, told.missing)


def search_back(message: search_pb2.SearchResponse) -> types.SearchResult:
    hits = [
        types.Hit(
            id=document_id_back(hit.id), score=hit.score, seq=hit.seq,
            document=document_back(hit.document) if hit.HasField("document") else None,
            vector=_leg_back(hit, "vector"), sparse=_leg_back(hit, "sparse"),
            text=_leg_back(hit, "text"), details=_details_back(hit),
            group=value_back(hit.group) if hit.HasField("group") else None,
            highlights={h.field: list(h.fragments) for h in hit.highlights})
        for hit in message.hits]
    explain = None
    if message.HasField("explain"):
        told = message.explain
        explain = types.Explain(
            [plain(shard) for shard in told.shards], list(told.notes), told.plan_micros,
            told.search_micros, told.merge_micros,
            {leg: plain(getattr(told, leg)) for leg in ("vector", "sparse", "text")
             if told.HasField(leg)}, plain(told.stages))
    recall = types.RecallEstimate(**plain(message.recall)) if message.HasField("recall") else None
    return types.SearchResult(
        hits, message.seq, explain, recall, [aggregation_back(a) for a in message.aggregations],
        message.next_page_token)
