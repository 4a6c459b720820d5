"""What a ledger has of a period, copied at one moment: the finest rows of each stretch of time.

Minutes are deleted after some days and hours after a year, so a long period is made of all three
levels. The copy lies in a temporary file of SQLite, so memory stays small and the agent that
writes the ledger is held up by nobody.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from agent.ledger.errors import Corrupt, explain
from agent.ledger.reading import LedgerReader
from agent.ledger.saved import AgentState
from agent.meter import StreamIdentity
from agent.quantities import Component, Quality
from agent.quarters import QUARTER_SECONDS, Series

ROUNDING: Final = 1e-6
"""Relative: the same energy is added up in another order in each table."""
_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_FINER: Final = (("hour", "minute", 60), ("day", "hour", 24))
_CACHE_KIB: Final = 2048


class Row(NamedTuple):
    """An amount of one stretch of time."""

    begin: int
    """Unix time in s; the next as well."""
    until: int
    key: int
    amount: float
    """J, or what the series is of."""
    gap_seconds: float


class Copied(NamedTuple):
    """The ledger at one moment. A stream's key is its index, a series' is below zero."""

    state: AgentState | None
    """None: nothing was ever written."""
    identities: list[StreamIdentity]
    series: dict[Series, int]


def copy(reader: LedgerReader, start: float) -> Copied:
    """Copy what reaches beyond `start`, Unix time. Call once. Raises `LedgerError`."""

    def question(db: sqlite3.Connection) -> Copied:
        db.execute("PRAGMA temp_store=FILE")
        db.execute(f"PRAGMA temp.cache_size=-{_CACHE_KIB}")
        db.execute(
            "CREATE TEMP TABLE piece (key INTEGER, begin INTEGER, until INTEGER, amount REAL,"
            " gap_seconds REAL, PRIMARY KEY (key, begin)) WITHOUT ROWID"
        )
        for level, begin, end in _stretches(db, int(start)):
            seconds = _SECONDS[level]
            db.execute(
                f"INSERT INTO piece SELECT stream, {level} * ?1, ({level} + 1) * ?1, joules,"  # noqa: S608
                f" gap_seconds FROM {level} WHERE {level} >= ?2 AND {level} < ?3",
                (seconds, begin, end),
            )
        db.execute(
            "INSERT INTO piece SELECT -series, quarter * ?1, (quarter + 1) * ?1, amount,"
            " gap_seconds FROM quarter WHERE quarter >= ?2",
            (int(QUARTER_SECONDS), int(start // QUARTER_SECONDS)),
        )
        series = {
            Series(kind, name, unit): -number
            for number, kind, name, unit in db.execute("SELECT id, kind, name, unit FROM series")
        }
        return Copied(_state(reader, db), _identities(db), series)

    return reader.ask(question)


def rows(reader: LedgerReader, keys: Sequence[int]) -> Iterator[Row]:
    """Yield what was copied of these, in the order of time. Raises `LedgerError`."""
    marks = ", ".join("?" * len(keys))
    select = (
        f"SELECT begin, until, key, amount, gap_seconds FROM piece WHERE key IN ({marks})"  # noqa: S608
        " ORDER BY begin"
    )
    try:
        for row in reader.ask(lambda db: db.execute(select, tuple(keys))):
            yield Row._make(row)
    except sqlite3.Error as error:
        raise explain(reader.path, error) from error


# -- which level ------------------------------------------------------------------------------


def _stretches(db: sqlite3.Connection, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield (level, first, end) in units of the level, none overlapping, up to the newest row.

    An hour's minutes are taken only where they are all there: their sum is the hour's. So with the
    hours of a day.
    """
    day = start // _SECONDS["day"]
    whole = {coarse: _whole(db, coarse, fine, n, day) for coarse, fine, n in _FINER}
    first, last = db.execute("SELECT min(day), max(day) FROM day").fetchone()
    found: list[tuple[str, int, int]] = []
    for one in range(max(day, first), last + 1) if first is not None else ():
        if one not in whole["day"]:
            found.append(("day", one, one + 1))
            continue
        for hour in range(one * 24, one * 24 + 24):
            if hour in whole["hour"]:
                found.append(("minute", hour * 60, hour * 60 + 60))
            else:
                found.append(("hour", hour, hour + 1))
    return _joined(found)


def _whole(db: sqlite3.Connection, coarse: str, fine: str, n: int, day: int) -> set[int]:
    """Return which rows of the coarse table the fine one has in full."""
    first = day * _SECONDS["day"] // _SECONDS[coarse]
    sums = "total(joules), total(seconds + gap_seconds)"
    parts = {
        at: (joules, seconds)
        for at, joules, seconds in db.execute(
            f"SELECT {fine} / ?, {sums} FROM {fine} WHERE {fine} >= ? GROUP BY 1",  # noqa: S608
            (n, first * n),
        )
    }
    return {
        at
        for at, joules, seconds in db.execute(
            f"SELECT {coarse}, {sums} FROM {coarse} WHERE {coarse} >= ? GROUP BY 1",  # noqa: S608
            (first,),
        )
        if at in parts and _same(parts[at], (joules, seconds))
    }


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(
        abs(a - b) <= ROUNDING * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True)
    )


def _joined(found: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """Join neighbours of the same level."""
    for level, group in groupby(found, itemgetter(0)):
        begin = end = None
        for _, first, until in group:
            if begin is not None and end == first:
                end = until
                continue
            if begin is not None and end is not None:
                yield level, begin, end
            begin, end = first, until
        if begin is not None and end is not None:
            yield level, begin, end


# -- the state --------------------------------------------------------------------------------


def _state(reader: LedgerReader, db: sqlite3.Connection) -> AgentState | None:
    row = db.execute("SELECT body FROM state WHERE id = 0").fetchone()
    if row is None:
        return None
    try:
        return msgspec.msgpack.decode(row[0], type=AgentState)
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"{reader.path}: the saved state is not understood ({error}); name a ledger that this"
            " version's agent has written"
        ) from error


def _identities(db: sqlite3.Connection) -> list[StreamIdentity]:
    return [
        StreamIdentity(
            source, Component(component), device, Quality(quality), counted=bool(counted)
        )
        for source, component, device, quality, counted in db.execute(
            "SELECT source, component, device, quality, counted FROM stream ORDER BY id"
        )
    ]
