"""Filters over metadata: small functions that build the tree the server takes.

    filters.all_of(filters.equals("repo", "apple/swift-nio"), filters.less_than("files", 10))

A comparison is unknown where the document lacks the field, and only what is true lets a document
through. `negate` is true of the unknown, `sql_not` leaves it unknown as SQL's NOT does. On a list
field a comparison holds when any element satisfies it.
"""
from __future__ import annotations

from collections.abc import Iterable

from . import _convert
from ._proto.types_pb2 import (
    ContainsFilter,
    EqualsFilter,
    ExistsFilter,
    Filter,
    FilterList,
    GeoBoxFilter,
    GeoDistanceFilter,
    InFilter,
    PrefixFilter,
    RangeFilter,
)
from .types import GeoPoint, Scalar


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


def contains_any(field: str, values: Iterable[Scalar]) -> Filter:
    return Filter(contains_any=ContainsFilter(
        field=field, values=[_convert.value(v) for v in values]))


def contains_all(field: str, values: Iterable[Scalar]) -> Filter:
    return Filter(contains_all=ContainsFilter(
        field=field, values=[_convert.value(v) for v in values]))


def within_distance(field: str, center: GeoPoint, metres: float) -> Filter:
    return Filter(within_distance=GeoDistanceFilter(
        field=field, center=_convert.geo_point(center), metres=metres))


def within_box(field: str, south: float, west: float, north: float, east: float) -> Filter:
    """Degrees; a west that is greater than the east crosses the antimeridian."""
    return Filter(within_box=GeoBoxFilter(
        field=field, south=south, west=west, north=north, east=east))


def all_of(*filters: Filter) -> Filter:
    return Filter(all_of=FilterList(filters=filters))


def any_of(*filters: Filter) -> Filter:
    return Filter(any_of=FilterList(filters=filters))


def negate(filter: Filter) -> Filter:
    return Filter(negation=filter)


def sql_not(filter: Filter) -> Filter:
    return Filter(sql_not=filter)
