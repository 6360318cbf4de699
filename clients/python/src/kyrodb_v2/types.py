"""The nouns of this client: plain values, vectors as numpy arrays, times as aware datetimes."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Union

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ._proto.aggregations_pb2 import Aggregation
    from ._proto.text_pb2 import TextNode
    from ._proto.types_pb2 import Filter
    from .errors import KyroError

DocumentID = Union[int, str]


@dataclass(frozen=True)
class GeoPoint:
    """Degrees north (−90 to 90) and east (−180 to 180)."""

    lat: float
    lon: float


Scalar = Union[str, int, float, bool, datetime, GeoPoint]
Value = Union[Scalar, Sequence[Scalar]]
Vector = npt.NDArray[np.floating]


@dataclass(frozen=True)
class SparseVector:
    """Coordinates in any order, each index at most once."""
    indices: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]


@dataclass
class Document:
    """7 and "7" are different ids. Vectors are f32 or f16 arrays of one dimension."""
    id: DocumentID
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Value] = field(default_factory=dict)
    sparse_vectors: Mapping[str, SparseVector] = field(default_factory=dict)
    event_time: datetime | None = None
    expires_at: datetime | None = None
    multi_vectors: Mapping[str, Vector] = field(default_factory=dict)  # rows × dimension


@dataclass
class Update:
    """Replaces every part that `set` carries, removes the named ones, leaves the rest."""
    set: Document
    remove_vectors: Sequence[str] = ()
    remove_sparse_vectors: Sequence[str] = ()
    remove_texts: Sequence[str] = ()
    remove_metadata: Sequence[str] = ()
    clear_event_time: bool = False
    clear_expiry: bool = False
    remove_multi_vectors: Sequence[str] = ()


@dataclass(frozen=True)
class VectorIndexing:
    """How a vector field is indexed; 0 and "automatic" leave the choice to the server."""
    kind: str = "automatic"  # flat while small, then graph; or "graph", "ivf", "flat"
    codes: str = "automatic"  # or "none", "sq8", "sq4", "bq", "pq"
    rerank: str = "f32"  # or "bf16", "none": codes alone
    storage: str = "memory"  # or "disk": where the rows that rerank are
    m: int = 0  # of a graph: 4 to 32
    ef_construction: int = 0  # m to 2,048
    ef_search: int = 0  # 1 to 10,000
    lists: int = 0  # of ivf: 1 to 65,536
    probes: int = 0  # 1 to lists


@dataclass(frozen=True)
class VectorField:
    name: str
    dimension: int
    metric: str = "cosine"  # or "inner_product", "l2"
    indexing: VectorIndexing = VectorIndexing()


@dataclass(frozen=True)
class VectorIndexStatus:
    """What serves a vector field now, over all shards."""
    field: str
    kind: str
    codes: str
    rerank: str
    storage: str
    rows: int  # dead ones among them
    indexed_rows: int
    dead_rows: int
    row_bytes: int  # resident, as the next two
    code_bytes: int
    link_bytes: int
    codes_version: int
    rebuild_rows_done: int
    rebuild_rows_total: int  # 0 when no change is under way
    recall_samples: int


@dataclass(frozen=True)
class TextIndexStatus:
    """How far a change of a text field's analyser is, over all shards."""
    field: str
    rebuild_rows_done: int
    rebuild_rows_total: int  # 0 when no change is under way


@dataclass(frozen=True)
class TextField:
    name: str
    analyzer: str = "standard"  # or "code", "raw"
    language: str = ""
    k1: float | None = None  # both or neither; the server's are 1.2 and 0.75
    b: float | None = None
    fold_diacritics: bool = False  # é and e are one letter
    stop_words: Sequence[str] | None = None  # None for the language's own, [] for none
    stemming: bool = True


@dataclass(frozen=True)
class Schema:
    """Declared fields; what is not declared is added by the first document that carries it."""
    vectors: Sequence[VectorField] = ()
    texts: Sequence[TextField] = ()
    sparse_vectors: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)  # name → "string", "int64", …
    multi_vectors: Mapping[str, int] = field(default_factory=dict)  # name → dimension


@dataclass(frozen=True)
class Collection:
    tenant: str
    namespace: str
    collection_id: int
    schema_version: int
    schema: Schema
    document_count: int
    durability: str | None = None  # "always", "interval:MILLIS", "never"; None: the server's own
    vector_indexes: Sequence[VectorIndexStatus] = ()  # from describe_collection alone
    retention: timedelta = timedelta(0)  # how long the past can be read at least
    tuning: Tuning | None = None  # what searches go by that say nothing of fusion
    tuning_history: Sequence[Tuning] = ()  # oldest first; not from list_collections
    text_indexes: Sequence[TextIndexStatus] = ()  # from describe_collection alone


