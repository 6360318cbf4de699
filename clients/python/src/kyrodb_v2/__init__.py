"""Client of KyroDB: documents with vectors, texts and typed metadata, found by any mix of them."""
from . import filters, text
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
    LegScore,
    LookupResult,
    Query,
    RecallEstimate,
    Schema,
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
    "ItemFailure", "KyroError", "LegScore", "LookupResult", "Query", "RecallEstimate", "Schema",
    "SearchResult", "SnapshotResult", "SparseVector", "Status", "TextField", "Update",
    "VectorField", "VectorIndexStatus", "VectorIndexing", "WriteOutcome", "WriteResult",
    "filters", "text",
]
