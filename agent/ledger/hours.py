"""Reads what the tables hold by hour and by day, for sealing it and for checking it."""

import hashlib
import sqlite3
from collections import defaultdict
from typing import Final

from agent.audit.body import (
    HOUR_MINUTES,
    HOUR_QUARTERS,
    HOUR_SECONDS,
    INTENSITIES,
    INVOICES,
    Names,
    Rows,
    hour_of,
)

_ENERGY: Final = (
    "SELECT {span}, stream, joules, seconds, gap_seconds FROM {span}"
    " WHERE {span} BETWEEN ? AND ? ORDER BY {span}, stream"
)
_MINUTES: Final = (
    "SELECT minute, stream, joules, seconds, gap_seconds FROM minute"
    " WHERE minute BETWEEN ? AND ? ORDER BY minute, stream"
)
# by series, as the table's key begins with it
_QUARTERS: Final = (
    "SELECT series, quarter, amount, seconds, gap_seconds FROM series"
    " CROSS JOIN quarter ON quarter.series = series.id AND quarter BETWEEN ? AND ?"
    " ORDER BY series, quarter"
)


def _of_table(table: str, columns: tuple[str, ...], moment: str, order: tuple[str, ...]) -> str:
    return (
        f"SELECT {', '.join(map(_quoted, columns))} FROM {table}"  # noqa: S608 - our own names
        f" WHERE {moment} >= ? AND {moment} < ? ORDER BY {', '.join(map(_quoted, order))}"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'


_INVOICES: Final = _of_table("record", INVOICES.columns, "seen_at", INVOICES.key)
_INTENSITIES: Final = _of_table("intensity", INTENSITIES.columns, "fetched_at", INTENSITIES.key)
_SEEN_AT: Final = INVOICES.columns.index("seen_at")
_FETCHED_AT: Final = INTENSITIES.columns.index("fetched_at")


def read_hours(db: sqlite3.Connection, first: int, last: int) -> dict[int, Rows]:
    """Return what the tables hold of each hour from `first` to `last`, both included."""
    found: dict[int, Rows] = defaultdict(Rows)
    for hour, *row in db.execute(_ENERGY.format(span="hour"), (first, last)):
        found[hour].energy.append(tuple(row))
    begin, end = first * HOUR_MINUTES, (last + 1) * HOUR_MINUTES - 1
    for row in db.execute(_MINUTES, (begin, end)):
        found[row[0] // HOUR_MINUTES].minutes.append(row)
    begin, end = first * HOUR_QUARTERS, (last + 1) * HOUR_QUARTERS - 1
    for row in db.execute(_QUARTERS, (begin, end)):
        found[row[1] // HOUR_QUARTERS].quarters.append(row)
    moments = (float(first * HOUR_SECONDS), float((last + 1) * HOUR_SECONDS))
    for row in db.execute(_INVOICES, moments):
        if (hour := hour_of(row[_SEEN_AT])) is not None:
            found[hour].invoices.append(row)
    for row in db.execute(_INTENSITIES, moments):
        if (hour := hour_of(row[_FETCHED_AT])) is not None:
            found[hour].intensities.append(row)
    for name, written_at, body in db.execute(
        "SELECT name, written_at, body FROM document WHERE written_at >= ? AND written_at < ?",
        moments,
    ):
        if (hour := hour_of(written_at)) is not None:
            found[hour].documents[name] = [written_at, document_digest(body)]
    return dict(found)


def read_days(db: sqlite3.Connection, first: int, last: int) -> dict[int, Rows]:
    """Return what the table of days holds of each day from `first` to `last`, both included."""
    found: dict[int, Rows] = defaultdict(Rows)
    for day, *row in db.execute(_ENERGY.format(span="day"), (first, last)):
        found[day].energy.append(tuple(row))
    return dict(found)


def read_names(db: sqlite3.Connection) -> Names:
    """Return what streams and series are called."""
    streams = db.execute("SELECT id, source, component, device, quality, counted FROM stream")
    series = db.execute("SELECT id, kind, name, unit FROM series")
    return Names(
        {number: tuple(row) for number, *row in streams},
        {number: tuple(row) for number, *row in series},
    )


def document_digest(body: object) -> str:
    """Return the SHA-256 of a document; "" where it is none any more."""
    return hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else ""