@dataclass(frozen=True)
class LearnedFusion:
    """How searches with these legs are fused that give no fusion and no weights.

    `figures` are means of nDCG@10 by "tuned" (weights that were fitted to other queries),
    "defaults", and each leg alone; so are those of `folds`.
    """
    legs: Mapping[str, str | Sequence[str]]  # fields of "vector", "sparse", "text"; () is all texts
    choice: str  # "tuned", "best_leg" or "defaults"
    fusion: str  # "weighted" or "rrf"
    normalisation: str  # "min_max" or "z_score", of "weighted"
    weights: Mapping[str, float]
    queries: int
    figures: Mapping[str, float]
    folds: Sequence[Mapping[str, float]]
    reason: str
    time: datetime


@dataclass(frozen=True)
class Tuning:
    """One version of what a collection has learnt; 0 is the version of a dry run."""
    version: int
    fusions: Sequence[LearnedFusion]


@dataclass(frozen=True)
class JudgedQuery:
    """A query and how relevant documents are to it: grades by id, 0 for what is not named.

    Of the query only the legs, filter and times count.
    """
    query: Query
    grades: Mapping[DocumentID, float]


class WriteResult(Enum):
    FAILED = 0
    APPLIED = 1
    NOT_FOUND = 2
    DUPLICATE = 3


@dataclass(frozen=True)
class WriteOutcome:
    result: WriteResult
    seq: int
    error: KyroError | None = None


@dataclass(frozen=True)
class ItemFailure:
    """One document of a stream that the server refused; the rest of its batch was applied."""
    id: DocumentID
    client_seq: int
    index: int
    error: KyroError


@dataclass
class Query:
    """Any of vector, sparse and text, narrowed by filter and time range.

    half_life turns on time decay: the score halves with each half life of age, counted from
    `decay_origin` or from now. `metadata`, `texts` and `vectors` say what a hit's document carries:
    True for all names, False for none, or a list of names.
    """
    vector: Vector | None = None
    vector_field: str = ""
    ef_search: int = 0
    probes: int = 0  # lists of an ivf index to scan
    recall: float = 0  # share of the true best to find, such as 0.97; excludes the two above
    sparse: SparseVector | None = None
    sparse_field: str = ""
    text: str | TextNode | None = None  # words, or a tree made by kyrodb_v2.text
    text_fields: Sequence[str] = ()
    all_words: bool = False  # of words: documents with all of them in one field
    min_words: int = 0  # of words: documents with so many of them in one field
    highlight: bool | Sequence[str] = False  # True for all fields searched, or their names
    fragments: int = 0  # of each field; 0 for the server's 3
    fragment_size: int = 0  # characters; 0 for the server's 150
    highlight_tags: tuple[str, str] = ("", "")  # empty for <em> and </em>
    boosts: Mapping[str, float] | None = None  # weights of text fields; 1 where missing
    text_scoring: str = "sum"  # of the fields' BM25, or "bm25f": the fields together
    filter: Filter | None = None
    time_from: datetime | None = None  # inclusive
    time_to: datetime | None = None  # exclusive
    half_life: timedelta | None = None
    decay_origin: datetime | None = None
    decay_shape: str = "exponential"  # or "linear", "gauss": each is 1/2 at the half life
    decay_offset: timedelta | None = None  # so much age is none
    decay_floor: float = 0  # what age leaves of a score at least
    fusion: str | None = None  # "weighted", "rrf", "max"; None leaves a lone leg's scores alone
    rrf_k: int = 0
    normalisation: str | None = None  # "min_max" (the default), "z_score" or "distribution"
    leg_candidates: Mapping[str, int] | None = None  # of "vector", "sparse", "text"
    formula: str = ""  # makes the final score: "score * (1 + 0.1 * log(1 + meta.stars))"
    weights: Mapping[str, float] | None = None  # of "vector", "sparse", "text"; 0 where missing
    rescore_field: str = ""  # multi-vectors; "" for the only ones; the score becomes
    rescore_vectors: Vector | None = None  # score_weight × score + weight × MaxSim with these rows
    rescore_top: int = 0
    rescore_weight: float = 1
    rescore_score_weight: float = 0
    group_by: str = ""  # metadata field: hits of one value stand together, limit counts groups
    hits_per_group: int = 1
    missing_group: str = "alone"  # documents without the field: or "together", "dropped"
    diversity: float | None = None  # λ of maximal marginal relevance: 1 is relevance alone
    diversity_pool: int = 0
    limit: int = 10
    offset: int = 0
    candidates: int = 0
    metadata: bool | Sequence[str] = True
    texts: bool | Sequence[str] = False
    vectors: bool | Sequence[str] = False
    min_seq: int = 0
    exact: bool = False
    explain: bool = False
    aggregations: Sequence[Aggregation] = ()  # from `aggregations`; limit may be 0 beside them
    paged: bool = False  # the first of several pages
    page_token: bytes = b""  # the next one: `next_page_token` of the result before
    as_of: int | datetime | None = None  # a sequence or a time of the past


