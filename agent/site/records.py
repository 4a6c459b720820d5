"""Rows of invoices and certificates: which of them count, and what became of the others.

A row for the same time as an earlier one, or for a time that holds earlier ones entirely, is a
correction and replaces them. A row that overlaps an earlier one only partly is refused: what of
either fell into the overlap nobody knows.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from agent.samples import MeterRecord
from agent.site.cells import Cell


class Replaced(NamedTuple):
    """A row that a later one took the place of."""

    record: MeterRecord
    by: MeterRecord


class Refused(NamedTuple):
    """A row that cannot be used, and the one it collides with."""

    record: MeterRecord
    other: MeterRecord


class Resolved(NamedTuple):
    """What came of all rows."""

    records: list[MeterRecord]
    """Those that count, in the order of time."""
    replaced: list[Replaced]
    """The history, in the order of the file."""
    refused: list[Refused]


def resolve(rows: Iterable[MeterRecord]) -> Resolved:
    """Return which rows count, taking them in the order of their `row`."""
    counting: list[MeterRecord] = []
    """In the order of time. They do not overlap: their ends are in order too."""
    replaced: list[Replaced] = []
    refused: list[Refused] = []
    for new in sorted(rows, key=lambda record: record.row):
        first = bisect_right(counting, new.start, key=lambda old: old.end)
        last = bisect_left(counting, new.end, lo=first, key=lambda old: old.start)
        touched = counting[first:last]
        partly = next((o for o in touched if o.start < new.start or o.end > new.end), None)
        if partly is not None:
            refused.append(Refused(new, partly))
            continue
        replaced += [Replaced(old, new) for old in touched]
        counting[first:last] = [new]
    return Resolved(counting, replaced, refused)


def cells_of(records: Iterable[MeterRecord]) -> list[Cell]:
    """Return rows that count as cells: each knows all of its time."""
    return [Cell(r.start, r.end, r.amount, r.end - r.start) for r in records]
