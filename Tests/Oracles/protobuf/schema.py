"""What the oracles know of the messages: families, and per message the wire shape of its fields."""

import pkgutil

import grpc
from google.protobuf import any_pb2, descriptor, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from kyrodb.v2 import (
    collections_pb2, ingest_pb2, operations_pb2, search_pb2, tuning_pb2, types_pb2)

# grpcio's package does not look for its sub-packages elsewhere.
grpc.__path__ = pkgutil.extend_path(grpc.__path__, "grpc")
from grpc.health.v1 import health_pb2  # noqa: E402

# Family → message types with weights.
FAMILIES = {
    "types": [
        (types_pb2.Document, 5), (types_pb2.Filter, 4), (types_pb2.Value, 2),
        (types_pb2.Projection, 1),
    ],
    "collections": [
        (collections_pb2.CreateCollectionRequest, 4),
        (collections_pb2.CreateCollectionResponse, 2),
        (collections_pb2.DescribeCollectionRequest, 1),
        (collections_pb2.DescribeCollectionResponse, 1),
        (collections_pb2.ListCollectionsRequest, 1),
        (collections_pb2.ListCollectionsResponse, 2),
        (collections_pb2.DropCollectionRequest, 1), (collections_pb2.DropCollectionResponse, 1),
        (collections_pb2.RebuildRequest, 2), (collections_pb2.RebuildResponse, 1),
        (collections_pb2.SetRetentionRequest, 1), (collections_pb2.SetRetentionResponse, 1),
    ],
    "tuning": [
        (tuning_pb2.TuneRequest, 4), (tuning_pb2.TuneResponse, 3),
        (tuning_pb2.RollBackTuningRequest, 1), (tuning_pb2.RollBackTuningResponse, 1),
    ],
    "ingest": [
        (ingest_pb2.WriteRequest, 4), (ingest_pb2.StreamRequest, 4),
        (ingest_pb2.WriteResponse, 2), (ingest_pb2.StreamResponse, 2),
    ],
    "search": [
        (search_pb2.SearchRequest, 6), (search_pb2.SearchResponse, 4),
        (search_pb2.SearchManyRequest, 2), (search_pb2.SearchManyResponse, 2),
        (search_pb2.LookupRequest, 2), (search_pb2.LookupResponse, 2),
        (search_pb2.ScanRequest, 2), (search_pb2.ScanResponse, 2),
    ],
    "operations": [
        (operations_pb2.StatusResponse, 5), (operations_pb2.SnapshotResponse, 2),
        (operations_pb2.FlushResponse, 1), (operations_pb2.StatusRequest, 1),
        (operations_pb2.SnapshotRequest, 1), (operations_pb2.FlushRequest, 1),
        (operations_pb2.CreateBackupRequest, 1), (operations_pb2.CreateBackupResponse, 2),
    ],
    "health and status": [
        (health_pb2.HealthCheckRequest, 1), (health_pb2.HealthCheckResponse, 1),
        (status_pb2.Status, 3),
    ],
}

TYPES = [cls for family in FAMILIES.values() for cls, _ in family]
NAMES = [cls.DESCRIPTOR.name for cls in TYPES]
INDEX = {cls: index for index, cls in enumerate(TYPES)}
assert len(set(NAMES)) == len(NAMES)

ANY_CONTENTS = {
    "google.rpc.ErrorInfo": error_details_pb2.ErrorInfo,
    "google.rpc.BadRequest": error_details_pb2.BadRequest,
    "google.rpc.RetryInfo": error_details_pb2.RetryInfo,
}
assert any_pb2 and duration_pb2

F = descriptor.FieldDescriptor
VARINT, FIXED64, LEN, START, END, FIXED32 = range(6)
WIRE_TYPES = {
    F.TYPE_DOUBLE: FIXED64, F.TYPE_FLOAT: FIXED32, F.TYPE_INT64: VARINT, F.TYPE_UINT64: VARINT,
    F.TYPE_INT32: VARINT, F.TYPE_BOOL: VARINT, F.TYPE_STRING: LEN, F.TYPE_MESSAGE: LEN,
    F.TYPE_BYTES: LEN, F.TYPE_UINT32: VARINT, F.TYPE_ENUM: VARINT,
}


class Field:
    """One field: its number, wire type, and the shape of the message it holds, if any."""

    def __init__(self, field):
        self.number = field.number
        self.type = field.type
        self.wire_type = WIRE_TYPES[field.type]
        self.is_repeated = field.is_repeated
        self.is_packable = self.is_repeated and self.wire_type != LEN
        self.oneof = field.containing_oneof.name if field.containing_oneof else None
        self.enum = sorted(field.enum_type.values_by_number) if field.enum_type else None
        self.shape = shape(field.message_type) if field.message_type else None


class Shape:
    """One message type."""

    def __init__(self, message):
        self.name = message.full_name
        self.is_map_entry = message.GetOptions().map_entry


SHAPES = {}


def shape(message):
    """The shape of a descriptor, made once: messages may contain themselves."""
    found = SHAPES.get(message.full_name)
    if found is None:
        found = SHAPES[message.full_name] = Shape(message)
        found.fields = [Field(field) for field in message.fields]
        found.by_number = {field.number: field for field in found.fields}
        found.oneofs = {}
        for field in found.fields:
            if field.oneof:
                found.oneofs.setdefault(field.oneof, []).append(field)
        found.plain = [field for field in found.fields if not field.oneof]
    return found
