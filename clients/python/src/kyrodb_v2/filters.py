"""Filters over metadata: small functions that build the tree the server takes.

    filters.all_of(filters.equals("repo", "apple/swift-nio"), filters.less_than("files", 10))

A comparison is false where the document lacks the field; `negate` is true there. On a list field a
comparison holds when any element satisfies it.
"""
from __future__ import annotations

from collections.abc import Iterable

from . import _convert
from ._proto.types_pb2 import (
    EqualsFilter,
    ExistsFilter,
    Filter,
    FilterList,
    InFilter,
    PrefixFilter,
    RangeFilter,
)
from .types import Scalar


def equals(field: str, value: Scalar) -> Filter:
    return Filter(equals=EqualsFilter(field=field, value=_convert.value(value)))


def is_in(field: str, values: Iterable[Scalar]) -> Filter:
    return Filter(in_set=InFilter(field=field, values=[_convert.value(v) for v in values]))


def less_than(field: str, bound: Scalar) -> Filter:
    return Filter(range=RangeFilter(field=field, less_than=_convert.value(bound)))


def at_most(field: str, bound: Scalar) -> Filter:
    return Filter(range=RangeFilter(field=field, at_most=_convert.value(bound)))


def greater_than(field: str, bound: Scalar) -> Filter:
    return Filter(range=RangeFilter(field=field, greater_than=_convert.value(bound)))


def at_least(field: str, bound: Scalar) -> Filter:
    return Filter(range=RangeFilter(field=field, at_least=_convert.value(bound)))


def between(field: str, low: Scalar, high: Scalar) -> Filter:
    """low ≤ field < high"""
    bounds = RangeFilter(
        field=field, at_least=_convert.value(low), less_than=_convert.value(high))
    return Filter(range=bounds)


def exists(field: str) -> Filter:
    return Filter(exists=ExistsFilter(field=field))


def prefix(field: str, start: str) -> Filter:
    return Filter(prefix=PrefixFilter(field=field, prefix=start))


def all_of(*filters: Filter) -> Filter:
    return Filter(all_of=FilterList(filters=filters))


def any_of(*filters: Filter) -> Filter:
    return Filter(any_of=FilterList(filters=filters))


def negate(filter: Filter) -> Filter:
    return Filter(negation=filter)