@dataclass(frozen=True)
class LegScore:
    score: float
    rank: int  # from 1, within the leg


@dataclass(frozen=True)
class LegContribution:
    """What one leg gave to a hit."""
    normalised: float
    weighted: float  # weight × normalised


@dataclass(frozen=True)
class ScoreDetails:
    """A hit's score, step by step: formula, or fused × decay where there is none."""
    vector: LegContribution | None  # None where the leg has not found the document
    sparse: LegContribution | None
    text: LegContribution | None
    fused: float
    decay: float
    formula: float | None  # None without a formula, and where its result is missing
    relevance: float | None = None  # of a search with diversity
    similarity: float | None = None  # to the hits before
    score_before: float | None = None  # of a search that rescores
    max_sim: float | None = None


@dataclass(frozen=True)
class Hit:
    id: DocumentID
    score: float
    seq: int
    document: Document | None = None
    vector: LegScore | None = None
    sparse: LegScore | None = None
    text: LegScore | None = None
    details: ScoreDetails | None = None  # where explain was asked for
    group: Value | None = None  # of a grouped search; None where the document lacks the field
    highlights: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by field, best first


@dataclass(frozen=True)
class Explain:
    shards: Sequence[Mapping[str, int | str]]
    notes: Sequence[str]
    plan_micros: int
    search_micros: int
    merge_micros: int
    legs: Mapping[str, Mapping[str, float]]  # by name: candidates, weight, where the scores lie
    stages: Mapping[str, int]  # microseconds of each


@dataclass(frozen=True)
class RecallEstimate:
    """What recall to expect, from queries that were also answered exactly."""
    target: float
    mean: float
    worst_decile: float  # mean of the tenth of the queries that fared worst
    samples: int  # 0: nothing is known yet where the mean is 0, exact where it is 1
    ef_search: int
    probes: int


@dataclass(frozen=True)
class FacetBucket:
    value: Scalar
    documents: int


@dataclass(frozen=True)
class Facet:
    name: str
    documents: int  # what it is over
    buckets: Sequence[FacetBucket]  # most documents first
    other_values: int  # distinct values that are not among the buckets
    other_documents: int
    missing: int  # documents without a value


@dataclass(frozen=True)
class HistogramBucket:
    start: float | datetime  # inclusive
    end: float | datetime  # exclusive
    documents: int


@dataclass(frozen=True)
class Histogram:
    name: str
    documents: int
    buckets: Sequence[HistogramBucket]  # ascending, none empty
    missing: int


@dataclass(frozen=True)
class Stats:
    name: str
    documents: int
    count: int  # values
    missing: int
    min: Scalar | None
    max: Scalar | None
    sum: float  # of a timestamp in Unix milliseconds, as mean and quantiles
    mean: float
    quantiles: Mapping[float, float]


@dataclass(frozen=True)
class Count:
    name: str
    documents: int


@dataclass(frozen=True)
class SearchResult:
    hits: Sequence[Hit]
    seq: int  # everything up to here was visible
    explain: Explain | None = None
    recall: RecallEstimate | None = None  # where a recall was asked for
    aggregations: Sequence[Count | Facet | Histogram | Stats] = ()  # in the order asked
    next_page_token: bytes = b""  # empty on the last page


@dataclass(frozen=True)
class LookupResult:
    id: DocumentID
    document: Document | None  # None for a miss
    seq: int


@dataclass(frozen=True)
class Status:
    version: str
    state: str
    uptime: timedelta
    seq: int
    collection_count: int
    resident_bytes: int
    connections: int
    kernels: str
    shards: Sequence[Mapping[str, int | str]]


@dataclass(frozen=True)
class Backup:
    id: int
    kind: str
    """FULL or INCREMENTAL."""
    parent: int | None
    seq: int
    """Every shard's state at this sequence can be restored."""
    time: datetime
    bytes: int
    """Added to the repository."""
    duration: timedelta


@dataclass(frozen=True)
class SnapshotResult:
    seq: int
    bytes: int
    duration: timedelta
