"""Documents whose every part derives from id and version, so that one look tells whether vector,
sparse vector, text and metadata of an answer belong together."""
from __future__ import annotations

import hashlib

import numpy as np
from harness import ingest, types

DIMENSION = 16
EVENT_TIME_BASE = 1_700_000_000_000
ALL_INDEX = 0  # a coordinate that every document's sparse vector has


def _seed(number: int, version: int) -> int:
    digest = hashlib.blake2b(f"{number}/{version}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def vector(number: int, version: int) -> np.ndarray:
    """Unit length, and with 16 random components nearest to itself alone."""
    raw = np.random.default_rng(_seed(number, version)).standard_normal(DIMENSION)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def word(number: int, version: int) -> str:
    """A word that no other document and no other version has; stemming leaves it alone."""
    return f"w{number}x{version}q"


def own_index(number: int, version: int) -> int:
    """A sparse coordinate that no other document has, and no other of 1,024 successive versions."""
    return 1 + number * 1024 + version % 1024


def text(number: int, version: int) -> str:
    return f"common {word(number, version)} flow control {_seed(number, version) % 97}"


def metadata(number: int, version: int) -> dict[str, int | str]:
    return {"version": version, "number": number, "tag": word(number, version),
            "area": "base" if number >= 1_000_000 else "hot"}


def packed(components: np.ndarray) -> types.DenseVector:
    return types.DenseVector(packed=components.astype("<f4").tobytes())


def sparse(number: int, version: int) -> types.SparseVector:
    return types.SparseVector(
        indices=[ALL_INDEX, own_index(number, version)], values=[0.5, 1.0 + version % 7])


def document(number: int, version: int) -> types.Document:
    message = types.Document(
        id=types.DocumentId(number=number), texts={"body": text(number, version)},
        event_time_ms=EVENT_TIME_BASE + number * 1000 + version)
    message.vectors["v"].CopyFrom(packed(vector(number, version)))
    message.sparse_vectors["s"].CopyFrom(sparse(number, version))
    for name, raw in metadata(number, version).items():
        if isinstance(raw, str):
            message.metadata[name].string_value = raw
        else:
            message.metadata[name].int_value = raw
    return message


def upsert(number: int, version: int) -> ingest.Mutation:
    return ingest.Mutation(upsert=document(number, version))


def remove(number: int) -> ingest.Mutation:
    return ingest.Mutation(remove=types.DocumentId(number=number))


def components(message: types.DenseVector) -> np.ndarray:
    if message.packed:
        return np.frombuffer(message.packed, dtype="<f4")
    return np.array(message.values, dtype=np.float32)


def problems(message: types.Document) -> list[str]:
    """What of a document read back does not belong to its id and the version it names."""
    number = message.id.number
    if "version" not in message.metadata:
        return [f"document {number} has no version"]
    version = message.metadata["version"].int_value
    wanted, found = document(number, version), []
    if message.texts != wanted.texts:
        found.append(f"document {number} version {version}: texts {dict(message.texts)}")
    if message.metadata != wanted.metadata:
        found.append(f"document {number} version {version}: metadata {dict(message.metadata)}")
    if message.event_time_ms != wanted.event_time_ms:
        found.append(f"document {number} version {version}: event time {message.event_time_ms}")
    if set(message.vectors) != {"v"} or not np.array_equal(
            components(message.vectors["v"]), vector(number, version)):
        found.append(f"document {number} version {version}: vector is another's")
    got = dict(zip(message.sparse_vectors["s"].indices, message.sparse_vectors["s"].values))
    ours = sparse(number, version)
    if got != dict(zip(ours.indices, ours.values)):
        found.append(f"document {number} version {version}: sparse {got}")
    return found
