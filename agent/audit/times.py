"""Which hours and days a ledger's tables have, and which rows have no time at all."""

import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.audit.body import hour_of

EARLIEST: Final = -1_000_000
LATEST: Final = 100_000_000
"""Hours since 1970 that a clock may show: to the year 13,000."""


class _Column(NamedTuple):
    """A column that says when."""

    title: str
    table: str
    name: str
    type: str
    """As SQLite's typeof() says it."""
    an_hour: int
    """How many of its unit are an hour."""


_DAY: Final = _Column("days", "day", "day", "integer", 0)
_COLUMNS: Final = (
    _Column("hours", "hour", "hour", "integer", 1),
    _Column("minutes", "minute", "minute", "integer", 60),
    _Column("quarters", "quarter", "quarter", "integer", 4),
    _Column("invoices", "record", "seen_at", "real", 3600),
    _Column("intensities", "intensity", "fetched_at", "real", 3600),
)


def is_time(hour: object) -> bool:
    """Tell whether this is an hour since 1970 UTC that a clock may show."""
    return isinstance(hour, int) and EARLIEST <= hour <= LATEST


def hours_of(db: sqlite3.Connection) -> set[int]:
    """Return every hour of which a table has rows."""
    found = set()
    for column in _COLUMNS:
        if column.type == "real":
            moments = db.execute(_ask(f"DISTINCT {column.name}", column, sane=True))
            found |= {hour for (moment,) in moments if (hour := hour_of(moment)) is not None}
        else:
            what = f"DISTINCT {column.name} / {column.an_hour}"
            found |= {hour for (hour,) in db.execute(_ask(what, column, sane=True))}
    return found


def days_of(db: sqlite3.Connection) -> set[int]:
    """Return every day of which there are rows."""
    return {day for (day,) in db.execute(_ask("DISTINCT day", _DAY, sane=True))}


def odd(db: sqlite3.Connection) -> Iterator[str]:
    """Yield, in words, each row whose time is none, or whose series has no name."""
    for column in (*_COLUMNS, _DAY):
        for (value,) in db.execute(_ask(column.name, column, sane=False)):
            yield f"{column.title}: a row has the time {value!r}, which is none"
    for series, quarter in db.execute(
        "SELECT series, quarter FROM quarter WHERE series NOT IN (SELECT id FROM series)"
    ):
        yield f"quarters: a row of quarter {quarter!r} has the series {series!r}, which is none"


def _ask(what: str, column: _Column, *, sane: bool) -> str:
    name, unit = column.name, column.an_hour or 1
    bounds = f"{name} BETWEEN {EARLIEST * unit} AND {LATEST * unit}"
    negate = "" if sane else "NOT"
    return (
        f"SELECT {what} FROM {column.table}"  # noqa: S608 - our own names
        f" WHERE {negate} (typeof({name}) = '{column.type}' AND {bounds})"
    )
