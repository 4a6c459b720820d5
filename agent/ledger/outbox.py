"""The queue of remote write: samples that wait to be sent, in the ledger's own transactions.

Four tables. `outbox_series` has each series' name and labels once. `outbox_base` has which series a
stretch of time is about, and their values at its beginning. `outbox` has one row per moment: its
values against that base. `outbox_total` has counters that go on after a restart.

The newest row stays when it is sent: it tells which series were there, so that one that vanishes
gets its staleness marker whatever was restarted between, and what time may come next.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from agent.ledger.outbox_values import (
    NOTHING,
    STALE,
    Damaged,
    pack,
    pack_ids,
    unpack,
    unpack_ids,
    words,
)

MAX_OUTGOING: Final = 240
"""Readings kept in memory while the disk fails: an hour of them at 15 s; the oldest go first."""
BASE_MS: Final = 3_600_000
"""A base serves for an hour: the further away, the less it is like what comes."""
STEP_BACK_MS: Final = 3_600_000
"""A clock that is set back by no more is waited for; by more, and it was wrong before."""
ROW_BYTES: Final = 40
"""What SQLite and the other columns add to a row's body, about."""


class Outgoing(msgspec.Struct, frozen=True):
    """All samples of one moment."""

    at_ms: int
    """Unix time in milliseconds."""
    series: tuple[bytes, ...]
    """Name and labels of each, no two alike."""
    values: tuple[float, ...]


class Base(msgspec.Struct, frozen=True):
    """Which series a stretch of time is about, and their values at its beginning."""

    id: int
    at_ms: int
    series: tuple[int, ...]
    words: tuple[int, ...]


def put(db: sqlite3.Connection, outgoing: Sequence[Outgoing]) -> None:
    """Add readings to the queue. Within the caller's transaction.

    Time only goes forward: a reading that is not newer than the newest one is left out and
    counted, unless it is older by more than `STEP_BACK_MS`.
    """
    for moment in outgoing:
        if not moment.series:
            continue
        newest = db.execute(
            "SELECT id, at_ms, base, body FROM outbox ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if newest is not None and newest[1] - STEP_BACK_MS <= moment.at_ms <= newest[1]:
            count(db, {"failed clock": len(moment.series)})
            continue
        _put(db, moment, newest)
        if newest is not None:
            db.execute("DELETE FROM outbox WHERE id = ? AND sent = 1", newest[:1])


def _put(
    db: sqlite3.Connection, moment: Outgoing, newest: tuple[int, int, int, bytes] | None
) -> None:
    base, lived = _before(db, newest)
    ids = _ids(db, moment.series)
    now = dict(zip(ids, words(moment.values), strict=True))
    now |= dict.fromkeys((series for series in lived if series not in now), STALE)
    if (
        base is None
        or not 0 <= moment.at_ms - base.at_ms < BASE_MS
        or not now.keys() <= set(base.series)
    ):
        base = _new_base(db, moment.at_ms, now)
    body = pack([now.get(series, NOTHING) for series in base.series], base.words)
    db.execute(
        "INSERT INTO outbox (at_ms, base, samples, sent, body) VALUES (?, ?, ?, 0, ?)",
        (moment.at_ms, base.id, len(now), body),
    )
    count(db, {"queue samples": len(now), "queue bytes": len(body) + ROW_BYTES})


def _before(
    db: sqlite3.Connection, newest: tuple[int, int, int, bytes] | None
) -> tuple[Base | None, list[int]]:
    """Return the base that serves now, and the series that were there a moment before."""
    if newest is None:
        return None, []
    _, _, base_id, body = newest
    try:
        base = base_of(db, base_id)
        before = unpack(body, len(base.series), base.words)
    except Damaged:
        return None, []
    lived = [
        series
        for series, word in zip(base.series, before, strict=True)
        if word not in {STALE, NOTHING}
    ]
    return base, lived


def _ids(db: sqlite3.Connection, series: Sequence[bytes]) -> list[int]:
    known = {labels: key for key, labels in db.execute("SELECT id, labels FROM outbox_series")}
    for labels in series:
        if labels not in known:
            cursor = db.execute("INSERT INTO outbox_series (labels) VALUES (?)", (labels,))
            assert cursor.lastrowid is not None
            known[labels] = cursor.lastrowid
    return [known[labels] for labels in series]


def _new_base(db: sqlite3.Connection, at_ms: int, now: Mapping[int, int]) -> Base:
    series, values = tuple(now), tuple(now.values())
    listed, body = pack_ids(series), pack(values)
    cursor = db.execute(
        "INSERT INTO outbox_base (at_ms, series, body) VALUES (?, ?, ?)", (at_ms, listed, body)
    )
    assert cursor.lastrowid is not None
    count(db, {"queue bytes": len(listed) + len(body) + ROW_BYTES})
    return Base(cursor.lastrowid, at_ms, series, values)


def base_of(db: sqlite3.Connection, key: int) -> Base:
    """Return a base. Raises `Damaged`."""
    found = db.execute(
        "SELECT at_ms, series, body FROM outbox_base WHERE id = ?", (key,)
    ).fetchone()
    if found is None:
        raise Damaged(f"base {key} is not there")
    series = unpack_ids(found[1])
    return Base(key, found[0], series, unpack(found[2], len(series)))


def count(db: sqlite3.Connection, counts: Mapping[str, float]) -> None:
    """Add to the totals."""
    db.executemany(
        "INSERT INTO outbox_total VALUES (?1, ?2)"
        " ON CONFLICT (name) DO UPDATE SET amount = amount + ?2",
        [(name, amount) for name, amount in counts.items() if amount],
    )
