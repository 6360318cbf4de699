"""Client of KyroDB: documents with vectors, texts and typed metadata, found by any mix of them."""
from . import aggregations, filters, text
from .client import Client
from .errors import KyroError
from .ingest import IngestReport
from .types import (
    Backup,
    Collection,
    Count,
    Document,
    Explain,
    Facet,
    FacetBucket,
    GeoPoint,
    Histogram,
    HistogramBucket,
    Hit,
    ItemFailure,
    JudgedQuery,
    LearnedFusion,
    LegContribution,
    LegScore,
    LookupResult,
    Query,
    RecallEstimate,
    Schema,
    ScoreDetails,
    SearchResult,
    SnapshotResult,
    SparseVector,
    Stats,
    Status,
    TextField,
    TextIndexStatus,
    Tuning,
    Update,
    VectorField,
    VectorIndexing,
    VectorIndexStatus,
    WriteOutcome,
    WriteResult,
)

__all__ = [
    "Backup", "Client", "Collection", "Count", "Document", "Explain", "Facet", "FacetBucket",
    "GeoPoint", "Histogram", "HistogramBucket", "Hit", "IngestReport", "ItemFailure", "JudgedQuery",
    "KyroError", "LearnedFusion", "LegContribution", "LegScore", "LookupResult", "Query",
    "RecallEstimate", "Schema", "ScoreDetails", "SearchResult", "SnapshotResult", "SparseVector", "Stats", "Status", "TextField", "TextIndexStatus", "Tuning",
    "Update", "VectorField", "VectorIndexStatus", "VectorIndexing", "WriteOutcome", "WriteResult",
    "aggregations", "filters", "text",
]
