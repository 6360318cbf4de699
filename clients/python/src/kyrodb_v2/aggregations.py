"""What to count beside the hits of a search, or instead of them.

    client.search("notes", limit=0, aggregations=[
        aggregations.facet("repo", limit=20),
        aggregations.time_histogram("", calendar="month"),
        aggregations.stats("files", quantiles=[0.5, 0.99]),
    ])

Each is over the documents that pass the search's filter and time range or, with `over="candidates"`,
over those that its legs found; `where` is a filter of the aggregation alone. An empty field is the
event time.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ._proto.aggregations_pb2 import (
    Aggregation,
    CountAggregation,
    FacetAggregation,
    HistogramAggregation,
    StatsAggregation,
    TimeHistogramAggregation,
)
from ._proto.types_pb2 import Filter

_SOURCES = ("filter", "candidates")
_CALENDARS = ("", "day", "week", "month", "year")
_MILLI = timedelta(milliseconds=1)


def _made(name: str, over: str, where: Filter | None, **kind) -> Aggregation:
    if over not in _SOURCES:
        raise ValueError(f"over is {over!r}; it must be filter or candidates")
    return Aggregation(name=name, over=_SOURCES.index(over), filter=where, **kind)


def count(*, name: str = "", over: str = "filter", where: Filter | None = None) -> Aggregation:
    return _made(name, over, where, count=CountAggregation())


def facet(
    field: str, *, limit: int = 0, min_count: int = 0, name: str = "", over: str = "filter",
    where: Filter | None = None,
) -> Aggregation:
    """The most frequent values, ten where limit is 0."""
    facet = FacetAggregation(field=field, limit=limit, min_count=min_count)
    return _made(name or field, over, where, facet=facet)


def histogram(
    field: str, interval: float, *, offset: float = 0, name: str = "", over: str = "filter",
    where: Filter | None = None,
) -> Aggregation:
    """Of numbers: buckets of `interval`, one of which begins at `offset`."""
    histogram = HistogramAggregation(field=field, interval=interval, offset=offset)
    return _made(name or field, over, where, histogram=histogram)


def time_histogram(
    field: str = "", *, interval: timedelta | None = None, calendar: str = "",
    offset: timedelta = timedelta(0), name: str = "", over: str = "filter",
    where: Filter | None = None,
) -> Aggregation:
    """Of times: buckets of `interval`, or of a calendar's day, week, month or year in UTC."""
    if calendar not in _CALENDARS:
        raise ValueError(f"calendar is {calendar!r}; it must be day, week, month or year")
    histogram = TimeHistogramAggregation(
        field=field, interval_ms=interval // _MILLI if interval else 0,
        offset_ms=offset // _MILLI, calendar=_CALENDARS.index(calendar))
    return _made(name or field, over, where, time_histogram=histogram)


def stats(
    field: str = "", *, quantiles: Iterable[float] = (), name: str = "", over: str = "filter",
    where: Filter | None = None,
) -> Aggregation:
    """Least, greatest, sum, mean and exact quantiles of numbers or times."""
    stats = StatsAggregation(field=field, quantiles=quantiles)
    return _made(name or field, over, where, stats=stats)
