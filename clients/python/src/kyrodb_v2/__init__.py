"""Client of KyroDB: documents with vectors, texts and typed metadata, found by any mix of them."""
from . import filters
from .client import Client
from .errors import KyroError
from .ingest import IngestReport
from .types import (
    Backup,
    Collection,
    Document,
    Explain,
    Hit,
    ItemFailure,
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
    Status,
    TextField,
    Update,
    VectorField,
    VectorIndexing,
    VectorIndexStatus,
    WriteOutcome,
    WriteResult,
)

__all__ = [
    "Backup", "Client", "Collection", "Document", "Explain", "Hit", "IngestReport",
    "ItemFailure", "KyroError", "LegContribution", "LegScore", "LookupResult", "Query",
    "RecallEstimate", "Schema", "ScoreDetails", "SearchResult", "SnapshotResult", "SparseVector",
    "Status", "TextField", "Update", "VectorField", "VectorIndexStatus", "VectorIndexing",
    "WriteOutcome", "WriteResult", "filters",
]
